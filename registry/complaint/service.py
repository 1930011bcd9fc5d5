"""Use cases on complaints: filed, looked into, answered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlmodel import Session, col, select

from registry.complaint.guards import MACHINE
from registry.complaint.models import Complaint, ComplaintKind
from registry.investor import service as investors
from registry.journal import service as journal
from registry.kernel.actor import Actor
from registry.kernel.clock import now
from registry.kernel.errors import Invalid, NotFound
from registry.kernel.rows import get_row, page_after
from registry.lifecycle import service as lifecycle
from registry.party import service as parties
from registry.tokenization import service as tokenizations


@dataclass(frozen=True, slots=True, kw_only=True)
class NewComplaint:
    """A complaint as it came in; see `models.Complaint`."""

    kind: ComplaintKind
    said: str
    received_at: datetime
    party_id: UUID | None = None
    tokenization_id: UUID | None = None
    loss_paisa: int | None = None


def file_own(session: Session, actor: Actor, new: NewComplaint) -> Complaint:
    """File a complaint of the caller's own, by the phone.

    Raises
    ------
    NotFound
        They have not enrolled, or there is no such token.
    """
    mine = investors.get_investor_of(session, actor.subject)
    return _file(session, actor, new, mine.party_id)


def record_complaint(session: Session, actor: Actor, new: NewComplaint) -> Complaint:
    """Record a complaint that came by another way.

    Raises
    ------
    NotFound
        There is no such party or token.
    Invalid
        ``complaint_dated_in_future``.
    """
    if new.received_at > now():
        raise Invalid("complaint_dated_in_future", "It has not come yet.", field="/received_at")
    if new.party_id is not None:
        parties.get_party(session, new.party_id)
    return _file(session, actor, new, new.party_id)


def _file(session: Session, actor: Actor, new: NewComplaint, party_id: UUID | None) -> Complaint:
    if new.tokenization_id is not None:
        tokenizations.get_tokenization(session, new.tokenization_id)
    complaint = Complaint(
        kind=new.kind,
        party_id=party_id,
        tokenization_id=new.tokenization_id,
        said=new.said,
        loss_paisa=new.loss_paisa,
        received_at=new.received_at,
        maker=actor.subject,
    )
    session.add(complaint)
    session.flush()
    journal.record(session, actor, "complaint_filed", "complaint", complaint.id, kind=new.kind)
    return complaint


def investigate_complaint(session: Session, actor: Actor, complaint_id: UUID) -> Complaint:
    """Take a complaint on.

    Raises
    ------
    NotFound
    Forbidden
        ``checker_is_maker``.
    Conflict
        ``transition_refused``.
    """
    said = {"investigated_by": actor.subject}
    return _fire(session, actor, complaint_id, "investigate", None, said)


def resolve_complaint(
    session: Session, actor: Actor, complaint_id: UUID, *, answer: str
) -> Complaint:
    """Make it good, and tell the complainant.

    Raises
    ------
    NotFound
    Invalid
        ``reason_missing``.
    Forbidden
        ``checker_is_maker``.
    Conflict
        ``transition_refused``.
    """
    return _fire(session, actor, complaint_id, "resolve", answer, _closed(actor, answer))


def reject_complaint(
    session: Session, actor: Actor, complaint_id: UUID, *, answer: str
) -> Complaint:
    """Say that there is nothing to make good, and why.

    Raises
    ------
    NotFound
    Invalid
        ``reason_missing``.
    Forbidden
        ``checker_is_maker``.
    Conflict
        ``transition_refused``.
    """
    return _fire(session, actor, complaint_id, "reject", answer, _closed(actor, answer))


def withdraw_own(session: Session, actor: Actor, complaint_id: UUID) -> Complaint:
    """Take back a complaint of the caller's own.

    Raises
    ------
    NotFound
        It is another's.
    Conflict
        ``transition_refused``.
    """
    get_own(session, actor, complaint_id)
    return _fire(session, actor, complaint_id, "withdraw", None, _closed(actor, None))


def _closed(actor: Actor, answer: str | None) -> dict[str, Any]:
    return {"closed_by": actor.subject, "closed_at": now(), "answer": answer}


def _fire(  # noqa: PLR0917
    session: Session,
    actor: Actor,
    complaint_id: UUID,
    event: str,
    answer: str | None,
    changes: dict[str, Any],
) -> Complaint:
    complaint = get_complaint(session, complaint_id, lock=True)
    own = investors.find_own_party(session, actor.person)
    given = {"reason": answer, "party_id": own}
    facts = {"reason": answer} if answer else {}
    lifecycle.change(
        session, actor, MACHINE, complaint, event, given=given, changes=changes, **facts
    )
    return complaint


def get_complaint(session: Session, complaint_id: UUID, *, lock: bool = False) -> Complaint:
    """Return the complaint.

    Raises
    ------
    NotFound
    """
    return get_row(session, Complaint, complaint_id, kind="complaint", lock=lock)


def get_own(session: Session, actor: Actor, complaint_id: UUID) -> Complaint:
    """Return a complaint of the caller's own.

    Raises
    ------
    NotFound
        It is another's.
    """
    complaint = get_complaint(session, complaint_id)
    own = investors.find_own_party(session, actor.subject)
    if own is None or complaint.party_id != own:
        raise NotFound("complaint", complaint_id)
    return complaint


def list_complaints(
    session: Session,
    *,
    state: str | None = None,
    party_id: UUID | None = None,
    after: UUID | None,
    limit: int,
) -> Sequence[Complaint]:
    """List complaints in the order in which they were filed."""
    query = select(Complaint)
    if state is not None:
        query = query.where(col(Complaint.state) == state)
    if party_id is not None:
        query = query.where(col(Complaint.party_id) == party_id)
    return session.exec(page_after(query, col(Complaint.id), after=after, limit=limit)).all()
