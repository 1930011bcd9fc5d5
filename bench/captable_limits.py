"""What the machine allows at the moment: beside these the figures of the cap table are to be read.

It may be shared with others, so that the same question takes several times as long an hour later.
"""

from __future__ import annotations

import os
import random
import time

from sqlmodel import Session

from bench.captable_rows import LargeToken
from bench.figures import print_figure
from bench.timing import p99_ms
from registry.captable.bulk import cursor_of
from registry.kernel.db import Database

QUESTIONS = 1_000
COPIED = 200_000
_LOOK_UP = "SELECT block_number FROM balance WHERE token_no = 1 AND holder_no = %s"


def measure_limits(database: Database, large: LargeToken) -> None:
    """Print a look-up by primary key, rows read and thrown away, and rows written, at their best.

    Each is held against the load of the machine, so that it is told in the same line.
    """
    load = os.getloadavg()[0]

    def tell(figure: str, value: float, unit: str) -> None:
        print_figure(figure, value, unit, against="the load average", other=max(load, 0.01))

    with database.reading() as session:
        tell("captable.limit.look_up.p99_ms", _look_up_ms(session, large), "ms")
        tell("captable.limit.read.rows_per_s", _read_per_s(session), "rows/s")
    with database.transaction() as writing:
        tell("captable.limit.copy.rows_per_s", _copy_per_s(writing), "rows/s")


def _look_up_ms(session: Session, large: LargeToken) -> float:
    drawn = random.Random(11)  # noqa: S311 (questions, not secrets)
    asked = [drawn.randint(1, large.holders) for _ in range(QUESTIONS)]
    with cursor_of(session) as cursor:
        return p99_ms(lambda holder: cursor.execute(_LOOK_UP, [holder]).fetchone(), asked)


def _read_per_s(session: Session) -> float:
    """Read every balance as the server sends it, and look at none of them."""
    started, rows = time.perf_counter(), 0
    query = "COPY (SELECT holder_no, balance_units::text FROM balance) TO STDOUT"
    with cursor_of(session) as cursor, cursor.copy(query) as copy:
        for part in copy:
            rows += bytes(part).count(b"\n")
    return rows / (time.perf_counter() - started)


def _copy_per_s(session: Session) -> float:
    """Write rows as wide as those of the history into a table without any index."""
    lines = [f"1\t{number}\t{number}\t1000000000000\t0\n" for number in range(COPIED)]
    with cursor_of(session) as cursor:
        cursor.execute(
            "CREATE TEMPORARY TABLE plain (token_no int, holder_no int, block_number bigint,"
            " balance_units numeric(78, 0), frozen_units numeric(78, 0)) ON COMMIT DROP"
        )
        started = time.perf_counter()
        with cursor.copy("COPY plain FROM STDIN") as copy:
            copy.write("".join(lines))
        return COPIED / (time.perf_counter() - started)
