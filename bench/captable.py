"""`make bench-captable`: reading and rewinding the cap table of a large token.

BENCH_HOLDERS (1,000,000) wallets and BENCH_TRANSFERS (10,000,000) transfers, 100 a block, made
by SQL on an embedded PostgreSQL with its normal, durable settings. The rows lie as a token has them
that was followed live for long: see `bench.captable_rows`.
"""

from __future__ import annotations

import os
import random
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import text
from sqlmodel import Session

from bench.captable_limits import measure_limits
from bench.captable_rows import MINTED_UNITS, NOT_FINAL, PER_BLOCK, LargeToken, make_large_token
from bench.figures import print_figure
from bench.timing import p99_ms
from chain.sync.compacting import HOLDERS
from registry.captable import entries
from registry.captable import service as captable
from registry.captable.compacting import compact
from registry.captable.events import ProjectedBlock
from registry.captable.page import list_held
from registry.captable.rewind import rewind
from registry.captable.stream import stream_holders
from registry.kernel import migrate
from registry.kernel.db import Database
from registry.kernel.embedded import EmbeddedPostgres

HOLDERS_MADE = int(os.environ.get("BENCH_HOLDERS", "1000000"))
TRANSFERS = int(os.environ.get("BENCH_TRANSFERS", "10000000"))
QUESTIONS = 1_000
PAGE = 100
DEPTH = 64
REWINDS = 5
COMPACTED = 1_000

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
        large = make_large_token(database, HOLDERS_MADE, TRANSFERS)
        measure_limits(database, large)
        _measure_size(database, large)
        _measure_page(database, large)
        _measure_balance(database, large)
        _measure_as_of(database, large)
        _measure_compacting(database, large)
        _measure_rewind(database, large)
        measure_limits(database, large)
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
            entries.holding_at(session, token, *question)

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


_SPREAD = """
CREATE TEMPORARY TABLE spread ON COMMIT DROP AS
  SELECT * FROM balance_history WHERE holder_no <= :holders;
DELETE FROM balance_at WHERE holder_no <= :holders;
INSERT INTO balance_at (token_no, holder_no, block_number, balance_units, frozen_units)
  SELECT * FROM spread
"""


def _measure_compacting(database: Database, large: LargeToken) -> None:
    """Compact some holders as the sync would who has not done so yet; then all is as before."""
    final = large.head - NOT_FINAL
    with database.engine.connect() as connection, Session(connection) as session:
        token_no = captable.get_token(session, large.address).token_no
        assert token_no is not None
        # they lie as compacting leaves them: it finds nothing to do
        assert compact(session, token_no, final=final, after=0, limit=COMPACTED) == (COMPACTED, 0)
        for step in _SPREAD.split(";"):
            connection.execute(text(step), {"holders": COMPACTED})
        started = time.perf_counter()
        folded = sum(
            compact(session, token_no, final=final, after=after, limit=HOLDERS)[1]
            for after in range(0, COMPACTED, HOLDERS)
        )
        seconds = time.perf_counter() - started
    print_figure(
        "captable.compacting.rows_per_s",
        folded / seconds,
        "rows/s",
        against="what a block of as many transfers brings every 12 s",
        other=2 * PER_BLOCK / 12,
    )


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
