"""Use cases on mutations: from the entry to the implementation, by four different people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any
from uuid import UUID

from sqlmodel import Session

from registry.kernel.actor import THE_SYSTEM, Actor
from registry.kernel.clock import now
from registry.lifecycle import service as lifecycle
from registry.mutation import (
    entry,
    exchange,
    guards,
    implementation,
    repository,
    rules,
    title_guards,
)
from registry.mutation.forms import Estate, NewMutation, OtherHalf, Side
from registry.mutation.models import Mutation, TitlePart
from registry.mutation.repository import find_open, get_mutation, list_mutations
from registry.rulebook.facts import Finding
from registry.title import service as titles
from registry.title import versions
from registry.title.models import Title, TitleState


@dataclass(frozen=True, slots=True, kw_only=True)
class Instrument:
    """What a mutation rests on.

    Parameters
    ----------
    source_document_id
        The verified paper of the asset: deed, decree, or the roznamcha's page.
    rapat_no
        Number in the roznamcha, of an oral mutation.
    misl_no
        Number of the court's file.
    notice_on
        Day of the notice to everybody concerned; the officer attests on it or after it.
    """

    source_document_id: UUID
    fee_receipt_no: str
    notice_on: date
    rapat_no: str | None = None
    rapat_on: date | None = None
    deed_no: str | None = None
    court: str | None = None
    misl_no: str | None = None
    decree_on: date | None = None


def lodge_mutation(session: Session, actor: Actor, title_id: UUID, new: NewMutation) -> Mutation:
    """Enter a mutation; from now on nothing else passes on its titles (MUT-01).

    Raises
    ------
    Invalid, Conflict
        As `entry.lodge_mutation`, or `exchange.lodge_exchange`.
    """
    if new.exchanged_for is not None:
        return exchange.lodge_exchange(session, actor, title_id, new, new.exchanged_for)
    return entry.lodge_mutation(session, actor, title_id, new)


def complete_mutation(
    session: Session, actor: Actor, mutation_id: UUID, instrument: Instrument
) -> Mutation:
    """Complete the dossier; it goes to the field verifier.

    Raises
    ------
    Forbidden
        ``not_the_maker``.
    Conflict
        ``mutation_incomplete``, ``source_not_verified``, ``share_row_changed`` (SHR-03),
        ``transition_refused``.
    """
    mutation = get_mutation(session, mutation_id, lock=True)
    if mutation.kind in rules.DIVISIONS:
        # A dossier that is being edited at this moment is read as it then is, or stays as it was.
        results = repository.titles_of(session, mutation.id, TitlePart.RESULT)
        repository.lock_titles(session, [title.id for title in results])
    _act(session, actor, mutation, "complete_dossier", stamps=asdict(instrument))
    if mutation.kind in rules.DIVISIONS:
        implementation.verify_results(session, actor, mutation)
    return mutation


def verify_mutation(session: Session, actor: Actor, mutation_id: UUID) -> Mutation:
    """Say, having been in the field, that it is as entered (girdawar, qanungo)."""
    mutation = get_mutation(session, mutation_id, lock=True)
    return _act(session, actor, mutation, "field_verify", stamps={"field_verifier": actor.subject})


def return_mutation(session: Session, actor: Actor, mutation_id: UUID, *, reason: str) -> Mutation:
    """Send it back to its maker."""
    mutation = get_mutation(session, mutation_id, lock=True)
    stamps = {"reason": reason}
    return _act(session, actor, mutation, "return", stamps=stamps, given={"reason": reason})


def attest_mutation(
    session: Session, actor: Actor, mutation_id: UUID, *, order_text: str
) -> Mutation:
    """Attest it, in a written order.

    Raises
    ------
    Forbidden
        ``checker_is_maker`` (APR-01).
    Conflict
        ``notice_not_given``, ``transition_refused``.
    """
    mutation = get_mutation(session, mutation_id, lock=True)
    stamps = {"revenue_officer": actor.subject, "order_text": order_text, "attested_at": now()}
    return _act(session, actor, mutation, "attest", stamps=stamps, given={"order_text": order_text})


def stay_mutation(session: Session, actor: Actor, mutation_id: UUID, *, reason: str) -> Mutation:
    """Leave it pending, for a stay order or another reason."""
    mutation = get_mutation(session, mutation_id, lock=True)
    stamps = {"reason": reason}
    return _act(session, actor, mutation, "mark_pending", stamps=stamps, given={"reason": reason})


def resume_mutation(session: Session, actor: Actor, mutation_id: UUID) -> Mutation:
    """Take it up again, once nothing stays it."""
    mutation = get_mutation(session, mutation_id, lock=True)
    _lock_subjects(session, mutation)
    return _act(session, actor, mutation, "resume")


def review_mutation(
    session: Session, actor: Actor, mutation_id: UUID, *, order_text: str
) -> Mutation:
    """Take the attestation back by a review order; it is to be attested anew."""
    mutation = get_mutation(session, mutation_id, lock=True)
    stamps = {"order_text": order_text, "attested_at": None, "revenue_officer": None}
    return _act(session, actor, mutation, "review", stamps=stamps, given={"order_text": order_text})


def reject_mutation(
    session: Session, actor: Actor, mutation_id: UUID, *, order_text: str
) -> Mutation:
    """Refuse it for good, in a written order; its titles are free again."""
    mutation = get_mutation(session, mutation_id, lock=True)
    stamps = {"order_text": order_text}
    _act(session, actor, mutation, "reject", stamps=stamps, given={"order_text": order_text})
    return _free_titles(session, mutation)


def withdraw_mutation(session: Session, actor: Actor, mutation_id: UUID) -> Mutation:
    """Take one's own mutation back before it is completed; its titles are free again."""
    mutation = get_mutation(session, mutation_id, lock=True)
    _act(session, actor, mutation, "withdraw")
    return _free_titles(session, mutation)


