"""Exact amounts by column: whole fractions of up to 2^256-1 each, and sums of millions of them.

No integer of a processor holds one, and a Python int for each takes longer than all that is done
with it. So an amount is a row of limbs to the base 10^12, the least first, in int64:

- a limb is three digits of the server's numeric, whose base is 10^4, so that it is written without
  a division of large numbers;
- the limbs of four million amounts are added without a carry, since 2 * 4 * 10^6 * 10^12 < 2^63.

Only the topmost limb has a sign. Every function takes and gives arrays of the shape (n, limbs).
"""

from __future__ import annotations

from collections.abc import Iterable
from math import ceil, log10

import numpy as np
from numpy.typing import NDArray

Limbs = NDArray[np.int64]

BASE = 10**12
MOST_SUMMED = 4_000_000
"""So many amounts at most may be added before their limbs are carried."""

ROUNDED = 1e-6
"""More than all that is lost by floats on the way."""
_PARTS = 17
"""Of 16 bits: an amount of the database has 78 digits, some more than a word of the chain."""
_PART = 2**16
_SIGN_OF_NEGATIVE = 0x4000


def _limbs_for(parts: int) -> int:
    return max(ceil(parts * 16 * log10(2) / 12), 1)


# What a part counts for, as limbs. A sum of products is below 17 * 2^16 * 10^12 < 2^63.
_WEIGHTS = np.array(
    [
        [_PART**power // BASE**limb % BASE for limb in range(_limbs_for(_PARTS))]
        for power in reversed(range(_PARTS))
    ],
    dtype=np.int64,
)


def of_words(words: NDArray[np.uint8]) -> Limbs:
    """Read amounts that are written as words, the highest byte first.

    Parameters
    ----------
    words
        Shape (n, bytes); an even number of bytes, 34 at most.

    Returns
    -------
    Limbs
        As few limbs as the largest of them needs.
    """
    parts = np.ascontiguousarray(words).view(">u2")
    used = np.flatnonzero(parts.any(axis=0))
    count = parts.shape[1] - int(used[0]) if used.size else 1
    kept = parts[:, -count:].astype(np.int64)
    return carried(kept @ _WEIGHTS[-count:, : _limbs_for(count)])


def of_ints(values: Iterable[int]) -> Limbs:
    """Read amounts that are not negative, of 78 digits at most."""
    size = 2 * _PARTS
    written = b"".join([value.to_bytes(size, "big") for value in values])
    return of_words(np.frombuffer(written, np.uint8).reshape(-1, size))


def to_ints(limbs: Limbs) -> list[int]:
    """Give amounts as Python has them; for where there are few."""
    total = [0] * len(limbs)
    for column in reversed(range(limbs.shape[1])):
        total = [
            high * BASE + low for high, low in zip(total, limbs[:, column].tolist(), strict=True)
        ]
    return total


def doubled(limbs: Limbs) -> NDArray[np.float64]:
    """Give of each amount a power of two that is not below it; of nothing, nothing."""
    weights = float(BASE) ** np.arange(limbs.shape[1])
    about = (limbs @ weights) * (1 + ROUNDED)
    return np.where(about > 0, np.ldexp(1.0, np.frexp(about)[1]), 0.0)


def widened(limbs: Limbs, width: int) -> Limbs:
    """Add limbs of zero above, up to `width` limbs; they are carried already."""
    count, has = limbs.shape
    if width <= has:
        return limbs
    # By hand: `np.pad` takes as long as the addition of a block's amounts.
    wide = np.zeros((count, width), np.int64)
    wide[:, :has] = limbs
    return wide


def carried(limbs: Limbs) -> Limbs:
    """Bring every limb but the topmost into 0 to 10^12-1; what is over goes to the next."""
    carried_on = limbs.copy()
    for column in range(limbs.shape[1] - 1):
        over = carried_on[:, column] // BASE
        carried_on[:, column] -= over * BASE
        carried_on[:, column + 1] += over
    return carried_on


def as_numeric(limbs: Limbs) -> NDArray[np.uint8]:
    """Write amounts as the server's numeric is written in binary, all with as many digits.

    The server takes zeros before a number, and stores none.

    Returns
    -------
    array
        Shape (n, 8 + 2 * digits): number of digits, weight of the first, sign, scale, and the
        digits to the base 10^4, each of two bytes.
    """
    is_negative = limbs[:, -1] < 0
    size = carried(np.where(is_negative[:, None], -limbs, limbs)) if is_negative.any() else limbs
    count = _used(size)
    digits = 3 * count
    written = np.empty((len(size), 4 + digits), dtype=">i2")
    written[:, 0] = digits
    written[:, 1] = digits - 1
    written[:, 2] = np.where(is_negative, _SIGN_OF_NEGATIVE, 0)
    written[:, 3] = 0
    # Limb by limb, and turned round before they are put between the others: a third of the time.
    for place, limb in zip(range(4, 4 + digits, 3), reversed(range(count)), strict=True):
        whole = size[:, limb]
        high = whole // 10**8
        rest = whole - high * 10**8
        middle = rest // 10**4
        for offset, digit in enumerate((high, middle, rest - middle * 10**4)):
            written[:, place + offset] = digit.astype(">i2")
    return written.view(np.uint8)


def _used(limbs: Limbs) -> int:
    """Tell how many limbs the largest of amounts that are not negative needs, one at least."""
    count = int(limbs.shape[1])
    while count > 1 and not limbs[:, count - 1].any():
        count -= 1
    return count
