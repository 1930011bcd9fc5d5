"""The walk of a case: opened, approved, carried out by the chain, lifted."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from sqlalchemy import update
from sqlmodel import col, select

from registry.case import kyc_freeze
from registry.case import service as cases
from registry.case.models import Case, CaseKind
from registry.kernel.actor import Actor, Role
from registry.kernel.clock import now
from registry.kyc_standing import service as standing
from registry.onboarding.models import Approval
from tests import cases as make_case
from tests import court, kyc
from tests.db.beginnings import after
from tests.db.walks.board import Scenario, Walk, live_token
from tests.factories import CHECKER, COMPLIANCE, Desk
from tests.ledger import Ledger

_CHAINS: dict[UUID, Ledger] = {}
MAKER_AS_CHECKER = Actor(COMPLIANCE.subject, frozenset({Role.REGISTRAR_CHECKER}))
OTHER_COMPLIANCE = court.SECOND_COMPLIANCE


@after(live_token)
def opened(desk: Desk, chain: Ledger) -> Case:
    case = make_case.opened(chain, CaseKind.FREEZE_UNITS)
    _CHAINS[case.id] = chain
    return case


@after(opened)
def approved(desk: Desk, case: Case) -> Case:
    return make_case.approve(desk, case)


@after(approved)
def executing(desk: Desk, case: Case) -> Case:
    make_case.execute(desk, case)
    return case


def carry_out(_: Desk, case: Case) -> None:
    make_case.carry_out(_CHAINS[case.id], case)


def fail(_: Desk, case: Case) -> None:
    make_case.fail(_CHAINS[case.id], case)


@after(executing)
def incomplete(desk: Desk, case: Case) -> Case:
    fail(desk, case)
    return case


@after(executing)
def executed(desk: Desk, case: Case) -> Case:
    carry_out(desk, case)
    return case


def lift(_: Desk, case: Case) -> None:
    make_case.open_lift(_CHAINS[case.id], case)


@after(executed)
def lift_opened(desk: Desk, case: Case) -> Case:
    lift(desk, case)
    return case


@after(lift_opened)
def lift_approved(desk: Desk, case: Case) -> Case:
    return make_case.approve(desk, case)


@after(lift_approved)
def lifting(desk: Desk, case: Case) -> Case:
    make_case.execute(desk, case)
    return case


@after(lifting)
def lift_incomplete(desk: Desk, case: Case) -> Case:
    fail(desk, case)
    return case


def approve(desk: Desk, case: Case) -> None:
    make_case.approve(desk, case)


def approve_own(desk: Desk, case: Case) -> None:
    make_case.approve(desk, case, MAKER_AS_CHECKER)


def reject(desk: Desk, case: Case, who: Actor = CHECKER) -> None:
    cases.reject_case(desk.session, who, case.id, reason="No such order.")


def withdraw(desk: Desk, case: Case, who: Actor = COMPLIANCE) -> None:
    cases.withdraw_case(desk.session, who, case.id, reason="Opened by mistake.")


def withdraw_anothers(desk: Desk, case: Case) -> None:
    withdraw(desk, case, OTHER_COMPLIANCE)


def execute(desk: Desk, case: Case) -> None:
    make_case.execute(desk, case)


def execute_too_late(desk: Desk, case: Case) -> None:
    desk.session.execute(
        update(Approval)
        .where(col(Approval.subject_id) == case.id)
        .values(expires_at=now() - timedelta(seconds=1))
    )
    execute(desk, case)


def lift_what_an_order_wants(desk: Desk, case: Case) -> None:
    chain = _CHAINS[case.id]
    court.apply(desk, court.on_amount(desk, chain, 100))
    lift(desk, case)


def execute_what_an_order_wants(desk: Desk, case: Case) -> None:
    court.apply(desk, court.on_amount(desk, _CHAINS[case.id], 100))
    execute(desk, case)


@after(live_token)
def kyc_freeze_of(desk: Desk, chain: Ledger) -> Case:
    """Freeze a holder's wallet because their KYC was revoked."""
    standing.revoke_kyc(
        desk.session, OTHER_COMPLIANCE, chain.holders[0].investor.id, reason="Lied."
    )
    case = desk.session.exec(select(Case).order_by(col(Case.id).desc())).first()
    assert case is not None
    _CHAINS[case.id] = chain
    return case


@after(kyc_freeze_of)
def kyc_frozen(desk: Desk, case: Case) -> Case:
    carry_out(desk, case)
    return case


@after(kyc_freeze_of)
def kyc_half_frozen(desk: Desk, case: Case) -> Case:
    fail(desk, case)
    return case


def renew(desk: Desk, case: Case) -> None:
    holder = _CHAINS[case.id].holders[0]
    kyc.passed(desk, holder.actor, holder.investor)


def release(desk: Desk, case: Case) -> None:
    kyc_freeze.release(desk.session, case.id)


_EARLY = "Until the chain has ended every act, the use case fires nothing."

WALK = Walk(
    machine="case",
    record=opened,
    scenarios=(
        Scenario(
            source="OPENED",
            event="impose",
            prepare=None,
            play=lambda desk, _: kyc_freeze_of(desk),
            kept="Only the end of a KYC fires it, in the same transaction.",
        ),
        *(
            Scenario(
                source=source,
                event="release",
                prepare=prepare,
                play=renew,
                denied=release,
                code="kyc_not_passed",
            )
            for source, prepare in (("EXECUTED", kyc_frozen), ("INCOMPLETE", kyc_half_frozen))
        ),
        *(
            Scenario(
                source=source,
                event="approve",
                prepare=prepare,
                play=approve,
                denied=approve_own,
                code="checker_is_maker",
            )
            for source, prepare in (("OPENED", opened), ("LIFT_OPENED", lift_opened))
        ),
        *(
            Scenario(
                source=source,
                event="reject",
                prepare=prepare,
                play=reject,
                denied=lambda desk, case: reject(desk, case, MAKER_AS_CHECKER),
                code="checker_is_maker",
            )
            for source, prepare in (("OPENED", opened), ("LIFT_OPENED", lift_opened))
        ),
        *(
            Scenario(
                source=source,
                event="withdraw",
                prepare=prepare,
                play=withdraw,
                denied=withdraw_anothers,
                code="not_the_maker",
            )
            for source, prepare in (
                ("OPENED", opened),
                ("APPROVED", approved),
                ("INCOMPLETE", incomplete),
                ("LIFT_OPENED", lift_opened),
                ("LIFT_APPROVED", lift_approved),
            )
        ),
        *(
            Scenario(
                source=source,
                event="execute",
                prepare=prepare,
                play=execute,
                denied=denied,
                code=code,
            )
            for source, prepare, denied, code in (
                ("APPROVED", approved, execute_too_late, "approval_expired"),
                ("INCOMPLETE", incomplete, execute_too_late, "approval_expired"),
                ("LIFT_APPROVED", lift_approved, execute_what_an_order_wants, "order_in_force"),
                ("LIFT_INCOMPLETE", lift_incomplete, execute_what_an_order_wants, "order_in_force"),
            )
        ),
        *(
            Scenario(source=source, event=event, prepare=prepare, play=play, kept=_EARLY)
            for source, event, prepare, play in (
                ("EXECUTING", "executed", executing, carry_out),
                ("EXECUTING", "stopped", executing, fail),
                ("LIFTING", "executed", lifting, carry_out),
                ("LIFTING", "stopped", lifting, fail),
            )
        ),
        Scenario(
            source="EXECUTED",
            event="lift",
            prepare=executed,
            play=lift,
            denied=lift_what_an_order_wants,
            code="order_in_force",
        ),
    ),
)
