"""The different addresses among many, by set: a look-up for each would take longer than its log."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]

ADDRESS_BYTES = 20
FEW = 500
_WORDS = 3
"""Of eight bytes: so many hold an address."""


def different(addresses: Bytes) -> tuple[Sequence[bytes], NDArray[np.int32]]:
    """Give each address once, and for all of them the place of it there.

    Parameters
    ----------
    addresses
        Shape (n, 20).
    """
    return in_turn(addresses) if len(addresses) <= FEW else by_set(addresses)


def in_turn(addresses: Bytes) -> tuple[Sequence[bytes], NDArray[np.int32]]:
    """Look one up after the other: of a block's logs, before the first step by set is made."""
    places: dict[bytes, int] = {}
    found = [places.setdefault(address, len(places)) for address in _cut(addresses)]
    return list(places), np.array(found, np.int32)


def by_set(addresses: Bytes) -> tuple[Sequence[bytes], NDArray[np.int32]]:
    """Sort them by a number that is drawn of each.

    That takes a tenth of sorting the addresses themselves. Two different ones may have one number:
    then other numbers are drawn.
    """
    words = np.zeros((len(addresses), _WORDS * 8), np.uint8)
    words[:, :ADDRESS_BYTES] = addresses
    while True:
        first, place = _by_number(words.view(np.uint64))
        known = addresses.take(first, axis=0)
        if (known.take(place, axis=0) == addresses).all():
            return _cut(known), place


def _cut(addresses: Bytes) -> list[bytes]:
    text = addresses.tobytes()
    return [text[start : start + ADDRESS_BYTES] for start in range(0, len(text), ADDRESS_BYTES)]


def _by_number(words: NDArray[np.uint64]) -> tuple[NDArray[np.intp], NDArray[np.int32]]:
    """Draw a number for each row; give a row of each number, and the number's place of all rows."""
    factors = np.array([secrets.randbits(64) | 1 for _ in range(_WORDS)], np.uint64)
    mixed = words ^ (words >> np.uint64(32))
    number = mixed @ factors
    order = np.argsort(number)
    number = number[order]
    is_new = np.ones(len(number), np.bool_)
    is_new[1:] = number[1:] != number[:-1]
    place = np.empty(len(number), np.int32)
    place[order] = np.cumsum(is_new) - 1
    return order[is_new], place
