"""How the journal is: what is sealed, what waits, and what an operator must look into."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, text
from sqlmodel import Session, col, select

from registry.journal.models import PENDING, JournalEntry
from registry.journal.sealer import JOURNAL, ROW_MISSING, head, is_sound

# Ids of waiting rows tell when they were written (UUIDv7). The queue has no index: this is the
# row that lies first in it, which is the oldest one or nearly so.
_FIRST = text("SELECT uuid_extract_timestamp(entry_id) FROM journal_pending LIMIT 1")


@dataclass(frozen=True, slots=True)
class JournalHealth:
    """Figures of one moment.

    Parameters
    ----------
    waiting_since
        When the first row in the queue was written; None where nothing waits.
    missing
        Rows that were gone before they were sealed: somebody took them away (AUD-01).
    is_broken
        The newest seal is not that of its own tree; nothing is sealed on top of it (AUD-01).
    """

    sealed: int
    waiting: int
    waiting_since: datetime | None
    missing: int
    is_broken: bool


def health_of(session: Session) -> JournalHealth:
    """Look at the newest seal and at the queue; the whole tree is `registry.journal.check`'s."""
    seal = head(session)
    missing = session.exec(
        select(func.count())
        .select_from(JournalEntry)
        .where(col(JournalEntry.subject_id) == JOURNAL, col(JournalEntry.act) == ROW_MISSING)
    ).one()
    connection = session.connection()
    return JournalHealth(
        sealed=seal.tree_size if seal else 0,
        waiting=connection.scalar(func.count().select().select_from(PENDING)) or 0,
        waiting_since=connection.scalar(_FIRST),
        missing=missing,
        is_broken=is_broken(session),
    )


def is_broken(session: Session) -> bool:
    """Tell whether the newest seal does not hold."""
    seal = head(session)
    return seal is not None and not is_sound(seal)
