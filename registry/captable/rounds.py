"""Rounds of the sweep that proves every holder of a token: where it stands, what it has done."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Session

from registry.captable.models import ProofRound
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
    return FIRST if held.begun_at < due_before else None


def advance(session: Session, token_no: int, after: int, upto: int, *, is_last: bool) -> None:
    """Note that everybody after `after` and up to `upto` was proven; `FIRST` begins a round.

    Where the round does not stand there any more it began anew meanwhile, and nothing is noted:
    whoever comes before would count as proven.
    """
    held = session.get(ProofRound, token_no, with_for_update=True, populate_existing=True)
    if after == FIRST:
        held = held or ProofRound(token_no=token_no)
        held.begun_at, held.ended_at = now(), None
    elif held is None or held.after_holder != after:
        return
    held.after_holder = upto
    if is_last:
        held.ended_at = now()
    session.add(held)
    session.flush()
