"""Rules of the chain: a holder became large or no longer is, and one bought and left at once.

Everything is told by how a block left a holder, so that it is the same however the blocks are cut
into rounds. All wallets of a party are one holder; a wallet that nobody has proven is one of its
own. Shares are of the declared fractions, which are what exists while a token lives (TOK-02): the
mint of one buyer makes no other one smaller.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from fractions import Fraction
from math import ceil
from typing import Any
from uuid import UUID

from sqlmodel import Session

from registry.alert.finding import ChainPlace, Found
from registry.alert.models import AlertRule
from registry.alert.policy import AlertPolicies, AlertPolicy
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
_MOVEMENTS = f"""
SELECT e.block_number, b.hash, b.mined_at, e.tx_hash, e.source, e.target, e.units,
  e.source IS NOT NULL AND e.target IS NOT NULL AND e.extra ->> 'forced' IS DISTINCT FROM 'true'
  AND NOT EXISTS (
    SELECT FROM token_event c WHERE c.token_no = e.token_no AND c.block_number = e.block_number
    AND c.kind <> {EventKind.TRANSFER:d}
    AND c.kind IN ({EventKind.CASE_ACT:d}, {EventKind.RECOVERY:d}) AND c.tx_hash = e.tx_hash)
FROM token_event e
JOIN chain_block b ON b.chain_id = %(chain)s AND b.number = e.block_number
WHERE e.token_no = %(token)s AND e.block_number > %(after)s AND e.block_number <= %(until)s
  AND e.kind = {EventKind.TRANSFER:d}
  AND (e.source = ANY(%(holders)s) OR e.target = ANY(%(holders)s))
ORDER BY e.block_number, e.log_index
"""  # noqa: S608 - numbers of our own
_EARLIER = """
SELECT h.holder_no, h.block_number, b.mined_at, h.balance_units
FROM balance_history h
JOIN chain_block b ON b.chain_id = %(chain)s AND b.number = h.block_number
WHERE h.token_no = %(token)s AND h.holder_no = ANY(%(holders)s) AND h.block_number <= %(after)s
ORDER BY h.block_number
"""


@dataclass(frozen=True, slots=True)
class Span:
    """The blocks of one round: those above `after`, up to `until`."""

    chain_id: int
    after: int
    until: int


@dataclass(frozen=True, slots=True)
class Touched:
    """A token that moved."""

    token_no: int
    tokenization_id: UUID
    declared: int


@dataclass(slots=True)
class Subject:
    """One holder: a party with its wallets, or a wallet of nobody."""

    party_id: UUID | None
    wallet: bytes
    begun: dict[int, int] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return f"party:{self.party_id}" if self.party_id else f"wallet:{self.wallet.hex()}"


@dataclass(frozen=True, slots=True)
class Step:
    """How one block changed what a subject has.

    Parameters
    ----------
    has_given
        The subject itself gave some of it away in this block.
    """

    block_number: int
    block_hash: bytes
    mined_at: datetime
    tx_hash: bytes
    before: int
    after: int
    has_given: bool


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
        steps = _steps(session, token, span, subjects) if subjects else {}
        for subject in subjects:
            yield from _crossings(span, token, subject, steps[subject.name], policies)
            yield from _departures(session, span, token, subject, steps[subject.name], policies)


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


def _steps(
    session: Session, token: Touched, span: Span, subjects: Sequence[Subject]
) -> Mapping[str, list[Step]]:
    """Fold the movements of each subject into one step for each block that changed it."""
    owner = {number: subject for subject in subjects for number in subject.begun}
    holds = {subject.name: sum(subject.begun.values()) for subject in subjects}
    steps: dict[str, list[Step]] = defaultdict(list)
    values = {
        "chain": span.chain_id,
        "token": token.token_no,
        "after": span.after,
        "until": span.until,
        "holders": list(owner),
    }
    with cursor_of(session) as cursor:
        for number, digest, mined_at, tx_hash, source, target, units, own in cursor.execute(
            _MOVEMENTS, values
        ):
            giver, taker = owner.get(source), owner.get(target)
            if giver is taker:
                continue
            for subject, change in ((giver, -int(units)), (taker, int(units))):
                if subject is None:
                    continue
                known, has = steps[subject.name], holds[subject.name]
                given = change < 0 and bool(own)
                before = has
                if known and known[-1].block_number == number:
                    last = known.pop()
                    before, given = last.before, given or last.has_given
                holds[subject.name] = has + change
                known.append(Step(number, digest, mined_at, tx_hash, before, has + change, given))
    return steps


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


@dataclass(frozen=True, slots=True)
class _Level:
    """What a subject had from a moment on."""

    since: datetime
    block_number: int
    units: int


def _departures(  # noqa: PLR0917
    session: Session,
    span: Span,
    token: Touched,
    subject: Subject,
    steps: Sequence[Step],
    policies: AlertPolicies,
) -> Iterator[Found]:
    """Give where a subject gave away by itself what it had bought a short time before."""
    levels: list[_Level] | None = None
    for place, step in enumerate(steps):
        policy = policies.at(step.mined_at)
        least = ceil(policy.rapid_least_share * token.declared)
        # A step that ends above what would be left of the smallest holding may still be a
        # departure from a larger one; one that begins below can be none.
        floor = ceil(policy.rapid_left_share * least)
        if not step.has_given or step.after >= step.before or step.before < floor:
            continue
        if levels is None:
            levels = _earlier(session, span, token, subject)
        known = [*levels, *(_Level(s.mined_at, s.block_number, s.after) for s in steps[:place])]
        gone = _departure(known, step, least, policy)
        if gone is not None:
            yield _found(AlertRule.RAPID_IN_AND_OUT, span, token, subject, step, "", **gone)


def _departure(
    levels: Sequence[_Level], step: Step, least: int, policy: AlertPolicy
) -> dict[str, Any] | None:
    opened = step.mined_at - policy.rapid_window
    inside = [level for level in levels if level.since > opened]
    outside = [level for level in levels if level.since <= opened]
    at_first = outside[-1].units if outside else 0
    most = max((level.units for level in inside), default=0)
    kept: Fraction = policy.rapid_left_share * most
    if most < least or at_first > kept or step.after > kept or step.before <= kept:
        return None
    bought = next(level for level in inside if level.units > kept)
    return {
        "bought_at": bought.since.isoformat(),
        "bought_in_block": str(bought.block_number),
        "most_units": str(most),
        "days": policy.rapid_window.days,
    }


def _earlier(session: Session, span: Span, token: Touched, subject: Subject) -> list[_Level]:
    """Give what the subject had in all its wallets together before the round."""
    values = {
        "chain": span.chain_id,
        "token": token.token_no,
        "after": span.after,
        "holders": list(subject.begun),
    }
    has: dict[int, int] = {}
    levels: list[_Level] = []
    with cursor_of(session) as cursor:
        for holder_no, number, mined_at, units in cursor.execute(_EARLIER, values):
            has[holder_no] = int(units)
            if levels and levels[-1].block_number == number:
                levels.pop()
            levels.append(_Level(mined_at, number, sum(has.values())))
    return levels


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
