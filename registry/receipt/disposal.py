"""Use cases of whoever may dispose of the goods: transfer, split, pledge, invoke, deliver."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from uuid import UUID

from sqlmodel import Session

from registry.investor.acting import acting_as, find_party_of
from registry.journal import service as journal
from registry.kernel.actor import Actor
from registry.kernel.machine import machine
from registry.lifecycle import service as lifecycle
from registry.lifecycle.offers import make_offer, take_offer
from registry.party import service as parties
from registry.receipt.guards import MACHINE
from registry.receipt.models import ReceiptState, WarehouseReceipt
from registry.receipt.service import check_kilograms, get_receipt, get_with_asset

NOTHING = Decimal(0)


def transfer_receipt(
    session: Session, actor: Actor, receipt_id: UUID, *, to_party_id: UUID
) -> WarehouseReceipt:
    """Hand the receipt to another party.

    Raises
    ------
    Forbidden
        ``not_the_party``.
    Conflict
        ``receipt_encumbered``, ``offer_pending``, ``receipt_term_over``, ``transition_refused``.
    """
    receipt = get_receipt(session, receipt_id, lock=True)
    parties.get_party(session, to_party_id)
    holder = acting_as(session, actor, "holder", receipt.holder_id)
    before = receipt.holder_id
    lifecycle.fire(
        session, holder, MACHINE, receipt, "transfer",
        from_party=str(before), to_party=str(to_party_id),
    )  # fmt: skip
    receipt.holder_id = to_party_id
    session.flush()
    return receipt


def split_receipt(
    session: Session, actor: Actor, receipt_id: UUID, *, parts: Sequence[Decimal]
) -> list[WarehouseReceipt]:
    """Replace the receipt by one for each part; together they are exactly the whole.

    Raises
    ------
    Invalid
        ``split_malformed``, ``split_does_not_sum`` (EWR-01), ``quantity_malformed``.
    Conflict
        ``receipt_encumbered``, ``transition_refused``.
    Forbidden
        ``not_the_warehouse``.
    """
    parent = get_with_asset(session, receipt_id)
    for part in parts:
        check_kilograms(part)
    lifecycle.fire(
        session, actor, MACHINE, parent, "split",
        given={"parts": list(parts)}, parts=[str(part) for part in parts],
    )  # fmt: skip
    children = [
        _child(parent, number, part, maker=actor.subject) for number, part in enumerate(parts, 1)
    ]
    session.add_all(children)
    session.flush()
    for child in children:
        journal.record(
            session, actor, "warehouse_receipt_split_off", "warehouse_receipt", child.id,
            parent=str(parent.id), qty_kg=str(child.qty_kg), state=child.state,
        )  # fmt: skip
    return children


def _child(parent: WarehouseReceipt, number: int, part: Decimal, *, maker: str) -> WarehouseReceipt:
    """Make the receipt of one part; the sum insured is the parent's, rounded down."""
    return WarehouseReceipt(
        asset_id=parent.asset_id,
        parent_id=parent.id,
        key=f"{parent.key}/{number}",
        warehouse=parent.warehouse,
        accredited_until=parent.accredited_until,
        holder_id=parent.holder_id,
        qty_kg=part,
        grade=parent.grade,
        quality=parent.quality,
        insured_paisa=int(parent.insured_paisa * part / parent.qty_kg),
        expires_on=parent.expires_on,
        state=ReceiptState.ISSUED,
        maker=maker,
    )


def offer_pledge(
    session: Session, actor: Actor, receipt_id: UUID, *, pledgee_id: UUID, kg: Decimal
) -> WarehouseReceipt:
    """Offer goods as a pledge; they are pledged when the pledgee accepts.

    Raises
    ------
    Forbidden
        ``not_the_party``.
    Conflict
        ``offer_pending``, ``transition_refused``.
    """
    receipt = get_receipt(session, receipt_id, lock=True)
    parties.get_party(session, pledgee_id)
    check_kilograms(kg)
    holder = acting_as(session, actor, "holder", receipt.holder_id)
    machine(MACHINE).arrow(receipt.state, "pledge", holder.roles)
    make_offer(
        receipt, actor, "pledge",
        pledgee_id=str(pledgee_id), kg=str(kg), party_id=str(receipt.holder_id),
    )  # fmt: skip
    session.add(receipt)
    session.flush()
    journal.record(
        session, actor, "warehouse_receipt_pledge_offered", "warehouse_receipt", receipt.id,
        pledgee=str(pledgee_id), kg=str(kg),
    )  # fmt: skip
    return receipt


