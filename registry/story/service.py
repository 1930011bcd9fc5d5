"""The story of an asset for whoever may buy or hold fractions of it, without any person's data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlmodel import Session, col, select

from registry.asset import service as assets
from registry.asset.models import Asset
from registry.captable.models import Reconciliation
from registry.captable.service import latest_reconciliation
from registry.document import service as documents
from registry.document.content import open_content
from registry.document.models import Document, DocumentState
from registry.document.store import DocumentStore
from registry.encumbrance import service as encumbrances
from registry.encumbrance.models import Effect, Encumbrance
from registry.kernel.errors import NotFound
from registry.kernel.vault import Vault
from registry.offering.models import Offering
from registry.parcel import service as parcels
from registry.party import service as parties
from registry.party.models import Party
from registry.rulebook.models import RuleRun
from registry.story.ground import Ground, ground_of
from registry.title import service as titles
from registry.title.models import Title, TitleVersion
from registry.title.versions import current_version, ownership_of
from registry.tokenization.models import Tokenization
from registry.tokenization.title_status import TitleStatus, status_of
from registry.valuation.models import Valuation, ValuationState
from registry.valuation.service import list_valuations
from registry.wrapper.models import Wrapper
from registry.wrapper.service import find_wrapper

PICTURE_KINDS = frozenset({"PHOTO", "AERIAL_VIEW", "FLOOR_PLAN", "SITE_PLAN"})
"""Kinds of papers that investors see, once they are verified; every other one is told by hash."""
PICTURE_TYPES = frozenset({"image/png", "image/jpeg"})
_SHOWN = frozenset({DocumentState.VERIFIED, DocumentState.EXPIRED})
_VALUED = frozenset({ValuationState.ACCEPTED, ValuationState.STALE, ValuationState.SUPERSEDED})


@dataclass(frozen=True, slots=True)
class Binding:
    """What is in force on the title, and what it stops today."""

    encumbrance: Encumbrance
    effect: Effect


@dataclass(frozen=True, slots=True)
class Checks:
    """When what is told was last held against its source.

    Parameters
    ----------
    rules_run_at, rules_blocked
        The last run of the register's rules on the asset, and whether one of them stood against it.
    proof
        The last proof of the token's cap table on the chain.
    """

    rules_run_at: datetime | None
    rules_blocked: bool | None
    proof: Reconciliation | None


@dataclass(frozen=True, slots=True)
class Story:
    """Everything that is told of an asset.

    Parameters
    ----------
    in_wrapper
        Whether the whole title stands in the wrapper's name, as the fractions need it.
    """

    asset: Asset
    ground: Ground
    pictures: Sequence[Document]
    documents: Sequence[Document]
    valuations: Sequence[Valuation]
    title: Title
    version: TitleVersion
    title_status: TitleStatus
    encumbrances: Sequence[Binding]
    wrapper: Wrapper | None
    company: Party | None
    in_wrapper: bool
    tokenization: Tokenization
    offering: Offering | None
    checks: Checks


def story_of_offering(session: Session, offering_id: UUID) -> Story:
    """Tell the story of what a sale sells fractions of.

    Raises
    ------
    NotFound
    """
    offering = session.get(Offering, offering_id)
    if offering is None:
        raise NotFound("offering", offering_id)
    return _story(session, session.get_one(Tokenization, offering.tokenization_id), offering)


def story_of_asset(session: Session, asset_id: UUID) -> Story:
    """Tell the story of an asset whose fractions are, or were, on sale.

    Raises
    ------
    NotFound
        Also of an asset that was never on sale: its dossier is nobody else's business.
    """
    found = _newest_sale(session, asset_id)
    if found is None:
        raise NotFound("asset", asset_id)
    return _story(session, *found)


def open_picture(
    session: Session, vault: Vault, store: DocumentStore, asset_id: UUID, document_id: UUID
) -> tuple[Document, Iterator[bytes]]:
    """Open a picture of an asset that has a story; it is whole and unaltered.

    Raises
    ------
    NotFound
        Also of a paper that is no picture.
    DocumentCorrupted, SealBroken, StoreUnreachable
    """
    found = session.get(Document, document_id)
    if (
        found is None
        or found.asset_id != asset_id
        or not _is_picture(found)
        or _newest_sale(session, asset_id) is None
    ):
        raise NotFound("picture", document_id)
    return found, open_content(vault, store, found)


def _newest_sale(session: Session, asset_id: UUID) -> tuple[Tokenization, Offering] | None:
    row = session.exec(
        select(Tokenization, Offering)
        .join(Offering, col(Offering.tokenization_id) == col(Tokenization.id))
        .where(col(Tokenization.asset_id) == asset_id)
        .order_by(col(Tokenization.id).desc(), col(Offering.id).desc())
        .limit(1)
    ).first()
    return None if row is None else (row[0], row[1])


def _is_picture(document: Document) -> bool:
    return (
        document.kind in PICTURE_KINDS
        and document.media_type in PICTURE_TYPES
        and document.state == DocumentState.VERIFIED
    )


def _story(session: Session, tokenization: Tokenization, offering: Offering) -> Story:
    asset = assets.get_asset(session, tokenization.asset_id)
    title = titles.title_of_asset(session, asset.id)
    version = current_version(session, title.id)
    papers = documents.list_documents(session, asset.id)
    wrapper = find_wrapper(session, asset.id)
    return Story(
        asset=asset,
        ground=ground_of(asset.location, parcels.list_of_asset(session, asset.id)),
        pictures=[paper for paper in papers if _is_picture(paper)],
        documents=[paper for paper in papers if paper.state in _SHOWN],
        valuations=[row for row in list_valuations(session, asset.id) if row.state in _VALUED],
        title=title,
        version=version,
        title_status=status_of(session, asset)[0],
        encumbrances=[
            Binding(item, effect) for item, effect in encumbrances.list_binding(session, title.id)
        ],
        wrapper=wrapper,
        company=parties.get_party(session, wrapper.party_id) if wrapper else None,
        in_wrapper=_stands_in(session, version, wrapper),
        tokenization=tokenization,
        offering=offering,
        checks=_checks(session, asset, tokenization),
    )


def _stands_in(session: Session, version: TitleVersion, wrapper: Wrapper | None) -> bool:
    owners = ownership_of(session, version)
    return wrapper is not None and {share.party_id for share in owners.shares} == {wrapper.party_id}


def _checks(session: Session, asset: Asset, tokenization: Tokenization) -> Checks:
    runs = select(RuleRun).where(col(RuleRun.asset_id) == asset.id)
    run = session.exec(runs.order_by(col(RuleRun.id).desc()).limit(1)).first()
    address = tokenization.token_address
    return Checks(
        run.recorded_at if run else None,
        run.blocked if run else None,
        latest_reconciliation(session, address) if address else None,
    )
