"""A sale that was minted in part and then stopped for good: everything is burned and repaid."""

from __future__ import annotations

import pytest
from sqlmodel import select

from chain.node.client import hex_of
from chain.sync.guard import Guard
from registry.asset import service as assets
from registry.kernel.actor import Role
from registry.offering import giving_up, unwinding
from registry.offering.models import Order, OrderState
from registry.operation.models import OperationKind, OperationState
from registry.reconciliation import service as reconciliation
from registry.sweep.service import sweep
from registry.tokenization.models import TokenizationState
from tests.chain.market import FIRST, ISSUER, SECOND, Market
from tests.chain.world import CONFIRMATIONS, ask
from tests.deeds import court_sale
from tests.factories import ACTORS

pytestmark = pytest.mark.chain


def read(market: Market) -> None:
    market.suite().index()
    Guard(market.world.database, market.world.client, finality=CONFIRMATIONS).note_final()


def give_up(market: Market) -> None:
    with market.world.database.transaction() as session:
        for role in (Role.COMPLIANCE, Role.REGISTRAR_CHECKER):
            giving_up.agree_to_give_up(
                session,
                ACTORS[role],
                market.deal.tokenization_id,
                role=role,
                reason="The court has sold it",
            )


def refund(market: Market) -> None:
    with market.world.database.transaction() as session:
        orders = session.exec(select(Order).order_by(Order.id)).all()  # type: ignore[arg-type]
        assert {order.state for order in orders} == {OrderState.REFUND_DUE}
        for number, order in enumerate(orders):
            unwinding.record_refund(
                session, ACTORS[Role.TREASURY], order.id, rail_reference=f"BACK-{number}"
            )


def differences(market: Market) -> list[object]:
    with market.world.database.transaction() as session:
        return list(reconciliation.run_checks(session, market.deal.tokenization_id))


def test_give_up__minted_in_part__burns_what_is_minted_and_closes_the_contracts(
    market: Market,
) -> None:
    market.let_kyc_run_out(SECOND)
    market.world.settle()
    assert market.find(OperationKind.MINT, FIRST).state == OperationState.FINAL
    assert market.find(OperationKind.MINT, SECOND).state == OperationState.REFUSED
    read(market)
    with market.world.database.transaction() as session:
        court_sale(market.desk(session), assets.get_asset(session, market.deal.asset_id))
    market.world.settle()
    read(market)

    give_up(market)
    assert differences(market) == []
    assert sweep(market.world.database)["given_up_burn"] == 1
    assert sweep(market.world.database)["given_up_burn"] == 0
    market.world.settle()
    read(market)

    burns = [row for row in market.world.operations() if row.kind == OperationKind.REDEEM]
    wallets = {hex_of(market.wallet(person).address).lower() for person in (FIRST, ISSUER)}
    assert {row.params["wallet"] for row in burns} == wallets
    assert {row.state for row in burns} == {OperationState.FINAL}
    assert market.suite().on_chain().supply == 0
    assert market.tokenization().state == TokenizationState.UNWINDING
    assert differences(market) == []
    refund(market)
    market.world.settle()

    assert market.tokenization().state == TokenizationState.CANCELLED
    suite, agent = market.suite(), market.world.place("CaseAgent")
    assert ask(market.world.client, "Token", suite.token, "isAgent", hex_of(agent)) is False
    read(market)
    assert differences(market) == []
