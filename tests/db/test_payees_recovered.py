"""Money for a wallet to which a recovery took what an order names: the order binds it too."""

from __future__ import annotations

import pytest

from registry.reconciliation import service as reconciliation
from registry.redemption import paying
from registry.redemption.models import PayoutState, RedemptionPayout
from registry.redemption.repository import list_payouts
from tests import court, ledger
from tests import redemptions as stages
from tests.db.test_freezes_and_recoveries import recovered
from tests.deeds import refusal
from tests.factories import COMPLIANCE, Desk
from tests.redemptions import TREASURY, Redeeming

pytestmark = pytest.mark.db


def payout_to(desk: Desk, made: Redeeming, address: bytes) -> RedemptionPayout:
    rows = list_payouts(desk.session, made.redemption.id)
    return next(row for row in rows if row.address == address)


def pay(desk: Desk, payout: RedemptionPayout) -> RedemptionPayout:
    return paying.record_payout(
        desk.session, TREASURY, payout.id, rail_reference=f"RAAST-{payout.id}"
    )


def end_token(desk: Desk, made: Redeeming) -> None:
    """Pay who may be paid, burn what everybody holds, and end the token."""
    for payout in list_payouts(desk.session, made.redemption.id, state=PayoutState.DUE):
        pay(desk, payout)
    paying.close_payouts(desk.session, made.redemption.id)
    for payout in list_payouts(desk.session, made.redemption.id):
        made.ledger.burn(payout.address, int(payout.units))
    paying.end_token(desk.session, made.redemption.id)


def test_payout__order_on_the_lost_wallet__holds_that_of_the_new_one_until_it_is_vacated(
    desk: Desk,
) -> None:
    chain = ledger.live(desk, *stages.UNITS)
    lost = chain.holders[0].wallet.address
    chain.freeze(lost)
    order = court.in_force(desk, court.on_wallet(desk, lost))
    new = recovered(chain)
    made = stages.freeze(desk, stages.maturing(desk, chain))
    stages.fund(desk, made.redemption)
    paying.start_paying(desk.session, TREASURY, made.redemption.id)
    payout = payout_to(desk, made, new)
    assert (payout.state, payout.reason) == (PayoutState.HELD, "an order binds the holder")

    end_token(desk, made)
    assert refusal(lambda: pay(desk, payout)) == ("party_under_order", None)
    court.vacate(desk, order)
    reconciliation.lift_order(desk.session, order.id)
    assert pay(desk, payout).state == PayoutState.PAID


@pytest.mark.parametrize("scope", ["WALLET", "AMOUNT"])
def test_payout__released_by_people_after_the_token_has_ended__asks_the_order_on_the_lost_wallet(
    desk: Desk, scope: str
) -> None:
    chain = ledger.live(desk, *stages.UNITS)
    lost = chain.holders[0].wallet.address
    new = recovered(chain)
    made = stages.freeze(desk, stages.maturing(desk, chain))
    stages.fund(desk, made.redemption)
    paying.start_paying(desk.session, TREASURY, made.redemption.id)
    payout = payout_to(desk, made, new)
    court.apply(
        desk,
        court.on_wallet(desk, lost) if scope == "WALLET" else court.on_amount(desk, chain, 10),
    )
    paying.hold_payout(desk.session, TREASURY, payout.id, reason="Its wallet is frozen")
    end_token(desk, made)
    paying.release_payout(desk.session, COMPLIANCE, payout.id, reason="Asked the court")

    assert refusal(lambda: pay(desk, payout)) == ("party_under_order", None)
    assert payout.state == PayoutState.DUE
