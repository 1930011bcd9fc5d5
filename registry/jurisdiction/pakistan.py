"""Pakistan: title regimes, provinces, identifiers and thresholds, in one place.

Source: `registry-domain` sections 1.2, 1.3 and 4. There is no single land register: the revenue
record, the development authorities, the cooperative societies and the free zones each prove
title in their own way, and each has its own marla.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

from registry.jurisdiction.interface import (
    LAND,
    Jurisdiction,
    KeyForm,
    Policy,
    Subject,
    TitleRegime,
)
from registry.jurisdiction.trade import NOTHING_MORE, TRADE_REGIMES
from registry.kernel.money import PAISA_PER_RUPEE
from registry.kernel.units import MarlaKind

PROVINCES = frozenset({"PK-PB", "PK-SD", "PK-KP", "PK-BA", "PK-IS", "PK-GB", "PK-JK"})

CNIC_PROVINCES: Mapping[str, str] = {
    "1": "PK-KP",
    "2": "PK-KP",  # the former tribal areas
    "3": "PK-PB",
    "4": "PK-SD",
    "5": "PK-BA",
    "6": "PK-IS",
    "7": "PK-GB",
    "8": "PK-JK",
}
"""Where a CNIC was first issued, by its first digit. It only ever warns: people move."""

IDENTIFIERS: Mapping[str, re.Pattern[str]] = {
    # Matched in full and in ASCII: another spelling of an identifier would be another party.
    "cnic": re.compile(r"[1-9][0-9]{4}-[0-9]{7}-[1-9]"),
    "cuin": re.compile(r"[0-9]{7}"),
    "ntn": re.compile(r"[0-9]{7}-[0-9]"),
}

_URBAN_LAND = {
    Subject.PLOT: NOTHING_MORE,
    Subject.APARTMENT: frozenset({"BUILDING_APPROVAL"}),
    Subject.PREMISES: NOTHING_MORE,
    Subject.INDUSTRIAL_SITE: NOTHING_MORE,
}
_ESTATE_LAND = {
    Subject.PLOT: NOTHING_MORE,
    Subject.APARTMENT: NOTHING_MORE,
    Subject.PREMISES: NOTHING_MORE,
}
_YEAR_DAYS = 365

LAND_REGIMES: Mapping[str, TitleRegime] = {
    "REVENUE_RECORD_RURAL": TitleRegime(
        # A mutation is not title: it is asked for beside these, never instead of them.
        title_proof=frozenset({"FARD_MALKIAT", "REGISTERED_SALE_DEED", "COURT_DECREE"}),
        required=frozenset({"FARD_MALKIAT"}),
        basis="RECORD_OF_RIGHTS",
        subjects={Subject.FARMLAND: NOTHING_MORE},
        marla_kinds=frozenset({MarlaKind.MARLA_272_25}),
        location_fields=frozenset({"district", "tehsil", "mauza", "hadbast_no"}),
        paper_max_age_days={"FARD_MALKIAT": 30},
    ),
    "REGISTERED_DEED_URBAN": TitleRegime(
        title_proof=frozenset({"REGISTERED_SALE_DEED"}),
        required=frozenset({"REGISTERED_SALE_DEED", "NEC"}),
        basis="REGISTERED_DEED",
        subjects=_URBAN_LAND,
        # The property-tax register PT-1 is the Punjab's.
        regional_papers={"PK-PB": frozenset({"PT1_EXTRACT"})},
        marla_kinds=frozenset({MarlaKind.MARLA_225, MarlaKind.MARLA_272_25}),
        registered_instrument_only=True,
    ),
    "LDA_ALLOTMENT": TitleRegime(
        # An allotment letter is a contract right; only the transfer deed is title (TTL-05).
        title_proof=frozenset({"LDA_TRANSFER_DEED"}),
        required=NOTHING_MORE,
        basis="AUTHORITY_TRANSFER",
        subjects=_ESTATE_LAND | {Subject.APARTMENT: frozenset({"NDC"})},
        marla_kinds=frozenset({MarlaKind.MARLA_225}),
        paper_max_age_days={"NOC": _YEAR_DAYS},
    ),
    "DHA_TRANSFER_LETTER": TitleRegime(
        title_proof=frozenset({"DHA_TRANSFER_LETTER"}),
        required=frozenset({"DHA_TRANSFER_LETTER", "NDC"}),
        basis="AUTHORITY_TRANSFER",
        subjects=_ESTATE_LAND,
        marla_kinds=frozenset({MarlaKind.MARLA_225}),
    ),
    "COOP_SOCIETY": TitleRegime(
        title_proof=frozenset({"SOCIETY_TRANSFER_LETTER"}),
        required=frozenset({"SHARE_CERTIFICATE", "SOCIETY_TRANSFER_LETTER", "COOP_NOC", "NDC"}),
        basis="AUTHORITY_TRANSFER",
        subjects=_ESTATE_LAND,
        marla_kinds=frozenset({MarlaKind.MARLA_225, MarlaKind.MARLA_250}),
    ),
    "CDA_LEASEHOLD": TitleRegime(
        title_proof=frozenset({"LEASE_DEED", "CONVEYANCE_DEED"}),
        required=frozenset({"LEASE_DEED", "CDA_NOC", "NDC"}),
        basis="LEASE_DEED",
        subjects=_ESTATE_LAND,
        # The capital's papers state square yards.
        marla_kinds=frozenset(),
        registered_instrument_only=True,
        leasehold=True,
    ),
    "FREE_ZONE_SUBLEASE": TitleRegime(
        title_proof=frozenset({"SUBLEASE_DEED"}),
        required=frozenset({"SUBLEASE_DEED", "ZONE_NOC"}),
        basis="LEASE_DEED",
        subjects={
            Subject.PLOT: NOTHING_MORE,
            Subject.PREMISES: NOTHING_MORE,
            Subject.INDUSTRIAL_SITE: NOTHING_MORE,
        },
        leasehold=True,
    ),
}

_CONTRACT = TRADE_REGIMES["CONTRACT_PLUS_CHATTELS"]
_NOC = frozenset({"PVARA_MINING_NOC"})
ENERGY_REGIMES: Mapping[str, TitleRegime] = {
    # Mining needs the regulator's no-objection (Virtual Assets Act 2026).
    "CONTRACT_PLUS_CHATTELS": replace(
        _CONTRACT,
        subjects={
            **_CONTRACT.subjects,
            Subject.MINING_SITE: _CONTRACT.subjects[Subject.MINING_SITE] | _NOC,
        },
    ),
}

LAND_CLASSES = frozenset(
    {
        "abi",
        "banjar jadid",
        "banjar qadim",
        "barani",
        "chahi",
        "ghair mumkin",
        "nehri",
        "rosli",
        "sailaba",
    }
)
"""Irrigated, rain-fed, fallow, uncultivable …: no list is complete, so it only ever warns."""

_KHASRA_NUMBER = KeyForm(
    # Not verified for every settlement: it only ever warns.
    re.compile(r"[0-9]+(/[0-9]+){0,3}( ?min)?"),
    "512, 512/1 or 512/1/2, with min where it is a part of one",
)

# One thing has one key: 0512 beside 512, D-07 beside D-7 or 7- beside 7 would be two.
_PLACE = r"[A-Z0-9]+(-[A-Z0-9]+)*"
_NUMBER = rf"(?![A-Z0-9-]*(?<![0-9])0[0-9]){_PLACE}"
_LED_BY_PROVINCE = ("province", "district")
_PREMISES_KEY = KeyForm(
    re.compile(rf"UNIT(\|{_PLACE}){{3,5}}\|{_NUMBER}"),
    "UNIT|authority, or province and district|place or scheme|unit, upper case, no leading zeros",
    region_led_fields=_LED_BY_PROVINCE,
)
_PLOT_KEY = KeyForm(
    re.compile(rf"PLT(\|{_PLACE}){{2,4}}\|{_NUMBER}"),
    "PLT|authority, or province and district|scheme|block|number, upper case, no leading zeros",
    region_led_fields=_LED_BY_PROVINCE,
)

AUTHORITIES: Mapping[str, frozenset[str]] = {
    "CDA": frozenset({"PK-IS"}),
    "GWADAR-FZ": frozenset({"PK-BA"}),
    "LDA": frozenset({"PK-PB"}),
}
"""Those of one province. DHA allots in most of them; of a society nobody keeps a list."""

CITY_OF_DISTRICT: Mapping[str, str] = dict.fromkeys(
    (
        "KARACHI-CENTRAL",
        "KARACHI-EAST",
        "KARACHI-SOUTH",
        "KARACHI-WEST",
        "KEAMARI",
        "KORANGI",
        "MALIR",
    ),
    "KARACHI",
)

PAKISTAN = Jurisdiction(
    country="PK",
    name="Pakistan",
    region_field="province",
    has_region=PROVINCES.__contains__,
    extent=(60.5, 23.4, 80.0, 37.3),
    regimes={**TRADE_REGIMES, **ENERGY_REGIMES, **LAND_REGIMES},
    key_forms={
        Subject.FARMLAND: KeyForm(
            re.compile(
                rf"KHASRA\|PK-[A-Z]{{2}}(\|{_PLACE}){{2}}\|{_NUMBER}\|{_NUMBER}(/{_NUMBER}){{0,3}}"
            ),
            "KHASRA|province|district|tehsil|hadbast number|khasra, upper case",
            location_fields=("province", "district", "tehsil", "hadbast_no"),
        ),
        Subject.PLOT: _PLOT_KEY,
        Subject.INDUSTRIAL_SITE: _PLOT_KEY,
        Subject.APARTMENT: KeyForm(
            re.compile(rf"APT(\|{_PLACE}){{2,5}}\|{_NUMBER}"),
            "APT|authority, or province and district|place or scheme|building|unit, upper case,"
            " no leading zeros",
            region_led_fields=_LED_BY_PROVINCE,
        ),
        Subject.PREMISES: _PREMISES_KEY,
    },
    identifiers=IDENTIFIERS,
    parcel_numbers={Subject.FARMLAND: _KHASRA_NUMBER},
    land_classes=LAND_CLASSES,
    authorities=AUTHORITIES,
    city_of_district=CITY_OF_DISTRICT,
    policy=Policy(
        second_checker_above_paisa=500_000_000 * PAISA_PER_RUPEE,
        max_secured_fraction=Fraction(1, 2),
        area_noted_above=Fraction(1, 1000),
        area_refused_above=Fraction(1, 100),
        overlap_sqm=Decimal("0.5"),
        overlap_fraction=Fraction(1, 1000),
        valuation_max_age_days={
            **dict.fromkeys(LAND, 180),
            Subject.WAREHOUSED_GOODS: 30,
            Subject.BULLION: 30,
            Subject.CARGO: 30,
            Subject.FREIGHT_CONTRACT: 30,
            Subject.POWER_PLANT: 90,
            Subject.MINING_SITE: 90,
            Subject.MINING_MACHINES: 90,
        },
        price_max_age_days={Subject.BULLION: 1},
    ),
)
