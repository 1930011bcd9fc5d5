"""Use cases on lists: an edition is taken in whole or not at all."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, BinaryIO
from uuid import UUID

from sqlmodel import Session, col, select

from registry.journal import service as journal
from registry.kernel.actor import Actor
from registry.kernel.canonical import record_hash
from registry.kernel.errors import Conflict, Invalid
from registry.kernel.rows import get_row, page_after
from registry.sanctions.models import SanctionsEntry, SanctionsList
from registry.sanctions.un_xml import ListedEntry, read_list

MAX_LIST_BYTES = 64 * 1024 * 1024
_CHUNK_BYTES = 256 * 1024


def import_list(session: Session, actor: Actor, content: BinaryIO) -> SanctionsList:
    """Take a new edition in; from its commit on everybody is screened against it.

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
    before = find_current(session)
    if before is not None and generated_at <= before.generated_at:
        raise Conflict(
            "sanctions_list_older",
            f"The edition in use was generated at {before.generated_at.isoformat()}.",
            remedy="Send a newer edition.",
        )
    edition = SanctionsList(
        generated_at=generated_at,
        sha256=sha256,
        size_bytes=size_bytes,
        entries=len(taken),
        uploaded_by=actor.subject,
    )
    session.add(edition)
    session.flush()
    session.add_all([_row(edition, entry) for entry in _distinct(taken)])
    session.flush()
    journal.record(
        session, actor, "sanctions_list_imported", "sanctions_list", edition.id,
        sha256=sha256.hex(), generated_at=generated_at.isoformat(), entries=len(taken),
    )  # fmt: skip
    return edition


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
    """Return the edition that counts: the newest by its own date."""
    return session.exec(
        select(SanctionsList).order_by(col(SanctionsList.generated_at).desc()).limit(1)
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
