"""Since when tokens, or parts of titles, have been held without a break, up to a moment."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from uuid import UUID

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

# Who moves units to another wallet of theirs has them still: of all wallets together, the first
# change after the last block at whose end they had nothing in any.
_OF_PARTIES = """
SELECT e.party_id, e.units, b.mined_at
FROM (
  SELECT party_id, sum(more) AS units,
    min(block_number) FILTER (WHERE block_number > ended) AS number
  FROM (
    SELECT party_id, block_number, more,
      coalesce(max(block_number) FILTER (WHERE units = 0) OVER (PARTITION BY party_id), -1)
        AS ended
    FROM (
      SELECT i.party_id, m.block_number, sum(m.more) AS more,
        sum(sum(m.more)) OVER (PARTITION BY i.party_id ORDER BY m.block_number) AS units
      FROM investor i JOIN wallet w ON w.investor_id = i.id JOIN holder h ON h.address = w.address
      CROSS JOIN LATERAL (
        SELECT c.block_number, c.balance_units
          - coalesce(lag(c.balance_units) OVER (ORDER BY c.block_number), 0) AS more
        FROM balance_history c WHERE c.token_no = %(token)s AND c.holder_no = h.holder_no
          AND c.block_number <= %(block)s) m
      WHERE i.party_id = ANY(%(parties)s)
      GROUP BY i.party_id, m.block_number) had) ended
  GROUP BY party_id) e
LEFT JOIN chain_block b ON b.chain_id = %(chain)s AND b.number = e.number
"""
_HOLDERS = """
SELECT i.party_id, h.holder_no
FROM investor i JOIN wallet w ON w.investor_id = i.id JOIN holder h ON h.address = w.address
WHERE i.party_id = ANY(%(parties)s)
"""

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


def parties_since(
    session: Session, token: Token, block: AsOfBlock, parties: Collection[UUID]
) -> dict[UUID, datetime]:
    """Return the time of the block from which on each has held something in any of its wallets."""
    asked = {
        "token": token.token_no,
        "chain": token.chain_id,
        "block": block.kept,
        "parties": list(parties),
    }
    with cursor_of(session) as cursor:
        found = cursor.execute(_OF_PARTIES, asked).fetchall()
        kept = {party_id: (int(units), since) for party_id, units, since in found}
        holders = cursor.execute(_HOLDERS, asked).fetchall() if block.lost else []
    steps = _steps_of(block, token, holders)
    since = {}
    for party_id in kept.keys() | steps.keys():
        had, began = kept.get(party_id, (0, None))
        lost = steps.get(party_id, ())
        since[party_id] = since_with(began, lost, had + sum(step.units for step in lost))
    return {party_id: moment for party_id, moment in since.items() if moment is not None}


def _steps_of(
    block: AsOfBlock, token: Token, holders: Iterable[tuple[UUID, int]]
) -> Mapping[UUID, Sequence[Step]]:
    """Give what each party has more or less in all its wallets by each lost block."""
    if block.lost is None:
        return {}
    by_holder = block.lost.steps(token.token_no)
    found: dict[UUID, dict[int, Step]] = {}
    for party_id, holder_no in holders:
        for step in by_holder.get(holder_no, ()):
            known = found.setdefault(party_id, {})
            units = known[step.number].units if step.number in known else 0
            known[step.number] = step._replace(units=step.units + units)
    return {
        party_id: [known[number] for number in sorted(known)] for party_id, known in found.items()
    }


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
