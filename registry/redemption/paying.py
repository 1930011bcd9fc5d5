"""Use cases of a redemption whose cap table is frozen: funded, paid, settled, in money or kind."""

from __future__ import annotations

from uuid import UUID

from sqlmodel import Session

from registry.bill_of_lading import possession
from registry.bill_of_lading import service as bills
from registry.bill_of_lading.models import BillOfLading
from registry.case.bound import read_bound
from registry.journal import service as journal
from registry.kernel.actor import THE_SYSTEM, Actor
from registry.kernel.allotment import allot
from registry.kernel.errors import Conflict, Invalid
from registry.kernel.rows import update_many
from registry.lifecycle import service as lifecycle
from registry.lifecycle.reasons import check_other_person, check_reason
from registry.offering.transfers import require_new_payout
from registry.receipt import service as receipts
from registry.receipt.guards import MACHINE as RECEIPT
from registry.receipt.models import WarehouseReceipt
from registry.reconciliation.freezes import frozen_units
from registry.reconciliation.payable import require_payable
from registry.reconciliation.views import look_at
from registry.redemption.guards import MACHINE
from registry.redemption.models import (
    PayoutState,
    Redemption,
    RedemptionKind,
    RedemptionPayout,
    RedemptionState,
)
from registry.redemption.payees import obstacle_of, require_payee
from registry.redemption.repository import (
    get_payout,
    get_redemption,
    list_payouts,
    list_redemptions,
    require_record,
    supply_of,
)
from registry.tokenization import service as tokenizations
from registry.tokenization.models import Tokenization

PAYOUT_HELD = "redemption_payout_held"
FUNDED = (RedemptionState.FUNDED, RedemptionState.PAYING, RedemptionState.PAID)
PAYABLE = (RedemptionState.PAYING, RedemptionState.PAID, RedemptionState.SETTLED)
"""What was held is paid as soon as it may be, also long after the token has ended."""


def fund_redemption(
    session: Session, actor: Actor, redemption_id: UUID, *, escrow_paisa: int, reference: str
) -> Redemption:
    """Record that the escrow holds the price less the costs, and allot it to the paisa (RED-01).

    Parameters
    ----------
    escrow_paisa
        Balance of the escrow account.
    reference
        Of the bank's statement that says so.

    Raises
    ------
    Conflict
        ``record_block_differs``, ``escrow_short``, ``transition_refused``.
    Invalid
        ``escrow_unnamed``.
    """
    redemption = get_redemption(session, redemption_id, lock=True)
    if redemption.record_block is not None:
        require_record(session, redemption)
    given = {"escrow_paisa": escrow_paisa, "reference": reference}
    lifecycle.fire(
        session, actor, MACHINE, redemption, "fund",
        given=given, escrow_paisa=str(escrow_paisa), reference=reference,
    )  # fmt: skip
    redemption.funded_paisa, redemption.escrow_reference = redemption.net_paisa, reference
    payouts = list_payouts(session, redemption.id)
    amounts = allot(redemption.funded_paisa, [int(payout.units) for payout in payouts])
    for payout, amount_paisa in zip(payouts, amounts, strict=True):
        payout.amount_paisa = amount_paisa
    update_many(session, payouts, ("amount_paisa",))
    session.flush()
    return redemption


def start_paying(session: Session, actor: Actor, redemption_id: UUID) -> Redemption:
    """Begin to pay; what nobody may be paid is held at once: strangers, and whom an order binds.

    Frozen fractions are those of now: a freeze of the record block may have ended since.

    Raises
    ------
    Conflict
        ``record_block_differs``, ``transition_refused``, ``cap_table_differs``, ``break_open``.
    Forbidden
        ``transition_forbidden``.
    Unavailable
        ``cap_table_degraded``, ``token_catching_up``.
    """
    redemption = get_redemption(session, redemption_id, lock=True)
    tokenization = _require_payable(session, redemption)
    if redemption.record_block is not None:
        require_record(session, redemption)
    lifecycle.fire(session, actor, MACHINE, redemption, "pay")
    bound = read_bound(session)
    frozen = frozen_units(session, look_at(session, tokenization.id).token)
    payouts = list_payouts(session, redemption.id)
    obstacles = [obstacle_of(payout, tokenization, bound, frozen) for payout in payouts]
    held = []
    for payout, reason in zip(payouts, obstacles, strict=True):
        if reason is not None:
            payout.state, payout.reason = PayoutState.HELD, reason
            held.append(payout)
    update_many(session, held, ("state", "reason"))
    for payout in held:
        _note(session, actor, payout, PAYOUT_HELD)
    return redemption


