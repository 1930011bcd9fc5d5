"""Opening a sale, closing it, and minting exactly what was declared."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from sqlmodel import Session, select

from registry.asset.models import AssetState
from registry.kernel.actor import Actor
from registry.kernel.db import Database
from registry.kernel.errors import Conflict, Forbidden, Invalid
from registry.offering import minting, orders
from registry.offering import service as offerings
from registry.offering.models import Offering, OfferingState, Order, OrderState
from registry.offering.terms import OfferTerms
from registry.operation.models import Operation, OperationDependency, OperationKind
from registry.rulebook.service import RulesRefused
from registry.tokenization import service as tokenizations
from registry.tokenization.models import Tokenization, TokenizationState
from registry.wrapper import service as wrappers
from tests import factories as make
from tests import sales
from tests.db.stage import Stage, StageMaker
from tests.factories import COMPLIANCE, Buyer, Desk
from tests.sales import FRACTIONS, Wrapped

pytestmark = pytest.mark.db


@dataclass(frozen=True)
class Market:
    """A token that is deployed, and somebody who would buy it."""

    wrapped: Wrapped
    token: Tokenization
    buyer: Buyer


def deploy(desk: Desk) -> Market:
    wrapped = sales.wrapped_apartment(desk)
    return Market(wrapped, sales.deployed(desk, wrapped), make.buyer(desk))


@pytest.fixture(scope="module")
def stage(make_stage: StageMaker) -> Iterator[Stage[Market]]:
    with make_stage(deploy) as stage:
        yield stage


@pytest.fixture(scope="module")
def database(stage: Stage[Market]) -> Database:
    return stage.database


@pytest.fixture
def market(stage: Stage[Market], session: Session) -> Market:
    return stage.on(session)


@pytest.fixture
def wrapped(market: Market) -> Wrapped:
    return market.wrapped


@pytest.fixture
def token(market: Market) -> Tokenization:
    return market.token


@pytest.fixture
def sale(desk: Desk, token: Tokenization) -> Offering:
    return offer(desk, token, offered_units=100, minimum_units=20)


@pytest.fixture
def buyer(market: Market) -> Buyer:
    return market.buyer


def offer(desk: Desk, token: Tokenization, **terms: Any) -> Offering:
    return offerings.open_offering(desk.session, COMPLIANCE, token.id, OfferTerms(**terms))


def of_kind(desk: Desk, kind: OperationKind) -> list[Operation]:
    return list(desk.session.exec(select(Operation).where(Operation.kind == kind)).all())


def close(desk: Desk, sale: Offering, actor: Actor = COMPLIANCE) -> list[Operation]:
    return offerings.close_and_mint(desk.session, actor, sale.tokenization_id)


def token_of(desk: Desk, sale: Offering) -> Tokenization:
    return tokenizations.get_tokenization(desk.session, sale.tokenization_id)


def block_title(wrapped: Wrapped) -> None:
    """Let the gate close: the asset is not the one that was registered any more."""
    wrapped.asset.state = AssetState.SUSPENDED


# Opening


def test_open__deployed_token__is_offered_at_its_price(desk: Desk, token: Tokenization) -> None:
    sale = offer(desk, token, offered_units=FRACTIONS)

    assert (sale.state, sale.reserved_units) == (OfferingState.OPEN, 0)
    assert sale.price_paisa == token.price_paisa
    assert token.state == TokenizationState.OFFERING


@pytest.mark.parametrize(
    ("terms", "code"),
    [
        ({"offered_units": FRACTIONS + 1}, "offer_exceeds_declared"),
        ({"offered_units": 0}, "offer_exceeds_declared"),
        ({"offered_units": -1}, "offer_exceeds_declared"),
        ({"offered_units": 10, "minimum_units": 11}, "offer_terms_invalid"),
        ({"offered_units": 10, "minimum_units": -1}, "offer_terms_invalid"),
        ({"offered_units": 10, "min_ticket_units": 0}, "offer_terms_invalid"),
    ],
)
def test_open__impossible_terms__are_refused(
    desk: Desk, token: Tokenization, terms: dict[str, Any], code: str
) -> None:
    with pytest.raises(Invalid, match=code):
        offer(desk, token, **terms)


def test_open__twice__is_refused(desk: Desk, sale: Offering) -> None:
    with pytest.raises(Conflict, match="transition_refused"):
        offer(desk, token_of(desk, sale), offered_units=1)


def test_open__by_the_issuer__is_forbidden(
    desk: Desk, wrapped: Wrapped, token: Tokenization
) -> None:
    with pytest.raises(Forbidden, match="transition_forbidden"):
        offerings.open_offering(
            desk.session, wrapped.issuer.actor, token.id, OfferTerms(offered_units=1)
        )


def test_open__gate_closed__is_refused(desk: Desk, wrapped: Wrapped, token: Tokenization) -> None:
    block_title(wrapped)

    with pytest.raises(Conflict, match="asset_not_registered"):
        offer(desk, token, offered_units=1)


# Closing and minting


def test_close__two_paid_one_not__mints_what_is_paid_and_the_rest_to_the_wrapper(
    desk: Desk, wrapped: Wrapped, sale: Offering, buyer: Buyer
) -> None:
    other = make.buyer(desk)
    first = sales.pay(desk, sales.order(desk, sale, buyer, units=30))
    second = sales.pay(desk, sales.order(desk, sale, other, units=20))
    unpaid = sales.order(desk, sale, other, units=50)

    planned = close(desk, sale)

    assert [(mint.key, mint.params["units"], mint.params["wallet_id"]) for mint in planned] == [
        (f"mint:order:{first.id}", "30", str(buyer.wallet.id)),
        (f"mint:order:{second.id}", "20", str(other.wallet.id)),
        (f"mint:treasury:{sale.tokenization_id}", "950", str(wrapped.issuer.wallet.id)),
    ]
    assert sum(int(mint.params["units"]) for mint in planned) == FRACTIONS
    assert of_kind(desk, OperationKind.MINT) == planned
    assert [order.state for order in (first, second)] == [OrderState.MINTING] * 2
    assert [order.operation_id for order in (first, second)] == [mint.id for mint in planned[:2]]
    assert unpaid.state == OrderState.CANCELLED
    assert (sale.state, sale.reserved_units) == (OfferingState.CLOSED, 50)
    assert token_of(desk, sale).state == TokenizationState.MINTING


def test_close__each_mint__waits_for_its_wallet_to_be_registered(
    desk: Desk, sale: Offering, buyer: Buyer
) -> None:
    for _ in range(2):
        sales.pay(desk, sales.order(desk, sale, buyer, units=10))

    mints = close(desk, sale)

    registrations = {item.id: item for item in of_kind(desk, OperationKind.REGISTER_IDENTITY)}
    waits = desk.session.exec(select(OperationDependency)).all()
    for mint in mints:
        [required] = [row.requires_id for row in waits if row.operation_id == mint.id]
        assert registrations[required].params["wallet_id"] == mint.params["wallet_id"]
        assert registrations[required].params["country"] == 586
    # two orders of one wallet need one registration; the wrapper's is the other
    assert len(registrations) == 2


def test_close__everything_sold__mints_nothing_to_the_wrapper(
    desk: Desk, token: Tokenization, buyer: Buyer
) -> None:
    sale = offer(desk, token, offered_units=FRACTIONS)
    order = sales.pay(desk, sales.order(desk, sale, buyer, units=FRACTIONS))

    planned = close(desk, sale)

    assert [mint.key for mint in planned] == [f"mint:order:{order.id}"]


def test_close__twice__is_refused_and_mints_once(desk: Desk, sale: Offering, buyer: Buyer) -> None:
    sales.pay(desk, sales.order(desk, sale, buyer, units=20))
    planned = close(desk, sale)

    with pytest.raises(Conflict, match="no_mint_failed"):
        close(desk, sale)

    assert of_kind(desk, OperationKind.MINT) == planned


@pytest.mark.parametrize(("paid", "accepted"), [(19, False), (20, True)])
def test_close__paid_units_at_and_below_the_minimum__decide(
    desk: Desk, sale: Offering, buyer: Buyer, paid: int, accepted: bool
) -> None:
    sales.pay(desk, sales.order(desk, sale, buyer, units=paid))
    # what is ordered and not paid for counts for nothing
    sales.order(desk, sale, buyer, units=80)

    if accepted:
        assert close(desk, sale)
    else:
        with pytest.raises(Conflict, match="offering_below_minimum"):
            close(desk, sale)


def test_close__wrapper_has_no_wallet__is_refused(
    desk: Desk, wrapped: Wrapped, sale: Offering, buyer: Buyer
) -> None:
    sales.pay(desk, sales.order(desk, sale, buyer, units=20))
    wrapper = wrappers.find_wrapper(desk.session, wrapped.asset.id)
    assert wrapper is not None
    wrapped.issuer.investor.party_id = make.company(desk).id
    desk.session.flush()

    with pytest.raises(Conflict, match="treasury_not_ready"):
        close(desk, sale)


def test_close__wrappers_identity_not_on_chain__is_refused(
    desk: Desk, wrapped: Wrapped, sale: Offering, buyer: Buyer
) -> None:
    sales.pay(desk, sales.order(desk, sale, buyer, units=20))
    wrapped.issuer.wallet.identity = None
    desk.session.flush()

    with pytest.raises(Conflict, match="identity_not_ready"):
        close(desk, sale)


def test_close__gate_closed__is_refused(
    desk: Desk, wrapped: Wrapped, sale: Offering, buyer: Buyer
) -> None:
    sales.pay(desk, sales.order(desk, sale, buyer, units=20))
    make.value(desk, wrapped.asset, 1)

    with pytest.raises(RulesRefused, match="TOK-04"):
        close(desk, sale)

    assert of_kind(desk, OperationKind.MINT) == []


def test_settle__mint_final_twice__settles_once(desk: Desk, sale: Offering, buyer: Buyer) -> None:
    order = sales.pay(desk, sales.order(desk, sale, buyer, units=20))
    close(desk, sale)

    for _ in range(2):
        minting.settle_orders(desk.session, [order.id])

    assert desk.session.get_one(Order, order.id).state == OrderState.SETTLED


def test_settle__order_not_minting__stays_as_it_is(
    desk: Desk, sale: Offering, buyer: Buyer
) -> None:
    order = sales.order(desk, sale, buyer)

    minting.settle_orders(desk.session, [order.id])

    assert order.state == OrderState.AWAITING_PAYMENT


def test_is_mint_of__own_order__is_told_from_anothers(
    desk: Desk, sale: Offering, buyer: Buyer
) -> None:
    sales.pay(desk, sales.order(desk, sale, buyer, units=20))
    mint, treasury = close(desk, sale)

    assert orders.is_mint_of(desk.session, buyer.actor, mint.id)
    assert not orders.is_mint_of(desk.session, buyer.actor, treasury.id)
    assert not orders.is_mint_of(desk.session, make.buyer(desk).actor, mint.id)
