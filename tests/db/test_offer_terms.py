"""The terms of a sale: tickets, dates and countries, at its opening and at each order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlmodel import Session

from registry.compliance.terms import ComplianceTerms
from registry.kernel.clock import now, written
from registry.kernel.db import Database
from registry.kernel.errors import Conflict, Invalid
from registry.kernel.money import MAX_PAISA
from registry.offering import ending, leaving
from registry.offering import service as offerings
from registry.offering.models import Allotment, Offering
from registry.offering.terms import OfferTerms, check_offer_terms
from registry.party.models import Party
from registry.tokenization.models import Tokenization
from tests import factories as make
from tests import sales
from tests.db.stage import Stage, StageMaker
from tests.factories import COMPLIANCE, Buyer, Desk

pytestmark = pytest.mark.db

HOUR = timedelta(hours=1)
LATER, SOONER = datetime(2999, 12, 1, 9, tzinfo=UTC), datetime(2999, 11, 1, 9, tzinfo=UTC)


@dataclass(frozen=True)
class Market:
    token: Tokenization
    buyer: Buyer


def deploy(desk: Desk) -> Market:
    terms = ComplianceTerms(allowed_countries=("PK", "AE"))
    token = sales.deployed(desk, sales.wrapped_apartment(desk), compliance=terms)
    return Market(token, make.buyer(desk))


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


def offer(desk: Desk, market: Market, **terms: Any) -> Offering:
    return offerings.open_offering(
        desk.session, COMPLIANCE, market.token.id, OfferTerms(**({"offered_units": 100} | terms))
    )


def refused(desk: Desk, sale: Offering, who: Buyer, units: int = 10) -> Any:
    with pytest.raises(Conflict) as refusal:
        sales.order(desk, sale, who, units)
    return refusal.value


# Opening


def test_open__all_terms__are_kept(desk: Desk, market: Market) -> None:
    sale = offer(
        desk,
        market,
        minimum_units=10,
        min_ticket_units=2,
        max_ticket_units=50,
        opens_at=SOONER,
        closes_at=LATER,
        eligible_countries=("PK", "AE", "PK"),
        allotment=Allotment.PRO_RATA,
        cooling_off_hours=48,
        payment_hours=72,
    )

    desk.session.refresh(sale)
    assert (sale.minimum_units, sale.min_ticket_units, sale.max_ticket_units) == (10, 2, 50)
    assert (sale.opens_at, sale.closes_at) == (SOONER, LATER)
    assert sale.eligible_countries == ["AE", "PK"]
    assert (sale.cooling_off_hours, sale.payment_hours) == (48, 72)
    assert (sale.allotment, sale.waiting_list_hours) == (Allotment.PRO_RATA, 0)


def test_open__nothing_said_of_the_time_to_pay__is_three_days(desk: Desk, market: Market) -> None:
    assert offer(desk, market).payment_hours == 72


def test_open__price_just_above_what_an_order_can_have__is_refused(
    desk: Desk, market: Market
) -> None:
    market.token.price_paisa = MAX_PAISA // 100 + 1
    check_offer_terms(OfferTerms(offered_units=100), 100, MAX_PAISA // 100, now())
    with pytest.raises(Invalid, match="offer_price_too_high"):
        offer(desk, market)


def test_open__to_be_paid_until_a_known_end__is_taken(desk: Desk, market: Market) -> None:
    assert offer(desk, market, payment_hours=None, closes_at=LATER).payment_hours is None


@pytest.mark.parametrize(
    ("terms", "code", "field"),
    [
        ({"min_ticket_units": 101}, "offer_terms_invalid", "/min_ticket_units"),
        ({"max_ticket_units": 101}, "offer_terms_invalid", "/max_ticket_units"),
        (
            {"min_ticket_units": 5, "max_ticket_units": 4},
            "offer_terms_invalid",
            "/max_ticket_units",
        ),
        ({"closes_at": datetime(2020, 1, 1, tzinfo=UTC)}, "offer_terms_invalid", "/closes_at"),
        ({"opens_at": LATER, "closes_at": SOONER}, "offer_terms_invalid", "/closes_at"),
        ({"opens_at": LATER, "closes_at": LATER}, "offer_terms_invalid", "/closes_at"),
        ({"cooling_off_hours": -1}, "offer_terms_invalid", "/cooling_off"),
        ({"cooling_off_hours": 2161}, "offer_terms_invalid", "/cooling_off"),
        ({"payment_hours": None}, "offer_terms_invalid", "/payment_hours"),
        ({"payment_hours": 0}, "offer_terms_invalid", "/payment_hours"),
        ({"waiting_list_hours": 721}, "offer_terms_invalid", "/waiting_list_hours"),
        ({"eligible_countries": ()}, "offer_terms_invalid", "/eligible_countries"),
        ({"eligible_countries": ("XX",)}, "country_unknown", "/eligible_countries"),
        ({"eligible_countries": ("GB", "PK")}, "offer_countries_wider", "/eligible_countries"),
    ],
)
def test_open__terms_that_no_sale_can_have__are_refused(
    desk: Desk, market: Market, terms: dict[str, Any], code: str, field: str
) -> None:
    with pytest.raises(Invalid) as refusal:
        offer(desk, market, **terms)

    assert (refusal.value.code, refusal.value.field) == (code, field)


# Tickets


def test_order__beyond_what_one_investor_may__is_refused_over_all_orders(
    desk: Desk, market: Market
) -> None:
    sale = offer(desk, market, max_ticket_units=30)
    first = sales.order(desk, sale, market.buyer, 20)

    refusal = refused(desk, sale, market.buyer, 11)
    assert (refusal.code, refusal.remedy) == ("order_exceeds_ticket", "Order at most 10.")
    sales.order(desk, sale, market.buyer, 10)
    assert refused(desk, sale, market.buyer, 1).remedy == "Somebody else has to buy these."

    leaving.cancel_order(desk.session, market.buyer.actor, first.id)
    sales.order(desk, sale, market.buyer, 20)
    sales.order(desk, sale, make.buyer(desk), 30)


def test_subscribe__more_than_is_offered__is_taken_from_all_but_not_from_one(
    desk: Desk, market: Market
) -> None:
    sale = offer(desk, market, allotment=Allotment.PRO_RATA)
    sales.order(desk, sale, market.buyer, 100)
    sales.order(desk, sale, make.buyer(desk), 100)

    assert sale.reserved_units == 200
    refusal = refused(desk, sale, make.buyer(desk), 101)
    assert (refusal.code, refusal.remedy) == ("order_exceeds_offer", "Order at most 100.")


# Dates


def test_order__before_the_opening__says_when_it_is(desk: Desk, market: Market) -> None:
    sale = offer(desk, market, opens_at=LATER)

    refusal = refused(desk, sale, market.buyer)
    assert refusal.code == "offering_not_open_yet"
    assert refusal.detail == "Orders are taken from 1 December 2999, 14:00 PKT."

    sale.opens_at = now()
    sales.order(desk, sale, market.buyer)


def test_order__after_the_close__says_when_it_was(desk: Desk, market: Market) -> None:
    sale = offer(desk, market, closes_at=LATER)
    sales.order(desk, sale, market.buyer)
    sale.closes_at = closed = now()

    refusal = refused(desk, sale, market.buyer)
    assert refusal.code == "offering_time_over"
    assert refusal.detail == f"Orders were taken until {written(closed)}."


def test_pay__after_the_close_of_the_order_book__is_taken(desk: Desk, market: Market) -> None:
    sale = offer(desk, market, closes_at=LATER)
    order = sales.order(desk, sale, market.buyer)
    sale.closes_at = now()

    assert sales.pay(desk, order).state == "PAID"


@pytest.mark.parametrize("opens_at", [None, LATER - HOUR])
def test_stop__open_sale__takes_no_more_orders(
    desk: Desk, market: Market, opens_at: datetime | None
) -> None:
    sale = offer(desk, market, opens_at=opens_at, closes_at=LATER)

    ending.stop_offering(desk.session, COMPLIANCE, sale.id, reason="The issuer asked for it")

    assert refused(desk, sale, market.buyer).code == "offering_time_over"
    with pytest.raises(Conflict, match="offering_time_over"):
        ending.stop_offering(desk.session, COMPLIANCE, sale.id, reason="Again")


def test_stop__blank_reason_or_closed_sale__is_refused(desk: Desk, market: Market) -> None:
    sale = offer(desk, market)
    with pytest.raises(Invalid, match="reason_missing"):
        ending.stop_offering(desk.session, COMPLIANCE, sale.id, reason="  ")

    offerings.close_and_mint(desk.session, COMPLIANCE, market.token.id)
    with pytest.raises(Conflict, match="offering_closed"):
        ending.stop_offering(desk.session, COMPLIANCE, sale.id, reason="Late")


# Countries


def test_order__from_a_country_that_the_sale_leaves_out__is_refused(
    desk: Desk, market: Market
) -> None:
    sale = offer(desk, market, eligible_countries=("AE",))

    refusal = refused(desk, sale, market.buyer)
    assert refusal.code == "country_not_eligible"
    assert refusal.detail == "This offering is for residents of AE; you reside in PK."

    party = desk.session.get_one(Party, market.buyer.investor.party_id)
    party.residence_country = "AE"
    desk.session.flush()
    sales.order(desk, sale, market.buyer)


def test_order__from_a_country_that_the_token_refuses__names_the_token(
    desk: Desk, market: Market
) -> None:
    sale = offer(desk, market)
    party = desk.session.get_one(Party, market.buyer.investor.party_id)
    party.residence_country = "GB"
    desk.session.flush()

    assert refused(desk, sale, market.buyer).code == "country_not_allowed"
