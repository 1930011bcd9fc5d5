"""Use cases on encumbrances: lodged by a maker, in force by a checker."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from uuid import UUID

from sqlmodel import Session, col, select

from registry.asset import service as assets
from registry.document import service as documents
from registry.document.models import DocumentState
from registry.encumbrance import rules
from registry.encumbrance.models import (
    IN_FORCE,
    Encumbrance,
    EncumbranceKind,
    EncumbranceState,
)
from registry.journal import service as journal
from registry.kernel.actor import Actor
from registry.kernel.errors import Conflict, Forbidden, Invalid
from registry.kernel.machine import machine
from registry.kernel.rows import get_row
from registry.party import service as parties
from registry.title import service as titles


@dataclass(frozen=True, slots=True, kw_only=True)
class NewEncumbrance:
    """What an encumbrance is lodged with.

    Parameters
    ----------
    rank
        1 is paid first; security interests only.
    amount_paisa
        Secured debt.
    source_document_id
        The paper that it rests on; it must be verified before the encumbrance is in force.
    """

    kind: EncumbranceKind
    source_document_id: UUID
    rank: int | None = None
    amount_paisa: int | None = None
    holder_id: UUID | None = None
    authority: str | None = None
    case_no: str | None = None
    lender_consent: bool = False
    ends_on: date | None = None


def lodge_encumbrance(
    session: Session, actor: Actor, title_id: UUID, new: NewEncumbrance
) -> Encumbrance:
    """Record an encumbrance that waits for its checker.

    Raises
    ------
    Invalid
        ``encumbrance_incomplete``, ``source_of_other_asset``.
    """
    title = titles.get_title(session, title_id)
    rules.check_terms(
        new.kind,
        rank=new.rank,
        amount_paisa=new.amount_paisa,
        has_holder=new.holder_id is not None,
        authority=new.authority,
        case_no=new.case_no,
    )
    if new.holder_id is not None:
        parties.get_party(session, new.holder_id)
    source = documents.get_document(session, new.source_document_id)
    if source.asset_id != title.asset_id:
        raise Invalid(
            "source_of_other_asset",
            "The source document belongs to another asset.",
            field="/source_document_id",
        )
    encumbrance = Encumbrance(
        title_id=title_id,
        kind=new.kind,
        effect=rules.effect_of(new.kind, lender_consent=new.lender_consent),
        rank=new.rank,
        amount_paisa=new.amount_paisa,
        holder_id=new.holder_id,
        authority=new.authority,
        case_no=new.case_no,
        lender_consent=new.lender_consent,
        ends_on=new.ends_on,
        source_document_id=new.source_document_id,
        maker=actor.subject,
    )
    session.add(encumbrance)
    session.flush()
    journal.record(
        session,
        actor,
        "encumbrance_lodged",
        "encumbrance",
        encumbrance.id,
        kind=new.kind,
        title_id=str(title_id),
    )
    return encumbrance


def register_encumbrance(session: Session, actor: Actor, encumbrance_id: UUID) -> Encumbrance:
    """Put an encumbrance in force.

    The asset's row is locked first: a mint that is being signed at this moment either comes
    before, or sees the encumbrance.

    Raises
    ------
    Forbidden
        ``checker_is_maker``.
    Conflict
        ``source_not_verified``, ``rank_taken`` (ENC-03), ``transition_refused``.
    """
    encumbrance = get_encumbrance(session, encumbrance_id, lock=True)
    title = titles.get_title(session, encumbrance.title_id)
    assets.get_asset(session, title.asset_id, lock=True)
    state = machine("encumbrance").next_state(encumbrance.state, "register", actor.roles)
    _four_eyes(actor, encumbrance)
    source = documents.get_document(session, encumbrance.source_document_id)
    if source.state != DocumentState.VERIFIED:
        raise Conflict(
            "source_not_verified",
            f"The source document is {source.state}; no right rests on an unverified paper.",
            remedy="Have the document verifier confirm it with its registry.",
        )
    if encumbrance.rank is not None and any(
        other.rank == encumbrance.rank for other in in_force(session, title.id)
    ):
        raise Conflict(
            "rank_taken", f"Rank {encumbrance.rank} on this title is taken (rule ENC-03)."
        )
    encumbrance.checker = actor.subject
    return _enter(session, actor, encumbrance, state, "encumbrance_registered")


def discharge_encumbrance(session: Session, actor: Actor, encumbrance_id: UUID) -> Encumbrance:
    """Ask for a discharge as maker, or grant it as checker, whichever comes next.

    Raises
    ------
    Conflict
        ``transition_refused``.
    Forbidden
        ``transition_forbidden``, ``checker_is_maker``.
    """
    encumbrance = get_encumbrance(session, encumbrance_id, lock=True)
    asked = encumbrance.state == EncumbranceState.DISCHARGE_PENDING
    event = "discharge" if asked else "discharge_request"
    state = machine("encumbrance").next_state(encumbrance.state, event, actor.roles)
    if asked:
        _four_eyes(actor, encumbrance)
        encumbrance.checker = actor.subject
    else:
        encumbrance.maker = actor.subject
    return _enter(session, actor, encumbrance, state, f"encumbrance_{event}")


def _four_eyes(actor: Actor, encumbrance: Encumbrance) -> None:
    if actor.subject == encumbrance.maker:
        raise Forbidden(
            "checker_is_maker", "Whoever lodged this cannot decide on it (rule APR-01)."
        )


def _enter(
    session: Session, actor: Actor, encumbrance: Encumbrance, state: str, act: str
) -> Encumbrance:
    encumbrance.state = EncumbranceState(state)
    session.flush()
    journal.record(
        session, actor, act, "encumbrance", encumbrance.id, state=state, effect=encumbrance.effect
    )
    return encumbrance


def get_encumbrance(session: Session, encumbrance_id: UUID, *, lock: bool = False) -> Encumbrance:
    """Return the encumbrance.

    Raises
    ------
    NotFound
        There is none of that id.
    """
    return get_row(session, Encumbrance, encumbrance_id, kind="encumbrance", lock=lock)


def list_encumbrances(session: Session, title_id: UUID) -> Sequence[Encumbrance]:
    """List every encumbrance that a title ever had, oldest first."""
    return session.exec(
        select(Encumbrance)
        .where(col(Encumbrance.title_id) == title_id)
        .order_by(col(Encumbrance.id))
    ).all()


def in_force(session: Session, title_id: UUID) -> list[Encumbrance]:
    """List the encumbrances that bind now."""
    return [item for item in list_encumbrances(session, title_id) if item.state in IN_FORCE]
