"""Assets, their dossiers and the rules over HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import Field, StringConstraints
from sqlmodel import Session

from api.schemas.common import BigInteger, Body, Read, Sha256Hex, ShortText
from registry.asset import service as assets
from registry.asset.classes import check_details, class_of
from registry.asset.models import Asset, AssetClass, AssetState
from registry.kernel.actor import Role
from registry.kernel.clock import now
from registry.kernel.units import Area
from registry.onboarding import service as onboarding
from registry.onboarding.models import Approval, ApprovalState
from registry.onboarding.service import Dossier
from registry.rulebook.models import RuleRun
from registry.rulebook.service import Rule, rule_book
from registry.title import service as titles
from registry.title.models import TitleState
from registry.title.rules import Share, check_ownership

Hissa = (
    Annotated[int, Field(strict=True, gt=0, le=2**62)]
    | Annotated[str, StringConstraints(pattern=r"^[1-9][0-9]{0,18}$")]
)
"""A whole number of parts; as a string where it may pass 2^53."""


class OwnerFields(Body):
    """One owner's part."""

    party_id: UUID
    hissa: Hissa


class OwnershipFields(Body):
    """Who holds how many of the whole's parts."""

    kul_hissay: Hissa
    owners: Annotated[list[OwnerFields], Field(min_length=1, max_length=10_000)]


class DossierFields(Body):
    """What a maker says of an asset; `details` holds the fields of its class."""

    title_regime: ShortText
    location: Annotated[dict[str, ShortText], Field(max_length=20)]
    details: dict[str, Any]
    underlying_keys: Annotated[list[ShortText], Field(min_length=1, max_length=1000)]
    ownership: OwnershipFields

    def dossier(self) -> Dossier:
        return Dossier(
            title_regime=self.title_regime,
            location=self.location,
            details=self.details,
            underlying_keys=self.underlying_keys,
            ownership=check_ownership(
                int(self.ownership.kul_hissay),
                [Share(owner.party_id, int(owner.hissa)) for owner in self.ownership.owners],
            ),
        )


class AssetCreate(DossierFields):
    """A new dossier."""

    code: Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}-[A-Z]{3}-[0-9]{4}$")]
    asset_class: AssetClass


class AssetPatch(DossierFields):
    """A corrected dossier; it replaces the former one whole."""


class OwnerRead(Read):
    """One owner's part."""

    party_id: UUID
    hissa: BigInteger


class LandAreaRead(Read):
    """An area as the record of rights states it, and what that is exactly."""

    stated: str
    area_sqft: Decimal
    area_sqm: Decimal

    @classmethod
    def of(cls, area: Area) -> Self:
        return cls(stated=str(area), area_sqft=area.area_sqft, area_sqm=area.area_sqm)


class AssetRead(Read):
    """An asset, and the title that it has or claims."""

    id: UUID
    code: str
    asset_class: AssetClass
    title_regime: str
    state: AssetState
    location: dict[str, Any]
    details: dict[str, Any]
    land_area: LandAreaRead | None
    underlying_keys: list[str]
    title_id: UUID
    title_state: TitleState
    kul_hissay: BigInteger
    owners: list[OwnerRead]
    dossier_hash: str
    maker: str
    version: int
    recorded_at: datetime

    @classmethod
    def of(cls, session: Session, asset: Asset, *, as_of: datetime | None = None) -> Self:
        title = titles.title_of_asset(session, asset.id)
        version = (
            titles.version_at(session, title.id, as_of=as_of, known_at=now())
            if as_of
            else titles.current_version(session, title.id)
        )
        ownership = titles.ownership_of(session, version)
        area = check_details(class_of(asset.asset_class), asset.details).land_area()
        return cls(
            **asset.model_dump(exclude={"dossier_hash"}),
            land_area=LandAreaRead.of(area) if area else None,
            underlying_keys=assets.list_keys(session, asset.id),
            title_id=title.id,
            title_state=title.state,
            kul_hissay=ownership.kul_hissay,
            owners=[OwnerRead.model_validate(share) for share in ownership.shares],
            dossier_hash=onboarding.dossier_hash(session, asset).hex(),
        )


class ApprovalCreate(Body):
    """An approval of exactly the dossier that one has read."""

    role: Role
    dossier_hash: Sha256Hex


class ApprovalRead(Read):
    """Who approved what, and whether that counts now: LIVE, EXPIRED or VOID."""

    role: Role
    person: str
    dossier_hash: str
    state: ApprovalState
    recorded_at: datetime
    expires_at: datetime

    @classmethod
    def of(cls, approval: Approval, dossier_hash: bytes) -> Self:
        return cls(
            **approval.model_dump(exclude={"dossier_hash"}),
            dossier_hash=approval.dossier_hash.hex(),
            state=approval.state_of(dossier_hash),
        )


class ApprovalsRead(Read):
    """Every approval ever given, and which roles are still missing."""

    dossier_hash: str
    given: list[ApprovalRead]
    missing: dict[Role, int]


class Reason(Body):
    """Why."""

    reason: Annotated[str, StringConstraints(min_length=3, max_length=2000)]


class RuleResultRead(Read):
    """What one rule said."""

    id: str
    severity: str
    passed: bool
    message: str
    message_ur: str
    remedy: str
    detail: str | None

    @classmethod
    def of(cls, rule: Rule, row: Mapping[str, Any]) -> Self:
        return cls(message=rule.message, message_ur=rule.message_ur, remedy=rule.remedy, **row)


class RuleRunRead(Read):
    """One run of every rule of a moment; `answer` is PASS, or BLOCK with the rules' ids."""

    id: UUID
    moment: str
    recorded_at: datetime
    run_by: str
    answer: str
    results: list[RuleResultRead]

    @classmethod
    def of(cls, run: RuleRun) -> Self:
        book = rule_book()
        failed = sorted(
            row["id"] for row in run.results if not row["passed"] and row["severity"] == "CRITICAL"
        )
        return cls(
            **run.model_dump(exclude={"results"}),
            answer=f"BLOCK:{','.join(failed)}" if failed else "PASS",
            results=[RuleResultRead.of(book[row["id"]], row) for row in run.results],
        )
