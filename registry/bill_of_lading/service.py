"""Use cases of the carrier and the shipper: a bill is made out, approved, issued, amended."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlmodel import Session, col, select

from registry.asset import service as assets
from registry.bill_of_lading import chain
from registry.bill_of_lading.guards import MACHINE
from registry.bill_of_lading.models import Action, BillEquipment, BillOfLading
from registry.investor.acting import acting_as
from registry.journal import service as journal
from registry.kernel.actor import Actor
from registry.kernel.errors import Conflict, Invalid
from registry.kernel.identifiers import container_fault, voyage_fault
from registry.kernel.rows import get_row
from registry.lifecycle import service as lifecycle
from registry.party import service as parties

REFERENCE = re.compile(r"[A-Z0-9-]{1,20}")
CARRIER = re.compile(r"[A-Z0-9]{2,4}")


@dataclass(frozen=True, slots=True, kw_only=True)
class NewBill:
    """What a carrier makes out.

    Parameters
    ----------
    carrier
        SCAC or SMDG code.
    equipment
        Container numbers, at least one, each once.
    consignee_id
        To whom a straight bill is made out; a bill to order names nobody.
    """

    reference: str
    carrier: str
    is_to_order: bool
    voyage: str
    equipment: Sequence[str]
    shipper_id: UUID
    consignee_id: UUID | None = None


def make_out_bill(session: Session, actor: Actor, asset_id: UUID, new: NewBill) -> BillOfLading:
    """Make out the bill of a cargo whose dossier claims its natural key.

    Raises
    ------
    Invalid
        ``bill_malformed``, ``bill_key_unknown``.
    Conflict
        ``bill_exists``.
    """
    assets.get_asset(session, asset_id, lock=True)
    _check(new)
    for party_id in (new.shipper_id, new.consignee_id):
        if party_id is not None:
            parties.get_party(session, party_id)
    if f"EBL|{new.carrier}|{new.reference}" not in assets.list_keys(session, asset_id):
        raise Invalid("bill_key_unknown", "The dossier does not claim this bill.")
    _refuse_taken(session, new.carrier, new.reference)
    bill = BillOfLading(
        asset_id=asset_id,
        reference=new.reference,
        carrier=new.carrier,
        is_to_order=new.is_to_order,
        voyage=new.voyage,
        shipper_id=new.shipper_id,
        consignee_id=new.consignee_id,
        maker=actor.subject,
    )
    session.add(bill)
    session.flush()
    session.add_all(
        BillEquipment(bill_id=bill.id, equipment=number, voyage=new.voyage)
        for number in sorted(new.equipment)
    )
    session.flush()
    journal.record(
        session, actor, "bill_of_lading_made_out", "bill_of_lading", bill.id,
        reference=bill.reference, carrier=bill.carrier, equipment=sorted(new.equipment),
    )  # fmt: skip
    return bill


def _check(new: NewBill) -> None:
    if not REFERENCE.fullmatch(new.reference):
        raise _malformed("The reference is 1 to 20 capitals, digits or hyphens.", "/reference")
    if not CARRIER.fullmatch(new.carrier):
        raise _malformed("The carrier is its SCAC or SMDG code of 2 to 4 characters.", "/carrier")
    if fault := voyage_fault(new.voyage):
        raise _malformed(fault, "/voyage", rule="ID-06")
    for number in new.equipment:
        if fault := container_fault(number):
            raise _malformed(fault, "/equipment", rule="ID-02")
    if not new.equipment or len(set(new.equipment)) != len(new.equipment):
        raise _malformed("A bill names its containers, each once.", "/equipment")
    if new.is_to_order == (new.consignee_id is not None):
        raise _malformed(
            "A straight bill names its consignee, a bill to order nobody.", "/consignee_id"
        )


def _malformed(detail: str, field: str, *, rule: str | None = None) -> Invalid:
    return Invalid("bill_malformed", detail, field=field, rule=rule)


def _refuse_taken(session: Session, carrier: str, reference: str) -> None:
    taken = select(BillOfLading).where(
        col(BillOfLading.carrier) == carrier, col(BillOfLading.reference) == reference
    )
    if session.exec(taken).first() is not None:
        raise Conflict("bill_exists", f"{carrier} has made out a bill {reference} already.")


def approve_draft(session: Session, actor: Actor, bill_id: UUID) -> BillOfLading:
    """Approve the draft, as the shipper.

    Raises
    ------
    Forbidden
        ``not_the_party``.
    Conflict
        ``transition_refused``.
    """
    bill = get_bill(session, bill_id, lock=True)
    shipper = acting_as(session, actor, "shipper", bill.shipper_id)
    lifecycle.fire(session, shipper, MACHINE, bill, "approve")
    return bill


def void_draft(session: Session, actor: Actor, bill_id: UUID) -> BillOfLading:
    """Void a bill that was never issued, as the carrier.

    Raises
    ------
    Forbidden
        ``not_the_carrier``.
    Conflict
        ``transition_refused``.
    """
    bill = get_bill(session, bill_id, lock=True)
    lifecycle.fire(session, actor, MACHINE, bill, "void")
    return bill


def issue_bill(session: Session, actor: Actor, bill_id: UUID) -> BillOfLading:
    """Issue the bill to its shipper, who from now on possesses it and is entitled.

    A straight bill entitles its consignee; the shipper only possesses it.

    Raises
    ------
    Forbidden
        ``not_the_carrier``.
    Conflict
        ``bill_issued_twice``, ``equipment_under_other_bill`` (EBL-01), ``transition_refused``,
        ``tokenization_alive``.
    """
    bill = get_with_asset(session, bill_id)
    given = {"holder_id": bill.shipper_id, "chain_no": bill.chain_no}
    # State and holder become true in one statement, as the table demands.
    with session.no_autoflush:
        bill.holder_id = bill.shipper_id
        bill.beneficiary_id = bill.consignee_id or bill.shipper_id
        lifecycle.fire(session, actor, MACHINE, bill, "issue", given=given)
    chain.append(session, actor, bill, Action.ISSUE, to_party=bill.holder_id)
    return bill


def reissue_bill(session: Session, actor: Actor, bill_id: UUID, *, reference: str) -> BillOfLading:
    """Issue an amended bill under a new reference; its old chain is void, a new one begins.

    Raises
    ------
    Invalid
        ``reference_not_new``, ``bill_malformed``.
    Conflict
        ``bill_exists``, ``key_taken`` (KEY-01), ``transition_refused``.
    Forbidden
        ``not_the_carrier``.
    """
    bill = get_with_asset(session, bill_id)
    if not REFERENCE.fullmatch(reference):
        raise Invalid("bill_malformed", "The reference has 1 to 20 characters.", field="/reference")
    chain_no = bill.chain_no + 1
    given = {"holder_id": bill.holder_id, "chain_no": chain_no, "reference": reference}
    lifecycle.fire(session, actor, MACHINE, bill, "reissue", given=given, reference=reference)
    _refuse_taken(session, bill.carrier, reference)
    bill.reference, bill.chain_no = reference, chain_no
    session.flush()
    chain.append(session, actor, bill, Action.ISSUE, to_party=bill.holder_id)
    _claim(session, bill)
    return bill


def _claim(session: Session, bill: BillOfLading) -> None:
    """Let the asset claim the bill's new reference too."""
    key = f"EBL|{bill.carrier}|{bill.reference}"
    assets.replace_keys(session, bill.asset_id, [*assets.list_keys(session, bill.asset_id), key])
    if key in assets.rival_claims(session, bill.asset_id):
        raise Conflict(
            "key_taken", "Another dossier claims this bill (rule KEY-01).", rule="KEY-01"
        )
    assets.make_claims_live(session, bill.asset_id)


