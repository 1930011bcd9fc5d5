"""Land measures, exact. Stored as kanal-marla-sarsai with the size of the marla beside them.

Source: `registry-domain` section 1.3: 1 karam is 5.5 ft, 1 sarsai is one square karam, and
9 sarsai make a marla of 272.25 sq ft. Housing schemes use 225 or 250 sq ft. A register that
took 272 instead lost 40 sq ft on every acre, so nothing here is a float.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from registry.kernel.errors import Invalid

MARLA_PER_KANAL = 20
SARSAI_PER_MARLA = 9
SQM_PER_SQFT = Decimal("0.09290304")
SQFT_PER_SQYD = 9
SQFT_PLACES = Decimal("0.0001")


class MarlaKind(StrEnum):
    """How large a marla is where the land lies."""

    MARLA_272_25 = "MARLA_272_25"
    MARLA_225 = "MARLA_225"
    MARLA_250 = "MARLA_250"

    @property
    def sqft(self) -> Decimal:
        return Decimal(self.value.removeprefix("MARLA_").replace("_", "."))


@dataclass(frozen=True, slots=True)
class LandArea:
    """An area as the record of rights states it.

    Parameters
    ----------
    kanal : int
        0 or more.
    marla : int
        0 to 19.
    sarsai : Decimal
        0 to under 9.
    marla_kind : MarlaKind
        The size of the marla, without which the other three say nothing.
    """

    kanal: int
    marla: int
    sarsai: Decimal
    marla_kind: MarlaKind

    def __post_init__(self) -> None:
        """Refuse what no record of rights may hold.

        Raises
        ------
        Invalid
            ``area_malformed``.
        """
        if (
            self.kanal < 0
            or not 0 <= self.marla < MARLA_PER_KANAL
            or not 0 <= self.sarsai < SARSAI_PER_MARLA
        ):
            raise Invalid(
                "area_malformed",
                f"{self.kanal}K-{self.marla}M-{self.sarsai}S is not a land area.",
                remedy="Kanal is 0 or more, marla 0 to 19, sarsai 0 to under 9.",
            )

    @property
    def total_sarsai(self) -> Decimal:
        """The whole area in sarsai, in which areas of one kind of marla are added exactly."""
        marla = self.kanal * MARLA_PER_KANAL + self.marla
        return marla * SARSAI_PER_MARLA + self.sarsai

    @property
    def area_sqft(self) -> Decimal:
        # Divided last: a third of a marla has no decimal, its square feet have.
        return self.total_sarsai * self.marla_kind.sqft / SARSAI_PER_MARLA

    @property
    def area_sqm(self) -> Decimal:
        return self.area_sqft * SQM_PER_SQFT

    def __str__(self) -> str:
        return f"{self.kanal}K-{self.marla}M-{self.sarsai}S (marla of {self.marla_kind.sqft} sq ft)"


class AreaUnit(StrEnum):
    """Plain units of area, where the paper states no kanal and marla."""

    SQM = "SQM"
    SQYD = "SQYD"
    SQFT = "SQFT"


@dataclass(frozen=True, slots=True)
class PlainArea:
    """An area in one unit, as a metric cadastre or a capital authority states it.

    Parameters
    ----------
    quantity : Decimal
        More than 0.
    """

    quantity: Decimal
    unit: AreaUnit

    @property
    def area_sqm(self) -> Decimal:
        if self.unit is AreaUnit.SQM:
            return self.quantity
        return self.area_sqft * SQM_PER_SQFT

    @property
    def area_sqft(self) -> Decimal:
        """Square feet; of square metres to four places, for they have no end."""
        if self.unit is AreaUnit.SQM:
            return (self.quantity / SQM_PER_SQFT).quantize(SQFT_PLACES)
        return self.quantity * (SQFT_PER_SQYD if self.unit is AreaUnit.SQYD else 1)

    def __str__(self) -> str:
        return f"{self.quantity} {self.unit}"


Area = LandArea | PlainArea
