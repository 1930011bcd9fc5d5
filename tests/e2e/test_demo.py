"""The demo from the outside: twice in a row, and killed at its most delicate moments."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.program import (
    environment,
    kill_group,
    kill_servers,
    run,
    servers_of,
    start,
    wait_for_line,
)

pytestmark = pytest.mark.e2e

LAST_LINE = "demo: reconciled 2 tokens, 10 holders, 0 differences"
PLATFORM_STEPS = 14
WALLETS = 6
TOKENS = 2
HOLDERS = 5
OPERATIONS = PLATFORM_STEPS + 2 * WALLETS + TOKENS * (1 + 2 * HOLDERS + 1)
"""Identity and claim a wallet; suite, registrations, mints and unpause a token."""


@pytest.fixture
def data_dir(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "data"
    yield folder
    kill_servers(folder)


def finals_of(data_dir: Path) -> list[str]:
    """Read from the database, without the program, which operations are final."""
    from registry.kernel.db import Database  # noqa: PLC0415
    from registry.kernel.embedded import EmbeddedPostgres  # noqa: PLC0415
    from registry.operation import service as operations  # noqa: PLC0415

    with EmbeddedPostgres(data_dir / "postgres") as postgres:
        database = Database(postgres.start())
        with database.reading() as session:
            rows = operations.list_operations(
                session, subject_id=None, state=None, after=None, limit=1000
            )
            assert {row.state for row in rows} == {"final"}, [(r.key, r.state) for r in rows]
            nonces = sorted(row.nonce for row in rows if row.nonce is not None)
            assert nonces == list(range(len(rows))), "a nonce is missing or doubled"
            keys = [row.key for row in rows]
        database.dispose()
    return keys


def test_demo__twice_in_a_row__ends_the_same(data_dir: Path) -> None:
    env = environment(data_dir)
    for _ in range(2):
        played = run(["demo", "--once"], env)
        assert played.returncode == 0, played.stdout[-2000:] + played.stderr[-2000:]
        assert played.stdout.rstrip().endswith(LAST_LINE)
        assert servers_of(data_dir) == []
    assert len(finals_of(data_dir)) == OPERATIONS


@pytest.mark.parametrize(
    ("moment", "with_servers"),
    [
        ("starting the embedded chain", True),
        ("passes the KYC of Investor Bilal", False),
        ("buys 2,500 fractions", True),
        ("closes the sale", False),
        ("closes the sale", True),
    ],
)
def test_demo__killed_in_the_middle__loses_and_doubles_nothing(
    data_dir: Path, tmp_path: Path, moment: str, with_servers: bool
) -> None:
    env, log = environment(data_dir), tmp_path / "log"
    program = start(["demo", "--once"], env, log)
    wait_for_line(log, moment, program)
    kill_group(program)
    if with_servers:
        assert kill_servers(data_dir) > 0

    played = run(["demo", "--once"], env)

    assert played.returncode == 0, played.stdout[-2000:] + played.stderr[-2000:]
    assert played.stdout.rstrip().endswith(LAST_LINE)
    assert len(finals_of(data_dir)) == OPERATIONS
