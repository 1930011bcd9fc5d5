"""What each heir gets of an estate: whole units, every one of them, by a rule that anyone repeats.

The shares are fractions of the whole (`registry.mutation.heirs`). Of each token the whole estate
is divided, over all the wallets of the deceased, by the largest remainders; equal remainders go
to whoever stands first in the case. Then the heirs, in that order, are served from the wallets,
in the order of their addresses, each emptied before the next.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import lcm

from registry.kernel.allotment import allot


@dataclass(frozen=True, slots=True)
class Portion:
    """Units that go from one wallet of the deceased to one wallet of an heir."""

    source: bytes
    target: bytes
    units: int


def divide(
    estate: Sequence[tuple[bytes, int]], heirs: Sequence[tuple[bytes, Fraction]]
) -> list[Portion]:
    """Divide one token of an estate.

    Parameters
    ----------
    estate
        Wallets of the deceased, with the whole units in each.
    heirs
        Wallets of the heirs, with their shares, which sum to exactly 1.

    Returns
    -------
    list[Portion]
        They sum to the estate, for each wallet exactly; an heir whose part is below one unit may
        get none.
    """
    assert sum((share for _, share in heirs), Fraction(0)) == 1, "an estate is divided whole"
    whole = lcm(*(share.denominator for _, share in heirs))
    parts = [share.numerator * (whole // share.denominator) for _, share in heirs]
    due = allot(sum(units for _, units in estate), parts)
    left = dict(estate)
    portions = []
    for (target, _), units in zip(heirs, due, strict=True):
        wanted = units
        for source, units_left in left.items():
            taken = min(wanted, units_left)
            if taken:
                portions.append(Portion(source, target, taken))
                left[source] = units_left - taken
                wanted -= taken
    return portions
