"""Challenges of the ceremonies: stored once, answered once, open for five minutes."""

from __future__ import annotations

import hashlib
import secrets
from datetime import timedelta

from sqlalchemy import delete
from sqlmodel import Session, col, select

from registry.kernel.clock import now
from registry.passkey.ceremony import CHALLENGE_BYTES
from registry.passkey.models import Ceremony, PasskeyChallenge

LIFETIME = timedelta(minutes=5)
FORGET_AT_MOST = 100


def pose(
    session: Session,
    ceremony: Ceremony,
    *,
    subject: str | None = None,
    user_handle: bytes | None = None,
) -> bytes:
    """Store a new challenge, and return it; some that nobody answered in time are forgotten."""
    challenge, moment = secrets.token_bytes(CHALLENGE_BYTES), now()
    over = (
        select(PasskeyChallenge.challenge_sha256)
        .where(col(PasskeyChallenge.expires_at) < moment)
        .limit(FORGET_AT_MOST)
        .with_for_update(skip_locked=True)
    )
    session.execute(
        delete(PasskeyChallenge).where(col(PasskeyChallenge.challenge_sha256).in_(over))
    )
    session.add(
        PasskeyChallenge(
            challenge_sha256=hashlib.sha256(challenge).digest(),
            ceremony=ceremony,
            subject=subject,
            user_handle=user_handle,
            expires_at=moment + LIFETIME,
        )
    )
    session.flush()
    return challenge


def take(
    session: Session, ceremony: Ceremony, challenge: bytes, *, subject: str | None = None
) -> PasskeyChallenge | None:
    """Take a challenge away, and return it if it is open and was posed to `subject`.

    Of two who answer at once, one gets it.
    """
    found = session.exec(
        select(PasskeyChallenge)
        .where(
            col(PasskeyChallenge.challenge_sha256) == hashlib.sha256(challenge).digest(),
            col(PasskeyChallenge.ceremony) == ceremony,
            # IS NOT DISTINCT FROM: a sign-in is posed to nobody.
            col(PasskeyChallenge.subject).is_not_distinct_from(subject),
        )
        .with_for_update()
    ).first()
    if found is None:
        return None
    session.delete(found)
    session.flush()
    return found if now() < found.expires_at else None
