"""The panel of valuers: proposed by one, confirmed by another, never by the valuer."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from registry.kernel.actor import Actor, Role
from registry.kernel.clock import today
from registry.kernel.errors import Conflict, Forbidden, Invalid
from registry.valuation import panel
from registry.valuation import service as valuations
from registry.valuation.models import Valuation, ValuationState
from registry.valuation.panel import PanelValuer
from tests import factories as make
from tests.factories import ACTORS, CHECKER, COMPLIANCE, Desk

pytestmark = pytest.mark.db

YESTERDAY, TOMORROW = today() - timedelta(days=1), today() + timedelta(days=1)


@pytest.fixture
def valuer() -> Actor:
    return make.actor(Role.VALUER)


def proposed(desk: Desk, valuer: Actor, **changes: Any) -> PanelValuer:
    said: dict[str, Any] = {"valuer": valuer.subject, "licence_no": "PBA-7", "begins_on": today()}
    return panel.propose_valuer(desk.session, COMPLIANCE, **(said | changes))


def on_panel(desk: Desk, valuer: Actor, **changes: Any) -> PanelValuer:
    return panel.confirm_valuer(desk.session, CHECKER, proposed(desk, valuer, **changes).id)


def opinion(desk: Desk, valuer: Actor) -> Valuation:
    return valuations.submit_valuation(
        desk.session,
        valuer,
        make.open_apartment(desk).id,
        amount_paisa=100,
        basis_date=today(),
        method="MARKET_COMPARABLE",
        report_sha256=bytes(32),
    )


def accept(desk: Desk, valuation: Valuation) -> Valuation:
    return valuations.accept_valuation(desk.session, ACTORS[Role.VALUATION_CHECKER], valuation.id)


@pytest.mark.parametrize(
    "days",
    [
        {},
        {"ends_on": today()},
        {"begins_on": YESTERDAY, "ends_on": TOMORROW},
    ],
)
def test_accept__valuer_on_the_panel__stands(
    desk: Desk, valuer: Actor, days: dict[str, date]
) -> None:
    on_panel(desk, valuer, **days)

    assert accept(desk, opinion(desk, valuer)).state == ValuationState.ACCEPTED


@pytest.mark.parametrize(
    "days",
    [
        {"begins_on": TOMORROW},
        {"begins_on": date(2020, 1, 1), "ends_on": YESTERDAY},
    ],
)
def test_accept__valuer_on_the_panel_on_other_days__is_refused(
    desk: Desk, valuer: Actor, days: dict[str, date]
) -> None:
    on_panel(desk, valuer, **days)
    valuation = opinion(desk, valuer)

    with pytest.raises(Conflict, match="valuer_not_on_panel"):
        accept(desk, valuation)
    assert valuation.state == ValuationState.SUBMITTED


def test_accept__valuer_only_proposed_or_nobody__is_refused(desk: Desk, valuer: Actor) -> None:
    valuation = opinion(desk, valuer)
    with pytest.raises(Conflict, match="valuer_not_on_panel"):
        accept(desk, valuation)
    entry = proposed(desk, valuer)
    with pytest.raises(Conflict, match="valuer_not_on_panel"):
        accept(desk, valuation)

    panel.confirm_valuer(desk.session, CHECKER, entry.id)
    assert accept(desk, valuation).state == ValuationState.ACCEPTED


def test_end__last_day_is_over__refuses_new_opinions_and_keeps_old_ones(
    desk: Desk, valuer: Actor
) -> None:
    entry = on_panel(desk, valuer)
    accepted = accept(desk, opinion(desk, valuer))

    panel.end_valuer(desk.session, COMPLIANCE, entry.id, ends_on=today(), reason="Moved abroad")

    assert accepted.state == ValuationState.ACCEPTED
    with pytest.raises(Conflict, match="panel_entry_ended"):
        panel.end_valuer(desk.session, COMPLIANCE, entry.id, ends_on=TOMORROW, reason="x")
    with pytest.raises(Invalid, match="panel_days_wrong"):
        panel.end_valuer(desk.session, COMPLIANCE, entry.id, ends_on=YESTERDAY, reason="x")


def test_propose__last_day_before_the_first__is_refused(desk: Desk, valuer: Actor) -> None:
    with pytest.raises(Invalid, match="panel_days_wrong"):
        proposed(desk, valuer, begins_on=today(), ends_on=YESTERDAY)


def test_panel__one_person_twice__is_refused_by_service_and_database(
    desk: Desk, valuer: Actor
) -> None:
    with pytest.raises(Forbidden, match="checker_is_maker"):
        proposed(desk, COMPLIANCE)
    entry = proposed(desk, valuer)
    for somebody in (COMPLIANCE, valuer):
        with pytest.raises(Forbidden, match="checker_is_maker"):
            panel.confirm_valuer(desk.session, somebody, entry.id)
        with pytest.raises(IntegrityError), desk.session.begin_nested():
            desk.session.connection().execute(
                text("UPDATE panel_valuer SET confirmed_by = :who WHERE id = :id"),
                {"who": somebody.subject, "id": entry.id},
            )
    panel.confirm_valuer(desk.session, CHECKER, entry.id)
    with pytest.raises(Conflict, match="panel_entry_confirmed"):
        panel.confirm_valuer(desk.session, make.SECOND_CHECKER, entry.id)
