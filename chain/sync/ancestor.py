"""Where our history and the node's part: a search over the blocks that we stored.

A block has one history, so if the node still has one of our blocks, it has every one below. The
newest are asked for first, in one batch, since most reorgs are short; then what is left is cut
into as many parts as a batch has places, again and again: any depth takes a handful of batches.
"""

from __future__ import annotations

from sqlmodel import Session, col, select

from chain.node.client import Block, ChainClient
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


def common_ancestor(
    database: Database, client: ChainClient, *, below: int | None = None
) -> Block | None:
    """Find the newest stored block that the node still has; None where it has none of them.

    Parameters
    ----------
    below
        Look below this block only.
    """
    chain_id = client.chain_id
    with database.reading() as session:
        newest = _newest(session, chain_id, below)
        found, lost = _part(client, newest)
        if found is not None or lost is None:
            return found
        lowest = session.exec(
            select(ChainBlock.number)
            .where(col(ChainBlock.chain_id) == chain_id)
            .order_by(col(ChainBlock.number))
            .limit(1)
        ).one()
        ancestor: Block | None = None
        bottom, top = lowest, lost - 1
        while bottom <= top:
            found, lost = _part(client, _spread(session, chain_id, bottom, top))
            if found is not None:
                ancestor, bottom = found, found.number + 1
            if lost is None:
                # The node has the newest of ours that is left, or none is left.
                break
            top = lost - 1
        return ancestor


def _part(client: ChainClient, stored: list[Stored]) -> tuple[Block | None, int | None]:
    """Return the last that the node has, and the number of the first that it has not."""
    found: Block | None = None
    headers = client.headers([number for number, _ in stored])
    for (number, digest), header in zip(stored, headers, strict=True):
        if header is None or header.hash != digest:
            return found, number
        found = header
    return found, None


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
