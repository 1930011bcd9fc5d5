"""Rules of the chain: a holder became large or no longer is, and one bought and left at once.

Everything is told by how a block left a holder, and by the most that it had within the block, so
that it is the same however the blocks are cut into rounds. All wallets of a party are one holder; a
wallet that nobody has proven is one of its own. Shares are of the declared fractions, which are
what exists while a token lives (TOK-02): the mint of one buyer makes no other one smaller.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import ceil
from typing import Any

from sqlmodel import Session

from registry.alert.departures import departures_of
from registry.alert.finding import ChainPlace, Found
from registry.alert.models import AlertRule
from registry.alert.policy import AlertPolicies
from registry.alert.steps import Span, Step, Subject, Touched, steps_of
from registry.captable.bulk import cursor_of
from registry.captable.models import EventKind
from registry.kernel.clock import now
from registry.tokenization.models import TokenizationState

# Of our own tokens that live; each is one look into the index of its events.
_TOUCHED = f"""
SELECT t.token_no, z.id, z.declared_fractions
FROM tokenization z JOIN token t ON t.address = z.token_address AND t.chain_id = %(chain)s
WHERE t.refusal IS NULL AND z.state <> ALL(%(ended)s) AND EXISTS (
  SELECT FROM token_event e
  WHERE e.token_no = t.token_no AND e.block_number > %(after)s AND e.block_number <= %(until)s
    AND e.kind = {EventKind.TRANSFER:d})
ORDER BY t.token_no
"""  # noqa: S608 - numbers of our own
ENDED = [TokenizationState.BURNED, TokenizationState.CANCELLED]

# Whoever had, with all that came, never as much as any rule asks for is left out here: of a
# million holders few remain.
_CANDIDATES = f"""
WITH moved AS (
  SELECT source AS holder_no, 0 AS came FROM token_event
  WHERE token_no = %(token)s AND block_number > %(after)s AND block_number <= %(until)s
    AND kind = {EventKind.TRANSFER:d} AND source IS NOT NULL
  UNION ALL
  SELECT target, units FROM token_event
  WHERE token_no = %(token)s AND block_number > %(after)s AND block_number <= %(until)s
    AND kind = {EventKind.TRANSFER:d} AND target IS NOT NULL),
of_holder AS (SELECT holder_no, sum(came) AS came FROM moved GROUP BY holder_no),
touched AS (
  SELECT DISTINCT i.party_id, CASE WHEN i.party_id IS NULL THEN m.holder_no END AS stranger
  FROM of_holder m JOIN holder h USING (holder_no)
  LEFT JOIN wallet w ON w.address = h.address
  LEFT JOIN investor i ON i.id = w.investor_id),
wallets AS (
  SELECT t.party_id, h.holder_no, h.address FROM touched t
  JOIN investor i ON i.party_id = t.party_id
  JOIN wallet w ON w.investor_id = i.id
  JOIN holder h ON h.address = w.address
  UNION ALL
  SELECT NULL, h.holder_no, h.address FROM touched t JOIN holder h ON h.holder_no = t.stranger),
begun AS (
  SELECT w.*, coalesce(b.units, 0) AS units, coalesce(b.units, 0) + coalesce(m.came, 0) AS most
  FROM wallets w LEFT JOIN of_holder m USING (holder_no)
  LEFT JOIN LATERAL (
    SELECT coalesce(later_balances[width_bucket(%(after)s::int8, later_blocks)], balance_units)
      AS units
    FROM balance_at
    WHERE token_no = %(token)s AND holder_no = w.holder_no AND block_number <= %(after)s
    ORDER BY block_number DESC LIMIT 1) b ON true)
SELECT party_id, holder_no, address, units FROM (
  SELECT *, sum(most) OVER (
    PARTITION BY party_id, CASE WHEN party_id IS NULL THEN holder_no END) AS of_all
  FROM begun) x
WHERE of_all >= %(least)s ORDER BY party_id, holder_no
"""  # noqa: S608 - numbers of our own


def find_in(session: Session, span: Span, policies: AlertPolicies) -> Iterator[Found]:
    """Give what the rules of the chain find in some blocks."""
    values = {"chain": span.chain_id, "after": span.after, "until": span.until, "ended": ENDED}
    with cursor_of(session) as cursor:
        touched = [
            Touched(token_no, tokenization_id, int(declared))
            for token_no, tokenization_id, declared in cursor.execute(_TOUCHED, values)
        ]
    for token in touched:
        subjects = _candidates(session, token, span, policies)
        steps = steps_of(session, token, span, subjects) if subjects else {}
        for subject in subjects:
            its = steps[subject.name]
            yield from _crossings(span, token, subject, its, policies)
            for step, gone in departures_of(session, span, token, subject, its, policies):
                yield _found(AlertRule.RAPID_IN_AND_OUT, span, token, subject, step, "", **gone)


def _candidates(
    session: Session, token: Touched, span: Span, policies: AlertPolicies
) -> Sequence[Subject]:
    policy = policies.at(now())
    rapid = policy.rapid_least_share * policy.rapid_left_share
    values = {
        "token": token.token_no,
        "after": span.after,
        "until": span.until,
        "least": ceil(min(policies.least_large_share, rapid) * token.declared),
    }
    found: dict[str, Subject] = {}
    with cursor_of(session) as cursor:
        for party_id, holder_no, address, units in cursor.execute(_CANDIDATES, values):
            subject = Subject(party_id, address)
            found.setdefault(subject.name, subject).begun[holder_no] = int(units)
    return list(found.values())


def _crossings(
    span: Span, token: Touched, subject: Subject, steps: Sequence[Step], policies: AlertPolicies
) -> Iterator[Found]:
    """Give where a subject came to have the large share, or no longer had it."""
    for step in steps:
        policy = policies.at(step.mined_at)
        threshold = ceil(policy.large_share * token.declared)
        was, is_now = step.before >= threshold, step.after >= threshold
        if was != is_now:
            direction = "UP" if is_now else "DOWN"
            yield _found(
                AlertRule.LARGE_HOLDER_CROSSED, span, token, subject, step, direction,
                direction=direction,
                threshold_share=str(policy.large_share),
                threshold_units=str(threshold),
            )  # fmt: skip


def _found(  # noqa: PLR0917
    rule: AlertRule,
    span: Span,
    token: Touched,
    subject: Subject,
    step: Step,
    what: str,
    **evidence: Any,
) -> Found:
    parts = [rule, str(token.tokenization_id), subject.name, what, step.tx_hash.hex()]
    return Found(
        rule=rule,
        key=":".join(part for part in parts if part),
        happened_at=step.mined_at,
        party_id=subject.party_id,
        wallet=None if subject.party_id else subject.wallet,
        tokenization_id=token.tokenization_id,
        place=ChainPlace(span.chain_id, step.block_number, step.block_hash, step.tx_hash),
        evidence={
            "before_units": str(step.before),
            "after_units": str(step.after),
            "declared_units": str(token.declared),
            **evidence,
        },
    )
