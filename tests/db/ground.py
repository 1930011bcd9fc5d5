"""Dossiers of farmland and of apartments, as far as their ground goes."""

from __future__ import annotations

from typing import Any

from sqlmodel import Session

from registry.asset import service as assets
from registry.asset.models import Asset, AssetClass
from registry.jurisdiction.pakistan import PAKISTAN
from registry.onboarding import claims
from registry.parcel import service as parcels
from registry.parcel import shares
from registry.rulebook.facts import Finding
from tests import factories as make

OKARA = {
    "province": "PK-PB",
    "district": "Okara",
    "tehsil": "Depalpur",
    "mauza": "Chak Demo 12",
    "hadbast_no": "999",
}
POLICY = PAKISTAN.policy
SIDE = 0.0006
"""Degrees of a field's side, at 73° E 30.6° N: about 57 by 67 metres."""


def field(west: float, south: float, side: float = SIDE) -> dict[str, Any]:
    """Return a square field as GeoJSON."""
    east, north = west + side, south + side
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return {"type": "Polygon", "coordinates": [ring]}


def farm(session: Session, *fields: dict[str, Any] | None, **changes: Any) -> Asset:
    """Record the dossier of a farm with a khasra for each of `fields`; it is not handed in."""
    number = next(make.numbers)
    names = [f"{number}/{place}" for place in range(1, len(fields) + 1)]
    asset = Asset(
        code=f"OKR-AGR-{number % 10_000:04}",
        asset_class=AssetClass.LAND_AGRICULTURAL,
        title_regime="REVENUE_RECORD_RURAL",
        location=OKARA | changes.pop("location", {}),
        details=farm_details(names, fields, **changes),
        maker="maker",
    )
    return _record(session, asset, [f"KHASRA|PK-PB|OKARA|DEPALPUR|999|{name}" for name in names])


def farm_details(
    names: list[str],
    fields: tuple[dict[str, Any] | None, ...],
    area: tuple[int, int, str] = (7, 11, "2"),
) -> dict[str, Any]:
    khasras = [
        {"no": name, "area_kms": list(area)} | ({"geom": geom} if geom else {})
        for name, geom in zip(names, fields, strict=True)
    ]
    return {"khasras": khasras, "area_kms": list(area), "marla_kind": "MARLA_272_25"}


def apartment(session: Session, building: str, numerator: int, denominator: int) -> Asset:
    number = next(make.numbers)
    asset = Asset(
        code=f"LHR-APT-{number % 10_000:04}",
        asset_class=AssetClass.LAND_APARTMENT,
        title_regime="REGISTERED_DEED_URBAN",
        location={"province": "PK-PB", "district": "Lahore", "place": "Gulberg III"},
        details={
            "parent_area_kms": [4, 0, "0"],
            "marla_kind": "MARLA_272_25",
            "undivided_share": [numerator, denominator],
            "covered_area_sqft": "1480.00",
        },
        maker="maker",
    )
    return _record(session, asset, [f"APT|PK-PB|LAHORE|GULBERG-III|{building}|{number}"])


def _record(session: Session, asset: Asset, keys: list[str]) -> Asset:
    session.add(asset)
    session.flush()
    assets.replace_keys(session, asset.id, keys)
    claims.restate(session, asset)
    return asset


def taken(session: Session, asset: Asset) -> Asset:
    """Hand in what the asset claims of the ground."""
    claims.take(session, asset)
    return asset


def wrong_with(session: Session, asset: Asset) -> dict[str, Finding]:
    return {
        **parcels.findings(session, asset.id, POLICY),
        **shares.findings(session, asset.id),
    }


def live_parcels(session: Session, asset: Asset) -> list[str]:
    return [item.number for item in parcels.list_of_asset(session, asset.id) if item.live]
