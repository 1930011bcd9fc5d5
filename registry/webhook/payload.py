"""What a message says: the event's type, its time, and its facts with a text in both languages."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from registry.kernel.messages import Language
from registry.notice.service import message_of


def payload_of(kind: str, moment: datetime, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Build the body of a message (Standard Webhooks, section on the payload)."""
    return {
        "type": kind,
        "timestamp": moment.isoformat(timespec="microseconds"),
        "data": {
            **facts,
            "message": message_of(kind, Language.ENGLISH),
            "message_ur": message_of(kind, Language.URDU),
        },
    }