def _free_titles(session: Session, mutation: Mutation) -> Mutation:
    # Whoever disputes a title at this moment comes before us, or finds no mutation any more.
    for title in _lock_subjects(session, mutation):
        # Of a disputed title it is the dispute's end that says what it becomes.
        if title.state == TitleState.MUTATION_PENDING:
            by = str(mutation.id)
            titles.fire(session, THE_SYSTEM, title, "mutation_rejected", mutation_id=by)
    return mutation


def _lock_subjects(session: Session, mutation: Mutation) -> list[Title]:
    subjects = repository.titles_of(session, mutation.id, TitlePart.SUBJECT)
    return repository.lock_titles(session, [title.id for title in subjects])


def _act(
    session: Session,
    actor: Actor,
    mutation: Mutation,
    event: str,
    *,
    stamps: Mapping[str, Any] | None = None,
    given: Mapping[str, Any] | None = None,
) -> Mutation:
    """Write what the act says and fire its event, both or neither."""
    with session.begin_nested():
        for name, value in (stamps or {}).items():
            setattr(mutation, name, value)
        lifecycle.fire(session, actor, "mutation", mutation, event, given=given)
    return mutation


def implement_mutation(
    session: Session, actor: Actor, mutation_id: UUID, *, appeal_filed: bool
) -> Mutation:
    """Write the mutation into the title: the old right ends as the new one begins.

    A compensating mutation also marks the one that it undoes as REVERSED. Of an exchange of two
    titles both halves are written, or none.

    Raises
    ------
    Forbidden
        ``checker_is_maker`` (APR-01).
    Conflict
        ``predecessor_not_implemented`` (MUT-02), ``share_row_changed`` (SHR-03),
        ``transfer_blocked``, ``counterpart_not_attested``, ``transition_refused``.
    """
    mutation = get_mutation(session, mutation_id)
    halves = exchange.passing_together(session, mutation)
    touched = [
        title
        for half in halves
        for part in TitlePart
        for title in repository.titles_of(session, half.id, part)
    ]
    repository.lock_titles(session, [title.id for title in touched])
    at = now()
    for half in halves:
        stamps = {
            "registrar_checker": actor.subject,
            "appeal_filed": appeal_filed,
            "implemented_at": at,
            "effective_at": half.effective_at or half.attested_at,
        }
        given = {"appeal_filed": appeal_filed}
        _act(session, actor, half, "implement", stamps=stamps, given=given)
        implementation.write_rights(session, actor, half)
    return mutation


def reverse_mutation(
    session: Session, actor: Actor, mutation_id: UUID, *, appeal_filed: bool
) -> Mutation:
    """Undo an implemented mutation by the attested one that an appellate order calls for.

    Returns
    -------
    Mutation
        The one that is now REVERSED; what it wrote stays readable.

    Raises
    ------
    Conflict
        ``reversal_not_attested``, ``transition_refused``, or as `implement_mutation`.
    """
    mutation = get_mutation(session, mutation_id, lock=True)
    compensating = repository.find_reversal(session, mutation.id)
    if compensating is None:
        lifecycle.fire(session, actor, "mutation", mutation, "reverse")
    else:
        implement_mutation(session, actor, compensating.id, appeal_filed=appeal_filed)
    return mutation


def decide_dispute(
    session: Session, actor: Actor, title_id: UUID, *, order_document_id: UUID, reason: str
) -> Title:
    """Dismiss a dispute on a final order; a stayed mutation waits again for its officer.

    Raises
    ------
    Conflict
        ``transition_refused``, ``source_not_verified``.
    """
    [title] = repository.lock_titles(session, [title_id])
    waiting = find_open(session, title_id)
    event = "dispute_dismissed_mutation_open" if waiting else "dispute_dismissed"
    given = {"order_document_id": order_document_id}
    facts = {"order_document_id": str(order_document_id), "reason": reason}
    titles.fire(session, actor, title, event, given=given, **facts)
    return title


def cancel_title(
    session: Session, actor: Actor, title_id: UUID, *, order_document_id: UUID | None, reason: str
) -> Title:
    """End a title: on a final decree in a dispute, or once nothing rests on it any more.

    Raises
    ------
    Conflict
        ``encumbrances_not_closed``, ``mutation_open``, ``token_alive``, ``holds_other_land``,
        ``order_pending``, ``transition_refused``.
    """
    [title] = repository.lock_titles(session, [title_id])
    given = {"order_document_id": order_document_id, "reason": reason}
    order = str(order_document_id) if order_document_id else None
    titles.fire(
        session, actor, title, "cancel", given=given, order_document_id=order, reason=reason
    )
    versions.end_version(session, title, now())
    return title


def findings(session: Session, title_id: UUID) -> Mapping[str, Finding]:
    """Return what is wrong while a mutation of the title is open (MUT-01)."""
    waiting = find_open(session, title_id)
    if waiting is None:
        return {}
    return {"MUT-01": Finding(f"Mutation {waiting.number} is {waiting.state}.")}


__all__ = [
    "Estate",
    "NewMutation",
    "OtherHalf",
    "Side",
    "find_open",
    "get_mutation",
    "guards",
    "list_mutations",
    "title_guards",
]
