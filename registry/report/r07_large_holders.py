"""R-07: who held a large part of a token before or after a period, and what changed it last."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from typing import Annotated

from pydantic import AwareDatetime, Field
from sqlmodel import Session

from registry.captable.blocks import AsOfBlock, Step
from registry.captable.branches import known_block_at
from registry.captable.bulk import cursor_of
from registry.captable.held import ever_large, held_by
from registry.captable.models import Token
from registry.captable.supply import supply_at
from registry.kernel.clock import day_of
from registry.kernel.errors import Invalid, NotFound
from registry.ownership.holders import FEW_WALLETS
from registry.policy.models import PolicyName
from registry.policy.service import policy_on
from registry.report.people import name_column, people_of
from registry.report.report import Column, Kind, Question, Report, Row
from registry.report.subjects import OfToken, token_of


class Parameters(OfToken):
    """Which token, from when, and from which share on; the period ends at `as_of`."""

    since: Annotated[AwareDatetime, Field(description="The beginning of the period")]
    threshold_percent: Annotated[
        Decimal | None,
        Field(
            gt=0,
            le=100,
            max_digits=9,
            decimal_places=6,
            description="Without it, what the policy LARGE_HOLDER says of the day of `as_of`",
        ),
    ] = None


COLUMNS = (
    Column("party", Kind.ID),
    name_column("name"),
    Column("wallet", Kind.ADDRESS),
    Column("before", Kind.FRACTION),
    Column("after", Kind.FRACTION),
    Column("change", Kind.UNITS),
    Column("changed_at", Kind.TIME),
    Column("tx", Kind.HASH),
)

# All wallets of a party are one holder; a wallet that nobody has proven is one of its own. Who has
# so much has one wallet at least that had a part of it, so only such are looked up in the past.
_HOLDERS = """
WITH few AS MATERIALIZED (
  SELECT DISTINCT i.party_id, CASE WHEN i.party_id IS NULL THEN h.address END AS wallet
  FROM ({ever} OFFSET 0) x JOIN holder h ON h.holder_no = x.holder_no
  LEFT JOIN wallet w ON w.address = h.address
  LEFT JOIN investor i ON i.id = w.investor_id),
wide AS MATERIALIZED (
  SELECT few.party_id, few.wallet, h.holder_no
  FROM few JOIN investor i ON i.party_id = few.party_id
  JOIN wallet w ON w.investor_id = i.id
  JOIN holder h ON h.address = w.address
  UNION ALL
  SELECT NULL, few.wallet, h.holder_no FROM few JOIN holder h ON h.address = few.wallet),
held AS (
  SELECT wide.*, b.balance_units AS before, a.balance_units AS after
  FROM wide LEFT JOIN ({before}) b ON b.holder_no = wide.holder_no
  LEFT JOIN ({after}) a ON a.holder_no = wide.holder_no
  WHERE b.holder_no IS NOT NULL OR a.holder_no IS NOT NULL),
large AS (
  SELECT coalesce('p' || party_id, 'w' || encode(wallet, 'hex')) AS who, party_id, wallet,
    array_agg(holder_no) AS holders,
    coalesce(sum(before), 0) AS before, coalesce(sum(after), 0) AS after
  FROM held GROUP BY 1, 2, 3
  HAVING coalesce(sum(before), 0) >= %(large_before)s
    OR coalesce(sum(after), 0) >= %(large_after)s)
SELECT who, party_id, wallet, holders, before, after, b.mined_at, e.tx_hash
FROM large LEFT JOIN LATERAL (
  SELECT max(c.block_number) AS number FROM balance_history c
  WHERE c.token_no = %(token)s AND c.holder_no = ANY(large.holders)
    AND c.block_number > %(since)s AND c.block_number <= %(until)s) l ON true
