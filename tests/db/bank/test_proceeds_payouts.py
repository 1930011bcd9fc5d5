"""Payouts of what a sale has brought: two people, and never more than there is."""

from __future__ import annotations

import secrets

import pytest
from sqlmodel import select

from registry.kernel.clock import now
from registry.kernel.errors import Conflict, Forbidden, Invalid
from registry.ledger import service as ledger
from registry.ledger.models import Account
from registry.offering import minting
from registry.offering.models import Order, OrderState, Payment
from registry.payment import payouts
from registry.payment.models import (
    LineOutcome,
    ProceedsPayoutState,
)
from registry.payment.rails import BANK, Reversal
from registry.payment.reversing import reverse_receipt
from tests import sales
from tests.db.bank.market import COLLEAGUE, TREASURY, Market, outcomes, read
from tests.factories import Desk
from tests.statements import csv_file

pytestmark = pytest.mark.db


@pytest.fixture
def settled(desk: Desk, market: Market, order: Order) -> Order:
    sales.pay(desk, order)
    order.state = OrderState.MINTING
    desk.session.flush()
    minting.settle_orders(desk.session, [order.id])
    desk.session.refresh(order)
    sales.let_live(desk, market.sale)
    return order


def test_payout__two_people__pays_the_issuer_once(
    desk: Desk, market: Market, settled: Order
) -> None:
    sale, price = market.sale, settled.amount_paisa
    assert payouts.payable_of(desk.session, sale.id) == price
    payout = payouts.propose_payout(desk.session, TREASURY, sale.id, amount_paisa=price)

    with pytest.raises(Forbidden, match="checker_is_maker"):
        payouts.confirm_payout(desk.session, TREASURY, payout.id, rail_reference="OUT-1")
    payouts.confirm_payout(desk.session, COLLEAGUE, payout.id, rail_reference="OUT-1")

    assert (payout.state, payouts.payable_of(desk.session, sale.id)) == (
        ProceedsPayoutState.PAID,
        0,
    )
    assert ledger.balance_of(desk.session, Account.SALE_PROCEEDS, sale.id) == 0
    assert ledger.balance_of(desk.session, Account.BANK) == 0
    with pytest.raises(Conflict, match="payout_decided"):
        payouts.confirm_payout(desk.session, COLLEAGUE, payout.id, rail_reference="OUT-2")
    row = read(desk, csv_file(price, ("OUT-1", -price, "", "", "")))
    assert outcomes(desk, row) == [LineOutcome.KNOWN]


def test_payout__more_than_there_is_or_is_proposed__is_refused(
    desk: Desk, market: Market, settled: Order
) -> None:
    sale, price = market.sale, settled.amount_paisa
    with pytest.raises(Conflict, match="payout_exceeds_proceeds"):
        payouts.propose_payout(desk.session, TREASURY, sale.id, amount_paisa=price + 1)
    with pytest.raises(Invalid, match="payout_amount_zero"):
        payouts.propose_payout(desk.session, TREASURY, sale.id, amount_paisa=0)
    first = payouts.propose_payout(desk.session, TREASURY, sale.id, amount_paisa=price - 1)
    with pytest.raises(Conflict, match="payout_exceeds_proceeds"):
        payouts.propose_payout(desk.session, TREASURY, sale.id, amount_paisa=2)

    payouts.reject_payout(desk.session, TREASURY, first.id, reason="Wrong account")

    second = payouts.propose_payout(desk.session, TREASURY, sale.id, amount_paisa=price)
    assert [row.state for row in payouts.list_payouts(desk.session, sale.id)] == [
        ProceedsPayoutState.REJECTED,
        ProceedsPayoutState.PROPOSED,
    ]
    third = payouts.propose_payout
    with pytest.raises(Conflict, match="payout_exceeds_proceeds"):
        third(desk.session, TREASURY, sale.id, amount_paisa=1)
    assert second.amount_paisa == price


def test_payout__what_a_buyer_owes__is_kept_back(
    desk: Desk, market: Market, settled: Order
) -> None:
    sale, price = market.sale, settled.amount_paisa
    payout = payouts.propose_payout(desk.session, TREASURY, sale.id, amount_paisa=price)
    payment = desk.session.exec(select(Payment)).one()
    told = Reversal("REV", payment.rail_reference, price, now())
    reverse_receipt(desk.session, BANK, told)

    with pytest.raises(Conflict, match="payout_exceeds_proceeds"):
        payouts.confirm_payout(desk.session, COLLEAGUE, payout.id, rail_reference="OUT-1")

    sales.pay(desk, settled, price)
    payouts.confirm_payout(desk.session, COLLEAGUE, payout.id, rail_reference="OUT-1")
    assert payout.state == ProceedsPayoutState.PAID


def test_payout__reference_of_another_transfer__is_refused(
    desk: Desk, market: Market, settled: Order
) -> None:
    sale = market.sale
    halves = [
        payouts.propose_payout(desk.session, TREASURY, sale.id, amount_paisa=1) for _ in range(2)
    ]
    reference = secrets.token_hex(4)
    payouts.confirm_payout(desk.session, COLLEAGUE, halves[0].id, rail_reference=reference)

    with pytest.raises(Conflict, match="payout_reference_reused"):
        payouts.confirm_payout(desk.session, COLLEAGUE, halves[1].id, rail_reference=reference)
    assert settled.state == OrderState.SETTLED
