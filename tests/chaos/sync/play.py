"""Playing a schedule: things go wrong, then they end, and everything must be exact."""

from __future__ import annotations

import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from sqlmodel import Session, col, select

from chain.proving.due import newest_proof
from registry.captable.degraded import list_differing
from registry.captable.models import ProofRound, SyncCursor, Token
from registry.kernel.db import Database
from tests.chaos.model.lies import DEEP
from tests.chaos.model.node import CHAIN_ID
from tests.chaos.sync import compare, memory, steps
from tests.chaos.sync.arena import Arena
from tests.chaos.sync.faults import Seen
from tests.chaos.sync.fold import fold
from tests.chaos.sync.repairing import reconcile
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
        for lie in schedule.lies:
            steps.take(run, lie)
        run.start()
        if schedule.lies:
            run.await_head(steps.PATIENCE_SECONDS)
        for run.step, step in enumerate(schedule.steps, 1):
            steps.take(run, step)
        run.heal()
        run.mine(2)
        return Result(_end(run), run.met())
    finally:
        run.close()


def _end(run: Run) -> list[str]:
    database = Database(run.arena.direct(run.database), pool_size=4)
    try:
        garbled = fold(run.chain.canonical).garbled
        if set(run.node.liar.told) & set(DEEP):
            _see_to_lies(run, database, garbled)
        waiting = _await(run, lambda: _unproven(run, database, garbled))
        run.end_all(signal.SIGTERM)
        if waiting:
            run.complaints.append(f"after {EXACT_SECONDS:.0f} s: {waiting}")
        dice = random.Random(f"look {run.schedule.seed}")
        differs = compare.differences(
            database, run.chain.canonical, dice, is_pruned=run.schedule.habits.prunes
        )
        with database.reading() as session:
            forgotten, told = memory.forgotten(session, run.memories)
        run.note(Seen.TOLD_AGAIN, told)
        return [*run.complaints, *differs, *forgotten]
    finally:
        database.dispose()


def _see_to_lies(run: Run, database: Database, garbled: Mapping[bytes, int]) -> None:
    """See that what was left out deep down is told of, and mend it as an operator would.

    Whatever changes what anybody has now, the sync must find by itself, and mend or say. What does
    not (somebody's units that went and came back, who is an agent) is told by the logs alone, which
    operators compare now and then.
    """
    waiting = _await(run, lambda: _unswept(run, database, garbled))
    if waiting:
        run.complaints.append(f"before a repair, after {EXACT_SECONDS:.0f} s: {waiting}")
    if not _is_told(database):
        wrong = compare.amounts_differ(database, run.chain.canonical)
        run.complaints += [f"proven, and yet {each}" for each in wrong]
        run.note(Seen.UNSEEN)
    with database.reading() as session:
        tokens = [token.address for token in session.exec(select(Token)).all()]
    for token in tokens:
        if token not in garbled and (failed := reconcile(database, run.arena.server.url, token)):
            run.complaints.append(failed)


def _await(run: Run, look: Callable[[], str]) -> str:
    """Wait until nothing is left to wait for; return what is."""
    deadline = time.monotonic() + EXACT_SECONDS
    waiting = "nothing was looked at"
    while waiting and time.monotonic() < deadline:
        run.keep_alive()
        time.sleep(LOOK_SECONDS)
        waiting = look()
    return waiting


def _is_told(database: Database) -> bool:
    """Tell whether the sync says itself that something is not as the chain has it."""
    with database.reading() as session:
        refused = session.exec(select(Token).where(col(Token.refusal).is_not(None))).first()
        return refused is not None or bool(list_differing(session, CHAIN_ID, foreign=False))


def _unswept(run: Run, database: Database, garbled: Mapping[bytes, int]) -> str:
    """Say what of the proofs is to come, before which nothing is known to be right or wrong."""
    if _is_told(database):
        return ""
    if waiting := _unproven(run, database, garbled):
        return waiting
    with database.reading() as session:
        for token in session.exec(select(Token)).all():
            swept = session.get(ProofRound, token.token_no)
            if token.is_told_whole and (swept is None or swept.ended_at is None):
                return f"not every holder of {token.address.hex()} is proven"
    return ""


def _unproven(run: Run, database: Database, garbled: Mapping[bytes, int]) -> str:
    """Say what is not at the head, or not proven, or not refused though it logs nonsense."""
    head = run.chain.head
    with database.reading() as session:
        cursor = session.get_one(SyncCursor, CHAIN_ID)
        if cursor.hash != head.hash:
            return f"the cursor is at {cursor.number}, the head at {head.number}"
        if cursor.degraded:
            return f"degraded: {cursor.degraded}"
        tokens = session.exec(select(Token)).all()
        return next(
            filter(None, (_unsettled(run, session, token, garbled) for token in tokens)), ""
        )


def _unsettled(run: Run, session: Session, token: Token, garbled: Mapping[bytes, int]) -> str:
    name = token.address.hex()
    if token.address in garbled:
        return "" if token.refusal else f"{name} is not refused, though it logs nonsense"
    if not token.is_told_whole:
        return f"{name} is read to {token.caught_up_to}, refused: {token.refusal}"
    proof = newest_proof(session, token.token_no or 0)
    if proof is None or proof.differences:
        return f"{name} is not proven: {proof and proof.differences}"
    block = run.chain.known.get(proof.block_hash)
    if block is None or run.chain.canonical[block.number] is not block:
        return f"{name} was proven at a block that is gone"
    return ""
