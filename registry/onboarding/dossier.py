"""The dossier: what a maker says of an asset, and its hash, which is what people approve."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy.orm.attributes import flag_modified
from sqlmodel import Session

from registry.asset import service as assets
from registry.asset.classes import check_details, class_of
from registry.asset.law import check_against_law, law_of, read_law
from registry.asset.models import EDITABLE_STATES, Asset, AssetClass
from registry.document import service as documents
from registry.document.models import DocumentState
from registry.encumbrance import service as encumbrances
from registry.encumbrance.models import Encumbrance, EncumbranceState
from registry.journal import service as journal
from registry.kernel.actor import Actor
from registry.kernel.canonical import record_hash
from registry.kernel.errors import Conflict, Forbidden, StaleVersion
from registry.mutation import repository as mutations
from registry.mutation.models import MutationState
from registry.onboarding import claims
from registry.parcel import service as parcels
from registry.party import service as parties
from registry.title import service as titles
from registry.title.models import Title, TitleState
from registry.title.rules import Ownership


@dataclass(frozen=True, slots=True, kw_only=True)
class Dossier:
    """What a maker says of an asset.

    Parameters
    ----------
    details
        The fields of the asset's class.
    underlying_keys
        Natural keys of the real thing, at least one.
    """

    title_regime: str
    location: Mapping[str, str]
    details: Mapping[str, Any]
    underlying_keys: Sequence[str]
    ownership: Ownership


def open_dossier(
    session: Session, actor: Actor, *, code: str, asset_class: AssetClass, dossier: Dossier
) -> Asset:
    """Open the dossier of an asset, with the title that it claims.

    Raises
    ------
    Invalid
        A field is wrong for this class.
    Conflict
        ``asset_code_taken``.
    """
    asset = Asset(
        code=code,
        asset_class=asset_class,
        title_regime=dossier.title_regime,
        location=dict(dossier.location),
        details=checked_details(session, asset_class, dossier),
        maker=actor.subject,
    )
    if assets.list_assets(session, code=code, state=None, after=None, limit=1):
        raise Conflict("asset_code_taken", f"The code {code} names another asset.")
    session.add(asset)
    session.flush()
    assets.replace_keys(session, asset.id, dossier.underlying_keys)
    claims.restate(session, asset)
    basis = law_of(asset).regime.basis
    titles.propose_title(session, actor, asset.id, basis=basis, ownership=dossier.ownership)
    journal.record(session, actor, "dossier_opened", "asset", asset.id, code=code)
    return asset


def amend_dossier(
    session: Session, actor: Actor, asset_id: UUID, *, version: int, dossier: Dossier
) -> Asset:
    """Replace the dossier of an asset that is not under review.

    Raises
    ------
    StaleVersion
        Somebody changed it since `version`.
    Forbidden
        ``not_the_maker``.
    Conflict
        ``dossier_closed``: it is under review, decided or withdrawn; ``division_result_fixed``.
    """
    asset = assets.get_asset(session, asset_id, lock=True)
    if asset.version != version:
        raise StaleVersion("asset", str(version), str(asset.version))
    require_maker(actor, asset)
    if asset.state not in EDITABLE_STATES:
        raise Conflict(
            "dossier_closed",
            f"The dossier is {asset.state}; it can be edited only as a draft or on requisition.",
        )
    _require_not_under_division(session, asset)
    asset.details = checked_details(session, asset.asset_class, dossier)
    asset.title_regime = dossier.title_regime
    asset.location = dict(dossier.location)
    # Keys and owners stand in rows of their own; the version rises for them too.
    flag_modified(asset, "details")
    keys_before = assets.list_keys(session, asset.id)
    assets.replace_keys(session, asset.id, dossier.underlying_keys)
    claims.restate(session, asset)
    title = titles.title_of_asset(session, asset.id)
    basis = law_of(asset).regime.basis
    titles.restate_title(session, actor, title, basis=basis, ownership=dossier.ownership)
    _require_same_land(title, keys_before, dossier.underlying_keys)
    session.flush()
    journal.record(session, actor, "dossier_amended", "asset", asset.id, version=asset.version)
    return asset


def _require_not_under_division(session: Session, asset: Asset) -> None:
    """Keep what comes out of a division as its officers read it, from its completion on."""
    title = titles.title_of_asset(session, asset.id)
    division = mutations.find_division(session, title.id)
    if division is not None and division.state != MutationState.ENTERED:
        raise Conflict(
            "division_result_fixed",
            f"{asset.code} comes out of mutation {division.number}, which is {division.state}.",
            remedy="Have the mutation returned or rejected first, then correct the dossier.",
        )


def _require_same_land(title: Title, before: Sequence[str], after: Sequence[str]) -> None:
    """Refuse other land under a title that a division has put in force already."""
    if title.state not in (TitleState.PROPOSED, TitleState.VERIFIED) and set(before) != set(after):
        raise Conflict(
            "division_result_fixed",
            f"The title is {title.state} by a division: its land is decided.",
            remedy="Keep the keys; what was divided wrongly is divided or put together anew.",
        )


def checked_details(session: Session, asset_class: AssetClass, dossier: Dossier) -> dict[str, Any]:
    """Return the fields of the class, checked, as they are stored.

    Raises
    ------
    Invalid
        A field is wrong for this class, or for the law of the place.
    """
    law = read_law(class_of(asset_class), dossier.title_regime, dossier.location)
    details = check_details(law.spec, dossier.details)
    check_against_law(law, details, dossier.underlying_keys, dossier.location)
    parcels.check_units(details.spatial_units(), law)
    for share in dossier.ownership.shares:
        parties.get_party(session, share.party_id)
    return details.model_dump(mode="json", exclude_none=True)


def dossier_hash(session: Session, asset: Asset) -> bytes:
    """Return the SHA-256 of what there is to approve: dossier, title, papers and liens."""
    title = titles.title_of_asset(session, asset.id)
    ownership = titles.ownership_of(session, titles.current_version(session, title.id))
    return record_hash(
        {
            "code": asset.code,
            "asset_class": asset.asset_class,
            "title_regime": asset.title_regime,
            "location": asset.location,
            "details": asset.details,
            "underlying_keys": assets.list_keys(session, asset.id),
            "kul_hissay": str(ownership.kul_hissay),
            "owners": [
                {"party_id": str(share.party_id), "hissa": str(share.hissa)}
                for share in ownership.shares
            ],
            "documents": sorted(
                [document.kind, document.sha256.hex()]
                for document in documents.list_documents(session, asset.id)
                if document.state != DocumentState.REJECTED
            ),
            "encumbrances": [
                _stated(item)
                for item in encumbrances.list_encumbrances(session, title.id)
                if item.state != EncumbranceState.REJECTED
            ],
        }
    )


def _stated(item: Encumbrance) -> dict[str, str]:
    said = {
        "id": item.id,
        "kind": item.kind,
        "state": item.state,
        "effect": item.effect,
        "rank": item.rank,
        "amount_paisa": item.amount_paisa,
        "holder_id": item.holder_id,
        "authority": item.authority,
        "case_no": item.case_no,
        "ends_on": item.ends_on,
        "source_document_id": item.source_document_id,
    }
    return {name: str(value) for name, value in said.items() if value is not None}


def require_maker(actor: Actor, asset: Asset) -> None:
    """Refuse the hand of another maker.

    Raises
    ------
    Forbidden
        ``not_the_maker``.
    """
    if actor.subject != asset.maker:
        raise Forbidden("not_the_maker", "Only the maker of a dossier edits or submits it.")
