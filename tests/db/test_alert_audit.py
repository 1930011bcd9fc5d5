"""What the audit says of alerts that were never raised, for somebody moved a cursor on."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from fractions import Fraction
from typing import Any

import pytest
from sqlalchemy import text
from sqlmodel import select

from registry.alert import policy as alert_policy
from registry.alert import rounds
from registry.alert.audit import unraised
from registry.alert.cursors import WALLETS
from registry.alert.models import Alert, AlertCursor, AlertRule
from registry.alert.policy import AlertPolicies, alert_policies
from registry.journal.models import JournalEntry
from registry.kernel.clock import today
from registry.policy.models import PolicyName
from tests import intakes, ledger, sales
from tests.db.test_alerts import look, look_at_wallets
from tests.factories import Desk
from tests.factories import buyer as new_buyer

pytestmark = pytest.mark.db

CTR = 200_000_000


def named(desk: Desk) -> None:
    intakes.listed_party(desk)


def paid(desk: Desk) -> None:
    sale = sales.offering(desk, sales.wrapped_apartment(desk))
    order = sales.order(desk, sale, new_buyer(desk), 500)
    for hours in (40, 10, 9):
        intakes.paid(desk, order, CTR // 2, ago=timedelta(hours=hours))


SourceOf = Callable[[AlertPolicies], str]


def move_on(desk: Desk, source_of: SourceOf) -> str:
    """Have everything that there is be passed by the rounds."""
    desk.session.flush()
    source = source_of(alert_policies(desk.session))
    desk.session.connection().execute(
        text(
            "INSERT INTO alert_cursor (source, last_id)"
            " VALUES (:source, 'ffffffff-ffff-ffff-ffff-ffffffffffff')"
            " ON CONFLICT (source) DO UPDATE SET last_id = excluded.last_id"
        ),
        {"source": source},
    )
    desk.session.expire_all()
    return source


SOURCES = pytest.mark.parametrize(
    ("source_of", "happens"), [(rounds.hits_source, named), (rounds.payments_source, paid)]
)


@SOURCES
def test_alerts__raised_by_the_rounds__are_not_missed(
    desk: Desk, source_of: SourceOf, happens: Callable[[Desk], None]
) -> None:
    happens(desk)
    assert list(unraised(desk.session, desk.vault)) == [], "nobody says that it was looked at"
    assert rounds.look_at_hits(desk.session) + rounds.look_at_payments(desk.session) == 1

    move_on(desk, source_of)

    assert list(unraised(desk.session, desk.vault)) == []


@SOURCES
def test_alerts__passed_over_by_a_cursor_that_was_moved_on__are_named(
    desk: Desk, source_of: SourceOf, happens: Callable[[Desk], None]
) -> None:
    happens(desk)

    source = move_on(desk, source_of)

    assert rounds.look_at_hits(desk.session) + rounds.look_at_payments(desk.session) == 0
    (found,) = unraised(desk.session, desk.vault)
    assert found.startswith(f"Row {source} of alert_cursor lies behind")


MOVED_ON = (
    (
        "UPDATE alert_cursor SET (block_number, block_hash) ="
        " (SELECT number, hash FROM chain_block ORDER BY number DESC LIMIT 1)"
        " WHERE source <> 'wallets'"
    ),
    (
        "UPDATE alert_cursor SET last_id = (SELECT max(id::text)::uuid FROM wallet)"
        " WHERE source = 'wallets'"
    ),
)
SPOILT = {
    "moved": MOVED_ON,
    "without seal": (*MOVED_ON, "UPDATE alert_cursor SET sealed = NULL"),
    "with another seal": (
        *MOVED_ON,
        "UPDATE alert_cursor SET sealed = overlay(sealed PLACING '\\x00' FROM 1)",
    ),
}


@pytest.mark.parametrize("how", SPOILT)
def test_cursors__of_chain_and_wallets_moved_on__are_named_and_nothing_is_passed_over(
    desk: Desk, how: str
) -> None:
    chain = ledger.live(desk, 940, 60)
    look(desk, chain)
    look_at_wallets(desk, chain)
    assert list(unraised(desk.session, desk.vault)) == []
    before = len(desk.session.exec(select(Alert)).all())
    source, target = [holder.wallet.address for holder in chain.holders]
    chain.move(source, target, 700)

    for statement in SPOILT[how]:
        desk.session.connection().execute(text(statement))
    desk.session.expire_all()

    told = [f"Row {each} of alert_cursor" for each in (f"chain:{chain.chain_id}", WALLETS)]
    found = list(unraised(desk.session, desk.vault))
    assert [each.partition(" is not")[0] for each in found] == told
    look(desk, chain)
    look_at_wallets(desk, chain)
    assert len(desk.session.exec(select(Alert)).all()) > before, "it was not passed over"
    assert list(unraised(desk.session, desk.vault)) == []
    acts = select(JournalEntry.subject_id).where(JournalEntry.act == "alert_cursor_put_back")
    assert sorted(desk.session.exec(acts)) == [f"chain:{chain.chain_id}", WALLETS]


def test_cursor__of_a_chain_without_a_new_block__is_put_back(desk: Desk) -> None:
    chain = ledger.live(desk, 940, 60)
    look(desk, chain)
    desk.session.connection().execute(
        text("UPDATE alert_cursor SET block_number = block_number + 1 WHERE source <> 'wallets'")
    )
    desk.session.expire_all()
    assert len(list(unraised(desk.session, desk.vault))) == 1

    look(desk, chain)

    assert list(unraised(desk.session, desk.vault)) == []


def test_cursors__with_the_seal_of_another_chain__are_named_and_not_believed(desk: Desk) -> None:
    ours, other = ledger.live(desk, 940, 60), ledger.live(desk, 500)
    look(desk, other)
    desk.session.connection().execute(
        text("UPDATE alert_cursor SET source = :ours"), {"ours": f"chain:{ours.chain_id}"}
    )
    desk.session.expire_all()

    (found,) = unraised(desk.session, desk.vault)
    assert found.startswith(f"Row chain:{ours.chain_id} of alert_cursor")
    assert look(desk, ours) == 1


def test_cursors__put_back_to_where_they_were_before__have_it_looked_at_again(desk: Desk) -> None:
    chain = ledger.live(desk, 940, 60)
    look(desk, chain)
    older = desk.session.get_one(AlertCursor, f"chain:{chain.chain_id}").model_dump()
    source, target = [holder.wallet.address for holder in chain.holders]
    chain.move(source, target, 700)
    assert look(desk, chain) > 0

    desk.session.connection().execute(
        text("UPDATE alert_cursor SET block_number = :block_number, block_hash = :block_hash,"
             " sealed = :sealed WHERE source = :source"), older,
    )  # fmt: skip
    desk.session.expire_all()

    assert look(desk, chain) == 0, "it raises nothing twice"
    assert list(unraised(desk.session, desk.vault)) == []


def a_house(change: dict[str, dict[str, int]]) -> dict[str, Any]:
    house = alert_policy._house()
    return house | {rule: house[rule] | values for rule, values in change.items()}


@pytest.mark.parametrize(
    ("happens", "before", "rule"),
    [
        (named, {"sanctioned_name": {"least_score": 101}}, AlertRule.SANCTIONED_NAME),
        (paid, {"structuring": {"least_payments": 4}}, AlertRule.STRUCTURING),
        (paid, {"structuring": {"window_hours": 1}}, AlertRule.STRUCTURING),
    ],
)
def test_alerts__of_thresholds_that_a_release_changed__are_raised_once_and_not_missed(
    desk: Desk,
    monkeypatch: pytest.MonkeyPatch,
    happens: Callable[[Desk], None],
    before: dict[str, dict[str, int]],
    rule: AlertRule,
) -> None:
    happens(desk)
    older = a_house(before)
    with monkeypatch.context() as then:
        then.setattr(alert_policy, "_house", lambda: older)
        then.setattr(rounds, "LONGEST_LEAD", -timedelta(hours=1))
        assert rounds.look_at_hits(desk.session) + rounds.look_at_payments(desk.session) == 0
        assert list(unraised(desk.session, desk.vault)) == []

    assert list(unraised(desk.session, desk.vault)) == [], "nobody has looked with these"
    assert rounds.look_at_hits(desk.session) + rounds.look_at_payments(desk.session) == 1
    assert rounds.look_at_hits(desk.session) + rounds.look_at_payments(desk.session) == 0
    assert desk.session.exec(select(Alert.rule)).all() == [rule]


def test_alerts__of_a_limit_set_for_days_that_are_over__are_raised(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    sale = sales.offering(desk, sales.wrapped_apartment(desk))
    order = sales.order(desk, sale, new_buyer(desk), 500)
    for hours in (10, 9):
        intakes.paid(desk, order, CTR // 4, ago=timedelta(hours=hours))
    monkeypatch.setattr(rounds, "LONGEST_LEAD", -timedelta(hours=1))
    assert rounds.look_at_payments(desk.session) == 0

    week_ago = today() - timedelta(days=7)
    intakes.threshold(desk, PolicyName.CTR, Fraction(CTR // 2), week_ago)

    assert list(unraised(desk.session, desk.vault)) == []
    assert rounds.look_at_payments(desk.session) == 1
