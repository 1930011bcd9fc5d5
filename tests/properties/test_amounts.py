"""Amounts by column are what Python's own integers are, whatever is done with them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.captable import amounts

pytestmark = pytest.mark.unit

LARGEST = 2**256 - 1
EDGES = [0, 1, 10**12 - 1, 10**12, 2**63 - 1, 2**63, 2**64, 10**24, 10**76, LARGEST - 1, LARGEST]
UNITS = st.sampled_from(EDGES) | st.integers(0, LARGEST) | st.integers(0, 10**25)
MANY = st.lists(UNITS, min_size=1, max_size=20)


@given(values=MANY)
def test_words__read__are_the_same_integers(values: list[int]) -> None:
    words = np.frombuffer(b"".join(value.to_bytes(32, "big") for value in values), np.uint8)

    read = amounts.of_words(words.reshape(-1, 32))

    assert amounts.to_ints(read) == values
    assert amounts.to_ints(amounts.of_ints(values)) == values
    assert ((read >= 0) & (read < amounts.BASE)).all()


@given(values=st.lists(st.tuples(UNITS, st.sampled_from([1, -1])), min_size=1, max_size=50))
def test_sums__of_any_sign__are_exact(values: list[tuple[int, int]]) -> None:
    signs = np.array([sign for _, sign in values])[:, None]
    limbs = amounts.of_ints([value for value, _ in values]) * signs
    limbs = amounts.widened(limbs, limbs.shape[1] + 1)

    sums = amounts.carried(np.cumsum(limbs, axis=0))

    expected = np.cumsum(np.array([value * sign for value, sign in values], dtype=object))
    assert amounts.to_ints(sums) == expected.tolist()


def test_sums__of_as_many_as_may_be__fit() -> None:
    """The bound that the limbs rely on, with the largest limb there is."""
    assert 2 * amounts.MOST_SUMMED * (amounts.BASE - 1) < 2**63 - 1


@given(values=st.lists(UNITS | UNITS.map(lambda value: -value), min_size=1, max_size=20))
def test_numeric__as_written__has_sign_and_digits(values: list[int]) -> None:
    signs = np.array([-1 if value < 0 else 1 for value in values])[:, None]
    limbs = amounts.of_ints([abs(value) for value in values]) * signs
    written = amounts.as_numeric(amounts.carried(amounts.widened(limbs, limbs.shape[1] + 1)))

    assert [_read_numeric(bytes(row)) for row in written] == values


@given(values=st.lists(UNITS, min_size=1, max_size=20))
def test_doubled__any_amounts__are_powers_of_two_that_are_not_below(values: list[int]) -> None:
    bounds = amounts.doubled(amounts.of_ints(values)).tolist()

    for value, bound in zip(values, bounds, strict=True):
        assert value <= bound <= 4 * value
        assert bound == 0 or int(bound).bit_count() == 1


def _read_numeric(row: bytes) -> int:
    count, weight, sign, scale, *digits = np.frombuffer(row, ">i2").tolist()
    assert (len(digits), weight, scale) == (count, count - 1, 0)
    assert all(0 <= digit < 10**4 for digit in digits)
    size: int = sum(digit * 10 ** (4 * place) for place, digit in enumerate(reversed(digits)))
    return -size if sign == 0x4000 else size
