"""What plants and mines share: where the power comes from, and how it turns into hashes."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from typing import Annotated

from pydantic import Field

from registry.jurisdiction.interface import KeyForm
from registry.kernel.whole import NO_FLAG

WATT_PER_MW = 10**6
TH_PER_PH = 1000
REPORTED_AT_MOST = Fraction(105, 100)
"""Machines may give 5 % more than their nameplates say (NRG-03)."""

SITE_KEY = KeyForm(
    re.compile(r"SITE\|[A-Z0-9-]+\|[A-Z0-9-]+"), "SITE|operator|meter number, upper case"
)

Pue = Annotated[Decimal, Field(ge=1, le=5, decimal_places=4)]
Rate = Annotated[Decimal, Field(gt=0, max_digits=12, decimal_places=6)]
Machines = Annotated[int, Field(gt=0, le=10**7), NO_FLAG]
_Part = Annotated[int, Field(gt=0, lt=2**53), NO_FLAG]
RevenueShare = tuple[_Part, _Part]


class PowerSource(StrEnum):
    """What the power is made of."""

    SOLAR_PV = "SOLAR_PV"
    WIND = "WIND"
    HYDRO = "HYDRO"
    BAGASSE = "BAGASSE"
    GAS = "GAS"
    NUCLEAR = "NUCLEAR"
    GRID = "GRID"
    GRID_SURPLUS_COAL = "GRID_SURPLUS_COAL"


@dataclass(frozen=True, slots=True)
class Load:
    """Machines under one roof.

    Parameters
    ----------
    hashrate_ths
        Terahashes a second, by the nameplates.
    it_watt
        Watts of the machines alone.
    pue
        Power usage effectiveness: all power over that of the machines.
    """

    hashrate_ths: Fraction
    it_watt: Fraction
    pue: Fraction

    @classmethod
    def of(cls, machines: Iterable[tuple[int, Decimal, Decimal]], pue: Decimal) -> Load:
        """Sum machines: how many, TH/s of each, joules for each terahash."""
        hashrate_ths = it_watt = Fraction(0)
        for number, ths, j_per_th in machines:
            hashrate_ths += number * Fraction(ths)
            it_watt += number * Fraction(ths) * Fraction(j_per_th)
        return cls(hashrate_ths, it_watt, Fraction(pue))

    @property
    def it_load_mw(self) -> Fraction:
        return self.it_watt / WATT_PER_MW

    @property
    def facility_mw(self) -> Fraction:
        """Sum of TH/s by J/TH, over 10⁶, by PUE."""
        return self.it_load_mw * self.pue

    def power_fault(self, contracted_mw: Decimal) -> str | None:
        """Say that more is drawn than is contracted (NRG-01)."""
        if self.facility_mw <= contracted_mw:
            return None
        return f"The facility draws {shown(self.facility_mw)} MW of {contracted_mw} MW contracted."

    def hashrate_fault(self, reported_phs: Decimal | None) -> str | None:
        """Say that more is reported than the machines can give (NRG-03)."""
        nameplate_phs = self.hashrate_ths / TH_PER_PH
        if reported_phs is None or reported_phs <= nameplate_phs * REPORTED_AT_MOST:
            return None
        return f"{reported_phs} PH/s are reported, the nameplates sum to {shown(nameplate_phs)}."


def shown(value: Fraction) -> str:
    """Write a figure for people, to six places."""
    return f"{Decimal(value.numerator) / value.denominator:.6f}".rstrip("0").rstrip(".")


def revenue_share_fault(share: RevenueShare) -> str | None:
    """Say that holders cannot have more than the whole revenue."""
    return "the holders' share is more than the whole revenue" if share[0] > share[1] else None


def repeated_serials(serials: Iterable[str]) -> Iterator[str]:
    """Say which machines stand twice (NRG-02)."""
    for serial, times in Counter(serials).items():
        if times > 1:
            yield f"Machine {serial} stands {times} times."
