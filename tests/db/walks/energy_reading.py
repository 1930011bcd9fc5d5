"""The walk of a reading: reported, confirmed, and followed by a better one."""

from __future__ import annotations

from registry.asset import service as assets
from registry.kernel.actor import Actor, Role
from registry.production import readings
from registry.production.models import EnergyReading
from tests import intakes
from tests.db.walks.board import Scenario, Walk
from tests.factories import CHECKER, MAKER, Desk

MAKER_AS_CHECKER = Actor(MAKER.subject, frozenset({Role.REGISTRAR_CHECKER}))


def reported(desk: Desk) -> EnergyReading:
    return intakes.reading(desk)


def confirm(desk: Desk, row: EnergyReading, who: Actor = CHECKER) -> None:
    readings.confirm_reading(desk.session, who, row.id)


def reject(desk: Desk, row: EnergyReading, reason: str = "Not the meter's figures.") -> None:
    readings.reject_reading(desk.session, CHECKER, row.id, reason=reason)


def confirmed(desk: Desk) -> EnergyReading:
    row = reported(desk)
    confirm(desk, row)
    return row


def correct(desk: Desk, row: EnergyReading) -> None:
    asset = assets.get_asset(desk.session, row.asset_id)
    confirm(desk, intakes.reading(desk, asset))


WALK = Walk(
    machine="energy_reading",
    record=reported,
    scenarios=(
        Scenario(
            source="REPORTED",
            event="confirm",
            prepare=reported,
            play=confirm,
            denied=lambda desk, row: confirm(desk, row, MAKER_AS_CHECKER),
            code="checker_is_maker",
        ),
        Scenario(
            source="REPORTED",
            event="reject",
            prepare=reported,
            play=reject,
            denied=lambda desk, row: reject(desk, row, " "),
            code="reason_missing",
        ),
        Scenario(source="CONFIRMED", event="supersede", prepare=confirmed, play=correct),
    ),
)
