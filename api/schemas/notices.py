"""Notices over HTTP: what happened, in the reader's language."""

from __future__ import annotations

from datetime import datetime
from typing import Self
from uuid import UUID

from api.schemas.common import BigInteger, Read, WithAddresses
from registry.kernel.messages import Language
from registry.notice.models import Notice
from registry.notice.service import message_of


class NoticeRead(Read):
    """Something that happened to you.

    Parameters
    ----------
    seq
        Its place among all notices; gaps are those of others.
    kind
        Such as `order.paid`; never translated, unlike `message`.
    facts
        What it says for machines; integers are strings.
    """

    id: UUID
    seq: BigInteger
    kind: str
    message: str
    subject_kind: str
    subject_id: UUID
    facts: WithAddresses
    recorded_at: datetime

    @classmethod
    def of(cls, row: Notice, language: Language | None = None) -> Self:
        return cls(**row.model_dump(), message=message_of(row.kind, language))
