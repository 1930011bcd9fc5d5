"""Use cases on warehouse receipts: goods come in, are graded, and the receipt is issued."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from uuid import UUID

from sqlmodel import Session, col, select

from registry.asset import service as assets
from registry.asset.classes import check_details, class_of
from registry.asset.models import Asset, AssetClass
from registry.asset.warehoused import WarehousedDetails
from registry.investor.acting import acting_as
from registry.journal import service as journal
from registry.kernel.actor import Actor
from registry.kernel.errors import Conflict, Forbidden, Invalid
from registry.kernel.machine import machine
from registry.kernel.rows import get_row
from registry.lifecycle import service as lifecycle
from registry.lifecycle.offers import make_offer, offered_by, take_offer
from registry.party import service as parties
from registry.receipt.guards import MACHINE
from registry.receipt.models import ENDED, ReceiptState, WarehouseReceipt
from registry.receipt.renewal import NO_RENEWAL, Renewal, renewed, told
from registry.rulebook.facts import Finding


@dataclass(frozen=True, slots=True, kw_only=True)
class Deposit:
    """Goods that a warehouse takes in.

    Parameters
    ----------
    key
        Natural key of the receipt, which the asset's dossier claims.
    depositor_id
        The party that brought the goods, and holds the receipt.
    expires_on
        Last day of the receipt; None takes the dossier's.
    """

    key: str
    warehouse: str
    accredited_until: date
    depositor_id: UUID
    qty_kg: Decimal
    expires_on: date | None = None


def deposit_goods(
    session: Session, actor: Actor, asset_id: UUID, deposit: Deposit
) -> WarehouseReceipt:
    """Open the receipt of goods that stand in a dossier of warehoused goods.

    Raises
    ------
    Invalid
        ``quantity_malformed``, ``receipt_key_unknown``: the dossier does not claim the key.
    Conflict
        ``asset_not_warehoused``, ``receipt_exists``, ``quantity_exceeds_dossier``.
    """
    asset = assets.get_asset(session, asset_id, lock=True)
    details = warehoused_details(asset)
    parties.get_party(session, deposit.depositor_id)
    check_kilograms(deposit.qty_kg)
    if deposit.key not in assets.list_keys(session, asset_id):
        raise Invalid(
            "receipt_key_unknown", "The dossier does not claim this receipt.", field="/key"
        )
    if session.exec(select(WarehouseReceipt).where(WarehouseReceipt.key == deposit.key)).first():
        raise Conflict("receipt_exists", "The receipt of this number is open already.")
    standing = sum((row.qty_kg for row in live_receipts(session, asset_id)), Decimal(0))
    if standing + deposit.qty_kg > details.qty_kg:
        raise Conflict(
            "quantity_exceeds_dossier",
            f"The dossier counts {details.qty_kg} kg, its receipts {standing + deposit.qty_kg}.",
            rule="EWR-01",
        )
    receipt = WarehouseReceipt(
        asset_id=asset_id,
        key=deposit.key,
        warehouse=deposit.warehouse,
        accredited_until=deposit.accredited_until,
        holder_id=deposit.depositor_id,
        qty_kg=deposit.qty_kg,
        insured_paisa=details.insured_paisa() or 0,
        expires_on=deposit.expires_on or details.expiry,
        maker=actor.subject,
    )
    session.add(receipt)
    session.flush()
    journal.record(
        session, actor, "warehouse_receipt_deposited", "warehouse_receipt", receipt.id,
        key=receipt.key, qty_kg=str(receipt.qty_kg), asset_id=str(asset_id),
    )  # fmt: skip
    return receipt


def insured_by_dossier(session: Session, receipt: WarehouseReceipt) -> int:
    """Return for how much the dossier says that the goods of a receipt are insured, in paisa."""
    details = warehoused_details(assets.get_asset(session, receipt.asset_id))
    return details.insured_paisa() or 0


def warehoused_details(asset: Asset) -> WarehousedDetails:
    """Return what the dossier says of its goods.

    Raises
    ------
    Conflict
        ``asset_not_warehoused``.
    """
    if asset.asset_class != AssetClass.COMMODITY_WAREHOUSED:
        raise Conflict("asset_not_warehoused", f"A {asset.asset_class} lies in no warehouse.")
    details = check_details(class_of(asset.asset_class), asset.details)
    assert isinstance(details, WarehousedDetails)
    return details


def check_kilograms(kg: Decimal) -> None:
    """Refuse what is no quantity of goods.

    Raises
    ------
    Invalid
        ``quantity_malformed``.
    """
    # Six places, as the column has: PostgreSQL would round a seventh away.
    if not kg.is_finite() or not 0 < kg < Decimal(10) ** 18 or kg != round(kg, 6):
        raise Invalid(
            "quantity_malformed", f"{kg} is not a quantity in kilograms with at most six decimals."
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Grading:
    """What the assayer found.

    Parameters
    ----------
    quality
        Percentages; ``moisture_pct`` at least.
    """

    grade: str
    quality: Mapping[str, Decimal]
    weight_note_id: UUID
    assay_id: UUID


def grade_goods(
    session: Session, actor: Actor, receipt_id: UUID, grading: Grading
) -> WarehouseReceipt:
    """Offer a grade to the depositor; the goods are assayed when the depositor takes it.

    Raises
    ------
    Conflict
        ``offer_pending``, ``transition_refused``.
    Forbidden
        ``transition_forbidden``, ``checker_is_maker``.
    """
    receipt = get_receipt(session, receipt_id, lock=True)
    machine(MACHINE).arrow(receipt.state, "assay", actor.roles)
    if actor.is_person_of(receipt.maker):
        raise Forbidden("checker_is_maker", "Whoever took the goods in does not assay them.")
    make_offer(
        receipt,
        actor,
        "assay",
        grade=grading.grade,
        quality={name: str(value) for name, value in grading.quality.items()},
        weight_note_id=str(grading.weight_note_id),
        assay_id=str(grading.assay_id),
    )
    return _note(session, actor, receipt, "graded")


def accept_grade(session: Session, actor: Actor, receipt_id: UUID) -> WarehouseReceipt:
    """Take the offered grade, as the depositor: the goods are assayed.

    Raises
    ------
    Forbidden
        ``not_the_party``.
    Conflict
        ``offer_missing``, ``source_not_verified``.
    Invalid
        ``grading_incomplete``, ``source_of_other_kind``, ``source_of_other_asset``.
    """
    receipt = get_receipt(session, receipt_id, lock=True)
    acting_as(session, actor, "holder", receipt.holder_id)
    offer = take_offer(receipt, "assay")
    receipt.grade, receipt.quality = offer["grade"], offer["quality"]
    given = {
        "weight_note_id": UUID(offer["weight_note_id"]),
        "assay_id": UUID(offer["assay_id"]),
        "accepted_by": receipt.holder_id,
    }
    lifecycle.fire(
        session, offered_by(offer, "assayer"), MACHINE, receipt, "assay", given=given,
        accepted_by=actor.subject, grade=receipt.grade,
    )  # fmt: skip
    return receipt


def refuse_offer(session: Session, actor: Actor, receipt_id: UUID) -> WarehouseReceipt:
    """Answer no: the depositor to a grade, the pledgee to a pledge; or take one's own back.

    Raises
    ------
    Forbidden
        ``not_the_party``.
    Conflict
        ``offer_missing``.
    """
    receipt = get_receipt(session, receipt_id, lock=True)
    offer = take_offer(receipt, "assay", "pledge")
    if offer["by"] != actor.subject:
        answers = UUID(offer["pledgee_id"]) if offer["event"] == "pledge" else receipt.holder_id
        acting_as(session, actor, "pledgee" if offer["event"] == "pledge" else "holder", answers)
    return _note(session, actor, receipt, f"{offer['event']}_refused")


def reject_goods(
    session: Session, actor: Actor, receipt_id: UUID, *, reason: str
) -> WarehouseReceipt:
    """Refuse goods below the quality floor, also those that were assayed and are not issued yet.

    Raises
    ------
    Conflict, Forbidden
        As `lifecycle.service.fire`.
    """
    receipt = get_receipt(session, receipt_id, lock=True)
    receipt.offer = None
    given = {"reason": reason}
    lifecycle.fire(session, actor, MACHINE, receipt, "reject", given=given, reason=reason)
    return receipt


def issue_receipt(
    session: Session, actor: Actor, receipt_id: UUID, renewal: Renewal = NO_RENEWAL
) -> WarehouseReceipt:
    """Issue the receipt: accredited, insured for the value, in its term.

    Parameters
    ----------
    renewal
        What the warehouse has renewed since the goods came in.

    Raises
    ------
    Invalid
        As `renewal.renewed`.
    Conflict
        ``accreditation_expired``, ``valuation_missing``, ``goods_underinsured`` (EWR-02),
        ``receipt_term_over`` (EWR-03), ``tokenization_alive``.
    Forbidden
        ``not_the_warehouse``.
    """
    receipt = get_with_asset(session, receipt_id)
    changes = renewed(session, receipt, renewal, most_insured=insured_by_dossier(session, receipt))
    lifecycle.change(
        session, actor, MACHINE, receipt, "issue", changes,
        given={"renewed": changes}, **told(renewal),
    )  # fmt: skip
    return receipt


def _note(session: Session, actor: Actor, receipt: WarehouseReceipt, act: str) -> WarehouseReceipt:
    session.add(receipt)
    session.flush()
    kind = "warehouse_receipt"
    journal.record(session, actor, f"{kind}_{act}", kind, receipt.id, state=receipt.state)
    return receipt


def get_receipt(session: Session, receipt_id: UUID, *, lock: bool = False) -> WarehouseReceipt:
    """Return the receipt.

    Raises
    ------
    NotFound
        There is none of that id.
    """
    return get_row(session, WarehouseReceipt, receipt_id, kind="warehouse receipt", lock=lock)


def get_with_asset(session: Session, receipt_id: UUID) -> WarehouseReceipt:
    """Lock the asset first, as every step of a tokenization does, then the receipt.

    Goods come and go before such a step looks at them or after it, never in between.

    Raises
    ------
    NotFound
        There is none of that id.
    """
    assets.get_asset(session, get_receipt(session, receipt_id).asset_id, lock=True)
    return get_receipt(session, receipt_id, lock=True)


def list_receipts(session: Session, asset_id: UUID) -> Sequence[WarehouseReceipt]:
    """List every receipt of an asset's goods, oldest first."""
    return session.exec(
        select(WarehouseReceipt)
        .where(col(WarehouseReceipt.asset_id) == asset_id)
        .order_by(col(WarehouseReceipt.id))
    ).all()


