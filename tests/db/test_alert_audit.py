"""What the audit says of alerts that were never raised, for somebody moved a cursor on."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import text

from registry.alert import rounds
from registry.alert.audit import unraised
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


def move_on(desk: Desk, source: str) -> None:
    """Have everything that there is be passed by the rounds."""
    desk.session.flush()
    desk.session.connection().execute(
        text(
            "INSERT INTO alert_cursor (source, last_id)"
            " VALUES (:source, 'ffffffff-ffff-ffff-ffff-ffffffffffff')"
            " ON CONFLICT (source) DO UPDATE SET last_id = excluded.last_id"
        ),
        {"source": source},
    )
    desk.session.expire_all()


SOURCES = pytest.mark.parametrize(
    ("source", "happens"), [(rounds.HITS, named), (rounds.PAYMENTS, paid)]
)


@SOURCES
def test_alerts__raised_by_the_rounds__are_not_missed(
    desk: Desk, source: str, happens: Callable[[Desk], None]
) -> None:
    happens(desk)
    assert list(unraised(desk.session)) == [], "nobody says that it was looked at"
    assert rounds.look_at_hits(desk.session) + rounds.look_at_payments(desk.session) == 1

    move_on(desk, source)

    assert list(unraised(desk.session)) == []


@SOURCES
def test_alerts__passed_over_by_a_cursor_that_was_moved_on__are_named(
    desk: Desk, source: str, happens: Callable[[Desk], None]
) -> None:
    happens(desk)

    move_on(desk, source)

    assert rounds.look_at_hits(desk.session) + rounds.look_at_payments(desk.session) == 0
    (found,) = unraised(desk.session)
    assert found.startswith(f"Row {source} of alert_cursor lies behind")
