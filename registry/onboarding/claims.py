"""What an asset holds of the real world: taken when it is handed in, let go when it is gone."""

from __future__ import annotations

from sqlalchemy.exc import IntegrityError
from sqlmodel import Session

from registry.asset import service as assets
from registry.asset.classes import check_details, class_of
from registry.asset.law import law_of
from registry.asset.models import Asset
from registry.document import service as documents
from registry.parcel import service as parcels
from registry.parcel import shares


def restate(session: Session, asset: Asset) -> None:
    """Record the ground that the dossier names; what stays the same is as live as it was."""
    details = check_details(class_of(asset.asset_class), asset.details)
    parcels.restate(session, asset, details.spatial_units())
    keys = assets.list_keys(session, asset.id)
    shares.restate(session, asset.id, keys, details.part_of_parent())


def take(session: Session, asset: Asset) -> None:
    """Make the asset's claims live; what another holds stays the other's.

    Keys before ground before shares: everybody waits in this order, so nobody waits in a circle.
    """
    _take_keys(session, asset)
    restate(session, asset)
    parcels.take(session, asset.id, law_of(asset).jurisdiction.policy)
    shares.take(session, asset.id)


def _take_keys(session: Session, asset: Asset) -> None:
    try:
        with session.begin_nested():
            assets.make_claims_live(session, asset.id)
    except IntegrityError:
        # Somebody took a key between our look and our write: look again, now it is visible.
        session.expire_all()
        assets.make_claims_live(session, asset.id)


def release(session: Session, asset: Asset) -> None:
    """Let everything go: the asset is rejected, withdrawn or retired."""
    assets.release_claims(session, asset.id)
    parcels.release(session, asset.id)
    shares.release(session, asset.id)
    documents.release(session, asset.id)
