"""Whether an event may happen to a bill of lading; who may fire it stands in the table."""

from __future__ import annotations

from registry.asset import service as assets
from registry.asset.models import AssetState
from registry.bill_of_lading.chain import find_rivals, is_begun
from registry.bill_of_lading.models import BillOfLading, BillState
from registry.kernel.errors import Conflict, Forbidden, Invalid
from registry.lifecycle.reasons import require_reason
from registry.lifecycle.service import Attempt, guard

MACHINE = "ebl"

Try = Attempt[BillOfLading]


@guard(MACHINE, "void", "issue", "accept", "refuse", "refuse_locked", "reissue", "switch_to_paper")
def is_the_carrier(attempt: Try) -> None:
    """Its person, or a system whose key they made; `registry.keeping` names another."""
    if not attempt.actor.is_person_of(attempt.record.maker):
        raise Forbidden(
            "not_the_carrier",
            "Only the carrier that made the bill out acts on it.",
            remedy="Ask it, or have two officers name who acts for it now.",
        )


@guard(MACHINE, "issue", "reissue")
def may_begin_its_chain(attempt: Try) -> None:
    """One holder, ISSUE once and first, and no other live bill for the same containers."""
    bill, given = attempt.record, attempt.given
    if given.get("holder_id") is None:
        raise Invalid("holder_missing", "A bill is issued to exactly one holder.", rule="EBL-01")
    if is_begun(attempt.session, bill, given["chain_no"]):
        raise Conflict("bill_issued_twice", "The bill has been issued already.", rule="EBL-01")
    rivals = find_rivals(attempt.session, bill)
    if rivals:
        raise Conflict(
            "equipment_under_other_bill",
            f"Under another live bill on this voyage: {', '.join(rivals)} (rule EBL-01).",
            rule="EBL-01",
        )


@guard(MACHINE, "transfer_possession")
def new_holder_has_accepted(attempt: Try) -> None:
    given = attempt.given
    if given["offered_by_party"] != attempt.record.holder_id:
        raise Forbidden("possession_not_offered", "The holder has not offered possession.")
    if given["accepted_by"] != given["to_party"]:
        raise Forbidden("possession_not_accepted", "The new holder has not accepted possession.")


@guard(MACHINE, "endorse")
def may_be_endorsed(attempt: Try) -> None:
    """A bill to order, by its holder who is entitled, to an endorsee who accepts."""
    bill, given = attempt.record, attempt.given
    if not bill.is_to_order:
        raise Conflict("bill_not_to_order", "Only a bill to order can be endorsed.")
    if given["offered_by_party"] != bill.holder_id:
        raise Forbidden("endorsement_not_offered", "The holder has not endorsed the bill.")
    if bill.beneficiary_id not in {None, bill.holder_id}:
        raise Conflict("holder_not_entitled", "The holder possesses the bill for somebody else.")
    if given["accepted_by"] != given["to_party"]:
        raise Forbidden("endorsement_not_accepted", "The endorsee has not accepted.")


@guard(
    MACHINE, "lock_for_token", "request_surrender_delivery", "request_surrender_amend"
)  # fmt: skip
def nothing_is_offered(attempt: Try) -> None:
    if attempt.record.offer is not None:
        raise Conflict(
            "offer_pending",
            f"An offer to {attempt.record.offer['event']} waits for its answer.",
            remedy="Have it accepted, refused or taken back first.",
        )


@guard(MACHINE, "lock_for_token")
def custodian_holds_it(attempt: Try) -> None:
    bill, wrapper = attempt.record, attempt.given["wrapper"]
    if wrapper is None or bill.holder_id != wrapper or bill.beneficiary_id not in {None, wrapper}:
        raise Conflict(
            "bill_not_in_wrapper",
            "The wrapper does not hold the bill and its entitlement (rule WRP-01).",
            rule="WRP-01",
        )


@guard(MACHINE, "unlock")
def no_token_lives(attempt: Try) -> None:
    if attempt.given["live_tokenization"]:
        raise Conflict("tokenization_alive", "A tokenization of this cargo is alive.")


@guard(MACHINE, "request_surrender_delivery")
def is_sole_possessor(attempt: Try) -> None:
    """Possession and entitlement in one hand; tokenized cargo after its redemption is funded."""
    bill = attempt.record
    if bill.beneficiary_id not in {None, bill.holder_id}:
        raise Conflict("holder_not_entitled", "Somebody else is entitled to the cargo.")
    if bill.state == BillState.TOKEN_LOCKED and not attempt.given.get("redemption_funded"):
        raise Conflict(
            "redemption_not_funded",
            "Tokenized cargo is surrendered once a redemption in kind is funded.",
        )


@guard(MACHINE, "accept")
def surrender_was_asked(attempt: Try) -> None:
    if attempt.given["last_action"] not in {"SURRENDER_FOR_DELIVERY", "SURRENDER_FOR_AMENDMENT"}:
        raise Conflict("surrender_not_asked", "Nobody has surrendered the bill.")


@guard(MACHINE, "refuse", "refuse_locked")
def refusal_is_reasoned(attempt: Try) -> None:
    """SREJ says why, and possession returns to a token where one lives."""
    require_reason(attempt)
    for_delivery = attempt.record.state == BillState.PENDING_SURRENDER_FOR_DELIVERY
    if for_delivery and attempt.given["live_tokenization"] != (attempt.event == "refuse_locked"):
        raise Conflict(
            "token_lock_mismatch", "A refused bill is locked again exactly if its token lives."
        )


@guard(MACHINE, "reissue")
def reference_is_new(attempt: Try) -> None:
    if attempt.given["reference"] == attempt.record.reference:
        raise Invalid("reference_not_new", "An amended bill is issued under a new reference.")


@guard(MACHINE, "switch_to_paper")
def asset_is_retired(attempt: Try) -> None:
    if attempt.given.get("reason") != "SWTP":
        raise Invalid("reason_missing", "A switch to paper states the reason SWTP.")
    asset = assets.get_asset(attempt.session, attempt.record.asset_id)
    if asset.state != AssetState.RETIRED:
        raise Conflict("asset_not_retired", f"The asset is {asset.state}; retire it first.")
