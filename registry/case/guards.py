"""Whether an event may happen to a case; who may fire it stands in the table."""

from __future__ import annotations

from collections import defaultdict
from uuid import UUID

from registry.captable import portfolio
from registry.captable.models import ForcedAct
from registry.case import grounds, soundness
from registry.case.hashing import case_hash
from registry.case.layout import PlannedAct
from registry.case.models import FREEZES, Case, CaseKind
from registry.case.repository import acts_in_hand, current_lift, happened, is_by_itself
from registry.kernel.errors import Conflict, Forbidden
from registry.lifecycle.reasons import require_other_person, require_reason
from registry.lifecycle.service import Attempt, guard
from registry.onboarding import approvals
from registry.operation.models import FAILED, OperationState

MACHINE = "case"

Try = Attempt[Case]


@guard(MACHINE, "approve", "reject")
def somebody_else_decides(attempt: Try) -> None:
    lift = current_lift(attempt.session, attempt.record)
    require_other_person(attempt, (lift or attempt.record).maker)


@guard(MACHINE, "reject", "withdraw")
def says_why(attempt: Try) -> None:
    require_reason(attempt)


@guard(MACHINE, "withdraw")
def its_maker_withdraws_what_has_not_happened(attempt: Try) -> None:
    lift = current_lift(attempt.session, attempt.record)
    if attempt.actor.subject != (lift or attempt.record).maker:
        raise Forbidden("not_the_maker", "Whoever opened this withdraws it; others reject it.")
    acts = acts_in_hand(attempt.session, attempt.record)
    if any(happened(attempt.session, act) for act in acts):
        raise Conflict(
            "acts_happened",
            "Some acts of this case happened on chain.",
            remedy="Execute the case again until it is whole.",
        )


@guard(MACHINE, "approve")
def exactly_what_was_read(attempt: Try) -> None:
    """The case is the one that was read, its paper is verified, and it could be carried out."""
    session, case = attempt.session, attempt.record
    if attempt.given["seen_hash"] != case_hash(session, case):
        raise Conflict("case_changed", "The case is not the one that you read.")
    paper_id = (current_lift(session, case) or case).document_id
    assert paper_id is not None, "what follows from its ground is approved by nobody"
    soundness.require_verified_paper(session, paper_id)
    _require_possible(attempt)


@guard(MACHINE, "execute")
def approval_stands(attempt: Try) -> None:
    session, case = attempt.session, attempt.record
    if is_by_itself(session, case):
        grounds.require_ground(session, case)
    elif not approvals.live_approvals(session, case.id, case_hash(session, case)):
        raise Conflict(
            "approval_expired",
            "The approval of this case has run out.",
            remedy="Withdraw it, and open it anew.",
        )
    if case.kind == CaseKind.RECOVERY:
        soundness.require_freezes_settled(session, case)
    _require_possible(attempt)


def _require_possible(attempt: Try) -> None:
    session, case = attempt.session, attempt.record
    left = [PlannedAct.of(act) for act in acts_in_hand(session, case) if not happened(session, act)]
    if current_lift(session, case) is not None:
        grounds.require_liftable(session, case, left)
        return
    soundness.require_sound(session, case, left)
    if case.kind == CaseKind.SUCCESSION:
        _require_same_estate(attempt, left)


def _require_same_estate(attempt: Try, left: list[PlannedAct]) -> None:
    """The wallets hold what is divided: then anybody divides them as the case does.

    Once some were divided, only those that are left are looked at.
    """
    due: dict[tuple[UUID, bytes], int] = defaultdict(int)
    for act in left:
        due[act.tokenization_id, act.wallet] += act.units or 0
    assert attempt.record.investor_id is not None
    held = portfolio.list_holdings(attempt.session, attempt.record.investor_id)
    again = attempt.given.get("again", False)
    found = {
        (holding.tokenization.id, holding.wallet): holding.balance_units
        for holding in held
        if not again or (holding.tokenization.id, holding.wallet) in due
    }
    if found != due or any(holding.frozen_units for holding in held):
        raise Conflict(
            "holdings_changed",
            "The wallets of the deceased do not hold, freely, what this case divides.",
            remedy="Open the case anew; freeze the wallets first, so that nothing moves meanwhile.",
        )


@guard(MACHINE, "impose", "release")
def its_ground_says_so(attempt: Try) -> None:
    """A freeze by KYC follows the standing of its holder, one by an order that order.

    Neither is released while another order wants it.
    """
    grounds.require_ground(attempt.session, attempt.record, lifting=attempt.event == "release")
    for act in attempt.given.get("acts", ()):
        if grounds.wanted_by_order(attempt.session, act):
            raise Conflict(
                "order_in_force",
                "An order wants this frozen.",
                remedy="Have the order vacated first.",
            )


@guard(MACHINE, "release")
def units_have_arrived(attempt: Try) -> None:
    """No recovery is carrying the freeze to another wallet."""
    soundness.require_at_rest(attempt.session, attempt.record)


@guard(MACHINE, "executed", "stopped")
def chain_has_ended_it(attempt: Try) -> None:
    """Nothing is on its way; everything happened, or something did not."""
    states = attempt.given["states"]
    ended = {OperationState.FINAL, *FAILED}
    if not states <= ended or (states <= {OperationState.FINAL}) != (attempt.event == "executed"):
        raise Conflict("case_acts_under_way", "The chain has not ended every act of this case.")


@guard(MACHINE, "lift")
def is_a_freeze(attempt: Try) -> None:
    case = attempt.record
    if case.kind not in FREEZES:
        raise Conflict("case_not_liftable", f"Only a freeze is lifted, not a {case.kind}.")
    acts: list[PlannedAct] = attempt.given["acts"]
    assert all(act.act in {ForcedAct.UNFREEZE_WALLET, ForcedAct.UNFREEZE_UNITS} for act in acts)
    grounds.require_liftable(attempt.session, case, acts)
