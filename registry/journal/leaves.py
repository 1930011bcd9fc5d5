"""What exactly is sealed: the canonical JSON (RFC 8785) of an act, or of an image of a row."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, cast
from uuid import UUID

import rfc8785
from sqlalchemy import select
from sqlmodel import Session, col

from registry.history.models import LegalHistory, Recording
from registry.journal.models import JournalEntry, LeafKind

SAFE_INTEGER = 2**53 - 1
AT_ONCE = 50
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
    table: type[JournalEntry | LegalHistory]
    table, body_of = (JournalEntry, _act) if kind is LeafKind.ACT else (LegalHistory, _fact)
    # By their columns: to make objects of so many rows takes longer than to read them.
    columns = cast("Any", table).__table__.c
    query = (
        select(*columns, col(Recording.recorded_at).label("known_at"))
        .outerjoin(Recording, col(Recording.id) == columns.recording_id)
        .where(columns.id.in_(ids))
    )
    # A few at a time: an image of a thousand sealed rows is a hundred kilobytes (ADR 0071).
    found = session.connection().execute(query, execution_options={"yield_per": AT_ONCE})
    for row in found:
        yield row.id, body_of(row)


def _act(entry: Any) -> Body:
    return {
        "kind": LeafKind.ACT.value,
        "id": str(entry.id),
        "recording_id": str(entry.recording_id) if entry.recording_id else None,
        "recorded_at": _moment(entry.known_at or entry.recorded_at),
        "acted_at": _moment(entry.recorded_at),
        "actor": entry.actor,
        "act": entry.act,
        "subject_kind": entry.subject_kind,
        "subject_id": entry.subject_id,
        "facts": entry.facts,
    }


def _fact(image: Any) -> Body:
    body = {
        "kind": LeafKind.FACT.value,
        "id": str(image.id),
        "recording_id": str(image.recording_id),
        "recorded_at": _moment(image.known_at) if image.known_at else None,
        "table": image.table_name,
        "row_id": str(image.row_id),
        "op": image.op,
        "image": image.image,
    }
    if image.private_salt is not None:
        # Not the columns: the leaf may leave the house. Older images were sealed without.
        hidden = {"salt": str(image.private_salt), "private": image.private}
        body["private_sha256"] = hashlib.sha256(canonical(hidden)).hexdigest()
    return body


def _moment(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds")
