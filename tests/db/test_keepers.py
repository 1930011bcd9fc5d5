"""Who acts for a warehouse or a carrier: their person, their keys, or whom two officers named."""

from __future__ import annotations

from collections import Counter

import pytest

from registry.bill_of_lading import service as bills
from registry.bill_of_lading.models import BillState
from registry.keeping import service as keeping
from registry.keeping.service import Naming
from registry.kernel.actor import Actor, Role, system_subject
from registry.kernel.errors import Conflict, Forbidden
from registry.receipt import service as receipts
from registry.receipt.models import ReceiptState
from tests import factories as make
from tests import goods as lots
from tests.factories import CHECKER, COMPLIANCE, Desk
from tests.goods import CARRIER, OTHER_CARRIER, OTHER_WAREHOUSE, WAREHOUSE, Lot

pytestmark = pytest.mark.db


def key_of(person: Actor, name: str = "scales") -> Actor:
    return Actor(system_subject(name, person.subject), person.roles)


def valued(desk: Desk) -> Lot:
    lot = lots.assayed(desk)
    make.value(desk, lot.asset)
    return lot


def agree(desk: Desk, who: Actor, role: Role, lot: Lot, to: Actor) -> Counter[Role]:
    naming = Naming(role=role, subject=to.subject, reason="The clerk has left.")
    return keeping.name_receipt_keeper(desk.session, who, lot.receipt.id, naming)


def name(desk: Desk, lot: Lot, to: Actor) -> None:
    assert list(agree(desk, COMPLIANCE, Role.COMPLIANCE, lot, to)) == [Role.REGISTRAR_CHECKER]
    assert not agree(desk, CHECKER, Role.REGISTRAR_CHECKER, lot, to)


def test_receipt__by_a_key_of_who_took_the_goods_in__is_issued(desk: Desk) -> None:
    lot = valued(desk)

    with pytest.raises(Forbidden, match="not_the_warehouse"):
        receipts.issue_receipt(desk.session, key_of(OTHER_WAREHOUSE), lot.receipt.id)
    receipts.issue_receipt(desk.session, key_of(WAREHOUSE), lot.receipt.id)

    assert lot.receipt.state == ReceiptState.ISSUED


def test_receipt__keeper_named_by_two_officers__acts_instead(desk: Desk) -> None:
    lot = valued(desk)
    agree(desk, COMPLIANCE, Role.COMPLIANCE, lot, OTHER_WAREHOUSE)
    with pytest.raises(Forbidden, match="not_the_warehouse"):
        receipts.issue_receipt(desk.session, OTHER_WAREHOUSE, lot.receipt.id)

    assert not agree(desk, CHECKER, Role.REGISTRAR_CHECKER, lot, OTHER_WAREHOUSE)

    with pytest.raises(Forbidden, match="not_the_warehouse"):
        receipts.issue_receipt(desk.session, WAREHOUSE, lot.receipt.id)
    receipts.issue_receipt(desk.session, OTHER_WAREHOUSE, lot.receipt.id)
    assert lot.receipt.state == ReceiptState.ISSUED


def test_receipt__named_back_and_again__is_agreed_each_time(desk: Desk) -> None:
    lot = valued(desk)
    for to in (OTHER_WAREHOUSE, WAREHOUSE, OTHER_WAREHOUSE):
        name(desk, lot, to)

    assert lot.receipt.maker == OTHER_WAREHOUSE.subject


def test_receipt__another_account_than_was_agreed_to__takes_both_again(desk: Desk) -> None:
    lot = valued(desk)
    agree(desk, COMPLIANCE, Role.COMPLIANCE, lot, OTHER_WAREHOUSE)

    with pytest.raises(Conflict, match="approvals_missing"):
        agree(desk, CHECKER, Role.REGISTRAR_CHECKER, lot, lots.ASSAYER)


@pytest.mark.parametrize("to", [CHECKER, key_of(CHECKER)])
def test_receipt__officer_who_names_themselves__is_refused(desk: Desk, to: Actor) -> None:
    lot = valued(desk)
    agree(desk, COMPLIANCE, Role.COMPLIANCE, lot, to)

    with pytest.raises(Forbidden, match="checker_is_maker"):
        agree(desk, CHECKER, Role.REGISTRAR_CHECKER, lot, to)


def test_receipt__of_goods_not_assayed__keeps_who_took_them_in(desk: Desk) -> None:
    lot = lots.deposited(desk)

    with pytest.raises(Conflict, match="receipt_not_assayed"):
        agree(desk, COMPLIANCE, Role.COMPLIANCE, lot, OTHER_WAREHOUSE)


def test_bill__by_a_key_and_by_a_named_carrier__is_issued(desk: Desk) -> None:
    first, second = lots.approved_bill(desk), lots.approved_bill(desk)

    bills.issue_bill(desk.session, key_of(CARRIER), first.bill.id)
    for who, role in ((COMPLIANCE, Role.COMPLIANCE), (CHECKER, Role.REGISTRAR_CHECKER)):
        naming = Naming(role=role, subject=OTHER_CARRIER.subject, reason="The desk moved.")
        keeping.name_bill_keeper(desk.session, who, second.bill.id, naming)
    with pytest.raises(Forbidden, match="not_the_carrier"):
        bills.issue_bill(desk.session, CARRIER, second.bill.id)
    bills.issue_bill(desk.session, OTHER_CARRIER, second.bill.id)

    assert {first.bill.state, second.bill.state} == {BillState.ISSUED}
