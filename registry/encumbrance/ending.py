"""How an encumbrance ends: discharged, lapsed, settled, or enforced by a sale."""

from __future__ import annotations

from uuid import UUID

from sqlmodel import Session

from registry.document import sources
from registry.document.models import Document
from registry.encumbrance import guards, repository
from registry.encumbrance.models import Encumbrance
from registry.kernel.actor import THE_SYSTEM, Actor
from registry.kernel.clock import now
from registry.lifecycle.service import fire
from registry.title import service as titles


def request_discharge(
    session: Session, actor: Actor, encumbrance_id: UUID, *, document_id: UUID
) -> Encumbrance:
    """Ask for a discharge, on the paper that releases the title.

    Raises
    ------
    Invalid
        ``source_of_other_asset``, ``source_of_other_kind``.
    Conflict
        ``source_not_verified``, ``transition_refused``.
    """
    encumbrance, paper = _open(session, encumbrance_id, document_id)
    _fire(session, actor, encumbrance, "discharge_request", paper=paper)
    encumbrance.asked_by, encumbrance.closing_document_id = actor.subject, document_id
    session.flush()
    return encumbrance


def discharge_encumbrance(
    session: Session, actor: Actor, encumbrance_id: UUID, *, confirmation: str
) -> Encumbrance:
    """Grant a discharge that the holder has confirmed.

    Raises
    ------
    Forbidden
        ``checker_is_maker``.
    Conflict
        ``holder_not_confirmed``, ``transition_refused``.
    """
    encumbrance, _ = _open(session, encumbrance_id)
    _fire(session, actor, encumbrance, "discharge", confirmation=confirmation)
    return _end(session, actor, encumbrance, confirmation)


def refuse_discharge(
    session: Session, actor: Actor, encumbrance_id: UUID, *, reason: str
) -> Encumbrance:
    """Leave the encumbrance in force.

    Raises
    ------
    Forbidden
        ``checker_is_maker``.
    Conflict
        ``transition_refused``.
    """
    encumbrance, _ = _open(session, encumbrance_id)
    _fire(session, actor, encumbrance, "discharge_refuse", reason=reason)
    encumbrance.decided_by, encumbrance.closing_document_id = actor.subject, None
    session.flush()
    return encumbrance


def enforce_encumbrance(
    session: Session, actor: Actor, encumbrance_id: UUID, *, document_id: UUID
) -> Encumbrance:
    """Record that the holder of a security has begun to enforce it.

    Raises
    ------
    Invalid
        ``source_of_other_asset``, ``source_of_other_kind``.
    Conflict
        ``not_enforceable``, ``source_not_verified``, ``transition_refused``.
    """
    encumbrance, paper = _open(session, encumbrance_id, document_id)
    _fire(session, actor, encumbrance, "enforce", paper=paper)
    encumbrance.asked_by, encumbrance.closing_document_id = actor.subject, document_id
    session.flush()
    return encumbrance


def settle_encumbrance(
    session: Session, actor: Actor, encumbrance_id: UUID, *, confirmation: str
) -> Encumbrance:
    """End an enforcement: the debt is paid.

    Raises
    ------
    Forbidden
        ``checker_is_maker``.
    Conflict
        ``payment_not_confirmed``, ``transition_refused``.
    """
    encumbrance, _ = _open(session, encumbrance_id)
    _fire(session, actor, encumbrance, "settle", confirmation=confirmation)
    return _end(session, actor, encumbrance, confirmation)


def finish_enforcement(
    session: Session, actor: Actor, encumbrance_id: UUID, *, document_id: UUID
) -> Encumbrance:
    """End an enforcement: the thing was sold, as the certificate says.

    Raises
    ------
    Forbidden
        ``checker_is_maker``.
    Invalid
        ``source_of_other_asset``, ``source_of_other_kind``.
    Conflict
        ``source_not_verified``, ``transition_refused``.
    """
    encumbrance, paper = _open(session, encumbrance_id, document_id)
    _fire(session, actor, encumbrance, "enforced", paper=paper)
    encumbrance.closing_document_id = document_id
    return _end(session, actor, encumbrance, None)


def lapse_encumbrance(session: Session, encumbrance_id: UUID) -> Encumbrance:
    """Let an encumbrance end whose last day is over.

    Raises
    ------
    Conflict
        ``not_lapsed``, ``transition_refused``.
    """
    encumbrance, _ = _open(session, encumbrance_id)
    _fire(session, THE_SYSTEM, encumbrance, "lapse")
    return _end(session, THE_SYSTEM, encumbrance, None)


def _open(
    session: Session, encumbrance_id: UUID, document_id: UUID | None = None
) -> tuple[Encumbrance, Document | None]:
    encumbrance = repository.lock_encumbrance(session, encumbrance_id)
    if document_id is None:
        return encumbrance, None
    title = titles.get_title(session, encumbrance.title_id)
    paper = sources.paper_of(session, title.asset_id, document_id, field="/document_id")
    return encumbrance, paper


def _fire(
    session: Session, actor: Actor, encumbrance: Encumbrance, event: str, **given: object
) -> None:
    # How the holder confirmed may name people: it stands on the row, not in the journal.
    said = {"reason": given["reason"]} if "reason" in given else {}
    fire(session, actor, guards.MACHINE, encumbrance, event, given=given, **said)


def _end(
    session: Session, actor: Actor, encumbrance: Encumbrance, confirmation: str | None
) -> Encumbrance:
    encumbrance.decided_by, encumbrance.confirmation = actor.subject, confirmation
    encumbrance.valid_to = now()
    repository.current_terms(session, encumbrance.id).valid_to = encumbrance.valid_to
    session.flush()
    return encumbrance
