"""`make bench-captable`: reading and rewinding the cap table of a large token.

BENCH_HOLDERS (1,000,000) wallets and BENCH_TRANSFERS (10,000,000) transfers, 100 a block, made
by SQL on an embedded PostgreSQL with its normal, durable settings. Every change of a balance is a
row of history of its own: what a token has that was followed live, and the most there can be.
"""

from __future__ import annotations

import os
import random
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import text

from bench.captable_rows import MINTED_UNITS, PER_BLOCK, LargeToken, make_large_token
from bench.figures import print_figure
from bench.timing import p99_ms
from registry.captable import service as captable
from registry.captable.events import ProjectedBlock
from registry.captable.page import list_held
from registry.captable.rewind import rewind
from registry.captable.stream import stream_holders
from registry.kernel import migrate
from registry.kernel.db import Database
from registry.kernel.embedded import EmbeddedPostgres

HOLDERS = int(os.environ.get("BENCH_HOLDERS", "1000000"))
TRANSFERS = int(os.environ.get("BENCH_TRANSFERS", "10000000"))
QUESTIONS = 1_000
PAGE = 100
DEPTH = 64
REWINDS = 5

PAGE_LIMIT_MS = 5
BALANCE_LIMIT_MS = 1
ROWS_LIMIT_PER_S = 200_000
REWIND_LIMIT_MS = 150


def main() -> None:
    with (
        tempfile.TemporaryDirectory(prefix="milkiyat-bench-", ignore_cleanup_errors=True) as name,
        EmbeddedPostgres(Path(name) / "postgres") as server,
    ):
        database = Database(server.start())
        migrate.upgrade(database)
        large = make_large_token(database, HOLDERS, TRANSFERS)
        _measure_size(database, large)
        _measure_page(database, large)
        _measure_balance(database, large)
        _measure_as_of(database, large)
        _measure_rewind(database, large)
        database.dispose()


def _target(figure: str, value: float, unit: str, limit: float) -> None:
    print_figure(figure, value, unit, against=f"the target of {limit}", other=limit)


_TABLES = ("token_event", "balance_at", "balance", "chain_block")


def _measure_size(database: Database, large: LargeToken) -> None:
    """Print the bytes of an event: log, history, balance and block, indexes included."""
    with database.reading() as session:
        sizes = {
            name: session.connection()
            .execute(text("SELECT pg_total_relation_size(CAST(:name AS regclass))"), {"name": name})
            .scalar_one()
            for name in _TABLES
        }
    print_figure(
        "captable.event.bytes",
        sum(sizes.values()) / large.events,
        "B",
        against="its row of token_event alone, with that table's indexes",
        other=sizes["token_event"] / large.events,
    )


def _measure_page(database: Database, large: LargeToken) -> None:
    def read(_: int) -> None:
        with database.reading() as session:
            token = captable.get_token(session, large.address)
            block = captable.block_at(session, large.chain_id, None)
            assert len(list_held(session, token, block, limit=PAGE)) == PAGE

    _target("captable.page.p99_ms", p99_ms(read, range(QUESTIONS)), "ms", PAGE_LIMIT_MS)


def _measure_balance(database: Database, large: LargeToken) -> None:
    """Ask for random holders at random blocks, in a session as a request has it."""
    drawn = random.Random(7)  # noqa: S311 (questions, not secrets)
    questions = [
        (drawn.choice(large.addresses), drawn.randint(1, large.head)) for _ in range(QUESTIONS)
    ]
    with database.reading() as session:
        token = captable.get_token(session, large.address)

        def ask(question: tuple[bytes, int]) -> None:
            captable.holding_at(session, token, *question)

        milliseconds = p99_ms(ask, questions)
    _target("captable.balance_at.p99_ms", milliseconds, "ms", BALANCE_LIMIT_MS)


def _measure_as_of(database: Database, large: LargeToken) -> None:
    """Stream the whole table as of the middle of the transfers."""
    minted_by = large.head - large.transfers // PER_BLOCK
    middle = (minted_by + large.head) // 2
    with database.reading() as session:
        token = captable.get_token(session, large.address)
        started = time.perf_counter()
        rows, total = 0, 0
        for _, balance, _ in stream_holders(session, token, middle):
            rows += 1
            total += balance
        seconds = time.perf_counter() - started
    assert total == large.holders * MINTED_UNITS
    _target("captable.as_of.rows_per_s", rows / seconds, "rows/s", ROWS_LIMIT_PER_S)


def _measure_rewind(database: Database, large: LargeToken) -> None:
    """Take the last blocks back, and again, each to the end of its COMMIT; the worst counts."""
    taken = []
    for turn in range(1, REWINDS + 1):
        with database.reading() as session:
            block = captable.block_at(session, large.chain_id, large.head - turn * DEPTH)
        ancestor = ProjectedBlock(block.number, block.hash, b"\0" * 32, datetime.now(UTC))
        started = time.perf_counter()
        with database.transaction() as session:
            blocks = rewind(session, large.chain_id, ancestor)
        taken.append(time.perf_counter() - started)
        assert blocks == DEPTH
    _target("captable.rollback_64.ms", max(taken) * 1000, "ms", REWIND_LIMIT_MS)


if __name__ == "__main__":
    main()
