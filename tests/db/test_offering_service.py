"""Opening a sale, closing it, and minting exactly what was declared."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from sqlmodel import select

from registry.asset.models import AssetState
from registry.captable.models import Reconciliation, Token
from registry.kernel.actor import Actor
from registry.kernel.errors import Conflict, Forbidden, Invalid
from registry.offering import service as offerings
from registry.offering.models import Offering, OfferingState, Order, OrderState
from registry.offering.service import OfferTerms
from registry.operation.models import Operation, OperationDependency, OperationKind
from registry.rulebook.service import RulesRefused
from registry.tokenization import service as tokenizations
from registry.tokenization.models import Tokenization, TokenizationState
from registry.wrapper import service as wrappers
from tests import factories as make
from tests import sales
from tests.factories import COMPLIANCE, Buyer, Desk
from tests.sales import FRACTIONS, Wrapped

pytestmark = pytest.mark.db


@pytest.fixture
def wrapped(desk: Desk) -> Wrapped:
    return sales.wrapped_apartment(desk)


@pytest.fixture
def sale(desk: Desk, wrapped: Wrapped) -> Offering:
    return sales.offering(desk, wrapped, offered_units=100, minimum_units=20)


@pytest.fixture
def buyer(desk: Desk) -> Buyer:
    return make.buyer(desk)


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


def test_open__deployed_token__is_offered_at_its_price(desk: Desk, wrapped: Wrapped) -> None:
    tokenization = sales.deployed(desk, wrapped)

    sale = offerings.open_offering(
        desk.session, COMPLIANCE, tokenization.id, OfferTerms(offered_units=FRACTIONS)
    )

    assert (sale.state, sale.reserved_units) == (OfferingState.OPEN, 0)
    assert sale.price_paisa == tokenization.price_paisa
    assert tokenization.state == TokenizationState.OFFERING


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
    desk: Desk, wrapped: Wrapped, terms: dict[str, Any], code: str
) -> None:
    with pytest.raises(Invalid, match=code):
        sales.offering(desk, wrapped, **terms)


def test_open__twice__is_refused(desk: Desk, sale: Offering) -> None:
    with pytest.raises(Conflict, match="transition_refused"):
        offerings.open_offering(
            desk.session, COMPLIANCE, sale.tokenization_id, OfferTerms(offered_units=1)
        )


def test_open__by_the_issuer__is_forbidden(desk: Desk, wrapped: Wrapped) -> None:
    tokenization = sales.deployed(desk, wrapped)

    with pytest.raises(Forbidden, match="transition_forbidden"):
        offerings.open_offering(
            desk.session, wrapped.issuer.actor, tokenization.id, OfferTerms(offered_units=1)
        )


def test_open__gate_closed__is_refused(desk: Desk, wrapped: Wrapped) -> None:
    tokenization = sales.deployed(desk, wrapped)
    block_title(wrapped)

    with pytest.raises(Conflict, match="asset_not_registered"):
        offerings.open_offering(
            desk.session, COMPLIANCE, tokenization.id, OfferTerms(offered_units=1)
        )


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


def test_close__everything_sold__mints_nothing_to_the_wrapper(desk: Desk, wrapped: Wrapped) -> None:
    sale = sales.offering(desk, wrapped)
    who = make.buyer(desk)
    order = sales.pay(desk, sales.order(desk, sale, who, units=FRACTIONS))

    planned = close(desk, sale)

    assert [mint.key for mint in planned] == [f"mint:order:{order.id}"]


def test_close__twice__is_refused_and_mints_once(desk: Desk, sale: Offering, buyer: Buyer) -> None:
    sales.pay(desk, sales.order(desk, sale, buyer, units=20))
    planned = close(desk, sale)

    with pytest.raises(Conflict, match="transition_refused"):
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
        offerings.settle_order(desk.session, order.id)

    assert desk.session.get_one(Order, order.id).state == OrderState.SETTLED


def test_settle__order_not_minting__stays_as_it_is(
    desk: Desk, sale: Offering, buyer: Buyer
) -> None:
    order = sales.order(desk, sale, buyer)

    offerings.settle_order(desk.session, order.id)

    assert order.state == OrderState.AWAITING_PAYMENT


# Going live


@pytest.fixture
def minting(desk: Desk, sale: Offering, buyer: Buyer) -> Tokenization:
    sales.pay(desk, sales.order(desk, sale, buyer, units=20))
    close(desk, sale)
    return token_of(desk, sale)


def reconciled(
    desk: Desk, tokenization: Tokenization, supply: int, differences: list[dict[str, Any]]
) -> None:
    """Write what the chain's reconciler would."""
    assert tokenization.token_address is not None
    token = desk.session.exec(
        select(Token).where(Token.address == tokenization.token_address)
    ).first() or Token(
        chain_id=1,
        address=tokenization.token_address,
        identity_registry=bytes(20),
        compliance=bytes(20),
        block_number=1,
    )
    desk.session.add(token)
    desk.session.flush()
    assert token.token_no is not None
    desk.session.add(
        Reconciliation(
            token_no=token.token_no,
            block_number=2,
            block_hash=bytes(32),
            holders=2,
            projected_supply_units=supply,
            chain_supply_units=supply,
            differences=differences,
        )
    )
    desk.session.flush()


