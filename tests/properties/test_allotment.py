"""RED-01: whatever is funded and whoever holds, every paisa has exactly one payee."""

from __future__ import annotations

import itertools
from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from registry.kernel.allotment import allot
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
