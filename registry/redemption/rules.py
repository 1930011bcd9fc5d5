"""Who voted enough."""

from __future__ import annotations

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
