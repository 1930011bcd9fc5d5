"""The walk of a valuation.

A valuation is recorded as it is submitted: none that is stored is a DRAFT.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from registry.asset.models import Asset
from registry.kernel.actor import Role
from registry.kernel.clock import today
from registry.valuation import service as valuations
from registry.valuation.models import Valuation
from tests.db.walks.board import Scenario, Walk
from tests.factories import ACTORS, MAKER, Desk, accept_value, actor, open_apartment

VALUER, CHECKER = ACTORS[Role.VALUER], ACTORS[Role.VALUATION_CHECKER]
MAKER_WHO_VALUES = actor(Role.VALUER, subject=MAKER.subject)


def opinion(desk: Desk, asset: Asset | None = None, who: Any = VALUER, age: int = 0) -> Valuation:
    asset = asset or open_apartment(desk)
    return valuations.submit_valuation(
        desk.session,
        who,
        asset.id,
        amount_paisa=100,
        basis_date=today() - timedelta(days=age),
        method="MARKET_COMPARABLE",
        report_sha256=bytes(32),
    )


def accepted(desk: Desk, age: int = 0) -> Valuation:
    return accept_value(desk, opinion(desk, age=age))


def stale(desk: Desk) -> Valuation:
    return valuations.mark_stale(desk.session, accepted(desk, age=181).id)


def replace(desk: Desk, record: Valuation, *, age: int = 0) -> Valuation:
    asset = desk.session.get_one(Asset, record.asset_id)
    return accept_value(desk, opinion(desk, asset, age=age))


def replace_by_older(desk: Desk, record: Valuation) -> Valuation:
    return replace(desk, record, age=200)


WALK = Walk(
    machine="valuation",
    record=opinion,
    scenarios=(
        Scenario(
            source="DRAFT",
            event="submit",
            prepare=None,
            denied=lambda desk, _: opinion(desk, age=-1),
            code="valuation_dated_in_future",
            play=lambda desk, _: opinion(desk),
        ),
        Scenario(
            source="SUBMITTED",
            event="accept",
            prepare=opinion,
            denied=lambda desk, _: accept_value(desk, opinion(desk, who=MAKER_WHO_VALUES)),
            code="valuer_not_on_panel",
            play=accept_value,
        ),
        Scenario(
            source="SUBMITTED",
            event="reject",
            prepare=opinion,
            play=lambda desk, record: valuations.reject_valuation(
                desk.session, CHECKER, record.id, reason="No comparables"
            ),
        ),
        Scenario(
            source="ACCEPTED",
            event="supersede",
            prepare=accepted,
            denied=replace_by_older,
            code="valuation_older",
            play=replace,
        ),
        Scenario(
            source="ACCEPTED",
            event="stale",
            prepare=lambda desk: accepted(desk, age=181),
            denied=lambda desk, _: valuations.mark_stale(desk.session, accepted(desk, age=180).id),
            code="valuation_fresh",
            play=lambda desk, record: valuations.mark_stale(desk.session, record.id),
        ),
        Scenario(source="STALE", event="supersede", prepare=stale, play=replace),
    ),
)
