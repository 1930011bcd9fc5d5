"""Writing the journal, in the same transaction as the act itself."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlmodel import Session, col, select

from registry.journal.models import JournalEntry, JournalLeaf
from registry.journal.untold import ALL_TOLD, OF_SUSPICION, OF_WATCH, Untold
from registry.kernel.actor import Actor
from registry.kernel.clock import now
from registry.kernel.ids import new_id
from registry.kernel.masking import mask_fields
from registry.kernel.rows import insert_many, page_after

FREE_TEXTS = frozenset(
    {"reason", "confirmation", "closing", "order_text", "purpose", "legal_basis"}
)
"""Facts in people's own words; a reason may name somebody's number."""
NAMED_PARTIES = 200
"""So many are named in one entry of a reading: a page."""


def record(
    session: Session, actor: Actor, act: str, subject_kind: str, subject_id: object, **facts: Any
) -> None:
    """Add one entry; it stands or falls with the transaction that it is part of.

    Entries are sealed and may leave the house: numbers of people that somebody typed into a
    reason are hidden.
    """
    session.add(_entry(actor, act, (subject_kind, subject_id), facts))


def record_reading(
    session: Session,
    actor: Actor,
    act: str,
    subject: tuple[str, object],
    parties: Collection[UUID],
    **facts: Any,
) -> None:
    """Add an entry of a reading, which names whom it told of, however many they are.

    Of more than `NAMED_PARTIES`, further entries name the others: each says which one it
    continues, and nothing besides.
    """
    named = sorted(map(str, parties))
    facts |= {"party_count": len(named), "parties": named[:NAMED_PARTIES]}
    first = _entry(actor, act, subject, facts)
    session.add(first)
    for start in range(NAMED_PARTIES, len(named), NAMED_PARTIES):
        more = {"continues": str(first.id), "parties": named[start : start + NAMED_PARTIES]}
        session.add(_entry(actor, act, subject, more))


def _entry(
    actor: Actor, act: str, subject: tuple[str, object], facts: dict[str, Any]
) -> JournalEntry:
    kind, subject_id = subject
    return JournalEntry(
        actor=actor.subject,
        act=act,
        subject_kind=kind,
        subject_id=str(subject_id),
        facts=_masked(facts),
    )


def _masked(facts: dict[str, Any]) -> dict[str, Any]:
    hidden = {name: mask_fields(facts[name]) for name in FREE_TEXTS & facts.keys()}
    return {**facts, **hidden}


def record_each(
    session: Session,
    actor: Actor,
    act: str,
    subject_kind: str,
    subject_ids: Sequence[object],
    **facts: str,
) -> None:
    """Add the same entry about each of many subjects, in one statement."""
    if subject_ids:
        told = _masked(facts)
        rows = [
            {
                "id": new_id(),
                "recorded_at": now(),
                "actor": actor.subject,
                "act": act,
                "subject_kind": subject_kind,
                "subject_id": str(subject_id),
                "facts": told,
            }
            for subject_id in subject_ids
        ]
        session.execute(insert_many(JournalEntry, rows))


def list_entries(
    session: Session,
    *,
    subject_id: str | None,
    after: UUID | None,
    limit: int,
    untold: Untold = ALL_TOLD,
) -> Sequence[JournalEntry]:
    """List entries, oldest first.

    Parameters
    ----------
    untold
        What is left out.
    """
    query = select(JournalEntry)
    if untold.suspicions:
        query = query.where(text(f"NOT {OF_SUSPICION}"))
    if untold.watches:
        query = query.where(text(f"NOT {OF_WATCH}"))
    if subject_id is not None:
        query = query.where(col(JournalEntry.subject_id) == subject_id)
    return session.exec(page_after(query, col(JournalEntry.id), after=after, limit=limit)).all()


def numbers_of(session: Session, entry_ids: Collection[UUID]) -> Mapping[UUID, int]:
    """Return the number of each of these entries that is sealed."""
    rows = session.exec(
        select(JournalLeaf.entry_id, JournalLeaf.seq).where(
            col(JournalLeaf.entry_id).in_(entry_ids)
        )
    )
    return {entry_id: seq for entry_id, seq in rows.all()}  # noqa: C416 - rows are not pairs to mypy
