"""Each address once, and every address at its place, whatever numbers are drawn."""

from __future__ import annotations

import secrets

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chain.sync.interning import by_set, in_turn

pytestmark = pytest.mark.unit

FEW = st.sampled_from([bytes(20), b"\x01" * 20, bytes(19) + b"\x01", b"\x01" + bytes(19)])
ADDRESSES = st.lists(FEW | st.binary(min_size=20, max_size=20), max_size=60)


def rows(addresses: list[bytes]) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.frombuffer(b"".join(addresses), np.uint8).reshape(-1, 20)


@given(addresses=ADDRESSES)
def test_different__any_addresses__are_each_once(addresses: list[bytes]) -> None:
    for known, place in (in_turn(rows(addresses)), by_set(rows(addresses))):
        assert sorted(known) == sorted(set(addresses))
        assert [known[each] for each in place.tolist()] == addresses


def test_different__two_that_have_one_number__are_drawn_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    drawn = iter([1, 1, 1, 3, 5, 7])
    monkeypatch.setattr(secrets, "randbits", lambda _: next(drawn))
    small, large = (number.to_bytes(8, "little") for number in (1, 2))
    addresses = [small + large + bytes(4), large + small + bytes(4)]

    known, place = by_set(rows(addresses))

    assert [known[each] for each in place.tolist()] == addresses
    assert next(drawn, None) is None, "the first three gave both the same number"
