"""What is divided: every paisa has exactly one payee (RED-01), every fraction one buyer."""

from __future__ import annotations

import itertools
from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from registry.kernel.allotment import allot, allot_subscriptions
from registry.redemption.rules import NEEDED_IN_FAVOUR, is_carried, is_lost

pytestmark = pytest.mark.unit

HOLDINGS = st.lists(st.integers(1, 10**12), min_size=1, max_size=60)


@given(funded=st.integers(0, 10**17), units=HOLDINGS)
@example(funded=100, units=[1, 1, 1])
@example(funded=2, units=[1, 1, 1])
def test_allot__anything__sums_to_the_paisa_and_is_within_one_of_the_exact_part(
    funded: int, units: list[int]
) -> None:
    amounts = allot(funded, units)

    assert sum(amounts) == funded
    for amount, held in zip(amounts, units, strict=True):
        assert abs(amount - Fraction(funded * held, sum(units))) < 1


@given(funded=st.integers(0, 10**12), units=HOLDINGS)
def test_allot__more_units__never_get_less(funded: int, units: list[int]) -> None:
    ranked = sorted(zip(units, allot(funded, units), strict=True))

    for (held, amount), (more, larger) in itertools.pairwise(ranked):
        if held < more:
            assert amount <= larger


def test_allot__equal_remainders__go_to_the_first() -> None:
    assert allot(100, [1, 1, 1]) == [34, 33, 33]
    assert allot(101, [1, 1, 1]) == [34, 34, 33]
    assert allot(0, [5, 7]) == [0, 0]


def test_allot_subscriptions__known_book__is_the_largest_remainder() -> None:
    assert allot_subscriptions(100, [90, 50, 10]) == [60, 33, 7]
    assert allot_subscriptions(10, [7, 7, 7]) == [4, 3, 3]
    assert allot_subscriptions(100, [30, 20]) == [30, 20]
    assert allot_subscriptions(5, []) == []


def test_allot_subscriptions__part_below_the_ticket__goes_to_the_others() -> None:
    assert allot_subscriptions(100, [90, 90, 5], 4) == [50, 50, 0]
    # of equals the last; what is left then is less than a ticket
    assert allot_subscriptions(10, [6, 6, 6], 6) == [6, 0, 0]
    assert allot_subscriptions(100, [12, 95, 12, 12], 10) == [10, 80, 10, 0]


SUBSCRIPTIONS = st.lists(st.integers(1, 10**12), max_size=60)


@given(whole=st.integers(1, 10**12), asked=SUBSCRIPTIONS)
@example(whole=10, asked=[1, 1, 98])
def test_allot_subscriptions__ticket_of_one__is_exact(whole: int, asked: list[int]) -> None:
    given_units = allot_subscriptions(whole, asked)

    total = sum(asked)
    assert sum(given_units) == min(whole, total)
    for units, wanted in zip(given_units, asked, strict=True):
        exact = Fraction(wanted * min(whole, total), total)
        assert abs(units - exact) < 1
        assert 0 <= units <= wanted


@given(whole=st.integers(1, 400), ticket=st.integers(2, 50), data=st.data())
def test_allot_subscriptions__any_ticket__nobody_gets_less_and_hardly_anything_is_left(
    whole: int, ticket: int, data: st.DataObject
) -> None:
    asked = data.draw(st.lists(st.integers(ticket, ticket + 60), max_size=40))

    units = allot_subscriptions(whole, asked, ticket)

    assert all(
        got == 0 or ticket <= got <= wanted for got, wanted in zip(units, asked, strict=True)
    )
    left = min(whole, sum(asked)) - sum(units)
    assert 0 <= left < ticket
    if left:
        assert 0 in units
    for (wanted, got), (more, larger) in itertools.pairwise(sorted(zip(asked, units, strict=True))):
        if wanted < more:
            assert got <= larger


@given(supply=st.integers(1, 10**15), data=st.data())
def test_vote__any_split__is_never_carried_and_lost(supply: int, data: st.DataObject) -> None:
    in_favour = data.draw(st.integers(0, supply))
    against = data.draw(st.integers(0, supply - in_favour))

    assert not (is_carried(in_favour, supply) and is_lost(against, supply))


@pytest.mark.parametrize(("in_favour", "carried"), [(74, False), (75, True), (76, True)])
def test_is_carried__at_the_limit__counts_the_whole_supply(in_favour: int, carried: bool) -> None:
    assert is_carried(in_favour, 100) is carried
    assert is_lost(100 - in_favour, 100) is (in_favour < 75)
    assert Fraction(3, 4) == NEEDED_IN_FAVOUR
