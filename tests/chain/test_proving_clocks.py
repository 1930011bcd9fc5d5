"""An alarm ends when every token was proven after it, by whatever clocks the two were dated."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from sqlmodel import select

from chain.proving.due import ROUND_EVERY
from chain.proving.reconciler import Reconciler
from registry.captable import degraded, rounds
from registry.captable.models import ProofRound, SyncCursor
from registry.kernel.clock import now
from tests.chain.nodes import CHAIN_ID
from tests.chain.suite import Suite, cursor_of
from tests.chain.test_reconciler import balance_of, drained, held, run, something_happens

__all__ = ["held"]

pytestmark = pytest.mark.chain

DAY = timedelta(days=1)


def set_clock(monkeypatch: pytest.MonkeyPatch, ahead: timedelta) -> None:
    """Have rounds and alarms read another clock: that of a machine whose time was set."""

    def told() -> datetime:
        return now() + ahead

    monkeypatch.setattr(rounds, "now", told)


def alarm(suite: Suite) -> None:
    with suite.world.database.transaction() as session:
        degraded.degrade(session, CHAIN_ID, "final blocks left the chain")


def prove(suite: Suite) -> SyncCursor:
    drained(Reconciler(suite.world.database, suite.world.client))
    return cursor_of(suite.world.database)


@pytest.mark.parametrize("ahead", [DAY, -DAY])
def test_alarm__of_another_clock__ends_by_the_next_round(
    held: Suite, monkeypatch: pytest.MonkeyPatch, ahead: timedelta
) -> None:
    set_clock(monkeypatch, ahead)
    alarm(held)
    monkeypatch.undo()

    assert prove(held).degraded is None


def test_alarm__after_a_round_of_a_clock_ahead__waits_for_another_round(
    held: Suite, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_clock(monkeypatch, DAY)
    prove(held)
    monkeypatch.undo()
    alarm(held)

    with held.world.database.transaction() as session:
        assert not degraded.lift(session, CHAIN_ID)

    assert prove(held).degraded is None


def test_round__dated_ahead_by_an_alarm_that_stays__rests_all_the_same(
    held: Suite, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_clock(monkeypatch, DAY)
    alarm(held)
    monkeypatch.undo()
    run(
        held.world.database,
        f"UPDATE balance SET balance_units = balance_units + 1 WHERE {balance_of(held, 0)}",
    )

    # It comes to an end.
    assert prove(held).degraded is not None

    with held.world.database.reading() as session:
        proven = session.exec(select(ProofRound)).one()
        assert proven.begun_at > now()
        due = now() - ROUND_EVERY
        assert rounds.place_of(session, proven.token_no, due_before=due, void_before=None) is None


def test_round__dated_in_the_future__does_not_rest_until_then(
    held: Suite, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_clock(monkeypatch, DAY)
    prove(held)
    monkeypatch.undo()
    something_happens(held)

    prove(held)

    with held.world.database.reading() as session:
        found = session.exec(select(ProofRound)).one()
        assert found.begun_at < now()
