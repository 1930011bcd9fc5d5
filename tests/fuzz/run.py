"""`make fuzz-api`: schemathesis over the whole description, as every role and as nobody.

FUZZ_EXAMPLES (5) of each operation for each role that may call it, SEED (1) to ask the same again,
ONLY (a part of the operation's id). The last line counts what went against the description: a 5xx,
a status or a content type that it does not name, an answer off its schema.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from registry.kernel import migrate
from registry.kernel.db import Database
from registry.kernel.embedded import EmbeddedPostgres
from tests.api.house import house_settings, open_house
from tests.api.scene import Scene
from tests.factories import panel_valuer
from tests.fuzz.play import Player

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "5"))
SEED = int(os.environ.get("SEED", "1"))
ONLY = os.environ.get("ONLY", "")


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="milkiyat-fuzz-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)  # PostgreSQL's account enters it
        with EmbeddedPostgres(folder / "postgres") as server:
            database = Database(server.start())
            migrate.upgrade(database)
            with database.transaction() as session:
                session.add(panel_valuer())
            with open_house(house_settings(folder / "data"), database) as house:
                played = Player(house, Scene(house), SEED, print).play(EXAMPLES, ONLY)
            database.dispose()
    counts = ", ".join(f"{status}: {count}" for status, count in sorted(played.statuses.items()))
    print(f"answers: {counts}")
    print(
        f"{played.operations} operations, {played.requests} requests, "
        f"{len(played.failures)} failures"
    )
    sys.exit(1 if played.failures else 0)


if __name__ == "__main__":
    main()