def test_go_live__minted_and_reconciled__plans_the_unpause_once(
    desk: Desk, minting: Tokenization
) -> None:
    reconciled(desk, minting, FRACTIONS, [])

    operation = offerings.go_live(desk.session, COMPLIANCE, minting.id)

    assert operation.kind == OperationKind.UNPAUSE
    assert offerings.go_live(desk.session, COMPLIANCE, minting.id).id == operation.id
    assert minting.state == TokenizationState.MINTING


@pytest.mark.parametrize("supply", [0, FRACTIONS - 1, FRACTIONS + 1])
def test_go_live__other_supply__is_refused(desk: Desk, minting: Tokenization, supply: int) -> None:
    reconciled(desk, minting, supply, [])

    with pytest.raises(Conflict, match="not_reconciled"):
        offerings.go_live(desk.session, COMPLIANCE, minting.id)


def test_go_live__never_reconciled__is_refused(desk: Desk, minting: Tokenization) -> None:
    with pytest.raises(Conflict, match="not_reconciled"):
        offerings.go_live(desk.session, COMPLIANCE, minting.id)


def test_go_live__last_reconciliation_found_a_difference__is_refused(
    desk: Desk, minting: Tokenization
) -> None:
    reconciled(desk, minting, FRACTIONS, [])
    reconciled(desk, minting, FRACTIONS, [{"holder": "0x00", "projected": "1", "chain": "2"}])

    with pytest.raises(Conflict, match="not_reconciled"):
        offerings.go_live(desk.session, COMPLIANCE, minting.id)


def test_go_live__before_minting__is_refused(desk: Desk, sale: Offering) -> None:
    with pytest.raises(Conflict, match="transition_refused"):
        offerings.go_live(desk.session, COMPLIANCE, sale.tokenization_id)


def test_confirm_live__unpause_final_twice__is_live_once(desk: Desk, minting: Tokenization) -> None:
    for _ in range(2):
        offerings.confirm_live(desk.session, minting.id)

    assert minting.state == TokenizationState.LIVE
    assert of_kind(desk, OperationKind.PAUSE) == []


def test_confirm_live__asset_suspended_while_the_unpause_was_on_its_way__pauses_again(
    desk: Desk, wrapped: Wrapped, minting: Tokenization
) -> None:
    # the order found no live token to pause; nobody else would (ENC-02)
    block_title(wrapped)
    desk.session.flush()

    offerings.confirm_live(desk.session, minting.id)

    assert tokenizations.get_tokenization(desk.session, minting.id).state == "PAUSED"
    [pause] = of_kind(desk, OperationKind.PAUSE)
    assert UUID(pause.params["tokenization_id"]) == minting.id


def test_mint_operations__of_one_token__are_its_own(
    desk: Desk, minting: Tokenization, buyer: Buyer
) -> None:
    other = sales.offering(desk, sales.wrapped_wheat(desk))
    sales.pay(desk, sales.order(desk, other, buyer, units=20))
    theirs = close(desk, other)

    mine = offerings.mint_operations(desk.session, minting.id)

    assert len(mine) == 2
    assert {item.id for item in mine}.isdisjoint(item.id for item in theirs)
