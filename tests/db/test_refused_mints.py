"""Mints of a closed sale that were refused: asked for again, given back, or all of them undone."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import timedelta

import pytest
from sqlmodel import col, select

from registry.asset.models import Asset
from registry.captable.projection import open_cursor
from registry.investor import wallets
from registry.kernel.actor import Role
from registry.kernel.clock import now
from registry.kernel.errors import Conflict, Invalid
from registry.offering import leaving, minting, unwinding
from registry.offering import service as offerings
from registry.offering.models import Offering, OfferingState, Order, OrderState, Payment
from registry.operation.models import Operation, OperationKind, OperationState
from registry.payment.rails import BANK, Reversal
from registry.payment.reversing import reverse_receipt
from registry.tokenization import service as tokenizations
from registry.tokenization.models import Tokenization, TokenizationState
from tests import factories as make
from tests import sales
from tests.deeds import refusal
from tests.factories import ACTORS, COMPLIANCE, Buyer, Desk
from tests.ledger import Ledger

pytestmark = pytest.mark.db
ON_SHELF = ()

UNITS = (30, 20)


@pytest.fixture
def sale(desk: Desk) -> Offering:
    return sales.offering(desk, sales.wrapped_apartment(desk))


@pytest.fixture
def buyers(desk: Desk) -> list[Buyer]:
    return [make.buyer(desk) for _ in UNITS]


@pytest.fixture
def bought(desk: Desk, sale: Offering, buyers: list[Buyer]) -> list[Order]:
    """Two paid orders of a closed sale."""
    found = [
        sales.pay(desk, sales.order(desk, sale, buyer, units=units))
        for buyer, units in zip(buyers, UNITS, strict=True)
    ]
    offerings.close_and_mint(desk.session, COMPLIANCE, sale.tokenization_id)
    return found


def token_of(desk: Desk, sale: Offering) -> Tokenization:
    return tokenizations.get_tokenization(desk.session, sale.tokenization_id)


def mints(desk: Desk) -> Sequence[Operation]:
    return desk.session.exec(
        select(Operation)
        .where(col(Operation.kind) == OperationKind.MINT)
        .order_by(col(Operation.id))
    ).all()


def refuse(desk: Desk, *orders: Order) -> None:
    for order in orders:
        desk.session.get_one(Operation, order.operation_id).state = OperationState.REFUSED
    desk.session.flush()


def test_mint_again__one_refused__is_planned_once_more_alone(
    desk: Desk, sale: Offering, bought: list[Order]
) -> None:
    refused = bought[0].operation_id
    refuse(desk, bought[0])

    (again,) = offerings.close_and_mint(desk.session, COMPLIANCE, sale.tokenization_id)

    assert again.id == bought[0].operation_id != refused
    assert again.params["units"] == str(UNITS[0])
    assert token_of(desk, sale).state == TokenizationState.MINTING


def test_mint_again__the_bank_took_the_money_back__leaves_that_order_out(
    desk: Desk, sale: Offering, bought: list[Order]
) -> None:
    refuse(desk, *bought)
    mints(desk)[-1].state = OperationState.REVERTED
    take_back(desk, bought[0])

    planned = offerings.close_and_mint(desk.session, COMPLIANCE, sale.tokenization_id)

    assert {each.subject_id: int(each.params["units"]) for each in planned} == {
        str(bought[1].id): UNITS[1],
        str(sale.tokenization_id): sales.FRACTIONS - sum(UNITS),
    }
    code, _ = refusal(
        lambda: offerings.close_and_mint(desk.session, COMPLIANCE, sale.tokenization_id)
    )
    assert code == "mint_unpaid"

    sales.pay(desk, bought[0])
    (again,) = offerings.close_and_mint(desk.session, COMPLIANCE, sale.tokenization_id)
    assert again.subject_id == str(bought[0].id)


def take_back(desk: Desk, order: Order) -> None:
    [paid] = desk.session.exec(select(Payment).where(col(Payment.order_id) == order.id))
    reverse_receipt(
        desk.session,
        BANK,
        Reversal(
            rail_reference=secrets.token_hex(8),
            reverses=paid.rail_reference,
            amount_paisa=paid.amount_paisa,
            received_at=now(),
        ),
    )


def test_mint_again__rest_refused__is_planned_for_the_wrapper(
    desk: Desk, sale: Offering, bought: list[Order]
) -> None:
    rest = mints(desk)[-1]
    assert rest.subject_kind == "tokenization"
    rest.state = OperationState.REVERTED
    desk.session.flush()

    (again,) = offerings.close_and_mint(desk.session, COMPLIANCE, sale.tokenization_id)

    assert again.params == rest.params
    assert [order.state for order in bought] == [OrderState.MINTING] * 2


def test_mint_again__a_reorg_took_an_earlier_mint_back__the_rest_is_planned_whole(
    desk: Desk, sale: Offering, bought: list[Order]
) -> None:
    """Only its nonce is on its way: another was planned in its place."""
    first, *_, rest = mints(desk)
    first.state, first.problem = OperationState.REVERTED, {"code": "call_would_revert"}
    desk.session.flush()
    offerings.close_and_mint(desk.session, COMPLIANCE, sale.tokenization_id)
    first.state, rest.state = OperationState.BROADCAST, OperationState.REVERTED
    desk.session.flush()

    (again,) = offerings.close_and_mint(desk.session, COMPLIANCE, sale.tokenization_id)

    assert again.params == rest.params


def test_mint_again__to_a_wallet_that_a_recovery_registered__registers_nobody(
    desk: Desk, sale: Offering, buyers: list[Buyer], bought: list[Order]
) -> None:
    token = token_of(desk, sale)
    wrapped = sales.Wrapped(desk.session.get_one(Asset, token.asset_id), buyers[0])
    chain = Ledger(desk, wrapped, token, 900_000 + next(make.numbers), now() - timedelta(hours=1))
    open_cursor(desk.session, chain.chain_id, chain.block(0), 0)
    chain.mine(deploy=True)
    new = make.proven_wallet(desk, buyers[0].actor, buyers[0].investor.id)
    new.identity = buyers[0].wallet.identity
    wallets.retire_wallet(desk.session, buyers[0].wallet.id)
    chain.register(new.address)
    refuse(desk, bought[0])

    (again,) = offerings.close_and_mint(desk.session, COMPLIANCE, sale.tokenization_id)

    assert again.params["wallet_id"] == str(new.id)
    registered = desk.session.exec(
        select(Operation).where(col(Operation.kind) == OperationKind.REGISTER_IDENTITY)
    ).all()
    assert str(new.id) not in {operation.params["wallet_id"] for operation in registered}


@pytest.mark.usefixtures("bought")
def test_mint_again__nothing_failed__is_refused(desk: Desk, sale: Offering) -> None:
    with pytest.raises(Conflict, match="no_mint_failed"):
        offerings.close_and_mint(desk.session, COMPLIANCE, sale.tokenization_id)


def test_give_back__refused_mint__goes_to_the_wrapper_and_is_refunded(
    desk: Desk, sale: Offering, bought: list[Order], buyers: list[Buyer]
) -> None:
    buyers[0].investor.kyc_valid_until = now() - timedelta(days=1)
    refuse(desk, bought[0])

    order = minting.give_back_order(desk.session, COMPLIANCE, bought[0].id, reason="KYC ended")

    assert order.state == OrderState.REFUND_DUE
    made = mints(desk)[-1]
    assert (made.subject_kind, made.params["units"]) == ("tokenization", str(UNITS[0]))
    unwinding.record_refund(desk.session, ACTORS[Role.TREASURY], order.id, rail_reference="BACK-1")
    assert bought[0].state == OrderState.REFUNDED
    assert token_of(desk, sale).state == TokenizationState.MINTING
    planned = [row for row in mints(desk) if row.state == OperationState.PLANNED]
    assert sum(int(row.params["units"]) for row in planned) == sales.FRACTIONS


def test_mint_again__what_was_given_back_is_refused_too__is_planned_for_the_wrapper(
    desk: Desk, sale: Offering, bought: list[Order]
) -> None:
    refuse(desk, bought[0])
    minting.give_back_order(desk.session, COMPLIANCE, bought[0].id, reason="KYC ended")
    for mint in mints(desk):
        if mint.state == OperationState.PLANNED:
            mint.state = OperationState.FINAL
    given_back = mints(desk)[-1]
    given_back.state = OperationState.REFUSED
    desk.session.flush()

    (again,) = offerings.close_and_mint(desk.session, COMPLIANCE, sale.tokenization_id)

    assert (again.key, again.params) == (f"mint:given_back:{bought[0].id}", given_back.params)
    with pytest.raises(Conflict, match="no_mint_failed"):
        offerings.close_and_mint(desk.session, COMPLIANCE, sale.tokenization_id)


def test_give_back__blank_reason__is_refused(desk: Desk, bought: list[Order]) -> None:
    refuse(desk, bought[0])

    with pytest.raises(Invalid, match="reason_missing"):
        minting.give_back_order(desk.session, COMPLIANCE, bought[0].id, reason="   ")

    assert bought[0].state == OrderState.MINTING


def test_give_back__mint_on_its_way__is_refused(desk: Desk, bought: list[Order]) -> None:
    with pytest.raises(Conflict, match="mint_not_failed"):
        minting.give_back_order(desk.session, COMPLIANCE, bought[0].id, reason="No longer")


def test_reopened__every_mint_refused__is_on_sale_again_with_what_was_paid(
    desk: Desk, sale: Offering, bought: list[Order]
) -> None:
    for mint in mints(desk):
        mint.state = OperationState.REFUSED
    desk.session.flush()
    assert minting.due_failures(desk.session) == [sale.tokenization_id]

    minting.reopen_sale(desk.session, sale.tokenization_id)

    assert token_of(desk, sale).state == TokenizationState.OFFERING
    assert sale.state == OfferingState.OPEN
    assert [order.state for order in bought] == [OrderState.PAID] * 2
    assert minting.due_failures(desk.session) == []
    again = offerings.close_and_mint(desk.session, COMPLIANCE, sale.tokenization_id)
    assert sum(int(mint.params["units"]) for mint in again) == sales.FRACTIONS


def test_reopened__the_bank_took_the_money_of_one_back__gives_them_time_to_pay(
    desk: Desk, sale: Offering, bought: list[Order]
) -> None:
    unpaid, long_ago = bought[0], timedelta(days=30)
    assert unpaid.pay_until is not None
    unpaid.recorded_at -= long_ago
    unpaid.pay_until -= long_ago
    sale.closes_at = now() - long_ago / 2
    for mint in mints(desk):
        mint.state = OperationState.REFUSED
    take_back(desk, unpaid)

    minting.reopen_sale(desk.session, sale.tokenization_id)

    assert unpaid.state == OrderState.AWAITING_PAYMENT
    assert unpaid.pay_until > now()
    assert leaving.list_unpaid(desk.session) == []


def test_reopened__after_an_order_was_given_back__sells_its_fractions_again(
    desk: Desk, sale: Offering, bought: list[Order]
) -> None:
    refuse(desk, bought[0])
    minting.give_back_order(desk.session, COMPLIANCE, bought[0].id, reason="KYC ended")
    for mint in mints(desk):
        mint.state = OperationState.REFUSED
    desk.session.flush()

    minting.reopen_sale(desk.session, sale.tokenization_id)

    assert [order.state for order in bought] == [OrderState.REFUND_DUE, OrderState.PAID]
    assert sale.reserved_units == UNITS[1]
    sales.order(desk, sale, make.buyer(desk), sale.offered_units - UNITS[1])


def test_reopened__and_closed_again__asks_for_no_mint_of_the_first_close(
    desk: Desk, sale: Offering, bought: list[Order]
) -> None:
    refuse(desk, bought[0])
    minting.give_back_order(desk.session, COMPLIANCE, bought[0].id, reason="KYC ended")
    for mint in mints(desk):
        mint.state = OperationState.REFUSED
    desk.session.flush()
    minting.reopen_sale(desk.session, sale.tokenization_id)
    rest = sale.offered_units - UNITS[1]
    sales.pay(desk, sales.order(desk, sale, make.buyer(desk), rest))
    offerings.close_and_mint(desk.session, COMPLIANCE, sale.tokenization_id)
    refuse(desk, bought[1])

    (again,) = offerings.close_and_mint(desk.session, COMPLIANCE, sale.tokenization_id)

    assert again.id == bought[1].operation_id


def test_give_back__of_a_sale_that_is_open_again__is_refunded_and_on_sale(
    desk: Desk, sale: Offering, bought: list[Order]
) -> None:
    for mint in mints(desk):
        mint.state = OperationState.REFUSED
    desk.session.flush()
    minting.reopen_sale(desk.session, sale.tokenization_id)
    planned = len(mints(desk))

    order = minting.give_back_order(desk.session, COMPLIANCE, bought[0].id, reason="KYC ended")

    assert (order.state, sale.reserved_units) == (OrderState.REFUND_DUE, UNITS[1])
    assert len(mints(desk)) == planned
    with pytest.raises(Conflict, match="mint_not_failed"):
        minting.give_back_order(desk.session, COMPLIANCE, bought[0].id, reason="Once more")


def test_give_back__paid_and_never_minted__is_refused(desk: Desk, sale: Offering) -> None:
    order = sales.pay(desk, sales.order(desk, sale, make.buyer(desk)))

    with pytest.raises(Conflict, match="mint_not_failed"):
        minting.give_back_order(desk.session, COMPLIANCE, order.id, reason="No longer")


def test_reopened__one_mint_is_done__is_refused(
    desk: Desk, sale: Offering, bought: list[Order]
) -> None:
    refuse(desk, bought[0])
    desk.session.get_one(Operation, bought[1].operation_id).state = OperationState.FINAL
    desk.session.flush()

    assert minting.due_failures(desk.session) == []
    with pytest.raises(Conflict, match="something_minted"):
        minting.reopen_sale(desk.session, sale.tokenization_id)


def test_mint_again__rests_of_an_earlier_close__are_planned_up_to_what_was_declared(
    desk: Desk, sale: Offering, bought: list[Order]
) -> None:
    """As an older version left them, which did not give their keys up as it reopened a sale."""
    refuse(desk, bought[0])
    minting.give_back_order(desk.session, COMPLIANCE, bought[0].id, reason="KYC ended")
    for mint in mints(desk):
        mint.state = OperationState.REFUSED
    desk.session.flush()
    given_back = mints(desk)[-1]
    key = given_back.key
    minting.reopen_sale(desk.session, sale.tokenization_id)
    given_back.key = key
    desk.session.flush()
    sales.pay(desk, sales.order(desk, sale, make.buyer(desk), 7))
    offerings.close_and_mint(desk.session, COMPLIANCE, sale.tokenization_id)
    rest = next(row for row in mints(desk) if row.key == minting.treasury_key(sale.tokenization_id))
    rest.state = OperationState.REVERTED
    refuse(desk, bought[1])

    offerings.close_and_mint(desk.session, COMPLIANCE, sale.tokenization_id)

    planned = [row for row in mints(desk) if row.state == OperationState.PLANNED]
    assert sum(int(row.params["units"]) for row in planned) == sales.FRACTIONS
