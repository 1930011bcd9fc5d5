"""Parcels (LADM LA_SpatialUnit) and shares in the ground below units of a building."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    Column,
    Dialect,
    Index,
    Numeric,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql.base import ischema_names
from sqlalchemy.types import UserDefinedType
from sqlmodel import Field

from registry.kernel.columns import Record, bigint, binary
from registry.kernel.units import Area, AreaUnit, LandArea, MarlaKind, PlainArea
from registry.parcel.geojson import Extent


def box_text(extent: Extent) -> str:
    """Write an extent as PostgreSQL writes a box: north-east corner, south-west corner."""
    return f"({extent.east!r},{extent.north!r}),({extent.west!r},{extent.south!r})"


def _read_box(written: str) -> Extent:
    corners = written.replace("(", "").replace(")", "").split(",")
    east, north, west, south = map(float, corners)
    return Extent(west, south, east, north)


class Box(UserDefinedType[Extent]):
    """PostgreSQL's own ``box``, which GiST can index without PostGIS."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        return "box"

    def bind_processor(self, dialect: Dialect) -> Any:  # noqa: ARG002
        return lambda value: None if value is None else box_text(value)

    def result_processor(self, dialect: Dialect, coltype: object) -> Any:  # noqa: ARG002
        return lambda value: None if value is None else _read_box(value)


# So that a look at the database (alembic check) knows the type by its name.
ischema_names["box"] = Box


class Parcel(Record, table=True):
    """A piece of ground that an asset is, or claims to be.

    `live` is a claim of a dossier that was submitted: no two live parcels of the register share
    more ground than survey noise explains (PAR-02). The deed's area stands as it is stated, in
    kanal, marla and sarsai of one size, or in one plain unit; `deed_sqm` is derived from it.
    `geometry` is WKB of longitude and latitude; the GeoJSON as it was sent stands in the dossier.
    """

    __table_args__ = (
        UniqueConstraint("asset_id", "number", name="uq_parcel_number"),
        CheckConstraint(
            "(geometry IS NULL) = (box IS NULL) AND (geometry IS NULL) = (area_sqm IS NULL)",
            name="ck_parcel_measured",
        ),
        CheckConstraint("NOT live OR geometry IS NOT NULL", name="ck_parcel_live_is_surveyed"),
        Index("ix_parcel_mauza_key", "mauza_key"),
        Index("ix_parcel_live_box", "box", postgresql_using="gist", postgresql_where=text("live")),
    )

    asset_id: UUID = Field(foreign_key="asset.id")
    number: str
    mauza_key: str
    kanal: int | None = None
    marla: int | None = None
    sarsai: Decimal | None = Field(default=None, sa_type=Numeric(6, 4))
    marla_kind: str | None = None
    plain_quantity: Decimal | None = None
    plain_unit: str | None = None
    deed_sqm: Decimal | None = None
    geometry: bytes | None = binary(nullable=True, default=None)
    box: Any = Field(default=None, sa_column=Column(Box(), nullable=True))
    area_sqm: Decimal | None = Field(default=None, sa_type=Numeric(20, 4))
    live: bool = False

    @property
    def deed_area(self) -> Area | None:
        """The area as the deed states it."""
        if self.marla_kind is not None:
            assert self.kanal is not None
            assert self.marla is not None
            assert self.sarsai is not None
            # The column pads with zeros that nobody stated.
            sarsai = self.sarsai.normalize()
            return LandArea(self.kanal, self.marla, sarsai, MarlaKind(self.marla_kind))
        if self.plain_unit is not None:
            assert self.plain_quantity is not None
            return PlainArea(self.plain_quantity, AreaUnit(self.plain_unit))
        return None


class UndividedShare(Record, table=True):
    """A unit's share in the parcel that its building stands on.

    The live shares of one parent sum to 1 at most, exactly: a constraint trigger says so at
    COMMIT (PAR-04).
    """

    __tablename__ = "undivided_share"
    __table_args__ = (
        UniqueConstraint("asset_id", "parent_key", name="uq_undivided_share_parent"),
        CheckConstraint(
            "numerator > 0 AND numerator <= denominator", name="ck_undivided_share_is_part"
        ),
        Index("ix_undivided_share_live", "parent_key", postgresql_where=text("live")),
    )

    asset_id: UUID = Field(foreign_key="asset.id")
    parent_key: str
    numerator: int = bigint()
    denominator: int = bigint()
    live: bool = False
