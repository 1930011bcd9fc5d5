"""The block of which an answer speaks, and the branch of it where a reorg has taken it."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import text
from sqlmodel import Session

from registry.captable.models import EventKind

ROWS_AT_ONCE = 1000
_FROZEN = {EventKind.TOKENS_FROZEN: 1, EventKind.TOKENS_UNFROZEN: -1}
_BRANCH = """
orphan_block WHERE chain_id = :chain AND recorded_at <= :known_at AND orphaned_at > :known_at
  AND number > :kept AND number <= :last
"""
_FIELDS = (
    "block_number", "token_no", "log_index", "kind", "tx_hash",
    "source", "target", "units", "extra",
)  # fmt: skip
_TOLD = f"""
SELECT b.number, b.hash, b.mined_at, e.token_no, e.log_index, e.kind, encode(e.tx_hash, 'hex'),
  e.source, e.target, e.units::text, e.extra
FROM (SELECT * FROM {_BRANCH} AND token_nos && :tokens ::int4[]) b
CROSS JOIN LATERAL unnest(
  b.token_nos, b.log_indexes, b.kinds, b.tx_hashes, b.sources, b.targets, b.amounts, b.extras
) WITH ORDINALITY AS e (
  token_no, log_index, kind, tx_hash, source, target, units, extra, place)
WHERE e.token_no = ANY(:tokens ::int4[])
ORDER BY b.number, e.place
"""  # noqa: S608 - a relation of our own
_OF_CONTRACTS = f"SELECT contract_events FROM {_BRANCH} AND contract_events <> '[]' ORDER BY number"  # noqa: S608
_TIMES = f"SELECT number, mined_at FROM {_BRANCH} AND number = ANY(:numbers ::int8[])"  # noqa: S608
_SINCE = f"SELECT number FROM {_BRANCH} AND mined_at >= :since ORDER BY number LIMIT 1"  # noqa: S608
_MOVED = f"""
SELECT DISTINCT e.token_no, w.holder_no
FROM (SELECT * FROM {_BRANCH}) b
CROSS JOIN LATERAL unnest(b.token_nos, b.kinds, b.sources, b.targets)
  AS e (token_no, kind, source, target)
CROSS JOIN LATERAL (VALUES (e.target),
  (CASE WHEN e.kind = {EventKind.TRANSFER:d} THEN e.source END)) w (holder_no)
WHERE w.holder_no IS NOT NULL
  AND e.kind IN ({EventKind.TRANSFER:d}, {", ".join(f"{kind:d}" for kind in _FROZEN)})
