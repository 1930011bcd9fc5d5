"""How much is asked of the database about many orders: what is the same for all is asked once."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import event

from registry.captable.models import ForcedAct
from registry.case.bound import require_unbound
from registry.case.grounds import wanted_by_order
from registry.case.layout import PlannedAct
from registry.court_order.models import CourtOrder
from registry.reconciliation import service as reconciliation
from tests import court
from tests.db.test_order_freezes import chain, ord_01
from tests.factories import Desk
from tests.ledger import Ledger

__all__ = ["chain"]

pytestmark = pytest.mark.db


def asked(desk: Desk, ask: Callable[[], object]) -> list[str]:
    """Return the statements that something sends."""
    desk.session.flush()
    told: list[str] = []

    def tell(*of: object) -> None:
        told.append(str(of[2]))

    connection = desk.session.connection()
    event.listen(connection, "before_cursor_execute", tell)
    ask()
    event.remove(connection, "before_cursor_execute", tell)
    return told


def of_recoveries(told: list[str]) -> int:
    """Count the statements that read all recoveries: they alone ask for both wallets of a case."""
    chosen = [statement.partition("FROM")[0] for statement in told]
    return sum("SELECT legal_case.wallet, legal_case.id" in columns for columns in chosen)


def on_amount(desk: Desk, chain: Ledger) -> CourtOrder:
    """Have an order on ten fractions in force."""
    return court.frozen_for(chain, court.on_amount(desk, chain, 10))


def on_wallet_and_party(desk: Desk, chain: Ledger) -> None:
    """Have an order on the second wallet in force, and one on whoever has it."""
    holder = chain.holders[1]
    chain.freeze(holder.wallet.address)
    for order in (
        court.on_wallet(desk, holder.wallet.address),
        court.on_party(desk, holder.investor.party_id),
    ):
        court.in_force(desk, order)


def test_ord_01__many_orders_on_amounts__asks_as_much_as_about_one(
    desk: Desk, chain: Ledger
) -> None:
    def ask() -> None:
        assert ord_01(desk, chain) == []

    on_amount(desk, chain)
    of_one = asked(desk, ask)
    for _ in range(5):
        on_amount(desk, chain)

    assert len(asked(desk, ask)) == len(of_one)


def test_ord_01__orders_of_each_scope__reads_the_recoveries_once(desk: Desk, chain: Ledger) -> None:
    for _ in range(3):
        on_amount(desk, chain)
        on_wallet_and_party(desk, chain)

    assert of_recoveries(asked(desk, lambda: ord_01(desk, chain))) == 1


@pytest.mark.parametrize("state", ["APPLYING", "LIFTING"])
def test_clock__many_orders__reads_the_recoveries_once_for_each_that_waits(
    desk: Desk, chain: Ledger, state: str
) -> None:
    waiting = [court.apply(desk, court.on_amount(desk, chain, 10)) for _ in range(4)]
    waiting.append(court.apply(desk, court.on_wallet(desk, chain.holders[1].wallet.address)))
    if state == "LIFTING":
        for order in waiting:
            court.vacate(desk, order)
    listed = reconciliation.list_obeyed if state == "APPLYING" else reconciliation.list_released

    assert {order.state for order in waiting} == {state}
    assert of_recoveries(asked(desk, lambda: listed(desk.session))) == len(waiting)


def test_lift__units_that_many_orders_want__reads_the_recoveries_once(
    desk: Desk, chain: Ledger
) -> None:
    wallet = chain.holders[0].wallet.address
    for _ in range(4):
        on_amount(desk, chain)
    act = PlannedAct(
        act=ForcedAct.UNFREEZE_UNITS, tokenization_id=chain.tokenization.id, wallet=wallet, units=1
    )

    told = asked(desk, lambda: wanted_by_order(desk.session, act))
    assert wanted_by_order(desk.session, act)
    assert of_recoveries(told) == 1


def test_deal__no_order_names_a_wallet__reads_no_recoveries(desk: Desk, chain: Ledger) -> None:
    first, second = chain.holders

    def deal() -> None:
        require_unbound(desk.session, first.investor.party_id, first.wallet.address)

    assert of_recoveries(asked(desk, deal)) == 0
    court.apply(desk, court.on_party(desk, second.investor.party_id))
    assert of_recoveries(asked(desk, deal)) == 0
    court.apply(desk, court.on_wallet(desk, second.wallet.address))
    assert of_recoveries(asked(desk, deal)) == 1