def switch_to_paper(session: Session, actor: Actor, bill_id: UUID, *, reason: str) -> BillOfLading:
    """End the electronic bill: paper takes its place, and the asset is retired.

    Raises
    ------
    Conflict
        ``asset_not_retired``, ``transition_refused``.
    Invalid
        ``reason_missing``.
    Forbidden
        ``not_the_carrier``.
    """
    bill = get_bill(session, bill_id, lock=True)
    given = {"reason": reason}
    lifecycle.fire(session, actor, MACHINE, bill, "switch_to_paper", given=given, reason=reason)
    return bill


def get_bill(session: Session, bill_id: UUID, *, lock: bool = False) -> BillOfLading:
    """Return the bill.

    Raises
    ------
    NotFound
        There is none of that id.
    """
    return get_row(session, BillOfLading, bill_id, kind="bill of lading", lock=lock)


def get_with_asset(session: Session, bill_id: UUID) -> BillOfLading:
    """Lock the asset first, as every step of a tokenization does, then the bill.

    A bill comes into force or ends before such a step looks at it or after it, never in between.

    Raises
    ------
    NotFound
        There is none of that id.
    """
    assets.get_asset(session, get_bill(session, bill_id).asset_id, lock=True)
    return get_bill(session, bill_id, lock=True)


def list_bills(session: Session, asset_id: UUID) -> Sequence[BillOfLading]:
    """List every bill of a cargo, oldest first."""
    return session.exec(
        select(BillOfLading)
        .where(col(BillOfLading.asset_id) == asset_id)
        .order_by(col(BillOfLading.id))
    ).all()
