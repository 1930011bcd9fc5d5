"""Every fact has its act, of its own transaction: what has none, or another's, is named."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from registry.document.store import DocumentStore
from registry.journal.check import check
from registry.journal.sealer import seal_all
from registry.kernel import migrate
from registry.kernel.db import Database
from registry.kernel.vault import Vault
from tests import factories as make
from tests.db.tampering import BATCH, NEWEST_MIGRATION_UNDONE, faults, seal_claims, seal_in_batches
from tests.factories import Desk

pytestmark = pytest.mark.db


@pytest.fixture
def sealed(fresh_database: Database, vault: Vault, store: DocumentStore) -> Database:
    seal_claims(fresh_database, vault, store)
    return fresh_database


def test_register__changed_in_sql_with_the_triggers_on__is_named_though_it_was_sealed(
    sealed: Database,
) -> None:
    with sealed.engine.begin() as connection:
        row = connection.scalar(text("SELECT max(id::text) FROM asset"))
        connection.execute(
            text("UPDATE asset SET state = 'REGISTERED' WHERE id = :row"), {"row": row}
        )
    assert seal_all(sealed) == 1

    [found] = faults(sealed)

    assert found.startswith(f"Row {row} of asset was changed without an act of the journal")


def test_register__what_says_the_same_as_before__needs_no_act(sealed: Database) -> None:
    """As when keys rotate, and papers are sealed anew."""
    with sealed.engine.begin() as connection:
        connection.execute(text("UPDATE document SET sealed_with = sha256('x')"))
    assert seal_all(sealed) > 0

    assert faults(sealed) == []


def test_register__sealed_anew_after_a_column_was_added__needs_no_act(sealed: Database) -> None:
    with sealed.engine.begin() as connection:
        connection.execute(text("ALTER TABLE document ADD COLUMN remark text"))
    migrate.upgrade(sealed)
    with sealed.engine.begin() as connection:
        connection.execute(text("UPDATE document SET sealed_with = sha256('x')"))
    assert seal_all(sealed) > 0
    assert faults(sealed) == []

    with sealed.engine.begin() as connection:
        row = connection.scalar(text("SELECT max(id::text) FROM document"))
        connection.execute(text("UPDATE document SET remark = 'x' WHERE id = :row"), {"row": row})

    [found] = faults(sealed)
    assert found.startswith(f"Row {row} of document was changed without an act of the journal")


def put_into_the_newest_recording(database: Database) -> str:
    """Change a share with the triggers off; then tell of it as of what was done last."""
    with database.engine.begin() as connection:
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        share = connection.scalar(
            text(
                "SELECT max(legal_row_id(to_jsonb(s), '{version_id,party_id}')::text)"
                " FROM title_share AS s"
            )
        )
        assert isinstance(share, str)
        changed = connection.execute(
            text(
                "UPDATE title_share AS s SET hissa = hissa + 1"
                " WHERE legal_row_id(to_jsonb(s), '{version_id,party_id}') = CAST(:share AS uuid)"
            ),
            {"share": share},
        )
        assert changed.rowcount == 1
        connection.execute(text("SET LOCAL session_replication_role = origin"))
        connection.execute(
            text(
                "INSERT INTO legal_history"
                " (table_name, row_id, parent_id, op, recording_id, image)"
                " SELECT 'title_share', CAST(:share AS uuid), s.version_id, 'UPDATE',"
                " (SELECT id FROM recording ORDER BY recorded_at DESC LIMIT 1), to_jsonb(s)"
                " FROM title_share AS s"
                " WHERE legal_row_id(to_jsonb(s), '{version_id,party_id}') = CAST(:share AS uuid)"
            ),
            {"share": share},
        )
    return share


@pytest.mark.parametrize("is_sealed", [False, True])
def test_history__row_put_into_a_recording_that_is_sealed__is_named(
    sealed: Database, *, is_sealed: bool
) -> None:
    share = put_into_the_newest_recording(sealed)
    if is_sealed:
        assert seal_all(sealed) == 1

    [found] = faults(sealed)

    told = f"Row {share} of title_share was recorded after the acts of its recording were sealed"
    assert found.startswith(told)


def test_history__recordings_of_several_full_seals__are_not_named(
    sealed: Database, vault: Vault, store: DocumentStore
) -> None:
    """The first act of a transaction is sealed long before the last of its facts."""
    for batch in (BATCH, 3):
        with sealed.transaction() as session:
            desk = Desk(session, vault, store)
            for _ in range(3):
                make.open_apartment(desk)
        seal_in_batches(sealed, batch)

    with sealed.reading() as session:
        full = [found for found in check(session, batch=3) if isinstance(found, str)]
    assert full == []


def drop_triggers(database: Database, *more: str) -> None:
    with database.engine.begin() as connection:
        for event in ("insert", "update", "delete"):
            connection.execute(text(f"DROP TRIGGER asset_history_{event} ON asset"))
        for statement in more:
            connection.execute(text(statement))


def test_baseline__of_a_table_that_becomes_legal__is_known_and_has_its_act(
    fresh_database: Database, vault: Vault, store: DocumentStore
) -> None:
    migrate.downgrade(fresh_database, "-1")
    drop_triggers(fresh_database)
    with fresh_database.transaction() as session:
        make.open_apartment(Desk(session, vault, store))
        make.tell_acts(session)

    migrate.upgrade(fresh_database)

    seal_all(fresh_database)
    assert faults(fresh_database) == []
    with fresh_database.reading() as session:
        query = text("SELECT op FROM legal_history WHERE table_name = 'asset'")
        assert session.connection().scalars(query).all() == ["BASELINE"]


@pytest.mark.parametrize(
    "trace",
    [
        "COMMENT ON SCHEMA past IS 'an older version'",
        NEWEST_MIGRATION_UNDONE,
    ],
)
def test_asset__changed_while_its_triggers_were_gone__is_named_after_a_restart(
    sealed: Database, trace: str
) -> None:
    drop_triggers(sealed, "UPDATE asset SET state = 'REGISTERED'", trace)

    migrate.upgrade(sealed)

    seal_all(sealed)
    with sealed.reading() as session:
        rows = session.connection().scalars(text("SELECT id FROM asset ORDER BY id")).all()
    told = [f"Row {row} of asset is not what the history last recorded" for row in rows]
    assert faults(sealed) == told
