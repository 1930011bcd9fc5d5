"""Use cases on parcels: what a dossier says, what is live, what is wrong (PAR-01, PAR-02)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import shapely
from sqlalchemy import bindparam, text
from sqlmodel import Session, col, select

from registry.asset.interface import SpatialUnit
from registry.asset.law import Law, law_of
from registry.asset.models import Asset
from registry.jurisdiction.interface import Policy
from registry.kernel.rows import page_after
from registry.kernel.units import Area, LandArea
from registry.parcel.batch import Neighbour, Overlap, find_overlaps, lock_ground
from registry.parcel.geojson import Extent
from registry.parcel.models import Box, Parcel
from registry.parcel.rules import Measured, area_finding
from registry.parcel.shapes import Shape, read_shape
from registry.rulebook.facts import Finding

_MAUZA = ("province", "region", "district", "tehsil")
_ESTATE = ("hadbast_no", "mauza", "scheme", "place")


def check_units(units: Sequence[SpatialUnit], law: Law) -> list[Shape | None]:
    """Read the geometry of every parcel that has one; it lies in the country of the law.

    Raises
    ------
    Invalid
        ``geometry_invalid``, ``geometry_too_detailed``, ``geometry_outside``.
    """
    within = Extent(*law.jurisdiction.extent)
    return [
        read_shape(unit.geometry, unit.pointer, within) if unit.geometry is not None else None
        for unit in units
    ]


def mauza_key(location: Mapping[str, str]) -> str:
    """Name the estate in which a place lies, from province down to its hadbast number or scheme."""
    levels = [location[level] for level in _MAUZA if level in location]
    estate = next((location[level] for level in _ESTATE if level in location), None)
    return "|".join([*levels, *([estate] if estate else [])]).upper()


def stated_columns(area: Area | None) -> dict[str, Any]:
    """Return the columns in which a deed's area is kept as it is stated."""
    if area is None:
        return dict.fromkeys(_STATED)
    stated: dict[str, Any] = {name: getattr(area, name, None) for name in _STATED}
    if not isinstance(area, LandArea):
        stated |= {"plain_quantity": area.quantity, "plain_unit": area.unit.value}
    else:
        stated["marla_kind"] = area.marla_kind.value
    return stated | {"deed_sqm": area.area_sqm}


_STATED = (
    "kanal",
    "marla",
    "sarsai",
    "marla_kind",
    "plain_quantity",
    "plain_unit",
    "deed_sqm",
)


def restate(session: Session, asset: Asset, units: Sequence[SpatialUnit]) -> None:
    """Record the parcels that the dossier names; one on the same ground is as live as it was."""
    read = check_units(units, law_of(asset))
    shapes = dict(zip((unit.number for unit in units), read, strict=True))
    known = {parcel.number: parcel for parcel in list_of_asset(session, asset.id)}
    for number in known.keys() - shapes.keys():
        session.delete(known[number])
    for unit in units:
        shape = shapes[unit.number]
        parcel = known.get(unit.number) or Parcel(
            asset_id=asset.id, number=unit.number, mauza_key=""
        )
        wkb = shape.wkb if shape else None
        if parcel.geometry != wkb:
            parcel.geometry, parcel.live = wkb, False
            parcel.box = shape.extent if shape else None
            parcel.area_sqm = shape.area_sqm if shape else None
        parcel.mauza_key = mauza_key(asset.location)
        for name, value in stated_columns(unit.area).items():
            setattr(parcel, name, value)
        session.add(parcel)
    session.flush()


def take(session: Session, asset_id: UUID, policy: Policy) -> None:
    """Make live every parcel of the asset that lies on nobody else's ground.

    Two dossiers that want one ground at the same moment meet in `lock_ground`; the second waits
    for the first, and is then refused as PAR-02.
    """
    surveyed = _surveyed(session, asset_id)
    lock_ground(session, [parcel.box for parcel in surveyed])
    taken = {overlap.at for overlap in _overlaps(session, asset_id, surveyed, policy)}
    for place, parcel in enumerate(surveyed):
        parcel.live = place not in taken
    session.flush()


def release(session: Session, asset_id: UUID) -> None:
    """Let the ground go: the asset is rejected, withdrawn or retired."""
    for parcel in _surveyed(session, asset_id):
        parcel.live = False
    session.flush()


def findings(session: Session, asset_id: UUID, policy: Policy) -> dict[str, Finding]:
    """Say what is wrong with the parcels of an asset: PAR-01, PAR-02."""
    surveyed = _surveyed(session, asset_id)
    found = {
        "PAR-01": area_finding(measured_of(surveyed), policy),
        "PAR-02": _overlap_finding(session, asset_id, surveyed, policy),
    }
    return {rule: finding for rule, finding in found.items() if finding is not None}


def measured_of(parcels: Sequence[Parcel]) -> list[Measured]:
    """Return the areas of those parcels that are both measured and stated."""
    return [
        Measured(parcel.number, parcel.area_sqm, parcel.deed_sqm)
        for parcel in parcels
        if parcel.area_sqm is not None and parcel.deed_sqm is not None
    ]


def _overlap_finding(
    session: Session, asset_id: UUID, surveyed: Sequence[Parcel], policy: Policy
) -> Finding | None:
    overlaps = _overlaps(session, asset_id, surveyed, policy)
    if not overlaps:
        return None
    holders = [item.other.asset_id for item in overlaps if isinstance(item.other, Neighbour)]
    rows = session.exec(select(Asset.id, Asset.code).where(col(Asset.id).in_(holders)))
    codes = {asset_id: code for asset_id, code in rows}  # noqa: C416 - rows are not pairs to mypy

    def name(other: Neighbour | int) -> str:
        if isinstance(other, int):
            return f"{surveyed[other].number} of the same dossier"
        return f"{other.number} of {codes[other.asset_id]}"

    said = "; ".join(
        f"{surveyed[item.at].number} shares {item.area_sqm:.2f} m² with {name(item.other)}, "
        f"{float(item.tolerance_sqm):.2f} m² are allowed"
        for item in overlaps
    )
    return Finding(f"{said}.")


def _overlaps(
    session: Session, asset_id: UUID, surveyed: Sequence[Parcel], policy: Policy
) -> list[Overlap]:
    return find_overlaps(session, shapes_of(surveyed), policy, besides=asset_id) if surveyed else []


def shapes_of(parcels: Sequence[Parcel]) -> list[Shape]:
    """Return the shapes of surveyed parcels."""
    return [
        Shape(shapely.from_wkb(parcel.geometry), parcel.box, parcel.area_sqm)
        for parcel in parcels
        if parcel.area_sqm is not None
    ]


def list_of_asset(session: Session, asset_id: UUID) -> Sequence[Parcel]:
    """List the parcels that an asset is, or claims to be."""
    return session.exec(
        select(Parcel).where(col(Parcel.asset_id) == asset_id).order_by(col(Parcel.number))
    ).all()


def list_within(
    session: Session, extent: Extent, *, after: UUID | None, limit: int
) -> Sequence[Parcel]:
    """List the live parcels whose bounding box touches `extent`, in the order of recording."""
    touches = text("parcel.box && :extent").bindparams(bindparam("extent", extent, Box()))
    query = select(Parcel).where(col(Parcel.live), touches)
    return session.exec(page_after(query, col(Parcel.id), after=after, limit=limit)).all()


def _surveyed(session: Session, asset_id: UUID) -> list[Parcel]:
    return [item for item in list_of_asset(session, asset_id) if item.geometry is not None]
