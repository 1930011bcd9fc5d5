"""Dividing an estate in whole units: all of it, by a rule that anybody repeats."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.case.division import divide

pytestmark = pytest.mark.unit

Shares = list[tuple[bytes, Fraction]]
Estate = list[tuple[bytes, int]]


def named(number: int, what: bytes) -> bytes:
    return what + bytes([number]) * 19


estates = st.lists(st.integers(1, 10**12), min_size=1, max_size=6).map(
    lambda units: [(named(number, b"w"), part) for number, part in enumerate(units)]
)


@st.composite
def shares(draw: st.DrawFn) -> Shares:
    parts = draw(st.lists(st.integers(1, 10**9), min_size=1, max_size=8))
    whole = sum(parts)
    return [(named(number, b"h"), Fraction(part, whole)) for number, part in enumerate(parts)]


@given(estate=estates, heirs=shares())
def test_divide__anything__gives_every_unit_and_nobody_a_whole_one_too_much(
    estate: Estate, heirs: Shares
) -> None:
    portions = divide(estate, heirs)

    given_by: Counter[bytes] = Counter()
    got: Counter[bytes] = Counter()
    for portion in portions:
        assert portion.units > 0
        given_by[portion.source] += portion.units
        got[portion.target] += portion.units
    assert given_by == dict(estate)
    whole = sum(units for _, units in estate)
    for heir, share in heirs:
        assert abs(got[heir] - share * whole) < 1
    # One movement less than wallets and heirs together is always enough.
    assert len(portions) < len(estate) + len(heirs)


@given(estate=estates, heirs=shares())
def test_divide__again__is_the_same(estate: Estate, heirs: Shares) -> None:
    assert divide(estate, heirs) == divide(list(estate), list(heirs))


def test_divide__equal_remainders__go_to_whoever_stands_first() -> None:
    heirs = [(named(number, b"h"), Fraction(1, 3)) for number in range(3)]

    portions = divide([(named(0, b"w"), 2)], heirs)

    assert [(portion.target, portion.units) for portion in portions] == [
        (heirs[0][0], 1),
        (heirs[1][0], 1),
    ]


def test_divide__widow_sons_and_daughters__of_a_thousand() -> None:
    """The vector of the register's own design: 1/8, then a son twice a daughter's share."""
    eighths = (1, 2, 2, 1, 1, 1)
    heirs = [(named(number, b"h"), Fraction(part, 8)) for number, part in enumerate(eighths)]

    portions = divide([(named(0, b"w"), 1_001)], heirs)

    assert [portion.units for portion in portions] == [125, 251, 250, 125, 125, 125]