def accept_pledge(session: Session, actor: Actor, receipt_id: UUID) -> WarehouseReceipt:
    """Take the pledge, as the party to whom it was offered.

    Raises
    ------
    Forbidden
        ``not_the_party``, ``pledge_not_agreed``.
    Conflict
        ``offer_missing``, ``quantity_not_free`` (EWR-01), ``receipt_term_over``.
    """
    receipt = get_receipt(session, receipt_id, lock=True)
    offer = take_offer(receipt, "pledge")
    pledgee_id, kg = UUID(offer["pledgee_id"]), Decimal(offer["kg"])
    pledgee = acting_as(session, actor, "pledgee", pledgee_id)
    given = {
        "pledgee": pledgee_id,
        "kg": kg,
        "offered_by_party": UUID(offer["party_id"]),
        "accepted_by": find_party_of(session, actor),
    }
    # Who holds the pledge and that there is one become true in one statement.
    with session.no_autoflush:
        receipt.pledgee_id = pledgee_id
        lifecycle.fire(
            session, pledgee, MACHINE, receipt, "pledge",
            given=given, kg=str(kg), offered_by=offer["by"], pledgee=str(pledgee_id),
        )  # fmt: skip
    receipt.pledged_kg = kg
    session.flush()
    return receipt


def release_pledge(session: Session, actor: Actor, receipt_id: UUID) -> WarehouseReceipt:
    """Let the pledge go, as the pledgee.

    Raises
    ------
    Forbidden
        ``not_the_party``.
    Conflict
        ``transition_refused``.
    """
    receipt = get_receipt(session, receipt_id, lock=True)
    pledgee = acting_as(session, actor, "pledgee", receipt.pledgee_id)
    with session.no_autoflush:
        receipt.pledgee_id, receipt.pledged_kg = None, NOTHING
        lifecycle.fire(session, pledgee, MACHINE, receipt, "release")
    return receipt


def invoke_pledge(
    session: Session, actor: Actor, receipt_id: UUID, *, notice_id: UUID
) -> WarehouseReceipt:
    """Invoke the pledge on a verified notice of default, as the pledgee.

    Raises
    ------
    Forbidden
        ``not_the_party``.
    Conflict
        ``source_not_verified``, ``transition_refused``.
    """
    receipt = get_receipt(session, receipt_id, lock=True)
    pledgee = acting_as(session, actor, "pledgee", receipt.pledgee_id)
    given = {"document_id": notice_id}
    lifecycle.fire(
        session, pledgee, MACHINE, receipt, "invoke", given=given, document=str(notice_id)
    )
    return receipt


def liquidate_pledge(
    session: Session, actor: Actor, receipt_id: UUID, *, sale_note_id: UUID, proceeds_paisa: int
) -> WarehouseReceipt:
    """Record the sale of invoked goods and what it brought, as the pledgee.

    Raises
    ------
    Forbidden
        ``not_the_party``.
    Invalid
        ``proceeds_missing``.
    Conflict
        ``source_not_verified``, ``transition_refused``.
    """
    receipt = get_with_asset(session, receipt_id)
    pledgee = acting_as(session, actor, "pledgee", receipt.pledgee_id)
    given = {"document_id": sale_note_id, "proceeds_paisa": proceeds_paisa}
    lifecycle.fire(
        session, pledgee, MACHINE, receipt, "liquidate",
        given=given, document=str(sale_note_id), proceeds_paisa=str(proceeds_paisa),
    )  # fmt: skip
    receipt.proceeds_paisa = proceeds_paisa
    session.flush()
    return receipt


def deliver_goods(
    session: Session, actor: Actor, receipt_id: UUID, *, release_order_id: UUID
) -> WarehouseReceipt:
    """Let everything that is there leave on a release order.

    Raises
    ------
    Forbidden
        ``not_the_warehouse``.
    Conflict
        ``receipt_encumbered``, ``redemption_not_settled``, ``source_not_verified``,
        ``tokenization_alive``.
    """
    receipt = get_with_asset(session, receipt_id)
    given = {"document_id": release_order_id}
    free = receipt.free_kg
    lifecycle.fire(
        session, actor, MACHINE, receipt, "deliver",
        given=given, document=str(release_order_id), kg=str(free),
    )  # fmt: skip
    receipt.delivered_kg = free
    session.flush()
    return receipt
