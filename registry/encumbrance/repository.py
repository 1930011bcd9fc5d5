"""All queries on encumbrances."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from uuid import UUID

from sqlmodel import Session, col, or_, select

from registry.asset import service as assets
from registry.encumbrance.models import (
    IN_FORCE,
    Encumbrance,
    EncumbranceState,
    EncumbranceTerms,
)
from registry.encumbrance.rules import SELF_LAPSING
from registry.kernel.errors import NotFound
from registry.kernel.rows import get_row
from registry.title import service as titles


def get_encumbrance(session: Session, encumbrance_id: UUID, *, lock: bool = False) -> Encumbrance:
    """Return the encumbrance.

    Raises
    ------
    NotFound
        There is none of that id.
    """
    return get_row(session, Encumbrance, encumbrance_id, kind="encumbrance", lock=lock)


def lock_encumbrance(session: Session, encumbrance_id: UUID) -> Encumbrance:
    """Return the encumbrance, which no other writer changes until this one is done.

    Everybody locks in this order, the asset first: so nobody waits in a circle.

    Raises
    ------
    NotFound
        There is none of that id.
    """
    encumbrance = get_encumbrance(session, encumbrance_id)
    title = titles.get_title(session, encumbrance.title_id)
    assets.get_asset(session, title.asset_id, lock=True)
    return get_encumbrance(session, encumbrance_id, lock=True)


def list_encumbrances(
    session: Session, title_id: UUID, *, as_of: datetime | None = None
) -> Sequence[Encumbrance]:
    """List every encumbrance that a title ever had, or those that bound at a time, oldest first."""
    query = select(Encumbrance).where(col(Encumbrance.title_id) == title_id)
    if as_of is not None:
        query = query.where(
            col(Encumbrance.valid_from) <= as_of,
            or_(col(Encumbrance.valid_to).is_(None), col(Encumbrance.valid_to) > as_of),
        )
    return session.exec(query.order_by(col(Encumbrance.id))).all()


def in_force(session: Session, title_id: UUID) -> list[Encumbrance]:
    """List the encumbrances that bind now."""
    return [item for item in list_encumbrances(session, title_id) if item.state in IN_FORCE]


def list_terms(
    session: Session, encumbrance_id: UUID, *, until: datetime | None = None
) -> Sequence[EncumbranceTerms]:
    """List every version of the terms, or those in force by a time, oldest first.

    Without a time those that were never in force are listed too.
    """
    query = select(EncumbranceTerms).where(col(EncumbranceTerms.encumbrance_id) == encumbrance_id)
    if until is not None:
        query = query.where(col(EncumbranceTerms.valid_from) <= until)
    return session.exec(query.order_by(col(EncumbranceTerms.seq))).all()


def terms_at(session: Session, encumbrance: Encumbrance, as_of: datetime) -> EncumbranceTerms:
    """Return the terms on which an encumbrance bound at `as_of`.

    Raises
    ------
    NotFound
        It did not bind then.
    """
    terms = list_terms(session, encumbrance.id, until=as_of)
    ended = encumbrance.valid_to is not None and encumbrance.valid_to <= as_of
    if ended or not terms:
        raise NotFound("encumbrance", f"{encumbrance.id} at {as_of.isoformat()}")
    return terms[-1]


def current_terms(session: Session, encumbrance_id: UUID) -> EncumbranceTerms:
    """Return the terms in force; every encumbrance that binds has some."""
    return session.exec(
        select(EncumbranceTerms).where(
            col(EncumbranceTerms.encumbrance_id) == encumbrance_id,
            col(EncumbranceTerms.valid_from).is_not(None),
            col(EncumbranceTerms.valid_to).is_(None),
        )
    ).one()


def find_proposed_terms(session: Session, encumbrance_id: UUID) -> EncumbranceTerms | None:
    """Return the variation that waits for its checker."""
    waiting = (
        terms
        for terms in list_terms(session, encumbrance_id)
        if terms.valid_from is None and terms.superseded_at is None
    )
    return next(waiting, None)


def list_lapsed(session: Session, today: date) -> Sequence[UUID]:
    """List the encumbrances whose last day is over and that end by that."""
    return session.exec(
        select(Encumbrance.id)
        .where(
            col(Encumbrance.state) == EncumbranceState.ACTIVE,
            col(Encumbrance.kind).in_(SELF_LAPSING),
            col(Encumbrance.ends_on) < today,
        )
        .order_by(col(Encumbrance.id))
    ).all()
