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
from registry.alert.models import Alert, AlertRule
from registry.alert.policy import AlertPolicies, alert_policies
from registry.kernel.clock import today
from registry.policy.models import PolicyName
from tests import intakes, sales
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
    assert list(unraised(desk.session)) == [], "nobody says that it was looked at"
    assert rounds.look_at_hits(desk.session) + rounds.look_at_payments(desk.session) == 1

    move_on(desk, source_of)

    assert list(unraised(desk.session)) == []


@SOURCES
def test_alerts__passed_over_by_a_cursor_that_was_moved_on__are_named(
    desk: Desk, source_of: SourceOf, happens: Callable[[Desk], None]
) -> None:
    happens(desk)

    source = move_on(desk, source_of)

    assert rounds.look_at_hits(desk.session) + rounds.look_at_payments(desk.session) == 0
    (found,) = unraised(desk.session)
    assert found.startswith(f"Row {source} of alert_cursor lies behind")


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
        assert list(unraised(desk.session)) == []

    assert list(unraised(desk.session)) == [], "nobody has looked with these"
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

    assert list(unraised(desk.session)) == []
    assert rounds.look_at_payments(desk.session) == 1
