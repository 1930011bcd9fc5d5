from __future__ import annotations

import psycopg
import pytest
from sqlmodel import Session, select

from registry.kernel.db import Database
from registry.kernel.errors import NotFound
from registry.operation import service as operations
from registry.operation.models import (
    FAILED,
    Operation,
    OperationDependency,
    OperationKind,
    OperationState,
)
from tests.factories import COMPLIANCE, Desk, person

pytestmark = pytest.mark.db


def plan(session: Session, key: str = "mint:order:1", *after: Operation) -> Operation:
    return operations.plan(
        session,
        COMPLIANCE,
        OperationKind.MINT,
        key=key,
        subject=("order", 1),
        params={"units": "5"},
        after=after,
    )


def count(session: Session) -> int:
    return len(session.exec(select(Operation)).all())


@pytest.mark.parametrize("state", sorted(set(OperationState) - set(FAILED)))
def test_plan__same_key_again__is_the_same_operation(
    session: Session, state: OperationState
) -> None:
    first = plan(session)
    first.state = state
    session.flush()

    assert plan(session) is first
    assert count(session) == 1


@pytest.mark.parametrize("state", FAILED)
def test_plan__first_failed__gives_its_key_up(session: Session, state: OperationState) -> None:
    first = plan(session)
    first.state = state
    session.flush()

    second = plan(session)

    assert second.id != first.id
    assert (second.key, second.state) == ("mint:order:1", OperationState.PLANNED)
    assert first.key == f"mint:order:1#{first.id}"
    assert (first.state, count(session)) == (state, 2)
    assert plan(session) is second


@pytest.mark.parametrize(
    ("state", "is_anew"),
    [
        (OperationState.SIGNED, True),
        (OperationState.BROADCAST, True),
        (OperationState.MINED, False),
        (OperationState.FINAL, False),
    ],
)
def test_plan__first_had_failed_and_a_reorg_took_it_back__gives_its_key_up_unless_it_happens(
    session: Session, state: OperationState, is_anew: bool
) -> None:
    first = plan(session)
    first.state, first.problem = state, {"code": "call_would_revert"}
    session.flush()

    second = plan(session)

    assert (second is not first) is is_anew
    assert first.is_given_up is is_anew
    assert not second.is_given_up


def test_plan__other_key__is_another_operation(session: Session) -> None:
    assert plan(session, "mint:order:1").id != plan(session, "mint:order:2").id


def test_plan__after_others__waits_for_each(session: Session) -> None:
    first, second = plan(session, "a"), plan(session, "b")

    last = plan(session, "c", first, second)

    rows = session.exec(
        select(OperationDependency).where(OperationDependency.operation_id == last.id)
    ).all()
    assert {row.requires_id for row in rows} == {first.id, second.id}


def test_plan__committed__wakes_the_worker(fresh_database: Database) -> None:
    with psycopg.connect(fresh_database.driver_url, autocommit=True) as listener:
        listener.execute(f"LISTEN {operations.WAKE_CHANNEL}")
        with fresh_database.transaction() as session:
            plan(session)
            assert list(listener.notifies(timeout=0.05)) == []

        [notice] = listener.notifies(timeout=5, stop_after=1)

    assert notice.channel == operations.WAKE_CHANNEL


def test_list__filters__find_by_subject_and_state(session: Session) -> None:
    first, second = plan(session, "a"), plan(session, "b")
    second.state = OperationState.FINAL
    session.flush()

    def listed(subject_id: str | None, state: str | None) -> list[Operation]:
        return list(
            operations.list_operations(
                session, subject_id=subject_id, state=state, after=None, limit=10
            )
        )

    assert listed("1", None) == [first, second]
    assert listed("2", None) == []
    assert listed(None, "final") == [second]


def test_get__unknown__is_not_found(desk: Desk) -> None:
    with pytest.raises(NotFound, match="operation"):
        operations.get_operation(desk.session, person(desk).id)
