"""Nobody pays for fractions that the token's rules would not let be minted to them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlmodel import Session

from registry.compliance.terms import ComplianceTerms
from registry.kernel.actor import Role
from registry.kernel.db import Database
from registry.kernel.errors import Conflict
from registry.offering import giving_up, leaving, minting, unwinding
from registry.offering import service as offerings
from registry.offering.models import Offering, Order, OrderState
from registry.offering.terms import OfferTerms
from registry.operation.models import Operation, OperationState
from registry.party.models import Party
from registry.rulebook.service import RulesRefused
from registry.tokenization import service as tokenizations
from registry.tokenization.models import Tokenization, TokenizationState
from tests import factories as make
from tests import sales
from tests.db.stage import Stage, StageMaker
from tests.factories import ACTORS, COMPLIANCE, Buyer, Desk
from tests.sales import FRACTIONS, Wrapped

pytestmark = pytest.mark.db


@pytest.fixture(scope="module")
def stage(make_stage: StageMaker) -> Iterator[Stage[Wrapped]]:
    with make_stage(sales.wrapped_apartment) as stage:
        yield stage


@pytest.fixture(scope="module")
def database(stage: Stage[Wrapped]) -> Database:
    return stage.database


@pytest.fixture
def wrapped(stage: Stage[Wrapped], session: Session) -> Wrapped:
    return stage.on(session)


def sale_of(
    desk: Desk,
    wrapped: Wrapped,
    terms: ComplianceTerms,
    offered: int = FRACTIONS,
    minimum: int = 0,
) -> Offering:
    tokenization = sales.deployed(desk, wrapped, compliance=terms)
    return offerings.open_offering(
        desk.session,
        COMPLIANCE,
        tokenization.id,
        OfferTerms(offered_units=offered, minimum_units=minimum),
    )


def resident(desk: Desk, country: str) -> Buyer:
    buyer = make.buyer(desk)
    party = desk.session.get_one(Party, buyer.investor.party_id)
    party.residence_country = country
    desk.session.flush()
    return buyer


def refused(desk: Desk, sale: Offering, who: Buyer, units: int) -> Any:
    with pytest.raises(Conflict) as refusal:
        sales.order(desk, sale, who, units)
    return refusal.value


def test_order__country_that_is_not_allowed__is_refused(desk: Desk, wrapped: Wrapped) -> None:
    sale = sale_of(desk, wrapped, ComplianceTerms(allowed_countries=("PK", "AE")))

    assert refused(desk, sale, resident(desk, "GB"), 1).code == "country_not_allowed"
    sales.order(desk, sale, resident(desk, "AE"), 1)
    assert sale.reserved_units == 1


def test_order__beyond_what_one_may_hold__is_refused_over_all_orders(
    desk: Desk, wrapped: Wrapped
) -> None:
    sale = sale_of(desk, wrapped, ComplianceTerms(max_units_per_holder=100), minimum=900)
    buyer = make.buyer(desk)
    first = sales.order(desk, sale, buyer, 60)

    refusal = refused(desk, sale, buyer, 41)
    assert (refusal.code, refusal.remedy) == ("order_exceeds_holding", "Order at most 40.")
    sales.order(desk, sale, buyer, 40)
    assert refused(desk, sale, buyer, 1).code == "order_exceeds_holding"

    leaving.cancel_order(desk.session, buyer.actor, first.id)
    sales.order(desk, sale, buyer, 60)


@pytest.mark.parametrize("offered", [FRACTIONS, FRACTIONS - 1])
def test_order__one_holder_too_many__is_refused_and_the_wrapper_counts(
    desk: Desk, wrapped: Wrapped, offered: int
) -> None:
    sale = sale_of(desk, wrapped, ComplianceTerms(max_holders=3), offered)
    known = [make.buyer(desk) for _ in range(2)]
    placed = [sales.order(desk, sale, buyer, 1) for buyer in known]

    late = make.buyer(desk)
    assert refused(desk, sale, late, 1).code == "holders_exhausted"
    sales.order(desk, sale, known[0], 1)
    leaving.cancel_order(desk.session, known[1].actor, placed[1].id)
    sales.order(desk, sale, late, 1)


def test_order__last_holder_who_leaves_nothing__takes_the_place_of_the_wrapper(
    desk: Desk, wrapped: Wrapped
) -> None:
    sale = sale_of(desk, wrapped, ComplianceTerms(max_holders=3))
    placed = [sales.order(desk, sale, make.buyer(desk), 1) for _ in range(2)]
    last = make.buyer(desk)
    assert refused(desk, sale, last, FRACTIONS - 3).code == "holders_exhausted"

    placed.append(sales.order(desk, sale, last, FRACTIONS - 2))

    for order in placed:
        sales.pay(desk, order)
    assert len(offerings.close_and_mint(desk.session, COMPLIANCE, sale.tokenization_id)) == 3


def test_order__last_holder_of_a_part_of_the_token__never_takes_the_place_of_the_wrapper(
    desk: Desk, wrapped: Wrapped
) -> None:
    sale = sale_of(desk, wrapped, ComplianceTerms(max_holders=2), FRACTIONS - 1)
    sales.order(desk, sale, make.buyer(desk), 1)

    assert refused(desk, sale, make.buyer(desk), FRACTIONS - 2).code == "holders_exhausted"


def test_close__place_of_the_wrapper_is_taken__is_refused_until_the_rest_is_sold(
    desk: Desk, wrapped: Wrapped
) -> None:
    """An order lapsed of a buyer who has another, so that no place became free with it."""
    sale, twice = _sold_out_but_for_a_second_order(desk, wrapped)

    with pytest.raises(Conflict, match="rest_without_holder"):
        offerings.close_and_mint(desk.session, COMPLIANCE, sale.tokenization_id)

    sales.pay(desk, sales.order(desk, sale, twice, 10))
    assert len(offerings.close_and_mint(desk.session, COMPLIANCE, sale.tokenization_id)) == 3


def test_give_up__sale_whose_rest_has_no_holder__gives_everything_back(
    desk: Desk, wrapped: Wrapped
) -> None:
    sale, _ = _sold_out_but_for_a_second_order(desk, wrapped)

    token = give_up(desk, sale)

    assert token.state == TokenizationState.UNWINDING
    assert len(unwinding.unpaid_refunds(desk.session, sale.id)) == 2


def give_up(desk: Desk, sale: Offering) -> Tokenization:
    for role in (Role.COMPLIANCE, Role.REGISTRAR_CHECKER):
        given = giving_up.agree_to_give_up(
            desk.session, ACTORS[role], sale.tokenization_id, role=role, reason="No holder left"
        )
    return given.tokenization


def test_give_up__mint_that_cannot_be_given_back__lets_the_whole_sale_go(
    desk: Desk, wrapped: Wrapped
) -> None:
    sale = sale_of(desk, wrapped, ComplianceTerms(max_units_per_holder=600), minimum=400)
    for _ in range(4):
        sales.pay(desk, sales.order(desk, sale, make.buyer(desk), 100))
    for mint in offerings.close_and_mint(desk.session, COMPLIANCE, sale.tokenization_id):
        mint.state = OperationState.REFUSED
    desk.session.flush()

    token = give_up(desk, sale)

    assert token.state == TokenizationState.UNWINDING
    assert len(unwinding.unpaid_refunds(desk.session, sale.id)) == 4


def test_give_up__sale_with_nothing_sold_of_what_the_wrapper_may_not_hold__is_refused(
    desk: Desk, wrapped: Wrapped
) -> None:
    sale = sale_of(desk, wrapped, ComplianceTerms(max_units_per_holder=600), minimum=400)

    with pytest.raises(Conflict, match="nothing_in_the_way"):
        give_up(desk, sale)


def _sold_out_but_for_a_second_order(desk: Desk, wrapped: Wrapped) -> tuple[Offering, Buyer]:
    sale = sale_of(desk, wrapped, ComplianceTerms(max_holders=2))
    twice = make.buyer(desk)
    sales.pay(desk, sales.order(desk, sale, twice, 40))
    second = sales.order(desk, sale, twice, 10)
    sales.pay(desk, sales.order(desk, sale, make.buyer(desk), FRACTIONS - 50))
    leaving.cancel_order(desk.session, twice.actor, second.id)
    return sale, twice


def test_give_back__wrapper_may_hold_no_more__is_refused_and_the_mint_waits(
    desk: Desk, wrapped: Wrapped
) -> None:
    sale = sale_of(desk, wrapped, ComplianceTerms(max_units_per_holder=600), minimum=400)
    sold = [sales.pay(desk, sales.order(desk, sale, make.buyer(desk), 100)) for _ in range(4)]
    offerings.close_and_mint(desk.session, COMPLIANCE, sale.tokenization_id)
    refuse_mint(desk, sold[0])

    with pytest.raises(Conflict, match="given_back_without_holder"):
        minting.give_back_order(desk.session, COMPLIANCE, sold[0].id, reason="KYC ended")

    assert sold[0].state == OrderState.MINTING
    assert len(offerings.close_and_mint(desk.session, COMPLIANCE, sale.tokenization_id)) == 1


def test_give_back__wrapper_would_be_one_holder_too_many__is_refused(
    desk: Desk, wrapped: Wrapped
) -> None:
    sale = sale_of(desk, wrapped, ComplianceTerms(max_holders=2))
    twice, once = make.buyer(desk), make.buyer(desk)
    sold = [
        sales.pay(desk, sales.order(desk, sale, buyer, units))
        for buyer, units in ((twice, 40), (twice, 10), (once, FRACTIONS - 50))
    ]
    offerings.close_and_mint(desk.session, COMPLIANCE, sale.tokenization_id)
    for order in sold:
        refuse_mint(desk, order)

    with pytest.raises(Conflict, match="given_back_without_holder"):
        minting.give_back_order(desk.session, COMPLIANCE, sold[1].id, reason="KYC ended")
    back = minting.give_back_order(desk.session, COMPLIANCE, sold[2].id, reason="KYC ended")
    assert back.state == OrderState.REFUND_DUE


def refuse_mint(desk: Desk, order: Order) -> None:
    desk.session.get_one(Operation, order.operation_id).state = OperationState.REFUSED
    desk.session.flush()


def test_order__token_from_before_terms__has_no_limits(desk: Desk, wrapped: Wrapped) -> None:
    tokenization = sales.deployed(desk, wrapped)
    tokenization.compliance = None
    desk.session.flush()
    sale = offerings.open_offering(
        desk.session, COMPLIANCE, tokenization.id, OfferTerms(offered_units=FRACTIONS)
    )

    sales.order(desk, sale, resident(desk, "GB"), FRACTIONS)

    assert sale.reserved_units == FRACTIONS


def test_close__at_the_minimum__leaves_what_the_wrapper_may_hold(
    desk: Desk, wrapped: Wrapped
) -> None:
    terms = ComplianceTerms(max_units_per_holder=600)
    sale = sale_of(desk, wrapped, terms, minimum=400)
    sales.pay(desk, sales.order(desk, sale, make.buyer(desk), 400))

    offerings.close_and_mint(desk.session, COMPLIANCE, sale.tokenization_id)

    tokenization = tokenizations.get_tokenization(desk.session, sale.tokenization_id)
    assert tokenization.state == TokenizationState.MINTING


def test_close__wrapper_that_moved_abroad__is_refused_while_anything_is_left(
    desk: Desk, wrapped: Wrapped
) -> None:
    sale = sale_of(desk, wrapped, ComplianceTerms())
    buyer = make.buyer(desk)
    sales.pay(desk, sales.order(desk, sale, buyer, FRACTIONS - 1))
    wrapper = desk.session.get_one(Party, wrapped.issuer.investor.party_id)
    wrapper.residence_country = "GB"
    desk.session.flush()

    with pytest.raises(RulesRefused) as refusal:
        offerings.close_and_mint(desk.session, COMPLIANCE, sale.tokenization_id)
    assert [result.id for result in refusal.value.failed] == ["CMP-08"]

    sales.pay(desk, sales.order(desk, sale, buyer, 1))
    assert len(offerings.close_and_mint(desk.session, COMPLIANCE, sale.tokenization_id)) == 2
