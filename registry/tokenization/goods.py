"""Goods behind a token: locked while it lives, and felt by it when they run out or go bad."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from uuid import UUID

from sqlmodel import Session, col, select

from registry.asset import service as assets
from registry.document.service import get_document
from registry.journal import service as journal
from registry.kernel.actor import THE_SYSTEM, Actor
from registry.kernel.clock import today
from registry.kernel.errors import Conflict, Forbidden
from registry.lifecycle import service as lifecycle
from registry.receipt import service as receipts
from registry.receipt.guards import MACHINE, require_own_warehouse
from registry.receipt.models import ReceiptState, WarehouseReceipt
from registry.receipt.papers import verified_paper
from registry.receipt.renewal import NO_RENEWAL, Renewal, renewed, told
from registry.receipt.service import Deposit
from registry.tokenization import service as tokenizations
from registry.tokenization.guards import find_alive, find_approved, require_no_token
from registry.tokenization.models import TokenizationState

NOTHING = Decimal(0)


def open_receipt(
    session: Session, actor: Actor, asset_id: UUID, deposit: Deposit
) -> WarehouseReceipt:
    """Open a receipt, unless a token stands on the goods without it.

    Raises
    ------
    Conflict
        ``tokenization_alive``.
    Invalid, Conflict
        As `receipt.service.deposit_goods`.
    """
    assets.get_asset(session, asset_id, lock=True)
    require_no_token(session, asset_id)
    return receipts.deposit_goods(session, actor, asset_id, deposit)


def unlock_receipt(session: Session, actor: Actor, receipt_id: UUID) -> WarehouseReceipt:
    """Let the goods go after the token has ended.

    Raises
    ------
    Conflict
        ``tokenization_alive``, ``transition_refused``.
    Forbidden
        ``transition_forbidden``.
    """
    receipt = receipts.get_receipt(session, receipt_id, lock=True)
    lifecycle.fire(session, actor, MACHINE, receipt, "unlock", given=_token_facts(session, receipt))
    receipt.tokenized_kg = NOTHING
    session.flush()
    return receipt


def _token_facts(session: Session, receipt: WarehouseReceipt) -> dict[str, object]:
    return {"live_tokenization": find_approved(session, receipt.asset_id) is not None}


def due_receipts(session: Session) -> list[UUID]:
    """List the receipts whose term is over and that have not felt it yet."""
    rows = session.exec(
        select(WarehouseReceipt.id)
        .where(
            col(WarehouseReceipt.state).in_((ReceiptState.ISSUED, ReceiptState.TOKEN_LOCKED)),
            col(WarehouseReceipt.expires_on) < today(),
        )
        .order_by(col(WarehouseReceipt.id))
    )
    return list(rows.all())


def expire_receipt(session: Session, receipt_id: UUID) -> WarehouseReceipt:
    """Let a receipt expire by its date; its live token is paused in the same transaction.

    Raises
    ------
    Conflict
        ``receipt_in_term``, ``transition_refused``.
    """
    receipt = receipts.get_with_asset(session, receipt_id)
    if receipt.state == ReceiptState.TOKEN_LOCKED and receipt.expires_on < today():
        _pause(session, receipt, f"receipt {receipt.id} expired on {receipt.expires_on}")
    alive = find_alive(session, receipt.asset_id)
    # Before it is live a token has no transfers; the gate stops each of its further steps.
    stopped = alive is None or alive.state != TokenizationState.LIVE
    given = {"token_stopped": stopped}
    lifecycle.fire(session, THE_SYSTEM, MACHINE, receipt, "expire", given=given)
    return receipt


def _pause(session: Session, receipt: WarehouseReceipt, reason: str) -> None:
    alive = find_alive(session, receipt.asset_id)
    if alive is not None and alive.state == TokenizationState.LIVE:
        tokenizations.pause_token(session, THE_SYSTEM, alive.id, reason=reason)


def extend_receipt(
    session: Session,
    actor: Actor,
    receipt_id: UUID,
    *,
    assay_id: UUID,
    expires_on: date,
    renewal: Renewal = NO_RENEWAL,
) -> WarehouseReceipt:
    """Give an expired receipt a new term after a new assay.

    It is locked again where a token lives on; that token stays paused until it is unpaused
    under its own guard.

    Parameters
    ----------
    renewal
        What the warehouse has renewed since the goods came in.

    Raises
    ------
    Invalid
        As `receipt.renewal.renewed`.
    Conflict
        ``assay_outdated``, ``receipt_term_over``, ``accreditation_expired``,
        ``source_not_verified``, ``transition_refused``.
    Forbidden
        ``not_the_warehouse``.
    """
    receipt = receipts.get_with_asset(session, receipt_id)
    facts = _token_facts(session, receipt)
    event = "extend_locked" if facts["live_tokenization"] else "extend"
    most_insured = receipts.insured_by_dossier(session, receipt)
    changes = renewed(session, receipt, renewal, most_insured=most_insured)
    given = {**facts, "assay_id": assay_id, "expires_on": expires_on, "renewed": changes}
    lifecycle.change(
        session, actor, MACHINE, receipt, event, changes | {"expires_on": expires_on},
        given=given, assay=str(assay_id), expires_on=str(expires_on), **told(renewal),
    )  # fmt: skip
    if event == "extend":
        receipt.tokenized_kg = NOTHING
    session.flush()
    return receipt


def auction_goods(
    session: Session, actor: Actor, receipt_id: UUID, *, auction_note_id: UUID, proceeds_paisa: int
) -> WarehouseReceipt:
    """Record the auction of expired goods that nobody took, as the warehouse.

    Raises
    ------
    Conflict
        ``tokenization_alive``, ``source_not_verified``, ``transition_refused``.
    Invalid
        ``proceeds_missing``.
    Forbidden
        ``not_the_warehouse``.
    """
    receipt = receipts.get_with_asset(session, receipt_id)
    given = {
        **_token_facts(session, receipt),
        "document_id": auction_note_id,
        "proceeds_paisa": proceeds_paisa,
    }
    lifecycle.fire(
        session, actor, MACHINE, receipt, "liquidate",
        given=given, document=str(auction_note_id), proceeds_paisa=str(proceeds_paisa),
    )  # fmt: skip
    receipt.proceeds_paisa = proceeds_paisa
    session.flush()
    return receipt


def record_loss(
    session: Session, actor: Actor, receipt_id: UUID, *, kg: Decimal, audit_id: UUID
) -> WarehouseReceipt:
    """Record goods that a stock audit found short or spoilt; the token behind them is paused.

    What is lost is no longer locked: the gate then counts less than the dossier (EWR-01).

    Raises
    ------
    Conflict
        ``quantity_not_free`` (EWR-01), ``receipt_ended``, ``source_not_verified``.
    Forbidden
        ``not_the_warehouse``; ``checker_is_maker``: who verified the audit does not record it.
    """
    receipt = receipts.get_with_asset(session, receipt_id)
    require_own_warehouse(actor, receipt)
    receipts.check_kilograms(kg)
    if receipt not in receipts.live_receipts(session, receipt.asset_id):
        raise Conflict("receipt_ended", f"The receipt is {receipt.state}.")
    verified_paper(session, receipt.asset_id, audit_id, kind="STOCK_AUDIT")
    if actor.is_person_of(get_document(session, audit_id).verified_by):
        raise Forbidden("checker_is_maker", "Who verified the audit does not record the loss.")
    locked = receipt.tokenized_kg
    if kg > receipt.free_kg + locked:
        raise Conflict(
            "quantity_not_free",
            f"{kg} kg are lost, {receipt.free_kg + locked} kg are there unpledged (rule EWR-01).",
            rule="EWR-01",
        )
    receipt.tokenized_kg = min(locked, receipt.free_kg + locked - kg)
    receipt.loss_kg += kg
    session.flush()
    journal.record(
        session, actor, "warehouse_receipt_loss_recorded", "warehouse_receipt", receipt.id,
        kg=str(kg), audit=str(audit_id),
    )  # fmt: skip
    if locked:
        _pause(session, receipt, f"receipt {receipt.id} lost {kg} kg")
    return receipt


def locked_receipts(session: Session, asset_id: UUID) -> Sequence[WarehouseReceipt]:
    """List the receipts that the token of the asset has locked."""
    return [
        row
        for row in receipts.live_receipts(session, asset_id)
        if row.state == ReceiptState.TOKEN_LOCKED
    ]