"""  # noqa: S608 - a relation and numbers of our own


class Step(NamedTuple):
    """What a block changed of one holder.

    Parameters
    ----------
    log_index, tx_hash
        Of the last event that did.
    units
        By so much the balance is more at the block's end; negative what it is less.
    """

    number: int
    log_index: int
    mined_at: datetime
    tx_hash: bytes
    units: int


class LostBlock(NamedTuple):
    """One of the blocks of a lost branch."""

    number: int
    hash: bytes
    mined_at: datetime


Event = dict[str, Any]
"""What a lost block holds, as JSON has it: hashes in hex, and amounts in digits."""


@dataclass(frozen=True, slots=True)
class LostBranch:
    """Blocks that we believed in at a moment, and have lost since.

    What they said is read when it is asked for, some rows at a time: a deep reorg takes more than
    there is room for.

    Parameters
    ----------
    session
        Of the one repeatable transaction in which the branch was found.
    kept : int
        The highest block of that branch which is still the chain's; -1 where none is.
    last
        The block that is looked at; those of the branch between are meant, and this one.
    """

    session: Session = field(repr=False, compare=False)
    chain_id: int
    known_at: datetime
    kept: int
    last: int

    def told(self, token_nos: Collection[int | None]) -> Iterator[tuple[LostBlock, Event]]:
        """Give what the blocks said of tokens, in the order of the chain."""
        for number, digest, mined_at, *said in self._read(_TOLD, tokens=list(token_nos)):
            event = dict(zip(_FIELDS, (number, *said), strict=True))
            yield LostBlock(number, digest, mined_at), event

    def events(self, token_no: int | None) -> Iterator[Event]:
        """Give what the blocks said of a token, in the order of the chain."""
        for _, event in self.told([token_no]):
            yield event

    def contract_events(self) -> Iterator[Event]:
        """Give what contracts said in them that are no token's, in the order of the chain."""
        for (events,) in self._read(_OF_CONTRACTS):
            yield from events

    def times(self, numbers: Collection[int]) -> dict[int, datetime]:
        """Give the times of those of the blocks that have these numbers."""
        return dict(self._read(_TIMES, numbers=list(numbers)))

    def first_since(self, since: datetime) -> int | None:
        """Give the number of the first of the blocks that is not before a time."""
        found = [number for (number,) in self._read(_SINCE, since=since)]
        return found[0] if found else None

    def _read(self, query: str, **values: Any) -> Iterator[tuple[Any, ...]]:
        where = {
            "chain": self.chain_id, "known_at": self.known_at, "kept": self.kept, "last": self.last,
        }  # fmt: skip
        with self.session.connection().execute(
            text(query), where | values, execution_options={"yield_per": ROWS_AT_ONCE}
        ) as rows:
            for row in rows:
                yield tuple(row)

    def changes(self, token_no: int | None) -> dict[int, tuple[int, int]]:
        """Give what each holder's balance and frozen part are by these blocks, more or less."""
        changes: dict[int, tuple[int, int]] = {}
        for event in self.events(token_no):
            for holder, balance, frozen in changes_by(event):
                had = changes.get(holder, (0, 0))
                changes[holder] = (had[0] + balance, had[1] + frozen)
        return changes

    def freezes(self, token_no: int | None) -> dict[int, bool]:
        """Give of each holder whom these blocks froze or freed as a whole which came last."""
        return {
            event["target"]: bool((event["extra"] or {}).get("frozen"))
            for event in self.events(token_no)
            if event["kind"] == EventKind.ADDRESS_FROZEN
        }

    def moved(self) -> set[tuple[int, int]]:
        """Give token and holder of everything that the blocks changed."""
        return {(token_no, holder) for token_no, holder in self._read(_MOVED)}

    def steps(self, token_no: int | None) -> dict[int, list[Step]]:
        """Give the blocks in which something of each holder changed, ascending."""
        steps: dict[int, list[Step]] = {}
        for block, event in self.told([token_no]):
            for holder, balance, _ in changes_by(event):
                known = steps.setdefault(holder, [])
                is_again = bool(known) and known[-1].number == block.number
                before = known.pop().units if is_again else 0
                tx_hash = bytes.fromhex(event["tx_hash"])
                place = (block.number, event["log_index"], block.mined_at)
                known.append(Step(*place, tx_hash, before + balance))
        return steps

    def minted(self, token_no: int | None) -> int:
        """Give by how many units the supply is larger for these blocks."""
        return sum(
            units_of(event) * ((event["source"] is None) - (event["target"] is None))
            for event in self.events(token_no)
            if event["kind"] == EventKind.TRANSFER
        )


@dataclass(frozen=True, slots=True)
class AsOfBlock:
    """The block of which an answer speaks.

    Parameters
    ----------
    confirmations : int
        Blocks on top of it that we know of.
    is_orphaned : bool
        Whether a reorg has taken it since.
    lost
        Then the branch up to it, where the answer is what we knew of it.
    degraded : str or None
        Why what we tell of it is not to be relied on; None where it is.
    projected : int or None
        Up to which block all was projected, in the transaction that has found it; None where that
        was not looked at.
    """

    number: int
    hash: bytes
    mined_at: datetime
    confirmations: int
    is_orphaned: bool = False
    lost: LostBranch | None = None
    degraded: str | None = None
    projected: int | None = None

    @property
    def is_newest(self) -> bool:
        """Nothing is projected above it."""
        return self.number == self.projected

    @property
    def kept(self) -> int:
        """The number of the block up to which today's tables speak of it."""
        return self.number if self.lost is None else self.lost.kept


def units_of(event: dict[str, Any]) -> int:
    """Give the units of an event as an orphan keeps it; no JSON number holds all of them."""
    return int(event["units"] or 0)


def changes_by(event: dict[str, Any]) -> Iterator[tuple[int, int, int]]:
    """Give holder, balance and frozen part that an event adds; negative what it takes."""
    kind, units = event["kind"], units_of(event)
    if kind == EventKind.TRANSFER:
        if event["source"] is not None:
            yield event["source"], -units, 0
        if event["target"] is not None:
            yield event["target"], units, 0
    elif kind in _FROZEN:
        yield event["target"], 0, units * _FROZEN[kind]
