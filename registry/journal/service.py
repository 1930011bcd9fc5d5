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


def record(
    session: Session, actor: Actor, act: str, subject_kind: str, subject_id: object, **facts: Any
) -> None:
    """Add one entry; it stands or falls with the transaction that it is part of.

    Entries are sealed and may leave the house: numbers of people that somebody typed into a
    reason are hidden.
    """
    for name in FREE_TEXTS & facts.keys():
        facts[name] = mask_fields(facts[name])
    session.add(
        JournalEntry(
            actor=actor.subject,
            act=act,
            subject_kind=subject_kind,
            subject_id=str(subject_id),
            facts=facts,
        )
    )


def record_each(
    session: Session, actor: Actor, act: str, subject_kind: str, subject_ids: Sequence[object]
) -> None:
    """Add the same entry about each of many subjects, in one statement."""
    if subject_ids:
        rows = [
            {
                "id": new_id(),
                "recorded_at": now(),
                "actor": actor.subject,
                "act": act,
                "subject_kind": subject_kind,
                "subject_id": str(subject_id),
                "facts": {},
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