def live_receipts(session: Session, asset_id: UUID) -> list[WarehouseReceipt]:
    """List the receipts whose goods are still in the warehouse."""
    return [row for row in list_receipts(session, asset_id) if row.state not in ENDED]


def findings(session: Session, asset: Asset) -> Mapping[str, Finding]:
    """Say what the receipts have against the dossier: less is free than it counts (EWR-01).

    A dossier whose receipts are not opened yet is judged by its own fields alone; one whose
    goods have left is not.
    """
    if asset.asset_class != AssetClass.COMMODITY_WAREHOUSED:
        return {}
    rows = list_receipts(session, asset.id)
    # Cancelled: refused goods never were there, and those of a split stand on its parts.
    if all(row.state == ReceiptState.CANCELLED for row in rows):
        return {}
    receipts = [row for row in rows if row.state not in ENDED]
    if not receipts:
        return {"EWR-01": Finding("The goods have left the warehouse: no receipt is live.")}
    details = warehoused_details(asset)
    claimed = details.qty_kg - details.pledged_kg
    # What this asset's own token has locked is what the dossier claims.
    there = sum((row.free_kg + row.tokenized_kg for row in receipts), Decimal(0))
    if claimed <= there:
        return {}
    return {"EWR-01": Finding(f"The dossier counts {claimed} kg, its receipts hold {there} kg.")}


def expires_on(session: Session, asset_id: UUID) -> date | None:
    """Return the last day of the receipt that runs out first, if there is one."""
    days = [receipt.expires_on for receipt in live_receipts(session, asset_id)]
    return min(days, default=None)