def _require_payable(session: Session, redemption: Redemption) -> Tokenization:
    tokenization = tokenizations.get_tokenization(session, redemption.tokenization_id)
    require_payable(session, tokenization)
    return tokenization


def record_payout(
    session: Session, actor: Actor, payout_id: UUID, *, rail_reference: str
) -> RedemptionPayout:
    """Record that one holder was paid; what was held too, whenever nothing stops it any more.

    What a person holds is released first, by somebody else.

    Parameters
    ----------
    rail_reference
        The bank's own reference of the transfer; each is recorded once.

    Raises
    ------
    Conflict
        ``payout_settled``, ``redemption_not_paying``, ``payout_held_by_person``,
        ``payee_unknown``, ``party_under_order``, ``sanctions_hit_stands``, ``kyc_not_passed``,
        ``payee_frozen``, ``cap_table_differs``, ``break_open``, ``payout_reference_reused``.
    Unavailable
        ``cap_table_degraded``, ``token_catching_up``.
    """
    payout = _unpaid(session, payout_id)
    if payout.held_by is not None:
        raise Conflict(
            "payout_held_by_person",
            "A person holds the payout.",
            remedy="Have compliance release it, with a reason.",
        )
    tokenization = _require_payable(session, get_redemption(session, payout.redemption_id))
    payee = require_payee(session, payout, tokenization)
    require_new_payout(session, rail_reference)
    payout.party_id = payee
    payout.state, payout.rail_reference = PayoutState.PAID, rail_reference
    return _note(session, actor, payout, "redemption_payout_paid")


def hold_payout(
    session: Session, actor: Actor, payout_id: UUID, *, reason: str
) -> RedemptionPayout:
    """Hold what a holder could not be paid: it stays theirs.

    Raises
    ------
    Invalid
        ``reason_missing``.
    Conflict
        ``payout_settled``, ``redemption_not_paying``.
    """
    payout = _unpaid(session, payout_id)
    if payout.state != PayoutState.DUE:
        raise Conflict("payout_settled", f"The payout is {payout.state} already.")
    if not reason.strip():
        raise Invalid("reason_missing", "Money is held for a reason.", field="/reason")
    payout.held_by = actor.subject
    return _hold(session, actor, payout, reason)


def release_payout(
    session: Session, actor: Actor, payout_id: UUID, *, reason: str
) -> RedemptionPayout:
    """Let go what another person holds: it is due again, under the rules of every payout.

    Raises
    ------
    Invalid
        ``reason_missing``.
    Conflict
        ``payout_settled``, ``redemption_not_paying``, ``payout_not_held``.
    Forbidden
        ``checker_is_maker``.
    """
    payout = _unpaid(session, payout_id)
    if payout.held_by is None:
        raise Conflict(
            "payout_not_held",
            "No person holds the payout.",
            remedy="What the register holds is paid once its obstacle has gone.",
        )
    check_other_person(actor, payout.held_by, told="Whoever holds it cannot release it.")
    check_reason(reason, "release")
    payout.state, payout.reason, payout.held_by = PayoutState.DUE, None, None
    return _note(session, actor, payout, "redemption_payout_released", reason=reason)


def _unpaid(session: Session, payout_id: UUID) -> RedemptionPayout:
    redemption_id = get_payout(session, payout_id).redemption_id
    redemption = get_redemption(session, redemption_id, lock=True)
    payout = get_payout(session, payout_id, lock=True)
    if payout.state == PayoutState.PAID:
        raise Conflict("payout_settled", "The payout is PAID already.")
    if redemption.state not in PAYABLE:
        raise Conflict("redemption_not_paying", f"The redemption is {redemption.state}.")
    return payout


