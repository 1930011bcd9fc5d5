"""The end of a token: what was paid for is burned on chain, once, and its contracts are closed."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest

from chain.node.client import hex_of
from chain.proving.reconciler import Reconciler
from chain.sync.guard import Guard
from registry.kernel.actor import Role
from registry.kernel.clock import today
from registry.kernel.errors import Conflict
from registry.offering import service as offerings
from registry.operation.models import OperationKind, OperationState
from registry.reconciliation import service as reconciliation
from registry.redemption import burning, paying
from registry.redemption import service as redemptions
from registry.redemption.models import RedemptionKind
from registry.redemption.repository import list_payouts
from registry.redemption.service import RedemptionTerms
from registry.sweep.service import sweep
from registry.tokenization.models import TokenizationState
from tests.chain.market import FIRST, HELD, Market
from tests.chain.world import CONFIRMATIONS, ask
from tests.factories import ACTORS, CHECKER, COMPLIANCE, actor

pytestmark = pytest.mark.chain

TREASURY = ACTORS[Role.TREASURY]
OTHER_COMPLIANCE = actor(Role.COMPLIANCE)
PRICE_PAISA = 10_000_000_00


def go_live(market: Market) -> None:
    market.suite().index()
    assert Reconciler(market.world.database, market.world.client).reconcile_due() == 1
    with market.world.database.transaction() as session:
        offerings.go_live(session, COMPLIANCE, market.deal.tokenization_id)
    market.world.settle()
    market.suite().index()


def approved(market: Market) -> UUID:
    """Have a court's redemption approved, and the chain show the token paused."""
    terms = RedemptionTerms(
        kind=RedemptionKind.COURT,
        price_paisa=PRICE_PAISA,
        price_basis="Decree of the court",
        record_on=today(),
        vote_until=today(),
        long_stop_on=today() + timedelta(days=30),
    )
    with market.world.database.transaction() as session:
        made = redemptions.request_redemption(
            session, OTHER_COMPLIANCE, market.deal.tokenization_id, terms
        )
        redemptions.approve_redemption(session, COMPLIANCE, made.id, role=Role.COMPLIANCE)
        redemptions.approve_redemption(session, CHECKER, made.id, role=Role.REGISTRAR_CHECKER)
        redemption_id = made.id
    market.world.settle()
    market.suite().index()
    note_final(market)
    return redemption_id


def note_final(market: Market) -> None:
    Guard(market.world.database, market.world.client, finality=CONFIRMATIONS).note_final()


def paid(market: Market) -> UUID:
    go_live(market)
    redemption_id = approved(market)
    with market.world.database.transaction() as session:
        redemptions.freeze_cap_table(session, COMPLIANCE, redemption_id)
        paying.fund_redemption(
            session, TREASURY, redemption_id, escrow_paisa=PRICE_PAISA, reference="ESC-1"
        )
        paying.start_paying(session, TREASURY, redemption_id)
        for number, payout in enumerate(list_payouts(session, redemption_id)):
            paying.record_payout(session, TREASURY, payout.id, rail_reference=f"RAAST-{number}")
        paying.close_payouts(session, redemption_id)
    return redemption_id


def burn(market: Market, redemption_id: UUID) -> None:
    with market.world.database.transaction() as session:
        burning.burn_redeemed(session, COMPLIANCE, redemption_id)
    market.world.settle()
    market.suite().index()


def test_burn__of_a_paid_redemption__ends_the_token_and_closes_its_contracts(
    minted: Market,
) -> None:
    redemption_id = paid(minted)
    burn(minted, redemption_id)
    burns = [row for row in minted.world.operations() if row.kind == OperationKind.REDEEM]
    assert len(burns) == len(HELD)
    assert {row.state for row in burns} == {OperationState.FINAL}
    assert minted.suite().on_chain().supply == 0
    assert sweep(minted.world.database)["redemption_burned"] == 0
    note_final(minted)

    assert sweep(minted.world.database)["redemption_burned"] == 1
    assert sweep(minted.world.database)["redemption_burned"] == 0
    minted.world.settle()

    assert minted.tokenization().state == TokenizationState.BURNED
    suite, agent = minted.suite(), minted.world.place("CaseAgent")
    assert ask(minted.world.client, "Token", suite.token, "isAgent", hex_of(agent)) is False
    suite.index()
    with minted.world.database.transaction() as session:
        assert reconciliation.run_checks(session, minted.deal.tokenization_id) == []


def test_burn__asked_twice__burns_each_holding_once(minted: Market) -> None:
    redemption_id = paid(minted)
    burn(minted, redemption_id)
    before = len(minted.world.node.transactions())
    burn(minted, redemption_id)

    assert len(minted.world.node.transactions()) == before


def test_burn__before_everybody_is_paid__is_refused(minted: Market) -> None:
    go_live(minted)
    redemption_id = approved(minted)
    with (
        minted.world.database.transaction() as session,
        pytest.raises(Conflict, match="redemption_not_paid"),
    ):
        burning.burn_redeemed(session, COMPLIANCE, redemption_id)


def test_burn__title_halted_meanwhile__waits_for_the_lift(minted: Market) -> None:
    redemption_id = paid(minted)
    minted.put_stay_order_in_force()
    minted.world.settle()

    burn(minted, redemption_id)

    refused = [row for row in minted.world.operations() if row.kind == OperationKind.REDEEM]
    assert {row.state for row in refused} == {OperationState.REFUSED}
    assert "TitleHalted" in (refused[0].problem or {})["detail"]
    assert minted.suite().on_chain().holders[minted.wallet(FIRST).address] == (HELD[FIRST], 0)
