"""A list of the future that was in use before is set aside, and true ones come in again."""

from __future__ import annotations

import secrets

import pytest
from sqlalchemy import text
from sqlmodel import col, select

from registry.kernel import migrate
from registry.kernel.db import Database
from registry.kernel.errors import Conflict
from registry.kernel.ids import new_id
from registry.sanctions import lists
from registry.sanctions.models import SanctionsList
from tests.factories import COMPLIANCE
from tests.kyc import SECOND_OFFICER
from tests.sanctioned import ENTRIES, file_of

pytestmark = pytest.mark.db

BEFORE = "0058"
_EDITION = text(
    "INSERT INTO sanctions_list"
    " (id, recorded_at, generated_at, sha256, size_bytes, entries, uploaded_by)"
    " VALUES (:id, now(), :generated, :sha256, 9, 7, 'an-officer')"
)


def test_upgrade__a_list_of_the_future_in_use__counts_no_more(fresh_database: Database) -> None:
    migrate.downgrade(fresh_database, BEFORE)
    true = new_id()
    with fresh_database.engine.begin() as connection:
        for list_id, generated in ((true, "2026-01-01"), (new_id(), "2099-01-01")):
            told = {"id": list_id, "generated": generated, "sha256": secrets.token_bytes(32)}
            connection.execute(_EDITION, told)

    migrate.upgrade(fresh_database)

    with fresh_database.transaction() as session:
        current = lists.find_current(session)
        assert current is not None
        assert current.id == true
        future = session.exec(
            select(SanctionsList).where(col(SanctionsList.needs_confirmation).is_(True))
        ).one()
        # Confirmed, it would be newer than every true edition to come.
        with pytest.raises(Conflict, match="sanctions_list_of_the_future"):
            lists.confirm_list(session, SECOND_OFFICER, future.id)
        newer = lists.import_list(session, COMPLIANCE, file_of(ENTRIES))
        assert lists.find_current(session) == newer
