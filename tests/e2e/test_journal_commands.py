"""`milkiyat journal` as an auditor runs it: in a process of its own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from sqlalchemy import text

from registry.journal import service as journal
from registry.journal.sealer import seal_all
from registry.kernel.db import Database
from registry.kernel.settings import ROOT
from tests.e2e import program
from tests.factories import MAKER

pytestmark = pytest.mark.e2e


def run(folder: Path, *words: object, database: str | None = None) -> tuple[int, str]:
    """Run one command; without a database, in an environment where nothing is set or reachable."""
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "HOME": str(folder),
        "DATABASE_URL": database or "nonsense://nowhere",
        "DATA_DIR": str(folder / "var"),
    }
    done = program.run(["api.cli", "journal", *map(str, words)], environment, cwd=folder)
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stdout + done.stderr


def write(database: Database, number: int) -> None:
    with database.transaction() as session:
        for index in range(number):
            journal.record(session, MAKER, "opened", "asset", index)


def meddle(database: Database, statement: str) -> None:
    with database.engine.begin() as connection:
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        connection.execute(text(statement))


def test_journal__sealed_exported_and_verified_offline__holds(
    empty_database: Database, tmp_path: Path
) -> None:
    url, file = empty_database.url, tmp_path / "journal.ndjson"
    write(empty_database, 12)

    assert run(tmp_path, "seal", database=url) == (0, "sealed 12 rows\n")
    code, said = run(tmp_path, "export", file, database=url)
    root = said.split()[-1]
    write(empty_database, 3)
    seal_all(empty_database)
    later = tmp_path / "later.ndjson"
    run(tmp_path, "export", later, database=url)

    assert (code, said.startswith("exported 12 entries and root ")) == (0, True)
    assert run(tmp_path, "verify", file) == (
        0,
        f"the journal holds: 12 entries with root {root}\n",
    )
    code, said = run(tmp_path, "verify", later, "--root", root, "--size", 12)
    assert (code, said.startswith("the journal holds: 15 entries")) == (0, True)
    code, said = run(tmp_path, "verify", later, "--root", "00" * 32, "--size", 12)
    assert (code, "not those of the head that you named" in said) == (1, True)
    code, said = run(tmp_path, "check", "--root", root, "--size", 12, database=url)
    assert (code, said) == (0, "the register is what its journal says\n")


def test_journal__row_changed_by_a_superuser__is_named(
    empty_database: Database, tmp_path: Path
) -> None:
    url, file = empty_database.url, tmp_path / "journal.ndjson"
    write(empty_database, 9)
    seal_all(empty_database)
    meddle(empty_database, "UPDATE journal_entry SET actor = 'nobody' WHERE subject_id = '6'")

    code, said = run(tmp_path, "check", database=url)
    assert (code, "Entry 7 is not what was sealed: its hash differs (rule AUD-01)." in said) == (
        1,
        True,
    )
    assert run(tmp_path, "export", file, database=url)[0] == 0
    code, said = run(tmp_path, "verify", file)
    assert (code, "The first entry in doubt is 7." in said) == (1, True)


def test_verify__what_is_no_journal__is_refused_with_a_sentence(tmp_path: Path) -> None:
    nothing, page = tmp_path / "nothing", tmp_path / "page"
    nothing.touch()
    page.write_text("<html>\n")

    assert run(tmp_path, "verify", tmp_path / "gone")[0] == 1
    for file in (nothing, page, tmp_path):
        code, said = run(tmp_path, "verify", file)
        assert (code, said.startswith("milkiyat: ")) == (1, True)
    assert run(tmp_path, "verify", page, "--root", "00" * 32)[0] == 2
    assert run(tmp_path, "verify", page, "--root", "short", "--size", "1")[0] == 2


def test_export__to_where_nobody_may_write__is_refused(
    empty_database: Database, tmp_path: Path
) -> None:
    code, said = run(tmp_path, "export", tmp_path / "no" / "file", database=empty_database.url)

    assert (code, "cannot be written" in said) == (1, True)
