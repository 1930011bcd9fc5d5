"""Refreshing a session: each token counts once, and one that comes again ends the session.

An answer may be lost on its way to a phone, which then sends the same token again. Within seconds,
and while nobody has used the token that was given for it, it gets another one in that one's place.
So of two who hold one token, a thief and its owner, only one has a successor that counts, and the
other ends the session with their next refresh at the latest (ADR 0043).
"""

from __future__ import annotations

from datetime import datetime, timedelta

import structlog
from sqlmodel import Session, col, select

from registry.kernel.actor import THE_SYSTEM
from registry.kernel.clock import now
from registry.kernel.errors import Unproven
from registry.passkey import sessions
from registry.passkey.models import RefreshToken, SessionEnd, UserSession
from registry.passkey.secret import hash_of
from registry.passkey.sessions import Granted, Lifetimes

log = structlog.get_logger()

ANSWERED_AGAIN = timedelta(seconds=30)
"""So long after its use a token may come once more, because the answer was lost."""


def refresh(session: Session, lifetimes: Lifetimes, token: str) -> Granted:
    """Exchange a refresh token for the next one.

    Raises
    ------
    Unproven
        ``refresh_token_invalid``; of a token that was ours, ``session_ended``,
        ``session_expired``, or ``refresh_token_reused``, which ends the session.
    """
    digest = hash_of(token)
    row = session.get(RefreshToken, digest) if digest else None
    if row is None:
        raise Unproven(
            "refresh_token_invalid",
            "There is no such refresh token.",
            remedy="Sign in by a passkey.",
        )
    # The session before its tokens: of two who refresh at once one comes after the other.
    found = session.get_one(
        UserSession, row.session_id, with_for_update=True, populate_existing=True
    )
    session.refresh(row)
    moment = now()
    _require_live(found, moment)
    if row.used_at is None and row.replaced_at is None:
        row.used_at = moment
    elif not _replace_successor(session, row, moment):
        _end_for_reuse(session, found)
    found.refreshed_at = moment
    found.idle_until = min(moment + lifetimes.idle, found.expires_at)
    return Granted(found, sessions.add_token(session, found, after=row.token_sha256))


def _require_live(found: UserSession, moment: datetime) -> None:
    sessions.require_not_ended(found)
    if not found.is_live_at(moment):
        raise Unproven(
            "session_expired",
            "This session has run out: it was not refreshed in time, or is too old.",
            remedy="Sign in by a passkey again.",
        )


def _replace_successor(session: Session, row: RefreshToken, moment: datetime) -> bool:
    """Make room for another successor of a used token, if its answer may have been lost."""
    if row.used_at is None or moment - row.used_at > ANSWERED_AGAIN:
        return False
    given = session.exec(
        select(RefreshToken)
        .where(
            col(RefreshToken.predecessor_sha256) == row.token_sha256,
            col(RefreshToken.replaced_at).is_(None),
        )
        .execution_options(populate_existing=True)
    ).one()
    if given.used_at is not None:
        return False
    given.replaced_at = moment
    session.flush()
    return True


def _end_for_reuse(session: Session, found: UserSession) -> None:
    """End the session: two hold its tokens, and one of them is not its owner.

    Raises
    ------
    Unproven
        ``refresh_token_reused``.
    """
    sessions.end(session, THE_SYSTEM, found, SessionEnd.REUSE)
    log.warning("refresh_token_reused", session=str(found.id))
    raise Unproven(
        "refresh_token_reused",
        "This refresh token was used before; its session is ended, since somebody else may have"
        " its tokens.",
        remedy="Sign in by a passkey again, and look at your passkeys and sessions.",
        keeps=True,
    )
