"""`make bench-sync`: events a second from an empty database to the proven cap table.

Two workloads of 205,000 Transfer events each on a real anvil: A in 2,025 blocks, B in 20,025.
Every contender runs in a process of its own with a database of its own, all on one node and one
PostgreSQL; the runs alternate, and the median counts. Ours keeps the whole history of balances
and ends with every balance proven; no other does either. While it is far behind it waits for no
disk at a COMMIT (ADR 0035). The others are measured as they come, and `sqd` once more on a database
that lets it wait for none, which it never asks for by itself: what is left is not our COMMIT's.
It ends with exit code 1 where a peer could not be measured.

BENCH_RUNS (5), BENCH_SIDE_RUNS (1: of `plain`, which takes thirty times as long, and of `sqd` that
waits for no disk), BENCH_SCALE (1.0, of the blocks) and BENCH_ONLY ("ours,limit", "A") make it
shorter.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from psycopg import sql

from bench.figures import print_figure
from bench.sync_chain import SyncChain, Workload, sync_chain
from bench.sync_peers.contenders import Ended, install_sqd, run_python, run_sqd
from bench.sync_peers.run import Task
from chain.node.client import hex_of
from registry.kernel import migrate
from registry.kernel.db import Database
from registry.kernel.embedded import EmbeddedPostgres

RUNS = int(os.environ.get("BENCH_RUNS", "5"))
SIDE_RUNS = int(os.environ.get("BENCH_SIDE_RUNS", "1"))
SCALE = float(os.environ.get("BENCH_SCALE", "1"))
ONLY = {name for name in os.environ.get("BENCH_ONLY", "").split(",") if name}
WORKLOADS = {
    "A": Workload("dense", round(2_000 * SCALE), 100),
    "B": Workload("sparse", round(20_000 * SCALE), 10),
}
TARGETS = {
    ("dense", "sqd"): 8, ("sparse", "sqd"): 12, ("dense", "limit"): 0.35, ("sparse", "limit"): 0.35,
}  # fmt: skip
RSS_LIMIT_MIB = 350
SCHEMA = "milkiyat_schema"
UNWAITING = "sqd that waits for no disk"
SIDE = {"plain", UNWAITING}
"""Contenders that no target is set against."""

Contender = Callable[[Task], Ended]


def main() -> None:
    contenders = _contenders()
    is_whole = bool(ONLY) or "sqd" in contenders
    peaks = []
    with (
        tempfile.TemporaryDirectory(prefix="milkiyat-bench-", ignore_cleanup_errors=True) as name,
        EmbeddedPostgres(Path(name) / "postgres") as server,
    ):
        admin = Database(server.start())
        for letter, workload in WORKLOADS.items():
            if ONLY & WORKLOADS.keys() and letter not in ONLY:
                continue
            with sync_chain(workload) as chain:
                ended = _measure(admin, chain, contenders)
            peaks += [run.rss_mib for run in ended["ours"]]
            _print(workload, ended)
        admin.dispose()
    print_figure(
        "sync.rss_mib", max(peaks), "MiB", against="the limit set for it", other=RSS_LIMIT_MIB
    )
    if not is_whole:
        sys.exit("bench-sync: sqd was not measured, see above")


def _contenders() -> dict[str, Contender]:
    found: dict[str, Contender] = {
        name: lambda task, name=name: run_python(name, task)  # type: ignore[misc]
        for name in ("ours", "limit", "plain")
    }
    if not ONLY or "sqd" in ONLY:
        node = install_sqd()
        if node is not None:
            found["sqd"] = found[UNWAITING] = lambda task: run_sqd(node, task)
    chosen = ONLY & found.keys()
    return {name: run for name, run in found.items() if not chosen or name in chosen | {"ours"}}


def _measure(
    admin: Database, chain: SyncChain, contenders: dict[str, Contender]
) -> dict[str, list[Ended]]:
    ended: dict[str, list[Ended]] = {name: [] for name in contenders}
    for turn in range(RUNS):
        for name, run in contenders.items():
            if name in SIDE and turn >= SIDE_RUNS:
                continue
            with _own_database(admin, name) as url:
                task = Task(
                    url=chain.url,
                    database=url,
                    token=hex_of(chain.token),
                    chain_id=31_337,
                    deployed_at=chain.deployed_at,
                    head=chain.head,
                    events=chain.workload.events,
                )
                ended[name].append(run(task))
    return ended


@contextmanager
def _own_database(admin: Database, contender: str) -> Iterator[str]:
    """Make a database for one run; ours has the schema, as a deployment has before it syncs."""
    url, name = admin.driver_url, f"run_of_{contender.partition(' ')[0]}"
    with psycopg.connect(url, autocommit=True) as connection:
        known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [SCHEMA])
        if known.fetchone() is None:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(SCHEMA)))
            schema = Database(_named(url, SCHEMA))
            migrate.upgrade(schema)
            schema.dispose()
        template = SCHEMA if contender == "ours" else "template1"
        connection.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(
                sql.Identifier(name), sql.Identifier(template)
            )
        )
        if contender == UNWAITING:
            waits = sql.SQL("ALTER DATABASE {} SET synchronous_commit = off")
            connection.execute(waits.format(sql.Identifier(name)))
        # Nobody pays for what another left to be written.
        connection.execute("CHECKPOINT")
        try:
            yield _named(url, name)
        finally:
            dropped = sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name))
            connection.execute(dropped)


def _named(url: str, name: str) -> str:
    server, _, rest = url.partition("@/")
    return f"{server}@/{name}?{rest.partition('?')[2]}"


def _print(workload: Workload, ended: dict[str, list[Ended]]) -> None:
    """Print ours beside each of the others, and beside the spread of its own runs."""
    rates = {name: [workload.events / run.seconds for run in runs] for name, runs in ended.items()}
    ours = statistics.median(rates["ours"])
    figure = f"sync.{workload.name}.per_s"
    for name, values in rates.items():
        if name != "ours" and values:
            other = statistics.median(values)
            against = f"{name}: {other:.0f} events/s, median of {len(values)}"
            if (target := TARGETS.get((workload.name, name))) is not None:
                against += f"; target {target}"
            print_figure(figure, ours, "events/s", against=against, other=other)
    slowest = min(rates["ours"])
    against = f"our slowest of {len(rates['ours'])} runs: {slowest:.0f} events/s"
    print_figure(figure, ours, "events/s", against=against, other=slowest)


if __name__ == "__main__":
    main()
