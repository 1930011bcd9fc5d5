"""The story of an asset over HTTP: what investors see, in their language, of nobody's person."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any, Self
from uuid import UUID

from api.schemas.common import BigInteger, ExactFraction, MoneyAmount, Read, address_of, exact
from registry.asset.models import AssetClass, AssetState
from registry.document.models import Document, DocumentState
from registry.encumbrance.models import Effect, EncumbranceKind
from registry.kernel.messages import Language, spoken, text_of
from registry.story.ground import Ground
from registry.story.service import Binding, Checks, Story
from registry.title.models import TitleState
from registry.tokenization.models import TokenizationState
from registry.tokenization.title_status import TitleStatus
from registry.valuation.models import Valuation, ValuationState
from registry.wrapper.models import RegisterOfRecord, WrapperType


class GroundRead(Read):
    """Where it lies: names, a point (longitude, latitude) and a simplified GeoJSON geometry."""

    place: dict[str, str]
    point: list[float] | None
    geometry: dict[str, Any] | None
    area_sqm: Decimal | None

    @classmethod
    def of(cls, row: Ground) -> Self:
        return cls(
            place=dict(row.place),
            point=list(row.point) if row.point else None,
            geometry=dict(row.geometry) if row.geometry else None,
            area_sqm=row.area_sqm,
        )


class PictureRead(Read):
    """A picture; `url` gives its bytes, whose SHA-256 is `sha256`."""

    id: UUID
    kind: str
    media_type: str
    size_bytes: int
    sha256: str
    url: str
    checked_at: datetime | None

    @classmethod
    def of(cls, row: Document) -> Self:
        return cls(
            **row.model_dump(include={"id", "kind", "media_type", "size_bytes"}),
            sha256=row.sha256.hex(),
            url=f"/v1/assets/{row.asset_id}/pictures/{row.id}",
            checked_at=row.verified_at,
        )


class PaperRead(Read):
    """A paper that the right rests on, by its hash; its source confirmed it at `checked_at`."""

    id: UUID
    kind: str
    sha256: str
    state: DocumentState
    issued_on: date | None
    valid_until: date | None
    checked_at: datetime | None

    @classmethod
    def of(cls, row: Document) -> Self:
        return cls(
            **row.model_dump(include={"id", "kind", "state", "issued_on", "valid_until"}),
            sha256=row.sha256.hex(),
            checked_at=row.verified_at,
        )


class StoryValuationRead(Read):
    """What the whole asset was worth on a day; `report_sha256` is the hash of the signed report."""

    id: UUID
    amount: MoneyAmount
    low: MoneyAmount | None
    high: MoneyAmount | None
    basis_date: date
    method: str
    state: ValuationState
    report_sha256: str
    recorded_at: datetime

    @classmethod
    def of(cls, row: Valuation) -> Self:
        return cls(
            **row.model_dump(include={"id", "basis_date", "method", "state", "recorded_at"}),
            amount=MoneyAmount.of(row.amount_paisa),
            low=MoneyAmount.of_known(row.low_paisa),
            high=MoneyAmount.of_known(row.high_paisa),
            report_sha256=row.report_sha256.hex(),
        )


class StoryEncumbranceRead(Read):
    """Something in force on the title, in plain words; whose it is, is not told."""

    kind: EncumbranceKind
    message: str
    effect: Effect
    effect_message: str
    rank: int | None
    amount: MoneyAmount | None
    since: datetime | None
    ends_on: date | None

    @classmethod
    def of(cls, row: Binding) -> Self:
        item = row.encumbrance
        return cls(
            kind=item.kind,
            message=text_of("states", f"encumbrance.{item.kind}"),
            effect=row.effect,
            effect_message=text_of("states", f"effect.{row.effect}"),
            rank=item.rank,
            amount=MoneyAmount.of_known(item.amount_paisa),
            since=item.valid_from,
            ends_on=item.ends_on,
        )


class StoryTitleRead(Read):
    """How the title stands, and whether all of it is in the wrapper's name."""

    state: TitleState
    status: TitleStatus
    message: str
    version: int
    since: datetime
    in_wrapper: bool
    encumbrances: list[StoryEncumbranceRead]

    @classmethod
    def of(cls, row: Story) -> Self:
        return cls(
            state=row.title.state,
            status=row.title_status,
            message=text_of("states", f"title.{row.title_status}"),
            version=row.version.seq,
            since=row.version.valid_from,
            in_wrapper=row.in_wrapper,
            encumbrances=[StoryEncumbranceRead.of(item) for item in row.encumbrances],
        )


