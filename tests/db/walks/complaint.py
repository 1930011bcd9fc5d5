"""The walk of a complaint: filed, looked into, answered or taken back."""

from __future__ import annotations

from registry.complaint import service as complaints
from registry.complaint.models import Complaint
from registry.kernel.actor import Actor, Role
from tests import factories as make
from tests import intakes
from tests.db.walks.board import Scenario, Walk
from tests.factories import COMPLIANCE, Buyer, Desk

ANSWER = "It was paid today."
_WHO: dict[object, Buyer] = {}


def filed(desk: Desk) -> Complaint:
    who = make.buyer(desk)
    row = intakes.complaint(desk, who)
    _WHO[row.id] = who
    return row


def complainant(row: Complaint) -> Actor:
    """Return who complains, who works in compliance as well."""
    return Actor(_WHO[row.id].actor.subject, frozenset({Role.INVESTOR, Role.COMPLIANCE}))


def investigate(desk: Desk, row: Complaint, who: Actor = COMPLIANCE) -> None:
    complaints.investigate_complaint(desk.session, who, row.id)


def investigated(desk: Desk) -> Complaint:
    row = filed(desk)
    investigate(desk, row)
    return row


def withdraw(desk: Desk, row: Complaint) -> None:
    complaints.withdraw_own(desk.session, _WHO[row.id].actor, row.id)


WALK = Walk(
    machine="complaint",
    record=filed,
    scenarios=(
        Scenario(
            source="RECEIVED",
            event="investigate",
            prepare=filed,
            play=investigate,
            denied=lambda desk, row: investigate(desk, row, complainant(row)),
            code="checker_is_maker",
        ),
        Scenario(source="RECEIVED", event="withdraw", prepare=filed, play=withdraw),
        Scenario(source="INVESTIGATING", event="withdraw", prepare=investigated, play=withdraw),
        Scenario(
            source="INVESTIGATING",
            event="resolve",
            prepare=investigated,
            play=lambda desk, row: complaints.resolve_complaint(
                desk.session, COMPLIANCE, row.id, answer=ANSWER
            ),
            denied=lambda desk, row: complaints.resolve_complaint(
                desk.session, COMPLIANCE, row.id, answer=" "
            ),
            code="reason_missing",
        ),
        Scenario(
            source="INVESTIGATING",
            event="reject",
            prepare=investigated,
            play=lambda desk, row: complaints.reject_complaint(
                desk.session, COMPLIANCE, row.id, answer=ANSWER
            ),
            denied=lambda desk, row: complaints.reject_complaint(
                desk.session, complainant(row), row.id, answer=ANSWER
            ),
            code="checker_is_maker",
        ),
    ),
)
