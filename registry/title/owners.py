"""Owners who stand for others: whoever owns another piece of land, for the time being.

An access strip whose owner is an asset as a party (LADM) passes with that asset, without a mutation
of its own. So such land must have owners: its title is active, and does not end while it holds
another one; and however far one follows, nothing may own itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from sqlalchemy import or_, text
from sqlmodel import Session, col, select

from registry.asset import service as assets
from registry.asset.classes import class_of
from registry.asset.models import Asset
from registry.interest.models import InterestNature
from registry.interest.service import in_force, parties_in_which
from registry.jurisdiction.interface import LAND
from registry.kernel.actor import Actor
from registry.kernel.clock import now
from registry.kernel.errors import Conflict, Invalid
from registry.kernel.rows import among
from registry.kernel.vault import Vault
from registry.lifecycle.service import Attempt, guard
from registry.party import service as parties
from registry.party.models import Party, PartyKind
from registry.party.service import NewParty
from registry.title.models import Title, TitleShare, TitleState, TitleVersion
from registry.title.rules import Ownership

# Who writes such an owner waits for everybody else who does: two of them could close a circle.
_LOCK = text("SELECT pg_advisory_xact_lock(hashtextextended('asset_as_party', 0))")

_IN_FORCE = (col(TitleVersion.superseded_at).is_(None), col(TitleVersion.valid_to).is_(None))


def record_party(session: Session, vault: Vault, actor: Actor, new: NewParty) -> Party:
    """Record a party of any kind; one that is an asset needs that asset's active title.

    Raises
    ------
    NotFound
        There is no such asset.
    Invalid
        ``asset_reference_wrong``: it is no land; or as `party.service.create_party`.
    Conflict
        ``title_not_active``, ``party_exists``.
    """
    if new.asset_id is not None:
        asset = assets.get_asset(session, new.asset_id, lock=True)
        if class_of(asset.asset_class).subject not in LAND:
            raise Invalid(
                "asset_reference_wrong",
                f"{asset.code} is no land; only land holds other land.",
                field="/asset_id",
            )
        _require_active(session, asset.id)
    return parties.create_party(session, vault, actor, new)


def _require_active(session: Session, asset_id: UUID) -> None:
    state = session.exec(select(Title.state).where(col(Title.asset_id) == asset_id)).one()
    if state not in (TitleState.ACTIVE, TitleState.MUTATION_PENDING):
        raise Conflict(
            "title_not_active",
            f"The title of the land that would own this is {state}: it has no owners yet.",
        )


def require_lawful_owners(session: Session, asset_id: UUID, ownership: Ownership) -> None:
    """Refuse owners by which an asset would, in the end, own itself.

    Raises
    ------
    Invalid
        ``owner_is_the_asset``.
    Conflict
        ``title_not_active``.
    """
    behind = _assets_behind(session, (share.party_id for share in ownership.shares))
    if not behind:
        return
    session.connection().execute(_LOCK)
    seen: set[UUID] = set()
    while behind:
        if asset_id in behind:
            raise Invalid(
                "owner_is_the_asset",
                "In the end the asset would own itself.",
                field="/ownership/owners",
                remedy="Name the people who own it.",
            )
        seen |= behind
        for other in behind:
            _require_active(session, other)
        behind = _assets_behind(session, _owners_of(session, behind)) - seen


def parties_behind(session: Session, party_ids: Iterable[UUID]) -> set[UUID]:
    """Return these parties and everybody behind them, however far one follows.

    Behind a group are its members, behind a company its beneficial owners and whoever it declares
    to have an interest in it, behind land that is a party whoever owns that land now.
    """
    seen: set[UUID] = set()
    ahead = set(party_ids)
    while ahead:
        seen |= ahead
        found = session.exec(select(Party).where(among(col(Party.id), ahead))).all()
        lands = {party.asset_id for party in found if party.asset_id is not None}
        named = (UUID(row["party_id"]) for party in found for row in (*party.members, *party.ubo))
        declared = in_force(session, ahead, now()).values()
        holders = (line.holder_id for each in declared for line in each.interests)
        ahead = {*named, *holders, *_owners_of(session, lands)} - seen
    return seen


def parties_in_front(session: Session, party_ids: Iterable[UUID]) -> set[UUID]:
    """Return these parties and everybody whom one of them is behind (`parties_behind`)."""
    seen: set[UUID] = set()
    ahead = set(party_ids)
    while ahead:
        seen |= ahead
        ahead = {*_naming(session, ahead), *_declaring(session, ahead), *_lands_of(session, ahead)}
        ahead -= seen
    return seen


def _naming(session: Session, party_ids: set[UUID]) -> Iterable[UUID]:
    """List groups and companies that name one of these as a member or as a beneficial owner."""
    naming = (
        column.contains([{"party_id": str(party_id)}])
        for party_id in party_ids
        for column in (col(Party.members), col(Party.ubo))
    )
    return session.exec(select(Party.id).where(col(Party.kind) != PartyKind.NATURAL, or_(*naming)))


def _declaring(session: Session, party_ids: set[UUID]) -> Iterable[UUID]:
    """List who declares, as it holds now, that one of these has an interest in them."""
    ever = parties_in_which(session, party_ids, tuple(InterestNature))
    for declaring, held in in_force(session, ever, now()).items():
        if any(line.holder_id in party_ids for line in held.interests):
            yield declaring


def _lands_of(session: Session, party_ids: set[UUID]) -> Iterable[UUID]:
    """List the lands that are parties and belong to one of these."""
    return session.exec(
        select(Party.id)
        .join(Title, col(Title.asset_id) == col(Party.asset_id))
        .join(TitleVersion, col(TitleVersion.title_id) == col(Title.id))
        .join(TitleShare, col(TitleShare.version_id) == col(TitleVersion.id))
        .where(among(col(TitleShare.party_id), party_ids), *_IN_FORCE)
    )


def _assets_behind(session: Session, party_ids: Iterable[UUID]) -> set[UUID]:
    query = select(Party.asset_id).where(
        col(Party.id).in_(list(party_ids)), col(Party.asset_id).is_not(None)
    )
    return {asset_id for asset_id in session.exec(query) if asset_id is not None}


def _owners_of(session: Session, asset_ids: set[UUID]) -> list[UUID]:
    query = (
        select(TitleShare.party_id)
        .join(TitleVersion, col(TitleVersion.id) == col(TitleShare.version_id))
        .join(Title, col(Title.id) == col(TitleVersion.title_id))
        .where(col(Title.asset_id).in_(asset_ids), *_IN_FORCE)
    )
    return list(session.exec(query))


def require_holds_no_land(session: Session, asset_id: UUID) -> None:
    """Refuse that land ends to which, as a party, other land belongs.

    Raises
    ------
    Conflict
        ``holds_other_land``.
    """
    session.connection().execute(_LOCK)
    held = session.exec(
        select(Asset.code)
        .join(Title, col(Title.asset_id) == col(Asset.id))
        .join(TitleVersion, col(TitleVersion.title_id) == col(Title.id))
        .join(TitleShare, col(TitleShare.version_id) == col(TitleVersion.id))
        .join(Party, col(Party.id) == col(TitleShare.party_id))
        .where(col(Party.asset_id) == asset_id, *_IN_FORCE)
    ).first()
    if held is not None:
        raise Conflict(
            "holds_other_land",
            f"{held} belongs to whoever owns this land.",
            remedy="Let it pass to somebody else by a mutation first.",
        )


@guard("asset_onboarding", "retire")
def _nothing_belongs_to_it(attempt: Attempt[Asset]) -> None:
    require_holds_no_land(attempt.session, attempt.record.id)
