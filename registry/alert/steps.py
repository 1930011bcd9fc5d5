"""How each block of a round changed what a holder has, and the most that it had within it.

It is a matter of each block alone, and so the same however the blocks are cut into rounds.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from sqlmodel import Session

from registry.captable.bulk import cursor_of
from registry.captable.models import EventKind

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
    peak
        The most that it had in this block, after any of its movements: what came and went at once
        is nothing before it and nothing after.
    has_given
        The subject itself gave some of it away in this block.
    """

    block_number: int
    block_hash: bytes
    mined_at: datetime
    tx_hash: bytes
    before: int
    after: int
    peak: int
    has_given: bool

    @property
    def most(self) -> int:
        """The most that it had since the block before."""
        return max(self.before, self.peak)


def steps_of(
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
                known, before = steps[subject.name], holds[subject.name]
                has = peak = holds[subject.name] = before + change
                given = change < 0 and bool(own)
                if known and known[-1].block_number == number:
                    last = known.pop()
                    before, peak = last.before, max(last.peak, peak)
                    given = given or last.has_given
                known.append(Step(number, digest, mined_at, tx_hash, before, has, peak, given))
    return steps
