"""Use cases on notices: tell, publish in one order, read on from a place."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import func, text
from sqlmodel import Session, col, select

from registry.kernel.clock import now
from registry.kernel.errors import Invalid
from registry.kernel.ids import new_id
from registry.kernel.messages import Language, catalogue, find_text, text_of
from registry.kernel.rows import among, insert_many
from registry.notice.models import Notice

PUBLISHED_AT_ONCE = 500
_LOCK = 0x6E6F7469
"""Of PostgreSQL's advisory locks: one publisher at a time."""

_OTHER = "something.else"

_PUBLISH = """
WITH waiting AS MATERIALIZED (
  SELECT id, row_number() OVER (ORDER BY id) AS place FROM (
    SELECT id FROM notice WHERE seq IS NULL ORDER BY id LIMIT :limit) w),
last AS MATERIALIZED (SELECT coalesce(max(seq), 0) AS seq FROM notice)
UPDATE notice n SET seq = last.seq + waiting.place
FROM waiting, last WHERE n.id = waiting.id RETURNING n.id, n.principal
"""


def known_kinds() -> frozenset[str]:
    """Return what notices may be of."""
    return frozenset(catalogue()["notices"].keys() - {_OTHER})


def message_of(kind: str, language: Language | None = None) -> str:
    """Return what a notice says to people.

    A kind without a text, which tests do not let be, must not stop everybody else's notices.
    """
    said = find_text("notices", kind, language)
    return said or text_of("notices", _OTHER, language)


def tell(
    session: Session, principal: str, kind: str, subject: tuple[str, UUID], **facts: Any
) -> None:
    """Write a notice; it stands or falls with the transaction that it is part of.

    Parameters
    ----------
    subject
        Kind and id of what it is about.
    facts
        Integers that may pass 2^53 as strings; nothing personal.
    """
    subject_kind, subject_id = subject
    session.add(
        Notice(
            principal=principal,
            kind=kind,
            subject_kind=subject_kind,
            subject_id=subject_id,
            facts=facts,
        )
    )


@dataclass(frozen=True, slots=True)
class NewNotice:
    """What `tell_all` tells; the fields are the parameters of `tell`."""

    principal: str
    kind: str
    subject: tuple[str, UUID]
    facts: dict[str, Any]


def tell_all(session: Session, told: Sequence[NewNotice]) -> None:
    """Write many notices, in this order, with one statement."""
    rows = [
        {
            "id": new_id(),
            "recorded_at": now(),
            "principal": notice.principal,
            "kind": notice.kind,
            "subject_kind": notice.subject[0],
            "subject_id": notice.subject[1],
            "facts": notice.facts,
        }
        for notice in told
    ]
    if rows:
        session.execute(insert_many(Notice, rows))


def publish(session: Session, *, limit: int = PUBLISHED_AT_ONCE) -> list[tuple[UUID, str]]:
    """Give the oldest unpublished notices their places, and return each with whom it is told to.

    Who holds the lock commits before the next one counts on, so that no notice ever appears before
    one that was there already. While another publishes, there is nothing to do.
    """
    if not session.scalar(select(func.pg_try_advisory_xact_lock(_LOCK))):
        return []
    rows = session.execute(text(_PUBLISH), {"limit": limit})
    return [(notice_id, principal) for notice_id, principal in rows]


def get_notices(session: Session, ids: Collection[UUID]) -> Sequence[Notice]:
    """Return published notices, in the order of their places."""
    return session.exec(
        select(Notice).where(among(col(Notice.id), ids)).order_by(col(Notice.seq))
    ).all()


def newest(session: Session) -> int:
    """Return the place of the newest notice; 0 where there is none."""
    return session.exec(select(func.max(Notice.seq))).one() or 0


def list_notices(
    session: Session, principal: str, *, after: int | None, limit: int
) -> Sequence[Notice]:
    """List what was told to somebody, oldest first.

    Parameters
    ----------
    after
        Place of the last one that was seen.
    """
    return session.exec(
        select(Notice)
        .where(col(Notice.principal) == principal, col(Notice.seq) > (after or 0))
        .order_by(col(Notice.seq))
        .limit(limit)
    ).all()


def read_place(session: Session, written: str) -> int:
    """Read the id of an event, as a stream gave it.

    Raises
    ------
    Invalid
        ``event_id_malformed``, ``event_id_unknown``.
    """
    if not (written.isascii() and written.isdigit() and len(written) <= 18):  # noqa: PLR2004
        raise Invalid(
            "event_id_malformed",
            "Last-Event-ID is not an id that this stream gave.",
            field="Last-Event-ID",
            remedy="Send the id of the last event, or none to begin with what comes next.",
        )
    place = int(written)
    if place > newest(session):
        raise Invalid(
            "event_id_unknown",
            "Last-Event-ID names an event that has not happened here.",
            field="Last-Event-ID",
            remedy="Read /v1/me/events anew, and follow the stream without an id.",
        )
    return place
