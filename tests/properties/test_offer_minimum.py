"""Terms by which a cut could miss a minimum that was paid for are refused, and no others."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import pytest

from registry.kernel.allotment import allot_subscriptions
from registry.kernel.clock import now
from registry.kernel.errors import Invalid
from registry.offering.models import Allotment
from registry.offering.terms import OfferTerms, check_offer_terms

pytestmark = pytest.mark.unit

LARGEST = 9


def refusal_of(terms: OfferTerms) -> Invalid | None:
    try:
        check_offer_terms(terms, terms.offered_units, 1, now())
    except Invalid as refusal:
        return refusal
    return None


def books(least: int, most: int, total: int) -> Iterator[list[int]]:
    """Yield every book of orders from `least` to `most` that sums to at most `total`."""
    yield []
    for units in range(least, min(most, total) + 1):
        for rest in books(units, most, total - units):
            yield [units, *rest]


@pytest.mark.parametrize("whole", range(1, LARGEST + 1))
def test_terms__every_small_sale__are_refused_exactly_where_a_book_would_be_stuck(
    whole: int,
) -> None:
    for ticket, most in product(range(1, whole + 1), repeat=2):
        if most < ticket:
            continue
        # Who drops one order from a larger book comes to these.
        sold = {
            (sum(book), sum(allot_subscriptions(whole, book, ticket)))
            for book in books(ticket, most, whole + most)
        }
        for minimum in range(whole + 1):
            terms = OfferTerms(
                offered_units=whole,
                minimum_units=minimum,
                min_ticket_units=ticket,
                max_ticket_units=most,
                allotment=Allotment.PRO_RATA,
            )
            stuck = any(allotted < minimum <= paid for paid, allotted in sold)
            assert (refusal_of(terms) is not None) == stuck, terms


def pro_rata(minimum: int, ticket: int, most: int | None = None) -> OfferTerms:
    return OfferTerms(
        offered_units=100,
        minimum_units=minimum,
        min_ticket_units=ticket,
        max_ticket_units=most,
        allotment=Allotment.PRO_RATA,
    )


def test_terms__cut_could_miss_the_minimum__are_refused_with_what_would_do() -> None:
    refusal = refusal_of(pro_rata(100, 5))

    assert refusal is not None
    assert (refusal.code, refusal.field) == ("offer_terms_invalid", "/minimum_units")
    assert refusal.remedy is not None
    assert "at most 96" in refusal.remedy
    assert refusal_of(pro_rata(96, 5)) is None
    assert refusal_of(pro_rata(100, 1)) is None


def test_terms__minimum_that_tickets_fill__are_taken() -> None:
    assert refusal_of(pro_rata(100, 5, 5)) is None
    assert refusal_of(pro_rata(60, 60)) is None


def test_terms__first_come__are_taken_with_any_ticket() -> None:
    assert refusal_of(OfferTerms(offered_units=100, minimum_units=100, min_ticket_units=5)) is None
