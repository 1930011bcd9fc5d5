"""What exactly is sealed: the canonical JSON (RFC 8785) of an act, or of an image of a row."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import rfc8785
from sqlmodel import Session, col, select

from registry.history.models import LegalHistory, Recording
from registry.journal.models import JournalEntry, LeafKind

SAFE_INTEGER = 2**53 - 1
Body = dict[str, Any]


def canonical(body: Body) -> bytes:
    """Return the bytes that are hashed; integers beyond 2^53 are written as strings."""
    return rfc8785.dumps(_plain(body))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, int) and abs(value) > SAFE_INTEGER:
        return str(value)
    return value


def bodies(session: Session, kind: LeafKind, ids: Sequence[UUID]) -> Iterator[tuple[UUID, Body]]:
    """Give what is sealed of the rows of these ids; rows that are gone are left out."""
    if kind is LeafKind.ACT:
        for entry, recorded_at in session.exec(
            select(JournalEntry, Recording.recorded_at)
            .outerjoin(Recording, col(Recording.id) == col(JournalEntry.recording_id))
            .where(col(JournalEntry.id).in_(ids))
        ):
            yield entry.id, _act(entry, recorded_at)
    else:
        for image, recorded_at in session.exec(
            select(LegalHistory, Recording.recorded_at)
            .outerjoin(Recording, col(Recording.id) == col(LegalHistory.recording_id))
            .where(col(LegalHistory.id).in_(ids))
        ):
            yield image.id, _fact(image, recorded_at)


def _act(entry: JournalEntry, recorded_at: datetime | None) -> Body:
    return {
        "kind": LeafKind.ACT.value,
        "id": str(entry.id),
        "recording_id": str(entry.recording_id) if entry.recording_id else None,
        "recorded_at": _moment(recorded_at or entry.recorded_at),
        "acted_at": _moment(entry.recorded_at),
        "actor": entry.actor,
        "act": entry.act,
        "subject_kind": entry.subject_kind,
        "subject_id": entry.subject_id,
        "facts": entry.facts,
    }


def _fact(image: LegalHistory, recorded_at: datetime | None) -> Body:
    return {
        "kind": LeafKind.FACT.value,
        "id": str(image.id),
        "recording_id": str(image.recording_id),
        "recorded_at": _moment(recorded_at) if recorded_at else None,
        "table": image.table_name,
        "row_id": str(image.row_id),
        "op": image.op,
        "image": image.image,
    }


def _moment(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds")
