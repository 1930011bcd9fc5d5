"""From the COMMIT that plans an operation to its broadcast; and what an idle worker costs.

The worker (`milkiyat worker`, in a process of its own) is idle whenever something is planned:
BENCH_SENDS (100) times, an identity that stands is linked once more. The moment before the COMMIT
is held against the moment that the worker wrote down when the node had answered.

Against it, on the same node and database: what is physically needed, done by hand (a NOTIFY that
is heard, a COMMIT of signed bytes, an estimate, a broadcast), and web3.py's build, sign and send.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from uuid import UUID

from sqlalchemy import text
from sqlmodel import select

from bench.figures import print_figure
from bench.mint_contenders import serving
from bench.mint_limits import by_hand, by_web3py
from bench.mint_stage import await_quiet, heartbeat, mint_stage
from bench.timing import percentile
from registry.investor.models import Wallet
from registry.kernel.actor import THE_SYSTEM
from registry.kernel.db import Database
from registry.operation import service as operations
from registry.operation.models import OperationKind

SENDS = int(os.environ.get("BENCH_SENDS", "100"))
WARM_UPS = 3
"""The first waits for the worker's process to come up."""

IDLE_SECONDS = 10.0
TARGET_MS = 20.0
TARGET_CPU_PERCENT = 1.0
REST_SECONDS = 0.05
SETTLE_SECONDS = 3.0
BUYERS = 100


def main() -> None:
    with mint_stage(BUYERS) as stage:
        with (
            stage.database("sending") as database,
            stage.node() as node,
            serving(stage, database, "worker") as (_, process),
            heartbeat(node),
        ):
            taken = _send(database)
            time.sleep(SETTLE_SECONDS)
            idle = _cpu_percent(process)
        limits = {"by hand": by_hand(stage, SENDS), "web3.py": by_web3py(stage, SENDS)}
    _print(taken, limits, idle)
    print(f"load: {os.getloadavg()}", file=sys.stderr)


def _send(database: Database) -> list[float]:
    """Plan one operation after the other; milliseconds from each COMMIT to its broadcast."""
    await_quiet(database)
    with database.reading() as session:
        wallet = session.exec(select(Wallet).limit(1)).one()
        session.expunge(wallet)
    taken = [_plan_and_look(database, wallet, number) for number in range(WARM_UPS + SENDS)]
    return taken[WARM_UPS:]


def _plan_and_look(database: Database, wallet: Wallet, number: int) -> float:
    with database.transaction() as session:
        planned = operations.plan(
            session,
            THE_SYSTEM,
            OperationKind.CREATE_IDENTITY,
            key=f"bench:{number}",
            subject=("investor", wallet.investor_id),
            params={"wallet": f"0x{wallet.address.hex()}", "wallet_id": str(wallet.id)},
        )
        committed = time.time()
    await_quiet(database)
    time.sleep(REST_SECONDS)
    return (_sent_at(database, planned.id) - committed) * 1000


def _sent_at(database: Database, operation_id: UUID) -> float:
    query = text(
        "SELECT extract(epoch FROM last_sent_at) FROM operation_attempt WHERE operation_id = :id"
    )
    with database.reading() as session:
        return float(session.connection().execute(query, {"id": operation_id}).scalar_one())


def _cpu_percent(process: int) -> float:
    """Measure how much of one core a process takes while nothing is asked of it."""
    before = _cpu_seconds(process)
    time.sleep(IDLE_SECONDS)
    return (_cpu_seconds(process) - before) / IDLE_SECONDS * 100


def _cpu_seconds(process: int) -> float:
    """Read what all threads of a process have run, in nanoseconds of the scheduler."""
    ran = (task / "schedstat" for task in Path(f"/proc/{process}/task").iterdir())
    return sum(int(stat.read_text().split()[0]) for stat in ran) / 1e9


def _print(taken: Sequence[float], limits: dict[str, list[float]], idle: float) -> None:
    for percent in (50, 99):
        figure = f"operation.commit_to_broadcast.p{percent}_ms"
        ours = percentile(taken, percent)
        print_figure(figure, ours, "ms", against="target of p50", other=TARGET_MS)
        for name, times in limits.items():
            other = percentile(times, percent)
            told = f"{name}, its p{percent}: {other:.1f} ms"
            print_figure(figure, ours, "ms", against=told, other=other)
    print_figure(
        "worker.idle_cpu_percent", idle, "%", against="one in a hundred", other=TARGET_CPU_PERCENT
    )


if __name__ == "__main__":
    main()
