"""Use cases on titles."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlmodel import Session, col, or_, select

from registry.journal import service as journal
from registry.kernel.actor import Actor
from registry.kernel.clock import now
from registry.kernel.errors import NotFound
from registry.kernel.machine import machine
from registry.kernel.rows import get_row
from registry.title.models import Title, TitleShare, TitleState, TitleVersion
from registry.title.rules import Ownership, Share


def propose_title(
    session: Session, actor: Actor, asset_id: UUID, *, basis: str, ownership: Ownership
) -> Title:
    """Record the title that a dossier claims."""
    title = Title(asset_id=asset_id)
    session.add(title)
    session.flush()
    _add_version(session, actor, title, seq=1, at=now(), basis=basis, ownership=ownership)
    return title


def restate_title(
    session: Session, actor: Actor, title: Title, *, basis: str, ownership: Ownership
) -> None:
    """Replace a proposed title's version; what was claimed before stays readable."""
    current = current_version(session, title.id)
    # One moment for both: at no moment in between was there no version.
    at = now()
    current.superseded_at = at
    session.flush()
    _add_version(
        session, actor, title, seq=current.seq + 1, at=at, basis=basis, ownership=ownership
    )


def _add_version(
    session: Session,
    actor: Actor,
    title: Title,
    *,
    seq: int,
    at: datetime,
    basis: str,
    ownership: Ownership,
) -> None:
    version = TitleVersion(
        title_id=title.id,
        seq=seq,
        basis=basis,
        kul_hissay=ownership.kul_hissay,
        valid_from=at,
        recorded_at=at,
        maker=actor.subject,
    )
    session.add(version)
    session.flush()
    session.add_all(
        TitleShare(version_id=version.id, party_id=share.party_id, hissa=share.hissa)
        for share in ownership.shares
    )
    session.flush()


def fire(session: Session, actor: Actor, title: Title, event: str) -> None:
    """Fire `event` on the title and journal it.

    Raises
    ------
    Conflict
        ``transition_refused``.
    Forbidden
        ``transition_forbidden``.
    """
    title.state = TitleState(machine("title").next_state(title.state, event, actor.roles))
    session.flush()
    journal.record(session, actor, f"title_{event}", "title", title.id, state=title.state)


def get_title(session: Session, title_id: UUID) -> Title:
    """Return the title.

    Raises
    ------
    NotFound
        There is none of that id.
    """
    return get_row(session, Title, title_id, kind="title")


def title_of_asset(session: Session, asset_id: UUID) -> Title:
    """Return the title of an asset; every asset is recorded with one."""
    return session.exec(select(Title).where(col(Title.asset_id) == asset_id)).one()


def current_version(session: Session, title_id: UUID) -> TitleVersion:
    """Return the version that is in force now, as we know now."""
    return session.exec(
        select(TitleVersion).where(
            col(TitleVersion.title_id) == title_id,
            col(TitleVersion.superseded_at).is_(None),
            col(TitleVersion.valid_to).is_(None),
        )
    ).one()


def version_at(
    session: Session, title_id: UUID, *, as_of: datetime, known_at: datetime
) -> TitleVersion:
    """Return the version in force at `as_of`, as we knew it at `known_at`.

    Raises
    ------
    NotFound
        The title had no version then, or we knew of none.
    """
    version = session.exec(
        select(TitleVersion).where(
            col(TitleVersion.title_id) == title_id,
            col(TitleVersion.valid_from) <= as_of,
            or_(col(TitleVersion.valid_to).is_(None), col(TitleVersion.valid_to) > as_of),
            col(TitleVersion.recorded_at) <= known_at,
            or_(
                col(TitleVersion.superseded_at).is_(None),
                col(TitleVersion.superseded_at) > known_at,
            ),
        )
    ).first()
    if version is None:
        raise NotFound("title version", f"of {title_id} at {as_of.isoformat()}")
    return version


def list_versions(session: Session, title_id: UUID) -> Sequence[TitleVersion]:
    """List every version ever recorded, oldest first."""
    return session.exec(
        select(TitleVersion)
        .where(col(TitleVersion.title_id) == title_id)
        .order_by(col(TitleVersion.seq))
    ).all()


def ownership_of(session: Session, version: TitleVersion) -> Ownership:
    """Return who holds what under `version`."""
    shares = session.exec(
        select(TitleShare)
        .where(col(TitleShare.version_id) == version.id)
        .order_by(col(TitleShare.party_id))
    )
    return Ownership(
        version.kul_hissay, tuple(Share(share.party_id, share.hissa) for share in shares)
    )
