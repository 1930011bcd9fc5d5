"""The walk of an alert: raised, looked at, and what officers decide."""

from __future__ import annotations

from registry.alert import service as alerts
from registry.alert.models import Alert
from tests import intakes
from tests.db.walks.board import Scenario, Walk
from tests.factories import Desk
from tests.kyc import FIRST_OFFICER, SECOND_OFFICER

WHY = "The issuer's own reserve."


def review(desk: Desk, alert: Alert, reason: str = WHY) -> None:
    alerts.review_alert(desk.session, FIRST_OFFICER, alert.id, reason=reason)


def reviewed(desk: Desk) -> Alert:
    alert = intakes.alert(desk)
    review(desk, alert)
    return alert


def escalate(desk: Desk, alert: Alert, reason: str = WHY) -> None:
    alerts.escalate_alert(desk.session, FIRST_OFFICER, alert.id, reason=reason)


WALK = Walk(
    machine="alert",
    record=intakes.alert,
    scenarios=(
        Scenario(
            source="OPEN",
            event="review",
            prepare=intakes.alert,
            play=review,
            denied=lambda desk, alert: review(desk, alert, " "),
            code="reason_missing",
        ),
        Scenario(
            source="OPEN",
            event="escalate",
            prepare=intakes.alert,
            play=escalate,
            denied=lambda desk, alert: escalate(desk, alert, " "),
            code="reason_missing",
        ),
        Scenario(
            source="REVIEWED",
            event="return",
            prepare=reviewed,
            play=lambda desk, alert: alerts.return_alert(
                desk.session, SECOND_OFFICER, alert.id, reason=WHY
            ),
            denied=lambda desk, alert: alerts.return_alert(
                desk.session, FIRST_OFFICER, alert.id, reason=WHY
            ),
            code="checker_is_maker",
        ),
        Scenario(
            source="REVIEWED",
            event="dismiss",
            prepare=reviewed,
            play=lambda desk, alert: alerts.dismiss_alert(
                desk.session, SECOND_OFFICER, alert.id, reason=WHY
            ),
            denied=lambda desk, alert: alerts.dismiss_alert(
                desk.session, FIRST_OFFICER, alert.id, reason=WHY
            ),
            code="checker_is_maker",
        ),
        Scenario(
            source="REVIEWED",
            event="escalate",
            prepare=reviewed,
            play=escalate,
            denied=lambda desk, alert: escalate(desk, alert, " "),
            code="reason_missing",
        ),
    ),
)
