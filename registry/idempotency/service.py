"""Idempotency of mutations: claim a key, find the answer given under it, store a new one."""

from __future__ import annotations

import hashlib

from sqlalchemy import text
from sqlmodel import Session

from registry.idempotency.models import StoredAnswer
from registry.kernel.errors import Conflict, Invalid

MAX_KEY_LENGTH = 200


def claim(session: Session, principal: str, key: str, request_hash: bytes) -> StoredAnswer | None:
    """Claim `key` for this transaction, or return the answer that was given under it.

    Raises
    ------
    Invalid
        ``idempotency_key_malformed``; ``idempotency_key_reused``: it named another request.
    Conflict
        ``idempotency_in_flight``: the first request under this key is still running.
    """
    if not 0 < len(key) <= MAX_KEY_LENGTH:
        raise Invalid(
            "idempotency_key_malformed",
            f"An Idempotency-Key has 1 to {MAX_KEY_LENGTH} characters.",
        )
    # An advisory lock, not a row: the second request learns at once that the first still runs.
    digest = hashlib.sha256(f"{principal}\x00{key}".encode()).digest()
    number = int.from_bytes(digest[:8], "big", signed=True)
    got = session.connection().execute(
        text("SELECT pg_try_advisory_xact_lock(:number)"), {"number": number}
    )
    if not got.scalar_one():
        raise Conflict(
            "idempotency_in_flight",
            "A request under this Idempotency-Key is still running.",
            remedy="Send it again in a moment, under the same key.",
        )
    stored = session.get(StoredAnswer, (principal, key))
    if stored is not None and stored.request_hash != request_hash:
        raise Invalid(
            "idempotency_key_reused",
            "This Idempotency-Key named a request with another body, path or query.",
            remedy="Use a new key for a new request.",
        )
    return stored


def store(session: Session, answer: StoredAnswer) -> None:
    """Store the answer in the transaction of its effect."""
    session.add(answer)
    session.flush()
