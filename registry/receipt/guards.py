"""Whether an event may happen to a warehouse receipt; who may fire it stands in the table."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from registry.kernel.actor import Actor
from registry.kernel.clock import today
from registry.kernel.errors import Conflict, Forbidden, Invalid
from registry.lifecycle.reasons import require_reason
from registry.lifecycle.service import Attempt, guard
from registry.receipt.models import WarehouseReceipt
from registry.receipt.papers import verified_paper
from registry.valuation import service as valuations

MACHINE = "warehouse_receipt"
MOISTURE = "moisture_pct"

Try = Attempt[WarehouseReceipt]


def _require_paper(attempt: Try, kind: str) -> None:
    given = attempt.given.get("document_id")
    if given is None:
        raise Invalid("source_missing", f"The act rests on a paper of kind {kind}.")
    verified_paper(attempt.session, attempt.record.asset_id, given, kind=kind)


def require_own_warehouse(actor: Actor, receipt: WarehouseReceipt) -> None:
    """Refuse another warehouse than the one that took the goods in.

    Its person acts, or a system whose key they made; `registry.keeping` names another.

    Raises
    ------
    Forbidden
        ``not_the_warehouse``.
    """
    if not actor.is_person_of(receipt.maker):
        raise Forbidden(
            "not_the_warehouse",
            "Only the warehouse that took the goods in acts on its receipt.",
            remedy="Ask it, or have two officers name who acts for it now.",
        )


@guard(MACHINE, "issue", "split", "extend", "extend_locked", "deliver")
def is_the_warehouse(attempt: Try) -> None:
    require_own_warehouse(attempt.actor, attempt.record)


@guard(MACHINE, "assay")
def is_graded(attempt: Try) -> None:
    """Weight note and assay are verified, and the depositor took the grade."""
    receipt, given = attempt.record, attempt.given
    session = attempt.session
    verified_paper(session, receipt.asset_id, given["weight_note_id"], kind="WEIGHT_NOTE")
    verified_paper(session, receipt.asset_id, given["assay_id"], kind="ASSAY_REPORT")
    if not receipt.grade or MOISTURE not in receipt.quality:
        raise Invalid("grading_incomplete", "A grading states the grade and the moisture.")
    if given["accepted_by"] == receipt.holder_id:
        return
    raise Forbidden("grade_not_accepted", "The depositor has not accepted the grade.")


@guard(MACHINE, "issue")
def may_be_issued(attempt: Try) -> None:
    """The warehouse is accredited, the goods are insured for their value, the term runs."""
    receipt, renewed = attempt.record, attempt.given["renewed"]
    accredited_until = renewed.get("accredited_until", receipt.accredited_until)
    if accredited_until < today():
        raise Conflict(
            "accreditation_expired",
            f"The accreditation of the warehouse ran out on {accredited_until}.",
            remedy="Name the new one and its paper.",
        )
    valuation = valuations.accepted_valuation(attempt.session, receipt.asset_id)
    if valuation is None:
        raise Conflict("valuation_missing", "No valuation of this asset is accepted.")
    if renewed.get("insured_paisa", receipt.insured_paisa) < valuation.amount_paisa:
        raise Conflict(
            "goods_underinsured",
            "The goods are insured for less than their value (rule EWR-02).",
            remedy="Name the new sum insured and its policy.",
            rule="EWR-02",
        )
    require_future(accredited_until, receipt.expires_on)


def require_future(accredited_until: date, expires_on: date) -> None:
    """Refuse a term that is over, or longer than the warehouse is accredited.

    Raises
    ------
    Conflict
        ``receipt_term_over``, ``accreditation_expired``.
    """
    if expires_on < today():
        raise Conflict(
            "receipt_term_over", f"The term ends on {expires_on} (rule EWR-03).", rule="EWR-03"
        )
    if expires_on > accredited_until:
        raise Conflict(
            "accreditation_expired",
            f"The warehouse is accredited until {accredited_until} only.",
            remedy="Name the new accreditation and its paper.",
        )


@guard(MACHINE, "reject")
def is_below_the_floor(attempt: Try) -> None:
    require_reason(attempt)


@guard(MACHINE, "split")
def children_make_the_whole(attempt: Try) -> None:
    """Each child has something, together they have everything, and nobody has a claim on it."""
    receipt, parts = attempt.record, attempt.given["parts"]
    if len(parts) < 2 or any(part <= 0 for part in parts):  # noqa: PLR2004 - a split makes two
        raise Invalid("split_malformed", "A split makes two or more receipts of above zero.")
    if receipt.free_kg != receipt.qty_kg:
        raise Conflict("receipt_encumbered", "Goods that are pledged or lost cannot be split off.")
    if sum(parts, Decimal(0)) != receipt.qty_kg:
        raise Invalid(
            "split_does_not_sum",
            f"The parts are {sum(parts, Decimal(0))} kg together, the receipt {receipt.qty_kg}.",
            rule="EWR-01",
        )


@guard(MACHINE, "split", "transfer", "lock_for_token", "deliver")
def nothing_is_offered(attempt: Try) -> None:
    if attempt.record.offer is not None:
        raise Conflict(
            "offer_pending",
            f"An offer to {attempt.record.offer['event']} waits for its answer.",
            remedy="Have it accepted, refused or taken back first.",
        )


@guard(MACHINE, "transfer")
def is_not_locked(attempt: Try) -> None:
    if attempt.record.pledged_kg or attempt.record.tokenized_kg:
        raise Conflict("receipt_encumbered", "A receipt with claims on it is not transferred.")
    _refuse_expired(attempt.record)


@guard(MACHINE, "pledge")
def pledge_is_covered(attempt: Try) -> None:
    """Pledgee and holder both act, on no more than is free."""
    receipt, given = attempt.record, attempt.given
    if given["offered_by_party"] != receipt.holder_id or given["accepted_by"] != given["pledgee"]:
        raise Forbidden("pledge_not_agreed", "Holder and pledgee must both agree to a pledge.")
    if not 0 < given["kg"] <= receipt.free_kg:
        raise Conflict(
            "quantity_not_free",
            f"{given['kg']} kg are to be pledged, {receipt.free_kg} kg are free (rule EWR-01).",
            rule="EWR-01",
        )
    _refuse_expired(receipt)


def _refuse_expired(receipt: WarehouseReceipt) -> None:
    if receipt.expires_on < today():
        raise Conflict(
            "receipt_term_over",
            f"The receipt ran out on {receipt.expires_on} (rule EWR-03).",
            rule="EWR-03",
        )


@guard(MACHINE, "invoke")
def default_is_noticed(attempt: Try) -> None:
    _require_paper(attempt, "DEFAULT_NOTICE")


@guard(MACHINE, "liquidate")
def proceeds_are_recorded(attempt: Try) -> None:
    """A pledgee sells under the pledge, the warehouse at auction; each states what came in."""
    receipt = attempt.record
    if receipt.state == "EXPIRED":
        require_own_warehouse(attempt.actor, receipt)
        if attempt.given["live_tokenization"]:
            raise Conflict("tokenization_alive", "Goods behind a live token are not sold off.")
    _require_paper(attempt, "SALE_NOTE" if receipt.pledgee_id else "AUCTION_NOTE")
    if attempt.given.get("proceeds_paisa", 0) <= 0:
        raise Invalid("proceeds_missing", "A liquidation states its proceeds, above zero.")


@guard(MACHINE, "lock_for_token")
def goods_are_free_for_the_token(attempt: Try) -> None:
    receipt, given = attempt.record, attempt.given
    if given["wrapper"] != receipt.holder_id:
        raise Conflict(
            "receipt_not_in_wrapper", "The wrapper does not hold the receipt (rule WRP-01).",
            rule="WRP-01",
        )  # fmt: skip
    if not 0 < given["kg"] <= receipt.free_kg:
        raise Conflict(
            "quantity_not_free",
            f"{given['kg']} kg are to be locked, {receipt.free_kg} kg are free (rule EWR-01).",
            rule="EWR-01",
        )
    _refuse_expired(receipt)


@guard(MACHINE, "unlock", "extend")
def no_token_lives(attempt: Try) -> None:
    if attempt.given["live_tokenization"]:
        raise Conflict("tokenization_alive", "A tokenization of these goods is alive.")


@guard(MACHINE, "extend_locked")
def a_token_lives(attempt: Try) -> None:
    if not attempt.given["live_tokenization"]:
        raise Conflict("tokenization_ended", "No tokenization of these goods is alive.")


@guard(MACHINE, "extend", "extend_locked")
def is_assayed_again(attempt: Try) -> None:
    """An assay made after the receipt ran out, and a term that lies ahead."""
    receipt, given = attempt.record, attempt.given
    paper = verified_paper(
        attempt.session, receipt.asset_id, given["assay_id"], kind="ASSAY_REPORT"
    )
    if paper.issued_on is None or paper.issued_on <= receipt.expires_on:
        raise Conflict("assay_outdated", "The assay must be made after the receipt ran out.")
    renewed = given["renewed"]
    accredited_until = renewed.get("accredited_until", receipt.accredited_until)
    require_future(accredited_until, given["expires_on"])


@guard(MACHINE, "expire")
def term_is_over(attempt: Try) -> None:
    """Expired by its own date; a live token is paused in the same transaction."""
    receipt = attempt.record
    if receipt.expires_on >= today():
        raise Conflict("receipt_in_term", f"The receipt is good until {receipt.expires_on}.")
    if receipt.state == "TOKEN_LOCKED" and not attempt.given["token_stopped"]:
        raise Conflict("token_not_paused", "The token of these goods is not paused.")


@guard(MACHINE, "deliver")
def may_leave_the_warehouse(attempt: Try) -> None:
    """On a release order, everything that is there; tokenized goods after their redemption.

    Goods whose term is over leave as before: whoever holds the receipt still owns them.
    """
    receipt = attempt.record
    if receipt.state == "TOKEN_LOCKED" or receipt.tokenized_kg:
        if not attempt.given.get("redemption_settled"):
            raise Conflict(
                "redemption_not_settled", "Tokenized goods leave after their redemption is settled."
            )
        return
    _require_paper(attempt, "RELEASE_ORDER")
    if receipt.pledged_kg:
        raise Conflict("receipt_encumbered", "Goods with claims on them do not leave.")
