"""One sound dossier of each class, for tests to open as it is or with a change."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from registry.asset.models import Asset, AssetClass
from registry.kernel.clock import today
from registry.onboarding.service import Dossier
from registry.party.models import Party
from tests.factories import Desk, numbers, open_dossier, owned_by, person


@dataclass(frozen=True)
class Sample:
    """What a sound dossier says, besides its owners.

    Parameters
    ----------
    keys
        Natural keys; a ``#`` becomes a number that nobody has had.
    """

    regime: str
    keys: tuple[str, ...]
    details: Mapping[str, Any]
    location: Mapping[str, str] = field(
        default_factory=lambda: {"province": "PK-PB", "district": "Lahore", "place": "Lahore"}
    )


def square(west: float, south: float, side: float = 0.0006) -> dict[str, Any]:
    """Return a small square of ground as GeoJSON."""
    east, north = round(west + side, 8), round(south + side, 8)
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return {"type": "Polygon", "coordinates": [ring]}


LATER = str(today() + timedelta(days=3000))
PORTS = {"unlocode_pol": "PKGWD", "unlocode_pod": "AEJEA"}
OKARA = {
    "province": "PK-PB",
    "district": "Okara",
    "tehsil": "Depalpur",
    "mauza": "Chak Demo 12",
    "hadbast_no": "999",
}
BAR_FIELDS = ("serial", "gross_oz", "assay", "fine_oz", "year")
BARS = [
    ["DM0001", "401.125", "995.8", "399.440", "2024"],
    ["DM0002", "400.525", "999.9", "400.485", "2025"],
]

SAMPLES: Mapping[AssetClass, Sample] = {
    AssetClass.LAND_AGRICULTURAL: Sample(
        regime="REVENUE_RECORD_RURAL",
        location=OKARA,
        keys=("KHASRA|PK-PB|OKARA|DEPALPUR|999|#/1", "KHASRA|PK-PB|OKARA|DEPALPUR|999|#/2"),
        details={
            "khasras": [
                {"no": "#/1", "area_kms": [8, 0, 0]},
                {"no": "#/2", "area_kms": [12, 7, 3]},
            ],
            "area_kms": [20, 7, 3],
            "marla_kind": "MARLA_272_25",
        },
    ),
    AssetClass.LAND_PLOT: Sample(
        regime="DHA_TRANSFER_LETTER",
        keys=("PLT|DHA|PHASE-6|BLOCK-Z|#",),
        details={"area_kms": [1, 0, 0], "marla_kind": "MARLA_225"},
    ),
    AssetClass.LAND_APARTMENT: Sample(
        regime="REGISTERED_DEED_URBAN",
        keys=("APT|PK-PB|LAHORE|GULBERG-III|DEMO-HEIGHTS-#|7-B",),
        details={
            "parent_area_kms": [4, 0, 0],
            "marla_kind": "MARLA_272_25",
            "undivided_share": [37, 2000],
            "covered_area_sqft": "1480.00",
        },
    ),
    AssetClass.LAND_COMMERCIAL: Sample(
        regime="CDA_LEASEHOLD",
        location={"province": "PK-IS", "district": "Islamabad", "place": "Blue Area"},
        keys=("UNIT|CDA|BLUE-AREA|DEMO-PLAZA|#",),
        details={
            "covered_area_sqft": "2250.00",
            "leasehold": {"lessor": "CDA", "ends": LATER},
        },
    ),
    AssetClass.LAND_INDUSTRIAL: Sample(
        regime="FREE_ZONE_SUBLEASE",
        location={"province": "PK-BA", "district": "Gwadar", "place": "Gwadar Free Zone"},
        keys=("PLT|GWADAR-FZ|NORTH|D-#",),
        details={
            "area_kms": [16, 0, 0],
            "marla_kind": "MARLA_272_25",
            "leasehold": {"lessor": "Free zone operator", "ends": LATER},
        },
    ),
    AssetClass.COMMODITY_WAREHOUSED: Sample(
        regime="EWR",
        keys=("EWR|DEMOCMC|2026-#",),
        details={
            "hs": "100199",
            "name": "Wheat",
            "crop_year": "2026",
            "qty_kg": "2500000",
            "pledged_kg": "0",
            "packages": {"code": "BG", "count": 50000, "kg_each": "50"},
            "quality": {"moisture_pct": "10.2"},
            "expiry": LATER,
            "insured_pkr": "240000000.00",
        },
    ),
    AssetClass.COMMODITY_BULLION: Sample(
        regime="VAULT_ALLOCATED",
        keys=tuple(f"BAR|DMO#|{bar[0]}|{bar[4]}" for bar in BARS),
        details={
            "hs": "710812",
            "name": "Gold, large bars",
            "unit": "APZ",
            "bars": [
                {
                    "brand": "DMO#",
                    **dict(zip(BAR_FIELDS, bar, strict=True)),
                }
                for bar in BARS
            ],
            "fine_oz_total": "799.925",
            "insured_pkr": "1400000000.00",
        },
    ),
    AssetClass.SHIPPING_EBL: Sample(
        regime="EBL_TO_ORDER",
        location=PORTS,
        keys=("EBL|DEMO|DEMOGWD#",),
        details={
            "vessel_name": "MV DEMO MAKRAN",
            "imo": "IMO 0123450",
            "voyage": "2615W",
            "universal_voyage": "26D1W",
            "containers": [
                {"no": number, "seal": "SL00001", "gross_kg": "25300", "net_kg": "25000"}
                for number in ("ZZZU1000015", "ZZZU1000020")
            ],
            "hs": ["100630"],
            "packages": {"code": "BG", "count": 5000},
            "is_to_order": True,
            "shipped_on_board": "2026-07-18",
        },
    ),
    AssetClass.SHIPPING_CONTRACT: Sample(
        regime="CONTRACT_ASSIGNED",
        location={"province": "PK-SD", "district": "Karachi South"},
        keys=("CONTRACT|DEMO-LINES|TC-#",),
        details={
            "kind": "TIME_CHARTER",
            "obligor": "Demo Lines",
            "contract_ref": "TC-2026-1",
            "vessel_name": "MV DEMO MAKRAN",
            "imo": "0123450",
            "universal_voyage": "26D1W",
            "starts": "2026-01-01",
            "ends": LATER,
            "receivable_pkr": "42000000.00",
        },
    ),
    AssetClass.ENERGY_GENERATION: Sample(
        regime="CONTRACT_PLUS_CHATTELS",
        keys=("SITE|DEMO-BWP|METER-#",),
        details={
            "dc_mwp": "10",
            "capacity_factor": "0.185",
            "p50_mwh_year": "16206.000",
            "tariff_pkr_kwh": "14.80",
            "annual_revenue_pkr": "239848800.00000",
            "source": "SOLAR_PV",
            "ppa_ends": LATER,
        },
    ),
    AssetClass.ENERGY_MINING_SITE: Sample(
        regime="CONTRACT_PLUS_CHATTELS",
        keys=("SITE|DEMO-SWL|METER-#",),
        details={
            "units": 5750,
            "th_each": "200",
            "hashrate_phs": "1150",
            "j_per_th": "17.5",
            "it_load_mw": "20.125",
            "pue": "1.06",
            "facility_mw": "21.33250",
            "contracted_mw": "22",
            "source": "GRID_SURPLUS_COAL",
            "tariff_pkr_kwh": "23.50",
            "uptime_pct_guaranteed": "95",
            "holder_revenue_share": [3, 5],
            "ppa_ends": LATER,
            "serials_file_sha256": "0" * 64,
        },
    ),
    AssetClass.ENERGY_MINING_FLEET: Sample(
        regime="CONTRACT_HOSTED_CHATTELS",
        keys=("ASIC|DEMO-#-1", "ASIC|DEMO-#-2"),
        details={
            "host": "Demo Hosting",
            "machines": [
                {"model": "S21", "serial": f"DEMO-#-{number}", "ths": "200", "j_per_th": "17.5"}
                for number in (1, 2)
            ],
            "pue": "1.06",
            "contracted_mw": "0.00742",
            "tariff_pkr_kwh": "23.50",
            "uptime_pct_guaranteed": "95",
            "holder_revenue_share": [3, 5],
            "reported_phs": "0.4",
            "hosting_ends": LATER,
        },
    ),
}


def sample(asset_class: AssetClass, number: int = 1) -> Sample:
    """Return the sample with `number` in its names, free to be changed."""
    wanted = SAMPLES[asset_class]
    return Sample(
        regime=wanted.regime,
        keys=tuple(key.replace("#", str(number)) for key in wanted.keys),
        details=_numbered(wanted.details, str(number)),
        location=dict(wanted.location),
    )


def _numbered(value: Any, number: str) -> Any:
    if isinstance(value, Mapping):
        return {name: _numbered(item, number) for name, item in value.items()}
    if isinstance(value, list):
        return [_numbered(item, number) for item in value]
    return value.replace("#", number) if isinstance(value, str) else deepcopy(value)


def open_sample(desk: Desk, asset_class: AssetClass, *owners: Party, **changes: Any) -> Asset:
    """Open a sound dossier of the class; `changes` replace fields of its details."""
    wanted = sample(asset_class, next(numbers))
    dossier = Dossier(
        title_regime=wanted.regime,
        location=wanted.location,
        details={**wanted.details, **changes},
        underlying_keys=wanted.keys,
        ownership=owned_by(*(owners or [person(desk)])),
    )
    return open_dossier(desk, asset_class, dossier)
