"""Where our history and the node's part: a search over the blocks that we stored.

A block has one history, so if the node still has one of our blocks, it has every one below. The
newest are asked for first, in one batch, since most reorgs are short; then what is left is cut
into as many parts as a batch has places, again and again: any depth takes a handful of batches.

Of blocks that the node has dropped it says nothing. That it has not kept one is no reason to take
anything back.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlmodel import Session, col, func, select

from chain.errors import NotKept
from chain.node.client import Block, ChainClient
from chain.sync.kept import kept_headers
from registry.captable.bulk import cursor_of
from registry.captable.models import ChainBlock
from registry.kernel.db import Database

NEWEST = 64
PROBES = 64

Stored = tuple[int, bytes]
"""Number and hash of a block of ours."""

_BELOW_EACH = """
SELECT DISTINCT s.number, s.hash FROM unnest(%s::int8[]) AS p(place)
CROSS JOIN LATERAL (
  SELECT number, hash FROM chain_block WHERE chain_id = %s AND number <= p.place
  ORDER BY number DESC LIMIT 1) AS s
ORDER BY 1
"""


@dataclass(frozen=True, slots=True)
class _Seen:
    """What the node says of stored blocks, from the oldest on up to the first that it has not.

    Parameters
    ----------
    found
        The newest of them that it has.
    dropped
        The newest of them of which it says nothing, though its chain goes beyond.
    lost
        The first that is not its own; None where there is none.
    """

    found: Block | None = None
    dropped: int | None = None
    lost: int | None = None

    @property
    def bottom(self) -> int:
        """Give the first block that may be the node's, and was not asked for."""
        found = -1 if self.found is None else self.found.number
        return max(found, -1 if self.dropped is None else self.dropped) + 1

    def then(self, closer: _Seen) -> _Seen:
        """Add what was seen closer to the place that is looked for."""
        return _Seen(
            found=closer.found or self.found,
            dropped=self.dropped if closer.dropped is None else closer.dropped,
            lost=self.lost if closer.lost is None else closer.lost,
        )


def common_ancestor(
    database: Database, client: ChainClient, *, below: int | None = None
) -> Block | None:
    """Find the newest stored block that the node still has; None where it has none of them.

    Parameters
    ----------
    below
        A block that was stored wrong, though the newest one is the node's: look below this one
        only. Where none is left there, it is the node's own block below what is wrong.

    Raises
    ------
    NotKept
        It would be among blocks that the node has dropped.
    """
    head_number = client.block_number()
    with database.reading() as session:
        stored = _newest(session, client.chain_id, below)
        seen = closer = _part(client, stored, head_number)
        lowest = 0 if seen.lost is None else _lowest(session, client.chain_id)
        while closer.lost is not None:
            bottom = max(seen.bottom, lowest)
            between = _spread(session, client.chain_id, bottom, closer.lost - 1)
            closer = _part(client, between, head_number)
            seen = seen.then(closer)
    if seen.found is not None:
        return seen.found
    if below is not None:
        before = max((below if seen.lost is None else seen.lost) - 1, 0)
        (block,) = kept_headers(client, [before])
        return _require_kept(block, before)
    if seen.dropped is not None:
        _require_kept(None, seen.dropped)
    return None


def _require_kept(block: Block | None, number: int) -> Block:
    if block is None:
        raise NotKept(f"the node has dropped block {number}, with which its chain may be ours")
    return block


def _part(client: ChainClient, stored: list[Stored], head_number: int) -> _Seen:
    """Ask for stored blocks, which come in their order."""
    found: Block | None = None
    dropped: int | None = None
    headers = kept_headers(client, [number for number, _ in stored]) if stored else []
    for (number, digest), header in zip(stored, headers, strict=True):
        if header is None and number <= head_number:
            dropped = number
        elif header is None or header.hash != digest:
            return _Seen(found, dropped, lost=number)
        else:
            found = header
    return _Seen(found, dropped)


def _lowest(session: Session, chain_id: int) -> int:
    of_chain = col(ChainBlock.chain_id) == chain_id
    return session.exec(select(func.min(col(ChainBlock.number))).where(of_chain)).one()


def _newest(session: Session, chain_id: int, below: int | None) -> list[Stored]:
    query = (
        select(ChainBlock.number, ChainBlock.hash)
        .where(col(ChainBlock.chain_id) == chain_id)
        .order_by(col(ChainBlock.number).desc())
        .limit(NEWEST)
    )
    if below is not None:
        query = query.where(col(ChainBlock.number) < below)
    return [(number, digest) for number, digest in reversed(session.exec(query).all())]


def _spread(session: Session, chain_id: int, bottom: int, top: int) -> list[Stored]:
    """Give stored blocks that are spread evenly from `bottom` to `top`, the newest among them."""
    step = max((top - bottom) // (PROBES - 1), 1)
    places = sorted({*range(bottom, top + 1, step), top})
    with cursor_of(session) as cursor:
        rows = cursor.execute(_BELOW_EACH, [places, chain_id]).fetchall()
    return [(number, digest) for number, digest in rows if number >= bottom]
