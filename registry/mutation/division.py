"""Partition (taqseem) and consolidation (ishtrak): who owned how much land, before and after.

A share of a smaller piece is another share of the whole, so what is compared is land: each
owner's part of each title times the area of that title.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from uuid import UUID

from registry.kernel.errors import Conflict
from registry.kernel.units import SARSAI_PER_MARLA, SQM_PER_SQFT, Area, LandArea
from registry.mutation.models import MutationKind
from registry.mutation.rules import parts_of
from registry.title.rules import Ownership

SMALLEST = Fraction(1, 10_000)
"""Areas are stated to this part of a sarsai, or of a plain unit: nobody can be given less."""


@dataclass(frozen=True, slots=True)
class Holding:
    """One title as land."""

    area: Area
    ownership: Ownership

    @property
    def area_sqft(self) -> Fraction:
        """Exact, where `Area.area_sqft` is rounded for square metres."""
        return self._sqft_of_unit * self._units

    @property
    def smallest_sqft(self) -> Fraction:
        return self._sqft_of_unit * SMALLEST

    @property
    def _units(self) -> Fraction:
        if isinstance(self.area, LandArea):
            return Fraction(self.area.total_sarsai)
        return Fraction(self.area.quantity)

    @property
    def _sqft_of_unit(self) -> Fraction:
        if isinstance(self.area, LandArea):
            return Fraction(self.area.marla_kind.sqft) / SARSAI_PER_MARLA
        return Fraction(self.area.area_sqm) / Fraction(SQM_PER_SQFT) / Fraction(self.area.quantity)


def land_of_owners(holdings: Sequence[Holding]) -> dict[UUID, Fraction]:
    """Return each owner's land in square feet, over all titles together."""
    land: dict[UUID, Fraction] = {}
    for holding in holdings:
        for party, part in parts_of(holding.ownership).items():
            land[party] = land.get(party, Fraction(0)) + part * holding.area_sqft
    return land


def check_division(
    kind: MutationKind,
    before: Sequence[Holding],
    after: Sequence[Holding],
    *,
    decreed: bool,
) -> None:
    """Refuse a division that makes or loses land, or anybody's part of it (SHR-02).

    A partition may leave to a neighbour the least area that can be stated, for each new title; a
    consolidation needs no such room, for shares are exact.

    Parameters
    ----------
    decreed
        A court decided who takes what: only that no land and no owner is lost is looked at.

    Raises
    ------
    Conflict
        ``division_area_differs``, ``division_loses_owner``, ``division_unequal``.
    """
    area_before = sum((holding.area_sqft for holding in before), Fraction(0))
    area_after = sum((holding.area_sqft for holding in after), Fraction(0))
    if area_before != area_after:
        raise Conflict(
            "division_area_differs",
            f"The land is {area_before} sq ft before and {area_after} sq ft after.",
            remedy="Let the new areas sum to the old ones exactly, to the last sarsai.",
            rule="SHR-02",
        )
    land, divided = land_of_owners(before), land_of_owners(after)
    if land.keys() != divided.keys():
        raise Conflict(
            "division_loses_owner",
            "The owners after the division are not those before it.",
            remedy="Every owner takes a part; a share is sold or given by a mutation of its own.",
            rule="SHR-02",
        )
    room = Fraction(0)
    if kind == MutationKind.PARTITION:
        room = sum((holding.smallest_sqft for holding in after), room)
    uneven = [party for party in land if abs(land[party] - divided[party]) > room]
    if uneven and not decreed:
        raise Conflict(
            "division_unequal",
            f"{uneven[0]} held {land[uneven[0]]} sq ft and would hold {divided[uneven[0]]}.",
            remedy="Give each owner land in the measure of their share, or enter a court's decree.",
            rule="SHR-02",
        )
