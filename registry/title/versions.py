"""Versions of a title: written once, superseded by what we learn later, never edited.

Two times stand on each: when the right was valid, and when we knew of it. Closing a right is a
thing that we learn too: the open version is superseded, and a copy that ends takes its place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import func
from sqlmodel import Session, col, or_, select
from sqlmodel.sql.expression import SelectOfScalar

from registry.kernel.clock import now
from registry.kernel.errors import Conflict, NotFound
from registry.title.models import Title, TitleShare, TitleVersion
from registry.title.owners import require_lawful_owners
from registry.title.rules import Ownership, Share


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRight:
    """Who owns from when, on what basis, and who says so.

    Parameters
    ----------
    valid_from
        The legal instant: of the deed, the decree or the attestation.
    """

    valid_from: datetime
    basis: str
    ownership: Ownership
    maker: str
    checker: str | None = None
    mutation_id: UUID | None = None


def add_version(
    session: Session,
    title: Title,
    right: NewRight,
    *,
    recorded_at: datetime,
    valid_to: datetime | None = None,
    is_first: bool = False,
) -> TitleVersion:
    """Write a version and its shares.

    Raises
    ------
    Invalid, Conflict
        As `owners.require_lawful_owners`, of a right that goes on.
    """
    if valid_to is None:
        require_lawful_owners(session, title.asset_id, right.ownership)
    version = TitleVersion(
        title_id=title.id,
        seq=1 if is_first else _next_seq(session, title),
        basis=right.basis,
        kul_hissay=right.ownership.kul_hissay,
        valid_from=right.valid_from,
        valid_to=valid_to,
        recorded_at=recorded_at,
        maker=right.maker,
        checker=right.checker,
        mutation_id=right.mutation_id,
    )
    session.add(version)
    session.flush()
    session.add_all(
        TitleShare(version_id=version.id, party_id=share.party_id, hissa=share.hissa)
        for share in right.ownership.shares
    )
    session.flush()
    return version


def _next_seq(session: Session, title: Title) -> int:
    last = session.exec(
        select(func.max(TitleVersion.seq)).where(col(TitleVersion.title_id) == title.id)
    ).one()
    return (last or 0) + 1


def replace_version(
    session: Session, title: Title, right: NewRight
) -> tuple[TitleVersion | None, TitleVersion]:
    """Let `right` follow the right in force, from its own legal instant on.

    One moment of knowledge for all of it: before it we believed the open version, after it the
    closed one and the new one; at no moment in between is there no version.

    Returns
    -------
    tuple
        The closed version and the opened one. Nothing is left to be closed where the new right
        begins as the former one did: then it was never so, and is corrected.

    Raises
    ------
    Conflict
        ``mutation_predates_title``.
    """
    current = current_version(session, title.id)
    if right.valid_from < current.valid_from:
        raise Conflict(
            "mutation_predates_title",
            f"The right in force began at {current.valid_from.isoformat()}, after this one.",
            remedy="Correct or reverse the later right first.",
        )
    known = _supersede(session, current)
    closed = None
    if right.valid_from > current.valid_from:
        former = right_of(session, current)
        closed = add_version(session, title, former, recorded_at=known, valid_to=right.valid_from)
    return closed, add_version(session, title, right, recorded_at=known)


def end_version(session: Session, title: Title, at: datetime) -> TitleVersion:
    """Let the right in force end at `at` without a successor: the title itself ends."""
    current = current_version(session, title.id)
    former = right_of(session, current)
    known = _supersede(session, current)
    return add_version(session, title, former, recorded_at=known, valid_to=at)


def restart(session: Session, title: Title, right: NewRight) -> TitleVersion:
    """Let a title that was only claimed begin with `right`: before it there was none."""
    known = _supersede(session, current_version(session, title.id))
    return add_version(session, title, right, recorded_at=known)


def _supersede(session: Session, version: TitleVersion) -> datetime:
    known = now()
    version.superseded_at = known
    session.flush()
    return known


def right_of(session: Session, version: TitleVersion) -> NewRight:
    """Return the right that `version` records, as it would be written again."""
    return NewRight(
        valid_from=version.valid_from,
        basis=version.basis,
        ownership=ownership_of(session, version),
        maker=version.maker,
        checker=version.checker,
        mutation_id=version.mutation_id,
    )


def current_version(session: Session, title_id: UUID) -> TitleVersion:
    """Return the version that is in force now, as we know now.

    Of a title that has ended, the last one that was.
    """
    return session.exec(
        select(TitleVersion)
        .where(
            col(TitleVersion.title_id) == title_id,
            col(TitleVersion.superseded_at).is_(None),
        )
        .order_by(col(TitleVersion.valid_from).desc())
        .limit(1)
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


def list_versions(
    session: Session, title_id: UUID, *, until: datetime | None = None
) -> Sequence[TitleVersion]:
    """List every version ever recorded, or those of rights that began by a time, oldest first."""
    query = select(TitleVersion).where(col(TitleVersion.title_id) == title_id)
    if until is not None:
        query = query.where(col(TitleVersion.valid_from) <= until)
    return session.exec(query.order_by(col(TitleVersion.seq))).all()


def assets_with_right(as_of: datetime) -> SelectOfScalar[UUID]:
    """Select the assets whose titles had a right at `as_of`, as far as the session knows."""
    return (
        select(Title.asset_id)
        .join(TitleVersion, col(TitleVersion.title_id) == col(Title.id))
        .where(
            col(TitleVersion.valid_from) <= as_of,
            or_(col(TitleVersion.valid_to).is_(None), col(TitleVersion.valid_to) > as_of),
            col(TitleVersion.superseded_at).is_(None),
        )
    )


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
