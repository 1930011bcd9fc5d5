"""Reading assets and keeping their claims on natural keys."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlmodel import Session, col, select
from sqlmodel.sql.expression import SelectOfScalar

from registry.asset.models import Asset, UnderlyingKey
from registry.kernel.rows import get_row, page_after


def get_asset(session: Session, asset_id: UUID, *, lock: bool = False) -> Asset:
    """Return the asset; with `lock`, no other writer changes it until this one is done.

    Raises
    ------
    NotFound
        There is none of that id.
    """
    return get_row(session, Asset, asset_id, kind="asset", lock=lock)


def list_assets(
    session: Session,
    *,
    code: str | None,
    state: str | None,
    after: UUID | None,
    limit: int,
    among: SelectOfScalar[UUID] | None = None,
) -> Sequence[Asset]:
    """List assets, or those `among` some, in the order in which they were recorded."""
    query = select(Asset)
    if among is not None:
        query = query.where(col(Asset.id).in_(among))
    if code is not None:
        query = query.where(col(Asset.code) == code)
    if state is not None:
        query = query.where(col(Asset.state) == state)
    return session.exec(page_after(query, col(Asset.id), after=after, limit=limit)).all()


def list_keys(session: Session, asset_id: UUID) -> list[str]:
    """List the natural keys that the asset claims."""
    rows = session.exec(
        select(UnderlyingKey.key)
        .where(col(UnderlyingKey.asset_id) == asset_id)
        .order_by(col(UnderlyingKey.key))
    )
    return list(rows.all())


def replace_keys(session: Session, asset_id: UUID, keys: Sequence[str]) -> None:
    """Record what the asset claims to be; a claim that stays is as live as it was."""
    kept = set()
    for claim in session.exec(select(UnderlyingKey).where(UnderlyingKey.asset_id == asset_id)):
        if claim.key in keys:
            kept.add(claim.key)
        else:
            session.delete(claim)
    session.add_all(UnderlyingKey(asset_id=asset_id, key=key) for key in keys if key not in kept)
    session.flush()


def rival_claims(session: Session, asset_id: UUID) -> dict[str, UUID]:
    """Return, for each key of this asset that another one holds, the holder's id (KEY-01)."""
    rows = session.exec(
        select(UnderlyingKey.key, UnderlyingKey.asset_id).where(
            col(UnderlyingKey.live),
            col(UnderlyingKey.asset_id) != asset_id,
            col(UnderlyingKey.key).in_(list_keys(session, asset_id)),
        )
    )
    return {key: holder for key, holder in rows.all()}  # noqa: C416 - rows are not pairs to mypy


def make_claims_live(session: Session, asset_id: UUID) -> None:
    """Take every key of the asset that nobody holds.

    Two dossiers that take one key at the same moment meet in the unique index; the second
    waits for the first, and is then refused as KEY-01.
    """
    held = rival_claims(session, asset_id)
    claims = session.exec(
        select(UnderlyingKey)
        .where(UnderlyingKey.asset_id == asset_id)
        .order_by(col(UnderlyingKey.key))
    )
    for claim in claims.all():
        claim.live = claim.key not in held
        # One at a time, everybody in the same order: so nobody waits in a circle.
        session.flush()


def release_claims(session: Session, asset_id: UUID) -> None:
    """Let the keys go: the asset is rejected, withdrawn or retired."""
    for claim in session.exec(select(UnderlyingKey).where(UnderlyingKey.asset_id == asset_id)):
        claim.live = False
    session.flush()
