"""Playing a schedule: things go wrong, then they end, and everything must be exact."""

from __future__ import annotations

import random
import signal
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from sqlmodel import col, select

from registry.captable.models import Reconciliation, SyncCursor, Token
from registry.kernel.db import Database
from tests.chaos.model.node import CHAIN_ID
from tests.chaos.sync import compare, memory, steps
from tests.chaos.sync.arena import Arena
from tests.chaos.sync.run import Run
from tests.chaos.sync.schedule import Schedule

EXACT_SECONDS = 90.0
"""From the end of all faults to a proven cap table: a second, but machines are shared."""
LOOK_SECONDS = 0.01


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a schedule.

    Parameters
    ----------
    differs
        What is not exact in the end.
    met
        How often each fault really happened.
    """

    differs: list[str]
    met: Counter[str]


def play(arena: Arena, schedule: Schedule, log: Path) -> Result:
    """Play a schedule to its end.

    Parameters
    ----------
    log
        File for the words of every sync of the schedule.
    """
    run = Run(arena, schedule, log)
    try:
        for acts in run.crowd.found():
            run.chain.mine(acts)
        run.mine(schedule.history)
        run.start()
        for run.step, step in enumerate(schedule.steps, 1):
            steps.take(run, step)
        run.heal()
        run.mine(2)
        return Result(_end(run), run.met())
    finally:
        run.close()


def _end(run: Run) -> list[str]:
    database = Database(run.arena.direct(run.database), pool_size=2)
    try:
        waiting = _await_proof(run, database)
        run.end_all(signal.SIGTERM)
        if waiting:
            run.complaints.append(f"after {EXACT_SECONDS:.0f} s: {waiting}")
        dice = random.Random(f"look {run.schedule.seed}")
        differs = compare.differences(database, run.chain.canonical, dice)
        with database.reading() as session:
            forgotten, told = memory.forgotten(session, run.memories)
        run.note("tables told as they were known", told)
        return [*run.complaints, *differs, *forgotten]
    finally:
        database.dispose()


def _await_proof(run: Run, database: Database) -> str:
    """Wait until the cursor is at the head and every token proven; return what is not."""
    deadline = time.monotonic() + EXACT_SECONDS
    waiting = "nothing was looked at"
    while waiting and time.monotonic() < deadline:
        run.keep_alive()
        time.sleep(LOOK_SECONDS)
        waiting = _unproven(run, database)
    return waiting


def _unproven(run: Run, database: Database) -> str:
    head = run.chain.head
    with database.reading() as session:
        cursor = session.get_one(SyncCursor, CHAIN_ID)
        if cursor.hash != head.hash:
            return f"the cursor is at {cursor.number}, the head at {head.number}"
        if cursor.degraded:
            return f"degraded: {cursor.degraded}"
        for token in session.exec(select(Token)).all():
            proof = session.exec(
                select(Reconciliation)
                .where(col(Reconciliation.token_no) == token.token_no)
                .order_by(col(Reconciliation.id).desc())
            ).first()
            if proof is None or proof.differences:
                return f"{token.address.hex()} is not proven: {proof and proof.differences}"
            block = run.chain.known.get(proof.block_hash)
            if block is None or run.chain.canonical[block.number] is not block:
                return f"{token.address.hex()} was proven at a block that is gone"
    return ""
