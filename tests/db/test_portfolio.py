"""What an investor holds: exact shares and values, what is frozen, and what is on its way."""

from __future__ import annotations

from fractions import Fraction

import pytest
from sqlmodel import select

from registry.captable.models import Balance
from registry.offering import minting
from registry.offering.models import Offering, OrderState
from registry.portfolio.holdings import Position, read_portfolio
from tests import factories as make
from tests import ledger, sales
from tests.factories import VALUE_PAISA, Buyer, Desk

pytestmark = pytest.mark.db
ON_SHELF = ()

NO_CHAIN = 1


def only(desk: Desk, who: Buyer, chain_id: int) -> Position:
    (position,) = read_portfolio(desk.session, who.investor.id, chain_id).positions
    return position


def test_portfolio__of_a_holder__is_exact_to_the_paisa(desk: Desk) -> None:
    chain = ledger.live(desk, 1, 2, 4)
    holder = chain.holders[1]
    chain.freeze_units(holder.wallet.address, 1)
    portfolio = read_portfolio(desk.session, holder.investor.id, chain.chain_id)

    (position,) = portfolio.positions
    assert (position.units, position.frozen_units) == (2, 1)
    assert position.share == Fraction(2, 7)
    assert position.valuation is not None
    assert position.value_paisa == VALUE_PAISA * 2 // 7
    assert position.issue_value_paisa == 2
    assert position.sale_value_paisa is None
    assert portfolio.value_paisa == position.value_paisa
    assert portfolio.unvalued == 0
    assert portfolio.block is not None
    assert portfolio.block.number == chain.token.block_number + 8


def test_portfolio__wallet_is_frozen_whole__says_so_until_it_is_released(desk: Desk) -> None:
    chain = ledger.live(desk, 3, 4)
    holder, other = chain.holders
    chain.freeze(holder.wallet.address)

    (frozen,) = only(desk, holder, chain.chain_id).holdings
    assert (frozen.frozen_units, frozen.is_frozen) == (0, True)
    assert [each.is_frozen for each in only(desk, other, chain.chain_id).holdings] == [False]
    chain.freeze(holder.wallet.address, frozen=False)
    assert [each.is_frozen for each in only(desk, holder, chain.chain_id).holdings] == [False]


def test_portfolio__of_all_holders__is_never_worth_more_than_the_asset(desk: Desk) -> None:
    chain = ledger.live(desk, 1, 1, 1)
    values = [only(desk, who, chain.chain_id).value_paisa or 0 for who in chain.holders]

    assert VALUE_PAISA - 3 < sum(values) <= VALUE_PAISA


def test_portfolio__token_of_a_part_of_the_asset__is_worth_that_part(desk: Desk) -> None:
    chain = ledger.live(desk, 5)
    chain.tokenization.economic_share_num, chain.tokenization.economic_share_den = 1, 3
    desk.session.flush()

    position = only(desk, chain.holders[0], chain.chain_id)
    assert position.share == 1
    assert position.asset_share == Fraction(1, 3)
    assert position.value_paisa == VALUE_PAISA // 3


def test_portfolio__in_several_wallets__is_one_holding(desk: Desk) -> None:
    chain = ledger.live(desk, 3, 4)
    first, second = chain.holders
    second.wallet.investor_id = first.investor.id
    desk.session.flush()

    position = only(desk, first, chain.chain_id)
    assert position.units == 7
    assert len(position.holdings) == 2


def test_portfolio__orders__are_pending_until_they_are_complete(desk: Desk) -> None:
    sale = sales.offering(desk, sales.wrapped_apartment(desk), offered_units=100)
    buyer = make.buyer(desk)
    sales.order(desk, sale, buyer, units=2)
    paid = sales.pay(desk, sales.order(desk, sale, buyer, units=3))
    cancelled = sales.order(desk, sale, buyer, units=50)
    cancelled.state = OrderState.CANCELLED
    desk.session.flush()

    portfolio = read_portfolio(desk.session, buyer.investor.id, NO_CHAIN)
    (position,) = portfolio.positions
    assert portfolio.block is None
    assert [(item.state, item.units) for item in position.pending] == [
        (OrderState.AWAITING_PAYMENT, 2),
        (OrderState.PAID, 3),
    ]
    assert portfolio.pending_paisa == 5 * sale.price_paisa
    assert (position.units, position.value_paisa, position.last_sale) == (0, 0, None)

    paid.state = OrderState.MINTING
    desk.session.flush()
    minting.settle_orders(desk.session, [paid.id])
    desk.session.expire_all()
    position = only(desk, buyer, NO_CHAIN)
    assert (position.bought_units, position.cost_paisa) == (3, 3 * sale.price_paisa)
    assert position.last_sale is not None
    assert position.last_sale.price_paisa == sale.price_paisa
    assert [item.state for item in position.pending] == [OrderState.AWAITING_PAYMENT]


def test_portfolio__of_somebody_who_has_nothing__is_empty(desk: Desk) -> None:
    portfolio = read_portfolio(desk.session, make.buyer(desk).investor.id, NO_CHAIN)

    assert portfolio.positions == []
    assert (portfolio.value_paisa, portfolio.cost_paisa) == (0, 0)


@pytest.mark.parametrize(
    ("caught_up_to", "refusal"), [(3, None), (None, "it said what cannot be")],
    ids=["read again", "refused"],
)  # fmt: skip
def test_portfolio__token_is_not_read_to_the_newest_block__says_so(
    desk: Desk, caught_up_to: int | None, refusal: str | None
) -> None:
    chain = ledger.live(desk, 3, 4)
    who, order = chain.holders[0], sales.on_chain(desk, chain.holders[1])
    desk.session.get_one(Offering, order.offering_id).tokenization_id = chain.tokenization.id
    token = chain.token
    token.caught_up_to, token.refusal = caught_up_to, refusal
    token.refused_at = None if refusal is None else token.block_number
    desk.session.add(token)
    desk.session.flush()

    held = only(desk, who, chain.chain_id)
    assert (held.caught_up_to, held.refusal) == (caught_up_to, refusal)
    assert read_portfolio(desk.session, who.investor.id, chain.chain_id).uncertain == 1

    # Read from its first block again, nobody holds anything for now.
    for balance in desk.session.exec(select(Balance).where(Balance.token_no == token.token_no)):
        desk.session.delete(balance)
    desk.session.flush()
    for_nothing = read_portfolio(desk.session, who.investor.id, chain.chain_id)
    assert for_nothing.positions == []
    named = [(token.id, number) for token, number in for_nothing.read_again]
    assert named == ([] if caught_up_to is None else [(chain.tokenization.id, caught_up_to)])
    bought_of = read_portfolio(desk.session, chain.holders[1].investor.id, chain.chain_id)
    assert bought_of.read_again == []
    bought = only(desk, chain.holders[1], chain.chain_id)
    assert (bought.units, bought.caught_up_to, bought.refusal) == (0, caught_up_to, refusal)