class StoryWrapperRead(Read):
    """What a fraction is a fraction of: the vehicle, its company, and the register that counts."""

    type: WrapperType
    message: str
    register_of_record: RegisterOfRecord
    company: str | None
    cuin: str | None

    @classmethod
    def of(cls, row: Story) -> Self | None:
        if row.wrapper is None:
            return None
        party = row.company
        in_urdu = party.name_ur if party and spoken() == Language.URDU else None
        return cls(
            type=row.wrapper.type,
            message=text_of("states", f"wrapper.{row.wrapper.type}"),
            register_of_record=row.wrapper.register_of_record,
            company=in_urdu or (party.name if party else None),
            cuin=party.cuin if party else None,
        )


class StoryTokenRead(Read):
    """The token; `economic_share` is what part of the asset's worth all fractions are."""

    id: UUID
    symbol: str
    name: str
    state: TokenizationState
    declared_fractions: BigInteger
    economic_share: ExactFraction
    price: MoneyAmount
    address: str | None

    @classmethod
    def of(cls, row: Story) -> Self:
        token = row.tokenization
        return cls(
            id=token.id,
            symbol=token.symbol,
            name=token.name,
            state=token.state,
            declared_fractions=token.declared_fractions,
            economic_share=exact(token.economic_share),
            price=MoneyAmount.of(token.price_paisa),
            address=address_of(token.token_address) if token.token_address else None,
        )


class ChecksRead(Read):
    """When it was last checked: the register's rules, and the cap table against the chain.

    `rules_hold` and `cap_table_holds` say how that ended; null where it was not checked yet. Of a
    cap table that does not change, one check an hour is told.
    """

    rules_run_at: datetime | None
    rules_hold: bool | None
    cap_table_proven_at: datetime | None
    cap_table_block: int | None
    cap_table_holds: bool | None

    @classmethod
    def of(cls, row: Checks) -> Self:
        proof = row.proof
        return cls(
            rules_run_at=row.rules_run_at,
            rules_hold=None if row.rules_blocked is None else not row.rules_blocked,
            cap_table_proven_at=proof.recorded_at if proof else None,
            cap_table_block=proof.block_number if proof else None,
            cap_table_holds=not proof.differences if proof else None,
        )


class StoryRead(Read):
    """The story of an asset for investors."""

    asset_id: UUID
    code: str
    asset_class: AssetClass
    asset_state: AssetState
    offering_id: UUID | None
    ground: GroundRead
    pictures: list[PictureRead]
    documents: list[PaperRead]
    valuations: list[StoryValuationRead]
    title: StoryTitleRead
    wrapper: StoryWrapperRead | None
    token: StoryTokenRead
    checks: ChecksRead

    @classmethod
    def of(cls, row: Story) -> Self:
        return cls(
            asset_id=row.asset.id,
            code=row.asset.code,
            asset_class=row.asset.asset_class,
            asset_state=row.asset.state,
            offering_id=row.offering.id if row.offering else None,
            ground=GroundRead.of(row.ground),
            pictures=[PictureRead.of(item) for item in row.pictures],
            documents=[PaperRead.of(item) for item in row.documents],
            valuations=[StoryValuationRead.of(item) for item in row.valuations],
            title=StoryTitleRead.of(row),
            wrapper=StoryWrapperRead.of(row),
            token=StoryTokenRead.of(row),
            checks=ChecksRead.of(row.checks),
        )