LEFT JOIN chain_block b ON b.chain_id = %(chain)s AND b.number = l.number
LEFT JOIN LATERAL (
  SELECT tx_hash FROM token_event
  WHERE token_no = %(token)s AND block_number = l.number
    AND (source = ANY(large.holders) OR target = ANY(large.holders))
  ORDER BY log_index DESC LIMIT 1) e ON true
WHERE who > %(seen)s ORDER BY who LIMIT %(limit)s
"""
_NOBODY = "SELECT 0 AS holder_no, 0 AS balance_units WHERE false"


def _rows(session: Session, question: Question[Parameters]) -> Iterator[Row]:
    asked = question.parameters
    _require_before(asked.since, question.moment)
    _, token = token_of(session, question)
    until = question.at_block
    since = _beginning(session, question, token.chain_id)
    supplies = [supply_at(session, token, block) if block else 0 for block in (since, until)]
    threshold = _threshold(session, question)
    large = [_units(threshold, supply) for supply in supplies]
    values = {
        "token": token.token_no,
        "chain": token.chain_id,
        "since": since.kept if since else -1,
        "until": until.kept,
        "large_before": large[0],
        "large_after": large[1],
        "least": max(min(large) // FEW_WALLETS, 1),
        "seen": question.after[0] if question.after else "",
        "limit": question.fetch,
    }
    query = _HOLDERS.format(
        ever=ever_large(token, until, *([since] if since else [])),
        before=held_by(token, since) if since else _NOBODY,
        after=held_by(token, until),
    )
    with cursor_of(session) as cursor:
        # Planned for this threshold: few have so much.
        found = cursor.execute(query.encode(), values, prepare=False).fetchall()
    people = people_of(session, question, {row[1] for row in found})
    lost = _lost_changes(token, since, until)
    for who, party_id, wallet, holders, *held, changed_at, tx in found:
        before, after = map(int, held)
        last = max((lost[holder] for holder in holders if holder in lost), default=None)
        changed = (changed_at, tx) if last is None else (last.mined_at, last.tx_hash)
        shares = [_part(units, of) for units, of in zip((before, after), supplies, strict=True)]
        name = people[party_id].name
        yield Row((who,), (party_id, name, wallet, *shares, after - before, *changed))


def _beginning(session: Session, question: Question[Parameters], chain_id: int) -> AsOfBlock | None:
    """Return the block at which the period begins; None where the chain begins later."""
    known_at = question.known_at if question.at_block.lost is not None else None
    try:
        return known_block_at(session, chain_id, question.parameters.since, known_at)
    except NotFound:
        return None


def _lost_changes(token: Token, since: AsOfBlock | None, until: AsOfBlock) -> Mapping[int, Step]:
    """Return the last change of each holder in blocks of the period that a reorg has taken."""
    if until.lost is None:
        return {}
    begun = since.number if since else -1
    steps = until.lost.steps(token.token_no)
    return {holder: last for holder, (*_, last) in steps.items() if last.number > begun}


def _require_before(since: datetime, moment: datetime) -> None:
    if since >= moment:
        raise Invalid(
            "period_empty",
            "The period ends before it begins.",
            field="since",
            remedy="Send a `since` before `as_of`.",
        )


def _threshold(session: Session, question: Question[Parameters]) -> Fraction:
    percent = question.parameters.threshold_percent
    if percent is not None:
        return Fraction(percent) / 100
    return policy_on(session, PolicyName.LARGE_HOLDER, day_of(question.moment)).value


def _units(threshold: Fraction, supply: int) -> int:
    """Give the fewest units that are so large a share; of nothing, more than there are."""
    return max(-(-threshold.numerator * supply // threshold.denominator), 1)


def _part(units: int, supply: int) -> Fraction:
    return Fraction(units, supply) if supply else Fraction(0)


LARGE_HOLDERS = Report(
    code="R-07",
    title="Large holders and their changes",
    title_ur="بڑے حصہ دار اور ان کی تبدیلیاں",
    parameters=Parameters,
    columns=COLUMNS,
    rows=_rows,
    speaks_of_chain=True,
    of_one_moment=True,
)
