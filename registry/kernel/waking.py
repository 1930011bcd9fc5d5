"""Waking whoever listens in another process, once a transaction commits (NOTIFY)."""

from __future__ import annotations

from sqlalchemy import text
from sqlmodel import Session

_NOTIFY = text("SELECT pg_notify(:channel, :payload)")


def wake(session: Session, channel: str, payload: str = "") -> None:
    """Wake those who listen on a channel when this transaction commits, and only then."""
    session.connection().execute(_NOTIFY, {"channel": channel, "payload": payload})
