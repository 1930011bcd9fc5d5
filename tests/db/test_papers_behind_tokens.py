"""Goods and cargo behind a token: none that left before it, and no paper that it has not locked."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from registry.bill_of_lading import possession
from registry.bill_of_lading import service as bills
from registry.bill_of_lading.models import BillState
from registry.kernel.actor import Role
from registry.kernel.clock import today
from registry.kernel.errors import Conflict
from registry.receipt import disposal
from registry.receipt import service as receipts
from registry.receipt.models import ReceiptState
from registry.redemption import paying
from registry.rulebook.service import RulesRefused
from registry.tokenization import cargo, goods
from registry.tokenization import service as tokenizations
from registry.tokenization.models import Tokenization, TokenizationState
from tests import factories as make
from tests import goods as lots
from tests import sales
from tests.factories import CHECKER, Desk
from tests.goods import CARRIER, QTY, WAREHOUSE, Lot, Shipment
from tests.redemptions import settled_in_kind
from tests.sales import Wrapped

pytestmark = pytest.mark.db


def structured_lot(desk: Desk) -> tuple[Wrapped, Lot, Tokenization]:
    wrapped, lot = lots.wrapped_lot(desk)
    return wrapped, lot, sales.structured(desk, wrapped)


def structured_cargo(desk: Desk) -> tuple[Wrapped, Shipment, Tokenization]:
    wrapped, shipment = lots.wrapped_cargo(desk)
    return wrapped, shipment, sales.structured(desk, wrapped)


def deliver(desk: Desk, lot: Lot) -> None:
    order = lots.paper(desk, lot.asset, "RELEASE_ORDER")
    disposal.deliver_goods(desk.session, WAREHOUSE, lot.receipt.id, release_order_id=order)


def surrender(desk: Desk, shipment: Shipment) -> None:
    possession.surrender_for_delivery(desk.session, shipment.shipper.actor, shipment.bill.id)


def lot_that_left(desk: Desk) -> tuple[Wrapped, Tokenization]:
    wrapped, lot, tokenization = structured_lot(desk)
    sales.approve_terms(desk, tokenization, Role.COMPLIANCE)
    deliver(desk, lot)
    return wrapped, tokenization


def cargo_that_left(desk: Desk) -> tuple[Wrapped, Tokenization]:
    wrapped, shipment, tokenization = structured_cargo(desk)
    sales.approve_terms(desk, tokenization, Role.COMPLIANCE)
    surrender(desk, shipment)
    possession.accept_surrender(desk.session, CARRIER, shipment.bill.id)
    return wrapped, tokenization


@pytest.mark.parametrize(
    ("leave", "rule"), [(lot_that_left, "EWR-01"), (cargo_that_left, "EBL-01")]
)
def test_token__of_what_has_left__is_neither_approved_nor_structured(
    desk: Desk, leave: Callable[[Desk], tuple[Wrapped, Tokenization]], rule: str
) -> None:
    wrapped, tokenization = leave(desk)

    with pytest.raises(RulesRefused) as refusal:
        sales.approve_terms(desk, tokenization, Role.REGISTRAR_CHECKER)
    assert [item.id for item in refusal.value.failed] == [rule]
    assert tokenization.state == TokenizationState.STRUCTURED
    tokenizations.cancel_tokenization(
        desk.session, wrapped.issuer.actor, tokenization.id, reason="Gone."
    )
    with pytest.raises(RulesRefused) as refusal:
        sales.structured(desk, wrapped)
    assert [item.id for item in refusal.value.failed] == [rule]


def test_token__of_goods_that_were_refused_at_the_gate__is_judged_by_its_dossier(
    desk: Desk,
) -> None:
    wrapped = sales.wrapped_wheat(desk)
    holder = lots.side_of(desk, wrapped.issuer)
    receipt = lots.deposit(desk, wrapped.asset, holder.party)
    receipts.reject_goods(desk.session, lots.ASSAYER, receipt.id, reason="Weevilled.")

    assert sales.approved(desk, wrapped).state == TokenizationState.APPROVED


def test_token__of_cargo_whose_bill_is_a_draft__is_not_approved(desk: Desk) -> None:
    shipment = lots.made_out(desk)
    wrapped = lots.wrap_cargo(desk, shipment.asset, shipment.shipper)
    tokenization = sales.structured(desk, wrapped)
    sales.approve_terms(desk, tokenization, Role.COMPLIANCE)

    with pytest.raises(Conflict, match="transition_refused"):
        sales.approve_terms(desk, tokenization, Role.REGISTRAR_CHECKER)


def test_receipt__of_a_token_that_stands_without_it__is_not_opened(desk: Desk) -> None:
    wrapped = sales.wrapped_wheat(desk)
    sales.approved(desk, wrapped)
    holder = lots.side_of(desk, wrapped.issuer)

    with pytest.raises(Conflict, match="tokenization_alive"):
        goods.open_receipt(
            desk.session, WAREHOUSE, wrapped.asset.id, lots.terms(desk, wrapped.asset, holder.party)
        )
    assert receipts.list_receipts(desk.session, wrapped.asset.id) == []


def test_receipt__opened_before_the_terms_were_approved_without_it__is_not_issued(
    desk: Desk,
) -> None:
    """As the register had them from before: the token locked what was there."""
    wrapped = sales.wrapped_wheat(desk)
    sales.approved(desk, wrapped)
    holder = lots.side_of(desk, wrapped.issuer)
    lot = Lot(wrapped.asset, lots.deposit(desk, wrapped.asset, holder.party), holder)
    lots.grade(desk, lot)
    receipts.accept_grade(desk.session, holder.actor, lot.receipt.id)

    with pytest.raises(Conflict, match="tokenization_alive"):
        receipts.issue_receipt(desk.session, WAREHOUSE, lot.receipt.id)
    assert lot.receipt.state == ReceiptState.ASSAYED


def test_bill__of_a_token_that_stands_without_it__is_neither_made_out_nor_issued(
    desk: Desk,
) -> None:
    shipper, number = lots.side(desk), next(make.numbers)
    reference, boxes = f"REF{number}", [lots.container(number)]
    asset = lots.open_cargo(desk, shipper.party, reference, boxes)
    new = lots.new_bill(reference, boxes, shipper.party)
    wrapped = lots.wrap_cargo(desk, asset, shipper)
    sales.approved(desk, wrapped)

    with pytest.raises(Conflict, match="tokenization_alive"):
        cargo.make_out_bill(desk.session, CARRIER, asset.id, new)
    # As the register had them from before.
    bill = bills.make_out_bill(desk.session, CARRIER, asset.id, new)
    bills.approve_draft(desk.session, shipper.actor, bill.id)
    with pytest.raises(Conflict, match="tokenization_alive"):
        bills.issue_bill(desk.session, CARRIER, bill.id)


def test_receipt__extended_before_the_terms_are_approved__is_locked_by_their_approval(
    desk: Desk,
) -> None:
    _, lot, tokenization = structured_lot(desk)
    lot.receipt.expires_on = today() - timedelta(days=1)
    desk.session.flush()
    goods.expire_receipt(desk.session, lot.receipt.id)

    goods.extend_receipt(
        desk.session, WAREHOUSE, lot.receipt.id,
        assay_id=lots.paper(desk, lot.asset, "ASSAY_REPORT", issued_on=today()),
        expires_on=today() + timedelta(days=60),
    )  # fmt: skip

    states = [lot.receipt.state]
    sales.approve_terms(desk, tokenization, Role.COMPLIANCE)
    sales.approve_terms(desk, tokenization, Role.REGISTRAR_CHECKER)
    assert [*states, lot.receipt.state] == [ReceiptState.ISSUED, ReceiptState.TOKEN_LOCKED]


def test_bill__given_back_before_the_terms_are_approved__is_locked_by_their_approval(
    desk: Desk,
) -> None:
    _, shipment, tokenization = structured_cargo(desk)
    surrender(desk, shipment)

    cargo.refuse_surrender(desk.session, CARRIER, shipment.bill.id, reason="No freight")

    states = [shipment.bill.state]
    sales.approve_terms(desk, tokenization, Role.COMPLIANCE)
    sales.approve_terms(desk, tokenization, Role.REGISTRAR_CHECKER)
    assert [*states, shipment.bill.state] == [BillState.ISSUED, BillState.TOKEN_LOCKED]
    with pytest.raises(Conflict, match="tokenization_alive"):
        cargo.unlock_bill(desk.session, CHECKER, shipment.bill.id)


def expired_token(desk: Desk) -> tuple[Lot, Tokenization]:
    """Let the receipt behind an approved token run out."""
    _, lot, tokenization = structured_lot(desk)
    sales.approve_terms(desk, tokenization, Role.COMPLIANCE)
    sales.approve_terms(desk, tokenization, Role.REGISTRAR_CHECKER)
    run_out(desk, lot)
    return lot, tokenization


def run_out(desk: Desk, lot: Lot) -> None:
    lot.receipt.expires_on = today() - timedelta(days=1)
    desk.session.flush()
    goods.expire_receipt(desk.session, lot.receipt.id)


def test_expired_goods__behind_a_token__leave_only_after_its_redemption(desk: Desk) -> None:
    lot, tokenization = expired_token(desk)

    with pytest.raises(Conflict, match="redemption_not_settled"):
        deliver(desk, lot)
    settled_in_kind(desk, tokenization)
    receipt = paying.deliver_redeemed(desk.session, WAREHOUSE, lot.receipt.id)
    assert (receipt.state, receipt.delivered_kg) == (ReceiptState.DELIVERED, QTY)


def test_expired_goods__all_lost_behind_a_token__are_not_delivered(desk: Desk) -> None:
    lot, _ = expired_token(desk)
    audit = lots.paper(desk, lot.asset, "STOCK_AUDIT")
    goods.record_loss(desk.session, WAREHOUSE, lot.receipt.id, kg=QTY, audit_id=audit)

    with pytest.raises(Conflict, match="tokenization_alive"):
        deliver(desk, lot)


def test_expired_goods__whose_token_was_given_up__are_fetched_by_their_owner(desk: Desk) -> None:
    lot, tokenization = expired_token(desk)
    tokenization.state = TokenizationState.CANCELLED
    desk.session.flush()

    receipt = goods.unlock_receipt(desk.session, CHECKER, lot.receipt.id)
    assert receipt.tokenized_kg == 0
    deliver(desk, lot)
    assert (receipt.state, receipt.delivered_kg) == (ReceiptState.DELIVERED, QTY)
