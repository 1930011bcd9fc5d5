"""Since when tokens, or parts of titles, have been held without a break, up to a moment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlmodel import Session

from registry.captable.blocks import AsOfBlock, Step
from registry.captable.bulk import cursor_of
from registry.captable.models import Token

# The first change after they last had nothing.
_FIRST = """
SELECT min(c.block_number) AS number FROM balance_history c
WHERE c.token_no = {no} AND c.holder_no = {holder} AND c.block_number <= %(block)s
  AND c.block_number > coalesce((
    SELECT max(z.block_number) FROM balance_history z
    WHERE z.token_no = {no} AND z.holder_no = {holder}
      AND z.block_number <= %(block)s AND z.balance_units = 0), -1)
"""
_SINCE = f"""
SELECT h.address, h.holder_no, b.mined_at
FROM holder h CROSS JOIN LATERAL ({_FIRST.format(no="%(token)s", holder="h.holder_no")}) a
LEFT JOIN chain_block b ON b.chain_id = %(chain)s AND b.number = a.number
WHERE h.address = ANY(%(addresses)s)
"""  # noqa: S608 - no value in it
SINCE_OF_ONE = f"""
SELECT c.mined_at FROM ({_FIRST.format(no="b.token_no", holder="b.holder_no")}) first
JOIN chain_block c ON c.chain_id = %(chain)s AND c.number = first.number
"""  # noqa: S608 - no value in it
"""The same of the holder of a balance ``b``, at the last block that is kept."""

TITLE_SINCE = """
SELECT min(w.valid_from) FROM title_version w
WHERE w.title_id = t.id AND w.valid_from <= %(moment)s AND w.recorded_at <= %(known)s
  AND (w.superseded_at IS NULL OR w.superseded_at > %(known)s)
  AND w.valid_from > coalesce((
    SELECT max(x.valid_from) FROM title_version x
    WHERE x.title_id = t.id AND x.valid_from <= %(moment)s AND x.recorded_at <= %(known)s
      AND (x.superseded_at IS NULL OR x.superseded_at > %(known)s)
      AND NOT EXISTS (SELECT FROM title_share y
                      WHERE y.version_id = x.id AND y.party_id = mine.party_id)),
    '-infinity')
"""
"""Since when a party ``mine`` has had a part of a title ``t``."""


def held_since(
    session: Session, token: Token, block: AsOfBlock, held: Mapping[bytes, int]
) -> dict[bytes, datetime]:
    """Return the time of the block from which on each has held; who holds nothing is left out.

    Parameters
    ----------
    held
        What each address has at the block.
    """
    asked = {
        "token": token.token_no,
        "chain": token.chain_id,
        "block": block.kept,
        "addresses": list(held),
    }
    steps = block.lost.steps(token.token_no) if block.lost else {}
    with cursor_of(session) as cursor:
        found = cursor.execute(_SINCE, asked).fetchall()
    since = {
        address: since_with(kept, steps.get(holder_no, ()), held[address])
        for address, holder_no, kept in found
    }
    return {address: moment for address, moment in since.items() if moment is not None}


def since_with(kept: datetime | None, steps: Sequence[Step], units: int) -> datetime | None:
    """Go on through the blocks that a reorg has taken since.

    Parameters
    ----------
    kept
        From when on they held at the last block that is kept; None where they held nothing.
    units
        What they have after all steps.
    """
    had, since = units - sum(step.units for step in steps), kept
    for step in steps:
        had += step.units
        if not had:
            since = None
        elif since is None:
            since = step.mined_at
    return since
