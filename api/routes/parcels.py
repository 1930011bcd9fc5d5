"""/v1/parcels and the parcels of an asset: the ground itself, as GeoJSON."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import Query

from api.as_of import LegalSessionDep
from api.pagination import PagingDep
from api.routes.router import resource_router
from api.schemas.common import Page
from api.schemas.parcels import ParcelCollection, ParcelRead
from registry.asset import service as assets
from registry.parcel import service as parcels
from registry.parcel.geojson import read_extent

router = resource_router("parcels")


@router.get("/assets/{asset_id}/parcels")
def list_asset_parcels(asset_id: UUID, session: LegalSessionDep) -> ParcelCollection:
    """See the parcels that an asset is, with measured and stated areas side by side."""
    assets.get_asset(session, asset_id)
    found = parcels.list_of_asset(session, asset_id)
    return ParcelCollection(features=[ParcelRead.of(parcel) for parcel in found])


@router.get("/parcels")
def list_parcels(
    session: LegalSessionDep,
    paging: PagingDep,
    bbox: Annotated[str, Query(max_length=200, examples=["73.1,30.6,73.2,30.7"])],
) -> Page[ParcelRead]:
    """List the live parcels that may touch a rectangle: west, south, east, north in degrees."""
    rows = parcels.list_within(
        session, read_extent(bbox), after=paging.after_id, limit=paging.fetch
    )
    return paging.page(rows, lambda row: str(row.id), ParcelRead.of)
