"""What readers saw at moments of a schedule: `known_at` must still tell it when all is over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import psycopg
from sqlmodel import Session, select

from registry.captable import entries
from registry.captable.blocks import AsOfBlock
from registry.captable.branches import known_block_at
from registry.captable.models import Token
from registry.captable.readings import require_known
from registry.captable.supply import supply_at
from registry.kernel.errors import Conflict
from tests.chaos.model.node import CHAIN_ID

Held = dict[bytes, tuple[int, int]]

# A transaction that has begun says that it recorded then, though nobody sees it before its end: a
# moment counts only where none is under way. Who begins one after the moment waits for the row; who
# began one before is seen, since we look after it.
_AT_REST = """
SELECT number, hash FROM sync_cursor
WHERE NOT EXISTS (
  SELECT FROM pg_stat_activity
  WHERE datname = current_database() AND pid <> pg_backend_pid() AND xact_start IS NOT NULL)
"""
_HELD = """
SELECT t.address, t.supply_units, h.address, b.balance_units, b.frozen_units
FROM token t LEFT JOIN balance b ON b.token_no = t.token_no AND b.balance_units > 0
LEFT JOIN holder h USING (holder_no)
WHERE t.caught_up_to IS NULL AND t.refusal IS NULL
"""


@dataclass(frozen=True, slots=True)
class Seen:
    """What was told of one token."""

    supply: int
    holders: Held


@dataclass(frozen=True, slots=True)
class Memory:
    """What was told of every token at a moment."""

    moment: datetime
    number: int
    hash: bytes
    tokens: dict[bytes, Seen]


def look(url: str) -> Memory | None:
    """See what the database says now; None while somebody writes to it, or there is nothing."""
    try:
        with psycopg.connect(url) as connection:
            connection.execute("SELECT 1 FROM sync_cursor FOR UPDATE NOWAIT")
            ((moment,),) = connection.execute("SELECT clock_timestamp()").fetchall()
            row = connection.execute(_AT_REST).fetchone()
            if row is None:
                return None
            tokens: dict[bytes, Seen] = {}
            for token, supply, holder, balance, frozen in connection.execute(_HELD):
                seen = tokens.setdefault(token, Seen(int(supply), {}))
                if holder is not None:
                    seen.holders[holder] = (int(balance), int(frozen))
            number, digest = row
            return Memory(moment, number, digest, tokens) if tokens else None
    except (psycopg.errors.LockNotAvailable, psycopg.OperationalError):
        # A statement of the schedule's own faults may have hit us: then there is no memory of it.
        return None


def forgotten(session: Session, memories: Sequence[Memory]) -> tuple[list[str], int]:
    """Ask what was known at each moment.

    Returns
    -------
    tuple
        What is told otherwise than it was, as sentences; and how many tables were told again.
    """
    found: list[str] = []
    told = 0
    tokens = {token.address: token for token in session.exec(select(Token)).all()}
    for memory in memories:
        block = known_block_at(session, CHAIN_ID, None, memory.moment)
        at = f"known at block {memory.number}"
        if (block.number, block.hash) != (memory.number, memory.hash):
            found.append(f"{at}: told of block {block.number} instead")
            continue
        for address, seen in memory.tokens.items():
            token = tokens.get(address)
            if token is None or _is_read_since(session, token, memory, block):
                continue
            told += 1
            if (now := _told(session, token, block)) != seen:
                found.append(f"{at}: of 0x{address.hex()} {now} is told, and it was {seen}")
    return found, told


def _is_read_since(session: Session, token: Token, memory: Memory, block: AsOfBlock) -> bool:
    """Tell whether the answer is refused, since nothing was kept of what was known then."""
    try:
        require_known(session, token, memory.moment, block=block.number)
    except Conflict:
        return True
    return False


def _told(session: Session, token: Token, block: AsOfBlock) -> Seen:
    listed = entries.list_holders(session, token, block)
    holders = {entry.address: (entry.balance_units, entry.frozen_units) for entry in listed}
    return Seen(supply_at(session, token, block), holders)
