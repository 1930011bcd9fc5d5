"""A round that finds of an idle token what was found before leaves nothing; any other leaves a row.

Each row is sealed and has an act, and nothing prunes the journal.
"""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlmodel import col

from chain.proving import reconciler
from chain.proving.reconciler import RECORD_EVERY, Reconciler
from registry.captable import degraded
from registry.captable.models import ProofRound, Reconciliation
from registry.journal.models import JournalEntry
from tests.chain.nodes import CHAIN_ID
from tests.chain.suite import Suite, count, cursor_of
from tests.chain.test_reconciler import (
    balance_of,
    drained,
    held,
    newest,
    reconcile,
    repair,
    run,
    something_happens,
)

__all__ = ["held"]

pytestmark = pytest.mark.chain

A_ROUND = timedelta(minutes=5)


@pytest.fixture
def proven(held: Suite, monkeypatch: pytest.MonkeyPatch) -> Suite:
    """A token that was proven, and its first round with it; nothing happens to it any more."""
    pass_by(monkeypatch, held, timedelta(0))
    reconcile(held)
    return held


def pass_by(monkeypatch: pytest.MonkeyPatch, suite: Suite, time: timedelta) -> None:
    """Have so much time pass after whichever proof is the newest when it is asked."""
    monkeypatch.setattr(reconciler, "now", lambda: newest(suite).recorded_at + time)


def go_round(suite: Suite) -> None:
    """Prove everybody once more, as the sweep does every five minutes."""
    run(suite.world.database, "UPDATE proof_round SET begun_at = begun_at - interval '5 minutes'")
    suite.world.node.mine()
    suite.index()
    assert reconcile(suite)
    ended = col(ProofRound.ended_at).is_not(None)
    assert count(suite.world.database, ProofRound, ended) == 1


def kept(suite: Suite) -> int:
    """Count the rows, each of which has its act."""
    database = suite.world.database
    rows = count(database, Reconciliation)
    acts = count(database, JournalEntry, col(JournalEntry.act) == "cap_table_proven")
    assert rows == acts
    return rows


def test_round__of_an_idle_token__leaves_no_row(proven: Suite) -> None:
    for _ in range(3):
        go_round(proven)

    assert kept(proven) == 1


@pytest.mark.parametrize(
    ("time", "every"),
    [
        (RECORD_EVERY, RECORD_EVERY),
        # The first proof after the end of a day is asked for, by R-09.
        (timedelta(days=1), timedelta(days=2)),
        # A clock was put right since.
        (-A_ROUND, RECORD_EVERY),
    ],
    ids=["an hour", "another day", "from the future"],
)
def test_round__newest_proof_is_not_of_lately__leaves_a_row(
    proven: Suite, monkeypatch: pytest.MonkeyPatch, time: timedelta, every: timedelta
) -> None:
    pass_by(monkeypatch, proven, time)
    monkeypatch.setattr(reconciler, "RECORD_EVERY", every)

    go_round(proven)

    assert kept(proven) == 2
    assert newest(proven).block_number == cursor_of(proven.world.database).number


def test_round__finds_a_difference__leaves_a_row_at_once(proven: Suite) -> None:
    run(
        proven.world.database,
        f"UPDATE balance SET frozen_units = 7 WHERE {balance_of(proven, 1)}",
    )

    go_round(proven)

    # The alarm has a round begin anew, which finds it again.
    assert kept(proven) == 3
    assert newest(proven).differences
    assert cursor_of(proven.world.database).degraded is not None


def look_again(suite: Suite) -> None:
    """Look at what differs: whoever has just begun does not wait for the five seconds."""
    assert Reconciler(suite.world.database, suite.world.client).reconcile_due()


def test_look__at_what_goes_on_differing__leaves_a_row_only_where_it_differs_otherwise(
    proven: Suite,
) -> None:
    database, spoilt = proven.world.database, f"WHERE {balance_of(proven, 1)}"
    run(database, f"UPDATE balance SET frozen_units = 7 {spoilt}")
    go_round(proven)
    rows = kept(proven)

    for _ in range(3):
        look_again(proven)
    assert kept(proven) == rows

    run(database, f"UPDATE balance SET frozen_units = 8 {spoilt}")
    look_again(proven)
    assert kept(proven) == rows + 1
    run(database, f"UPDATE balance SET frozen_units = 10 {spoilt}")
    look_again(proven)
    assert newest(proven).differences == []


def test_round__after_a_difference_is_mended__leaves_a_row_and_ends_the_alarm(
    proven: Suite,
) -> None:
    run(
        proven.world.database,
        f"UPDATE balance SET balance_units = 7 WHERE {balance_of(proven, 1)}",
    )
    go_round(proven)
    repair(proven, "balance")

    go_round(proven)

    assert newest(proven).differences == []
    assert cursor_of(proven.world.database).degraded is None


def test_round__after_an_alarm__leaves_one_row_and_ends_it(proven: Suite) -> None:
    with proven.world.database.transaction() as session:
        degraded.degrade(session, CHAIN_ID, "final blocks left the chain")

    go_round(proven)

    assert kept(proven) == 2
    assert cursor_of(proven.world.database).degraded is None
    go_round(proven)
    assert kept(proven) == 2


def test_round__after_proof_of_what_changed__leaves_no_row(proven: Suite) -> None:
    something_happens(proven)
    drained(Reconciler(proven.world.database, proven.world.client))
    assert kept(proven) == 2

    go_round(proven)

    assert kept(proven) == 2
