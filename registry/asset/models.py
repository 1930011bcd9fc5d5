"""Assets: the dossier of a real thing, and the natural keys by which it is that one thing."""

from __future__ import annotations

from enum import StrEnum
from typing import Any
from uuid import UUID

from pydantic import AwareDatetime
from sqlalchemy import Index, text
from sqlalchemy.orm import declared_attr
from sqlmodel import Field

from registry.kernel.columns import Record, binary, document, enumeration, instant


class AssetClass(StrEnum):
    """Each has a file of its own; `registry.asset.classes` lists them."""

    LAND_AGRICULTURAL = "LAND_AGRICULTURAL"
    LAND_PLOT = "LAND_PLOT"
    LAND_APARTMENT = "LAND_APARTMENT"
    LAND_COMMERCIAL = "LAND_COMMERCIAL"
    LAND_INDUSTRIAL = "LAND_INDUSTRIAL"
    COMMODITY_WAREHOUSED = "COMMODITY_WAREHOUSED"
    COMMODITY_BULLION = "COMMODITY_BULLION"
    SHIPPING_EBL = "SHIPPING_EBL"
    SHIPPING_CONTRACT = "SHIPPING_CONTRACT"
    ENERGY_GENERATION = "ENERGY_GENERATION"
    ENERGY_MINING_SITE = "ENERGY_MINING_SITE"
    ENERGY_MINING_FLEET = "ENERGY_MINING_FLEET"


class AssetState(StrEnum):
    DRAFT = "DRAFT"
    SUBMITTED = "SUBMITTED"
    REQUISITIONED = "REQUISITIONED"
    IN_REVIEW = "IN_REVIEW"
    REGISTERED = "REGISTERED"
    AMENDING = "AMENDING"
    SUSPENDED = "SUSPENDED"
    RETIRED = "RETIRED"
    REJECTED = "REJECTED"
    WITHDRAWN = "WITHDRAWN"


EDITABLE_STATES = (AssetState.DRAFT, AssetState.REQUISITIONED)
GONE_STATES = (AssetState.RETIRED, AssetState.REJECTED, AssetState.WITHDRAWN)


class Asset(Record, table=True):
    """The dossier of one asset; `version` rises with every change and is its ETag.

    `details` holds the fields of its class, as `registry.asset.classes` validated them.
    `dossier_hash` is set at submission; approvals are of that hash and of nothing else.
    `requisitioned_at` is when it was last sent back; it lapses some time after that.
    """

    code: str = Field(unique=True)
    asset_class: AssetClass = enumeration(AssetClass)
    title_regime: str
    state: AssetState = enumeration(AssetState, default=AssetState.DRAFT)
    location: dict[str, Any] = document()
    details: dict[str, Any] = document()
    dossier_hash: bytes | None = binary(nullable=True, default=None)
    requisitioned_at: AwareDatetime | None = instant()
    maker: str
    version: int = Field(default=None, nullable=False)

    @declared_attr.directive
    @classmethod
    def __mapper_args__(cls) -> dict[str, Any]:
        return {"version_id_col": cls.__table__.c.version}  # type: ignore[attr-defined]


class UnderlyingKey(Record, table=True):
    """A claim that the asset is the thing with this natural key.

    At most one live claim for a key in the whole register: the partial unique index says so.
    """

    __tablename__ = "underlying_key"
    __table_args__ = (
        Index("uq_underlying_key_live", "key", unique=True, postgresql_where=text("live")),
    )

    asset_id: UUID = Field(foreign_key="asset.id", index=True)
    key: str
    live: bool = False
