"""One transfer of the bank is recorded once, whatever it is said to have paid."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from registry.kernel.actor import Actor, Role
from registry.kernel.clock import now
from registry.kernel.errors import Conflict
from registry.offering import minting, unwinding
from registry.offering.models import OrderState
from registry.payment import allocating, payouts
from registry.payment.rails import BANK, Receipt
from registry.payment.receiving import book_receipt
from registry.redemption import paying
from registry.redemption.repository import list_payouts
from tests import factories as make
from tests import redemptions, sales
from tests.factories import ACTORS, Desk

pytestmark = pytest.mark.db

TREASURY = ACTORS[Role.TREASURY]
COLLEAGUE = Actor("the-other-treasury", frozenset({Role.TREASURY}))
REFERENCE = "FT26196X1"

CODES = {
    "refund": "refund_reference_reused",
    "return": "refund_reference_reused",
    "proceeds": "payout_reference_reused",
    "redemption": "payout_reference_reused",
}


@pytest.fixture
def writers(desk: Desk) -> Mapping[str, Callable[[], object]]:
    """Give all that records a transfer, each once and by the same reference."""
    session = desk.session
    sale = sales.offering(desk, sales.wrapped_apartment(desk))
    order = sales.order(desk, sale, make.buyer(desk))
    sales.pay(desk, order, order.amount_paisa + 1)
    order.state = OrderState.MINTING
    session.flush()
    minting.settle_orders(session, [order.id])
    sales.let_live(desk, sale)
    proceeds = payouts.propose_payout(session, TREASURY, sale.id, amount_paisa=1)
    told = Receipt(rail_reference="STRAY", said="rent", amount_paisa=9, received_at=now())
    stray = book_receipt(session, BANK, told)
    due = list_payouts(session, redemptions.being_paid(desk).redemption.id)[0]
    return {
        "refund": lambda: unwinding.record_refund(
            session, TREASURY, order.id, rail_reference=REFERENCE
        ),
        "return": lambda: allocating.return_payment(
            session, TREASURY, stray.id, rail_reference=REFERENCE
        ),
        "proceeds": lambda: payouts.confirm_payout(
            session, COLLEAGUE, proceeds.id, rail_reference=REFERENCE
        ),
        "redemption": lambda: paying.record_payout(
            session, TREASURY, due.id, rail_reference=REFERENCE
        ),
    }


@pytest.mark.parametrize("first", CODES)
def test_record__reference_of_another_transfer__is_refused_whatever_it_paid(
    writers: Mapping[str, Callable[[], object]], first: str
) -> None:
    writers[first]()

    for name in CODES.keys() - {first}:
        with pytest.raises(Conflict, match=CODES[name]):
            writers[name]()
