"""Operations held against the acts that planned them."""

from __future__ import annotations

from uuid import UUID

import pytest
from sqlalchemy import text

from registry.kernel import migrate
from registry.kernel.actor import THE_SYSTEM
from registry.kernel.db import Database
from registry.operation import planned
from registry.operation import service as operations
from registry.operation.models import OperationKind
from registry.operation.service import NewOperation
from tests.db.tampering import meddle

pytestmark = pytest.mark.db

BEFORE = "0096"
MANY = 1_200


def plan(database: Database, number: int) -> list[UUID]:
    wanted = [
        NewOperation(OperationKind.MINT, f"mint:{each}", ("order", each), {"units": str(each)})
        for each in range(number)
    ]
    with database.transaction() as session:
        found = operations.plan_all(session, THE_SYSTEM, wanted)
        return sorted(each.id for each in found.values())


def faults(database: Database) -> list[str]:
    with database.reading() as session:
        return list(planned.altered(session))


def test_operations__planned_together__share_an_act_for_a_thousand(
    fresh_database: Database,
) -> None:
    ids = plan(fresh_database, MANY)

    assert plan(fresh_database, MANY) == ids, "planned once"
    assert faults(fresh_database) == []
    with fresh_database.reading() as session:
        query = "SELECT count(*) FROM journal_entry WHERE act = 'operations_planned'"
        assert session.connection().scalar(text(query)) == 2


def test_operation__told_of_once_more_as_it_is_by_now__is_named(fresh_database: Database) -> None:
    (one,) = plan(fresh_database, 1)
    meddle(fresh_database, 'UPDATE operation SET params = \'{"units": "7"}\'')
    with fresh_database.transaction() as session:
        planned.tell_of(session, THE_SYSTEM, operations.get_operation(session, one))

    assert faults(fresh_database) == [
        f"Row {one} of operation is not what the journal says was planned"
    ]


def test_upgrade__what_stands_there__is_told_of_once(fresh_database: Database) -> None:
    first, other = plan(fresh_database, 2)
    meddle(fresh_database, "DELETE FROM journal_entry WHERE act = 'operations_planned'")
    assert faults(fresh_database) == [
        f"Row {each} of operation was never planned, as the journal tells"
        for each in (first, other)
    ]
    migrate.downgrade(fresh_database, BEFORE)
    migrate.upgrade(fresh_database)
    assert faults(fresh_database) == []

    meddle(fresh_database, f"UPDATE operation SET requested_by = 'another' WHERE id = '{first}'")
    migrate.downgrade(fresh_database, BEFORE)
    migrate.upgrade(fresh_database)

    assert faults(fresh_database) == [
        f"Row {first} of operation is not what the journal says was planned"
    ]
