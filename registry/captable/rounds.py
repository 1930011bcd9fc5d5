"""Rounds of the sweep that proves every holder of a token: where it stands, what it has done.

Rounds and alarms are compared: which came first. They may be told by processes whose clocks differ,
or by one whose clock was set: each is dated after all that it comes after (Lamport, 1978).
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import func
from sqlmodel import Session, col, select

from registry.captable.models import ProofRound, SyncCursor, Token
from registry.kernel.clock import now

FIRST = 0
"""Before every holder: their numbers begin at 1."""


def place_of(
    session: Session, token_no: int, *, due_before: datetime, void_before: datetime | None
) -> int | None:
    """Return after whom a round goes on, or `FIRST` for a new one; None where it rests.

    Parameters
    ----------
    due_before
        A round that has ended is followed by another if it began before.
    void_before
        Whatever began before is not to be relied on.
    """
    held = session.get(ProofRound, token_no)
    if held is None or (void_before is not None and held.begun_at < void_before):
        return FIRST
    if held.ended_at is None:
        return held.after_holder
    # Dated ahead by an alarm, a round rests from its end; one that ended in the future was dated
    # by a clock that has been put right since.
    return None if due_before <= min(held.begun_at, held.ended_at) <= now() else FIRST


def advance(session: Session, token_no: int, after: int, upto: int, *, is_last: bool) -> None:
    """Note that everybody after `after` and up to `upto` was proven; `FIRST` begins a round.

    Where the round does not stand there any more it began anew meanwhile, and nothing is noted:
    whoever comes before would count as proven.
    """
    held = session.get(ProofRound, token_no, with_for_update=True, populate_existing=True)
    if after == FIRST:
        held = held or ProofRound(token_no=token_no)
        held.begun_at, held.ended_at = _moment_after_alarms(session, token_no), None
    elif held is None or held.after_holder != after:
        return
    held.after_holder = upto
    if is_last:
        held.ended_at = now()
    session.add(held)
    session.flush()


def moment_after_rounds(session: Session, chain_id: int) -> datetime:
    """Give the moment of an alarm: after the beginning of every round of a chain.

    Parameters
    ----------
    session
        It holds the lock on the chain's cursor, so that no round begins meanwhile.
    """
    newest = session.exec(
        select(func.max(ProofRound.begun_at))
        .join(Token, col(Token.token_no) == col(ProofRound.token_no))
        .where(col(Token.chain_id) == chain_id)
    ).one()
    return now() if newest is None else max(now(), newest + timedelta.resolution)


def _moment_after_alarms(session: Session, token_no: int) -> datetime:
    """Give the moment of a round that begins: not before any alarm that it may end."""
    token = session.get_one(Token, token_no)
    cursor = session.get_one(SyncCursor, token.chain_id)
    alarms = (cursor.degraded_since, cursor.chain_doubted_since, token.doubted_since)
    return max([now(), *filter(None, alarms)])
