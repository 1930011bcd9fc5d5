"""Who voted enough, and who gets what: exact, to the paisa (RED-01)."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from registry.redemption.models import RedemptionKind

NEEDED_IN_FAVOUR = Fraction(3, 4)
"""Part of the supply that must agree to a sale or a buy-out (`registry-domain` 1.5)."""

VOTED_ON = frozenset({RedemptionKind.SALE, RedemptionKind.BUYOUT})


def is_carried(in_favour_units: int, supply_units: int) -> bool:
    """Tell whether enough of the whole supply agrees; who does not vote does not agree."""
    return Fraction(in_favour_units, supply_units) >= NEEDED_IN_FAVOUR


def is_lost(against_units: int, supply_units: int) -> bool:
    """Tell whether so many are against that it can no longer be carried."""
    return Fraction(against_units, supply_units) > 1 - NEEDED_IN_FAVOUR


def allot(funded_paisa: int, units: Sequence[int]) -> list[int]:
    """Divide `funded_paisa` by `units` with the largest remainders, so that nothing is left over.

    Equal remainders go to whoever stands first.

    Parameters
    ----------
    units : int, each above 0
        What each payee holds.

    Returns
    -------
    list[int]
        Paisa for each payee; they sum to `funded_paisa` exactly, and each is within one paisa
        of its exact part.
    """
    total = sum(units)
    whole = [funded_paisa * part // total for part in units]
    remainders = [funded_paisa * part % total for part in units]
    first = sorted(range(len(units)), key=lambda place: (-remainders[place], place))
    for place in first[: funded_paisa - sum(whole)]:
        whole[place] += 1
    return whole
