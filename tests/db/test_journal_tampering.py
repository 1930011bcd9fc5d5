"""Whoever gets past the triggers is found: by the check of the database, and by any export."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import text

from registry.document.store import DocumentStore
from registry.journal.export import export_lines
from registry.journal.sealer import head, seal_all
from registry.journal.verify import Head, JournalBroken, verify
from registry.kernel import migrate
from registry.kernel.db import Database
from registry.kernel.vault import Vault
from tests import factories as make
from tests.db.tampering import faults, meddle, seal_claims
from tests.factories import Desk

pytestmark = pytest.mark.db
BEFORE = "0058"


@pytest.fixture
def sealed(fresh_database: Database, vault: Vault, store: DocumentStore) -> Database:
    seal_claims(fresh_database, vault, store)
    return fresh_database


def head_of(database: Database) -> Head:
    with database.reading() as session:
        last = head(session)
        assert last is not None
        return Head(last.tree_size, last.root)


def export(database: Database) -> list[bytes]:
    with database.reading() as session:
        return list(export_lines(session))


def first_bad(lines: list[bytes], known: Head | None = None) -> int:
    with pytest.raises(JournalBroken) as found:
        list(verify(lines, known=known))
    return found.value.seq


def entry(seq: int) -> str:
    return f"(SELECT entry_id FROM journal_leaf WHERE seq = {seq})"


def of_kind(database: Database, kind: str) -> int:
    with database.reading() as session:
        query = text("SELECT max(seq) FROM journal_leaf WHERE kind = :kind AND seq > 12")
        found = session.connection().scalar(query, {"kind": kind})
        assert isinstance(found, int)
        return found


def test_check__untouched__finds_nothing(sealed: Database) -> None:
    assert faults(sealed) == []
    assert list(verify(export(sealed)))[-1] == head_of(sealed)
    assert list(verify(export(sealed), known=head_of(sealed)))[-1] == head_of(sealed)


@pytest.mark.parametrize(
    ("kind", "statement"),
    [
        ("act", "UPDATE journal_entry SET actor = 'nobody' WHERE id = {entry}"),
        ("act", "UPDATE journal_entry SET facts = facts || '{{\"x\": 1}}' WHERE id = {entry}"),
        ("fact", "UPDATE legal_history SET image = image || '{{\"x\": 1}}' WHERE id = {entry}"),
        ("act", "DELETE FROM journal_entry WHERE id = {entry}"),
        ("fact", "DELETE FROM legal_history WHERE id = {entry}"),
        ("act", "UPDATE journal_leaf SET leaf_hash = sha256('x') WHERE entry_id = {entry}"),
        ("act", "DELETE FROM journal_leaf WHERE entry_id = {entry}"),
    ],
)
def test_row__changed_or_taken_away_by_a_superuser__is_named(
    sealed: Database, kind: str, statement: str
) -> None:
    seq = of_kind(sealed, kind)
    meddle(sealed, statement.format(entry=entry(seq)))

    assert first_bad(export(sealed)) == seq
    assert any(f"ntry {seq} " in fault for fault in faults(sealed))


def test_moment__of_a_recording_changed__is_found(sealed: Database) -> None:
    meddle(sealed, "UPDATE recording SET recorded_at = '2001-01-01T00:00:00Z'")

    assert first_bad(export(sealed)) == 1


@pytest.mark.parametrize(
    ("table", "statement"),
    [
        (
            "journal_entry",
            (
                "INSERT INTO journal_entry (id, recorded_at, actor, act, subject_kind, subject_id,"
                " facts) VALUES (uuidv7(), now(), 'x', 'approved', 'asset', 'x', '{}')"
            ),
        ),
        (
            "legal_history",
            (
                "INSERT INTO legal_history (table_name, row_id, op, recording_id, image)"
                " SELECT 'asset', row_id, 'UPDATE', recording_id, image FROM legal_history LIMIT 1"
            ),
        ),
    ],
)
def test_row__added_past_the_queue__is_named(sealed: Database, table: str, statement: str) -> None:
    meddle(sealed, statement)

    assert any(f"of {table} is neither sealed nor waits" in fault for fault in faults(sealed))


def test_row__appended_to_the_tree_by_hand__is_named(sealed: Database) -> None:
    size = head_of(sealed).size
    meddle(
        sealed,
        "INSERT INTO journal_leaf (seq, kind, entry_id, leaf_hash)"
        f" VALUES ({size + 1}, 'act', uuidv7(), sha256('x'))",
    )

    assert first_bad(export(sealed)) == size + 1


@pytest.mark.parametrize(
    "change",
    ["root = sha256('x')", "previous_root = sha256('x')", "first_seq = first_seq + 1"],
)
def test_seal__rewritten__is_named_with_its_batch(sealed: Database, change: str) -> None:
    meddle(sealed, f"UPDATE journal_seal SET {change} WHERE tree_size = 20")

    assert first_bad(export(sealed)) == 11


def test_seal__taken_away__is_found(sealed: Database) -> None:
    meddle(sealed, "DELETE FROM journal_seal WHERE tree_size = 20")

    assert first_bad(export(sealed)) == 11


def test_node__changed__is_found(sealed: Database, vault: Vault, store: DocumentStore) -> None:
    with sealed.transaction() as session:
        for _ in range(30):
            make.open_apartment(Desk(session, vault, store))
    seal_all(sealed)
    assert faults(sealed) == []
    meddle(sealed, "UPDATE journal_node SET node_hash = sha256('x')")

    assert faults(sealed) == ["Node 0 of level 8 is not that of its leaves"]


@pytest.mark.parametrize(
    ("table", "statement"),
    [
        ("title_share", "UPDATE title_share SET hissa = hissa + 1"),
        ("asset", "UPDATE asset SET state = 'REGISTERED'"),
        ("document", "DELETE FROM document"),
        ("underlying_key", "UPDATE underlying_key SET id = uuidv7()"),
    ],
)
def test_register__changed_past_its_history__is_named(
    sealed: Database, table: str, statement: str
) -> None:
    meddle(sealed, statement)

    found = faults(sealed)
    assert found
    assert all(f" of {table} is not what the history last recorded" in fault for fault in found)


def test_register__view_of_the_past_replaced__is_named_with_the_row(sealed: Database) -> None:
    with sealed.engine.begin() as connection:
        connection.execute(
            text("CREATE OR REPLACE VIEW past.title_share AS SELECT * FROM public.title_share")
        )
        connection.execute(text("DROP VIEW past.asset"))
    meddle(sealed, "UPDATE title_share SET hissa = hissa + 1")

    found = faults(sealed)

    assert "The view title_share of the past is not what the register put up" in found
    assert "The view asset of the past is not what the register put up" in found
    assert any(" of title_share is not what the history last recorded" in fault for fault in found)
    with sealed.engine.connect() as connection:
        assert connection.scalar(text("SELECT to_regclass('past.asset')")) is None


@pytest.mark.parametrize(
    ("statement", "table", "trigger"),
    [
        (
            "ALTER TABLE title DISABLE TRIGGER title_history_update",
            "title",
            "title_history_update",
        ),
        (
            "ALTER TABLE legal_history DISABLE TRIGGER legal_history_append_only",
            "legal_history",
            "legal_history_append_only",
        ),
        ("DROP TRIGGER title_history_update ON title", "title", "title_history_update"),
        (
            (
                "CREATE OR REPLACE TRIGGER title_history_update AFTER UPDATE ON public.title"
                " REFERENCING NEW TABLE AS changed FOR EACH STATEMENT"
                " EXECUTE FUNCTION keep_history('id', '', 'asset_id', '')"
            ),
            "title",
            "title_history_update",
        ),
    ],
)
def test_register__trigger_idle_gone_or_another__is_named(
    sealed: Database, statement: str, table: str, trigger: str
) -> None:
    with sealed.engine.begin() as connection:
        connection.execute(text(statement))

    assert faults(sealed) == [
        f"The trigger {trigger} of {table} is gone, idle, or not what the register put up"
    ]


def test_history__put_under_another_parent__is_named(sealed: Database) -> None:
    with sealed.reading() as session:
        image = session.connection().scalar(
            text("SELECT max(id::text) FROM legal_history WHERE table_name = 'title_share'")
        )
    meddle(sealed, f"UPDATE legal_history SET parent_id = uuidv7() WHERE id = '{image}'")

    sentence = f"Row {image} of legal_history: its parent_id is not that of its image"
    assert sentence in faults(sealed)


def test_private_columns__changed_in_row_and_image_together__are_named(sealed: Database) -> None:
    meddle(
        sealed,
        "UPDATE document SET source_reference = 'another'",
        'UPDATE legal_history SET private = private || \'{"source_reference": "another"}\''
        " WHERE table_name = 'document'",
    )
    with sealed.reading() as session:
        changed = list(
            session.connection().scalars(
                text(
                    "SELECT seq FROM journal_leaf JOIN legal_history ON id = entry_id"
                    " WHERE table_name = 'document'"
                )
            )
        )

    found = faults(sealed)

    assert changed
    for seq in changed:
        assert any(f"Entry {seq} is not what was sealed" in fault for fault in found)
    lines = export(sealed)
    assert not any(b"another" in line for line in lines)


def test_upgrade__what_was_recorded_before__is_sealed_with_its_private_columns(
    fresh_database: Database, vault: Vault, store: DocumentStore
) -> None:
    migrate.downgrade(fresh_database, BEFORE)
    with fresh_database.transaction() as session:
        desk = Desk(session, vault, store)
        make.file_required(desk, make.open_apartment(desk))
    migrate.upgrade(fresh_database)
    seal_all(fresh_database)
    assert faults(fresh_database) == []

    meddle(
        fresh_database,
        "UPDATE panel_valuer SET licence_no = 'PBA-2'",
        'UPDATE legal_history SET private = \'{"licence_no": "PBA-2"}\''
        " WHERE table_name = 'panel_valuer'",
    )

    assert any("is not what was sealed" in fault for fault in faults(fresh_database))
    with pytest.raises(RuntimeError, match="keep this one"):
        migrate.downgrade(fresh_database, BEFORE)


def test_rows__several_changed__are_each_named(sealed: Database) -> None:
    act, last = of_kind(sealed, "act"), head_of(sealed).size
    with sealed.reading() as session:
        facts = session.connection().scalars(
            text(
                "SELECT seq FROM journal_leaf JOIN legal_history ON id = entry_id"
                " WHERE table_name = 'asset'"
            )
        )
        changed = {act, *facts} - {last}
    gone = max({*range(1, last)} - changed)
    meddle(
        sealed,
        f"UPDATE journal_entry SET actor = 'nobody' WHERE id = {entry(act)}",
        "UPDATE legal_history SET image = image || '{\"x\": 1}' WHERE table_name = 'asset'",
        f"DELETE FROM journal_leaf WHERE seq = {gone}",
    )

    found = faults(sealed)

    assert len(changed) > 2
    for seq in changed:
        assert any(fault.startswith(f"Entry {seq} is not what was sealed") for fault in found)
    assert any(fault.startswith(f"Entry {gone} is missing") for fault in found)


def test_seal__edge_of_the_newest_changed__is_found(sealed: Database) -> None:
    size = head_of(sealed).size
    meddle(sealed, f"UPDATE journal_seal SET edge = sha256('x') WHERE tree_size = {size}")

    assert faults(sealed) == [
        "The newest row of journal_seal does not stand for its own tree: nothing is sealed"
    ]


def test_journal__written_anew_from_the_start__differs_from_a_head_noted_before(
    sealed: Database,
) -> None:
    noted = head_of(sealed)
    meddle(
        sealed,
        f"UPDATE journal_entry SET actor = 'nobody' WHERE id = {entry(of_kind(sealed, 'act'))}",
        "DELETE FROM journal_seal",
        "INSERT INTO journal_pending SELECT kind, entry_id FROM journal_leaf",
        "DELETE FROM journal_leaf",
    )
    seal_all(sealed)

    assert faults(sealed) == []
    assert first_bad(export(sealed), noted) == 1
    assert first_bad(export(sealed), replace(noted, size=noted.size + 1)) == noted.size + 1


@pytest.fixture
def lines(sealed: Database) -> list[bytes]:
    return export(sealed)


def test_file__a_byte_of_any_line_changed__is_found(lines: list[bytes]) -> None:
    list(verify(lines))
    for number, line in enumerate(lines):
        if b'"sealed_at"' in line:
            continue  # when it was sealed is our word, and is not hashed
        for at in {len(line) // 3, len(line) // 2, len(line) - 4}:
            changed = line[:at] + bytes([line[at] ^ 1]) + line[at + 1 :]
            with pytest.raises(JournalBroken):
                list(verify([*lines[:number], changed, *lines[number + 1 :]]))


def test_file__a_line_left_out__is_found(lines: list[bytes]) -> None:
    for number in range(len(lines)):
        with pytest.raises(JournalBroken):
            list(verify(lines[:number] + lines[number + 1 :]))


def test_file__cut_anywhere__is_found(lines: list[bytes]) -> None:
    for end in range(len(lines)):
        with pytest.raises(JournalBroken):
            list(verify(lines[:end]))


@pytest.mark.parametrize(
    "line", [b"", b"[]", b"\xff", b'{"seal":1}', b'{"format":"x"}', b"[" * 9**5]
)
def test_file__nonsense_anywhere__is_found(lines: list[bytes], line: bytes) -> None:
    for place in (0, 1, 5, len(lines)):
        with pytest.raises(JournalBroken):
            list(verify([*lines[:place], line, *lines[place:]]))
