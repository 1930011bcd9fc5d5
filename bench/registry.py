"""`make bench-registry`: bulk onboarding, one overlap check, one title as of a date.

Everything happens on an embedded PostgreSQL with its normal, durable settings, in a temporary
folder that is gone afterwards. BENCH_PARCELS and BENCH_ROWS make it smaller.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from bench.importing import measure_import
from bench.overlap import measure_overlap
from bench.title import measure_title_as_of
from registry.kernel import migrate
from registry.kernel.db import Database
from registry.kernel.embedded import EmbeddedPostgres

PARCELS = 100_000
ROWS = 1_000_000


def main() -> None:
    parcels = int(os.environ.get("BENCH_PARCELS", PARCELS))
    rows = int(os.environ.get("BENCH_ROWS", ROWS))
    with (
        tempfile.TemporaryDirectory(prefix="milkiyat-bench-", ignore_cleanup_errors=True) as name,
        EmbeddedPostgres(Path(name) / "postgres") as server,
    ):
        database = Database(server.start())
        migrate.upgrade(database)
        measure_import(database, Path(name), parcels)
        measure_overlap(database, rows)
        measure_title_as_of(database, rows)
        database.dispose()


if __name__ == "__main__":
    main()