def _hold(
    session: Session, actor: Actor, payout: RedemptionPayout, reason: str
) -> RedemptionPayout:
    payout.state, payout.reason = PayoutState.HELD, reason
    return _note(session, actor, payout, PAYOUT_HELD)


def _note(
    session: Session, actor: Actor, payout: RedemptionPayout, act: str, **facts: str
) -> RedemptionPayout:
    session.flush()
    journal.record(
        session, actor, act, "redemption", payout.redemption_id,
        payout=str(payout.id), amount_paisa=str(payout.amount_paisa), **facts,
    )  # fmt: skip
    return payout


def close_payouts(session: Session, redemption_id: UUID) -> Redemption:
    """Say that every paisa has its payee.

    Raises
    ------
    Conflict
        ``payouts_due``, ``payouts_do_not_sum`` (RED-01), ``transition_refused``.
    """
    redemption = get_redemption(session, redemption_id, lock=True)
    lifecycle.fire(session, THE_SYSTEM, MACHINE, redemption, "all_paid")
    return redemption


def settle_redemption(session: Session, redemption_id: UUID) -> Redemption:
    """Close the redemption once the chain shows no fraction, and nothing of the asset is left.

    Raises
    ------
    Conflict
        ``supply_not_burned``, ``asset_not_retired``, ``title_in_wrapper``,
        ``transition_refused``.
    """
    redemption = get_redemption(session, redemption_id, lock=True)
    tokenization = tokenizations.get_tokenization(session, redemption.tokenization_id, lock=True)
    given = {"supply_units": supply_of(session, tokenization)}
    lifecycle.fire(session, THE_SYSTEM, MACHINE, redemption, "burn", given=given)
    return redemption


def end_token(session: Session, redemption_id: UUID) -> Tokenization:
    """Record that the token is burned, as soon as the chain shows no fraction of it.

    It comes before the asset can be retired, which no living token lets happen.

    Raises
    ------
    Conflict
        ``redemption_not_paid``, ``supply_not_as_expected``, ``transition_refused``.
    """
    redemption = get_redemption(session, redemption_id, lock=True)
    if redemption.state != RedemptionState.PAID:
        raise Conflict("redemption_not_paid", f"The redemption is {redemption.state}, not PAID.")
    tokenization = tokenizations.get_tokenization(session, redemption.tokenization_id, lock=True)
    given = {"supply_units": supply_of(session, tokenization)}
    tokenizations.fire(session, THE_SYSTEM, tokenization, "redemption_settled", given=given)
    return tokenization


def deliver_redeemed(session: Session, actor: Actor, receipt_id: UUID) -> WarehouseReceipt:
    """Let goods leave the warehouse whose token was redeemed in kind.

    Raises
    ------
    Conflict
        ``redemption_not_settled``, ``transition_refused``.
    Forbidden
        ``not_the_warehouse``.
    """
    receipt = receipts.get_with_asset(session, receipt_id)
    settled = _has_delivery(session, receipt.asset_id, (RedemptionState.SETTLED,))
    kg = receipt.tokenized_kg + receipt.free_kg
    lifecycle.fire(
        session, actor, RECEIPT, receipt, "deliver",
        given={"redemption_settled": settled}, kg=str(kg),
    )  # fmt: skip
    receipt.tokenized_kg, receipt.delivered_kg = receipt.tokenized_kg * 0, kg
    session.flush()
    return receipt


def surrender_redeemed(session: Session, actor: Actor, bill_id: UUID) -> BillOfLading:
    """Ask the carrier for cargo, as the holder; tokenized cargo once its delivery is funded.

    Raises
    ------
    Forbidden
        ``not_the_party``.
    Conflict
        ``redemption_not_funded``, ``holder_not_entitled``, ``transition_refused``.
    """
    bill = bills.get_bill(session, bill_id)
    funded = _has_delivery(session, bill.asset_id, FUNDED)
    return possession.surrender_for_delivery(session, actor, bill_id, redemption_funded=funded)


def _has_delivery(session: Session, asset_id: UUID, states: tuple[RedemptionState, ...]) -> bool:
    return any(
        redemption.kind == RedemptionKind.DELIVERY and redemption.state in states
        for tokenization in tokenizations.list_tokenizations(session, asset_id)
        for redemption in list_redemptions(session, tokenization.id)
    )
