"""Use cases on lists: an edition is taken in whole or not at all."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Any, BinaryIO
from uuid import UUID

from sqlalchemy import ColumnElement, func
from sqlmodel import Session, col, not_, or_, select

from registry.journal import service as journal
from registry.kernel.actor import Actor
from registry.kernel.canonical import record_hash
from registry.kernel.clock import now, written
from registry.kernel.errors import Conflict, Invalid
from registry.kernel.rows import add_many, get_row, page_after
from registry.lifecycle.reasons import check_other_person
from registry.sanctions.models import SanctionsEntry, SanctionsList
from registry.sanctions.un_xml import AHEAD, ListedEntry, read_list

MAX_LIST_BYTES = 64 * 1024 * 1024
_CHUNK_BYTES = 256 * 1024
_COUNTS = or_(
    col(SanctionsList.needs_confirmation).is_(False), col(SanctionsList.confirmed_by).is_not(None)
)
WAITS: ColumnElement[bool] = not_(_COUNTS)
"""The condition of editions that another officer has not confirmed yet."""


def import_list(session: Session, actor: Actor, content: BinaryIO) -> SanctionsList:
    """Take a new edition in; from its commit on everybody is screened against it.

    One that names fewer than half as many as one before it, or repeats fewer than half of the
    entries in use, may be a part of a list, or no list of these people: it counts only once another
    officer confirms it (`confirm_list`).

    Raises
    ------
    Invalid
        ``sanctions_list_malformed``, ``sanctions_list_too_large``.
    Conflict
        ``sanctions_list_known``, ``sanctions_list_older``.
    """
    sha256, size_bytes = _measure(content)
    if session.exec(select(SanctionsList.id).where(col(SanctionsList.sha256) == sha256)).first():
        raise Conflict("sanctions_list_known", "This very file was taken in already.")
    taken: list[ListedEntry] = []
    generated_at = read_list(content, taken.append)
    _require_newer(session, generated_at)
    edition = SanctionsList(
        generated_at=generated_at,
        sha256=sha256,
        size_bytes=size_bytes,
        entries=len(taken),
        uploaded_by=actor.subject,
        needs_confirmation=2 * len(taken) < _most_named(session),
    )
    rows = [_row(edition, entry) for entry in _distinct(taken)]
    edition.needs_confirmation |= _drops_most(session, rows)
    session.add(edition)
    session.flush()
    add_many(session, rows)
    journal.record(
        session, actor, "sanctions_list_imported", "sanctions_list", edition.id,
        sha256=sha256.hex(), generated_at=generated_at.isoformat(), entries=len(taken),
        needs_confirmation=edition.needs_confirmation,
    )  # fmt: skip
    return edition


def confirm_list(session: Session, actor: Actor, list_id: UUID) -> SanctionsList:
    """Let an edition count that names far fewer than one before it, as a second officer.

    Raises
    ------
    Forbidden
        ``checker_is_maker``.
    Conflict
        ``sanctions_list_counts``, ``sanctions_list_older``, ``sanctions_list_of_the_future``.
    NotFound
    """
    edition = get_row(session, SanctionsList, list_id, kind="sanctions_list", lock=True)
    if not edition.needs_confirmation or edition.confirmed_by is not None:
        raise Conflict("sanctions_list_counts", "This edition waits for no confirmation.")
    told = "Whoever sent an edition does not confirm it (rule APR-01)."
    check_other_person(actor, edition.uploaded_by, told=told)
    if edition.generated_at > now() + AHEAD:
        raise Conflict(
            "sanctions_list_of_the_future",
            f"It says that it was generated at {written(edition.generated_at)}.",
            remedy="Leave it: it would be newer than every true edition to come.",
        )
    _require_newer(session, edition.generated_at)
    edition.confirmed_by, edition.confirmed_at = actor.subject, now()
    session.flush()
    journal.record(
        session, actor, "sanctions_list_confirmed", "sanctions_list", edition.id,
        entries=edition.entries,
    )  # fmt: skip
    return edition


def _require_newer(session: Session, generated_at: datetime) -> None:
    before = find_current(session)
    if before is not None and generated_at <= before.generated_at:
        raise Conflict(
            "sanctions_list_older",
            f"The edition in use was generated at {before.generated_at.isoformat()}.",
            remedy="Send a newer edition.",
        )


def _most_named(session: Session) -> int:
    """Return how many the largest edition named, of those since one was confirmed.

    Not the last one alone: one officer could take a list down in steps, each small enough.
    """
    confirmed = select(func.max(SanctionsList.generated_at)).where(
        col(SanctionsList.confirmed_by).is_not(None)
    )
    since = func.coalesce(confirmed.scalar_subquery(), col(SanctionsList.generated_at))
    query = select(func.coalesce(func.max(SanctionsList.entries), 0))
    return session.exec(query.where(_COUNTS, col(SanctionsList.generated_at) >= since)).one()


def _drops_most(session: Session, rows: Sequence[SanctionsEntry]) -> bool:
    """Tell whether most of the entries in use are not in a new edition, as they stand."""
    current = find_current(session)
    if current is None:
        return False
    query = select(SanctionsEntry.reference, SanctionsEntry.entry_sha256)
    used = set(session.exec(query.where(col(SanctionsEntry.list_id) == current.id)).all())
    return 2 * len(used & {(row.reference, row.entry_sha256) for row in rows}) < len(used)


def _measure(content: BinaryIO) -> tuple[bytes, int]:
    content.seek(0)
    digest, size = hashlib.sha256(), 0
    while chunk := content.read(_CHUNK_BYTES):
        digest.update(chunk)
        size += len(chunk)
        if size > MAX_LIST_BYTES:
            raise Invalid(
                "sanctions_list_too_large",
                f"A list has at most {MAX_LIST_BYTES} bytes.",
                field="/file",
            )
    content.seek(0)
    return digest.digest(), size


def _distinct(taken: Sequence[ListedEntry]) -> Sequence[ListedEntry]:
    seen: set[str] = set()
    for entry in taken:
        if entry.reference in seen:
            raise Invalid(
                "sanctions_list_malformed",
                f"The reference {entry.reference[:60]} stands twice.",
                field="/file",
            )
        seen.add(entry.reference)
    return taken


def _row(edition: SanctionsList, entry: ListedEntry) -> SanctionsEntry:
    compared: dict[str, Any] = {
        "names": entry.names,
        "births": entry.births,
        "nationalities": entry.nationalities,
    }
    return SanctionsEntry(
        list_id=edition.id,
        kind=entry.kind,
        reference=entry.reference,
        entry_sha256=record_hash(compared),
        **compared,
    )


def find_current(session: Session) -> SanctionsList | None:
    """Return the edition that counts: the newest by its own date that waits for nobody."""
    return session.exec(
        select(SanctionsList)
        .where(_COUNTS)
        .order_by(col(SanctionsList.generated_at).desc())
        .limit(1)
    ).first()


def get_list(session: Session, list_id: UUID) -> SanctionsList:
    """Return the edition.

    Raises
    ------
    NotFound
    """
    return get_row(session, SanctionsList, list_id, kind="sanctions_list")


def list_lists(session: Session, *, after: UUID | None, limit: int) -> Sequence[SanctionsList]:
    """List editions in the order in which they were taken in."""
    query = select(SanctionsList)
    return session.exec(page_after(query, col(SanctionsList.id), after=after, limit=limit)).all()


def get_entry(session: Session, entry_id: UUID) -> SanctionsEntry:
    """Return the entry.

    Raises
    ------
    NotFound
    """
    return get_row(session, SanctionsEntry, entry_id, kind="sanctions_entry")
