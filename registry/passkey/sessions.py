"""Sessions of who signed in by a passkey: beginning, listing, ending them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import delete, or_
from sqlmodel import Session, col, select

from registry.journal import service as journal
from registry.kernel.actor import THE_SYSTEM, Actor, Role
from registry.kernel.clock import now
from registry.kernel.errors import NotFound, Unproven
from registry.passkey import ceremony, challenges
from registry.passkey.ceremony import CeremonyRefused, Claimed, RelyingParty
from registry.passkey.models import Ceremony, Passkey, RefreshToken, SessionEnd, UserSession
from registry.passkey.secret import REFRESH_MARK, hash_of, new_secret

log = structlog.get_logger()

MOST_LIVE = 20
TOKENS_KEPT = timedelta(days=30)
"""So long a token that counts no more is known as one that was ours."""


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """How long a session lives.

    Parameters
    ----------
    idle
        Without a refresh.
    longest
        However often it is refreshed.
    """

    idle: timedelta
    longest: timedelta


@dataclass(frozen=True, slots=True)
class Granted:
    """A session, and the one token by which it is refreshed next."""

    session: UserSession
    refresh_token: str


def begin_sign_in(session: Session, party: RelyingParty) -> dict[str, Any]:
    """Pose a challenge to whoever asks: any passkey may answer it."""
    return ceremony.request_options(party, challenge=challenges.pose(session, Ceremony.SIGN_IN))


def sign_in(
    session: Session, party: RelyingParty, lifetimes: Lifetimes, credential: Mapping[str, Any]
) -> Granted:
    """Begin a session for the owner of the passkey that answers.

    What does not hang on the passkey is told first and by name. From there on a passkey that
    nobody has, one that was removed, another's and a wrong signature are one refusal.

    Raises
    ------
    Unproven
        ``passkey_challenge_invalid``, ``passkey_not_believed``, ``passkey_counter_regressed``,
        or as `ceremony.read_assertion`. The challenge is used up by each.
    """
    try:
        challenge = ceremony.challenge_of(credential)
        if challenges.take(session, Ceremony.SIGN_IN, challenge) is None:
            raise CeremonyRefused(
                "passkey_challenge_invalid",
                "No such challenge is open: it was answered, or is older than five minutes.",
                remedy="Begin again with a new challenge.",
            )
        claimed = ceremony.read_assertion(party, credential)
        passkey = _lock_passkey(session, claimed)
        key = passkey.public_key if passkey else ceremony.NOBODYS_KEY
        is_synced = ceremony.check_assertion(party, credential, challenge, key)
        if passkey is None:
            raise CeremonyRefused("passkey_not_believed", "The passkey is not believed.")
    except CeremonyRefused as error:
        raise Unproven(error.code, error.detail, remedy=error.remedy, keeps=True) from error
    _require_counting(session, passkey, claimed)
    passkey.sign_count, passkey.is_synced = claimed.sign_count, is_synced
    passkey.last_used_at = now()
    return _begin(session, passkey, lifetimes)


def _lock_passkey(session: Session, claimed: Claimed) -> Passkey | None:
    """Find the passkey, if it counts and names the person whom its authenticator names."""
    passkey = session.exec(
        select(Passkey)
        .where(col(Passkey.credential_id) == claimed.credential_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).first()
    if passkey is None or passkey.removed_at is not None:
        return None
    return passkey if claimed.user_handle == passkey.user_handle else None


def _require_counting(session: Session, passkey: Passkey, claimed: Claimed) -> None:
    """Refuse a counter that does not go on: there may be a copy of the authenticator.

    Raises
    ------
    Unproven
        ``passkey_counter_regressed``.
    """
    before, says = passkey.sign_count, claimed.sign_count
    if says > before or (says == before == 0):
        return
    passkey.counter_regressed_at = now()
    session.flush()
    journal.record(
        session, THE_SYSTEM, "passkey_counter_regressed", "passkey", passkey.id,
        stored=before, presented=says,
    )  # fmt: skip
    log.warning("passkey_counter_regressed", passkey=str(passkey.id), stored=before, presented=says)
    raise Unproven(
        "passkey_counter_regressed",
        "The authenticator has counted back: there may be a copy of it.",
        remedy="Sign in by another passkey, remove this one, and make it anew.",
        keeps=True,
    )


def _begin(session: Session, passkey: Passkey, lifetimes: Lifetimes) -> Granted:
    moment = now()
    _make_room(session, passkey.subject, moment)
    _forget_tokens(session, passkey.subject, moment)
    begun = UserSession(
        subject=passkey.subject,
        passkey_id=passkey.id,
        recorded_at=moment,
        refreshed_at=moment,
        idle_until=min(moment + lifetimes.idle, moment + lifetimes.longest),
        expires_at=moment + lifetimes.longest,
    )
    session.add(begun)
    session.flush()
    owner = Actor(passkey.subject, frozenset({Role.INVESTOR}), begun.id)
    journal.record(
        session, owner, "session_started", "user_session", begun.id, passkey_id=str(passkey.id)
    )
    return Granted(begun, add_token(session, begun))


def add_token(session: Session, granted: UserSession, *, after: bytes | None = None) -> str:
    """Make the next refresh token of a session, and return it: only its hash is kept.

    Parameters
    ----------
    after
        Hash of the token that it is exchanged for.
    """
    token = new_secret(REFRESH_MARK)
    digest = hash_of(token)
    assert digest is not None
    session.add(
        RefreshToken(
            token_sha256=digest,
            session_id=granted.id,
            recorded_at=now(),
            predecessor_sha256=after,
        )
    )
    session.flush()
    return token


def _make_room(session: Session, subject: str, moment: datetime) -> None:
    """End the sessions that were refreshed longest ago, if there are as many as there may be."""
    live = sorted(_live(session, subject, moment), key=lambda one: one.refreshed_at)
    for oldest in live[: max(0, len(live) - MOST_LIVE + 1)]:
        end(session, THE_SYSTEM, oldest, SessionEnd.TOO_MANY)


def _forget_tokens(session: Session, subject: str, moment: datetime) -> None:
    """Forget old tokens that count no more; one of them that comes again is unknown then."""
    owned = select(UserSession.id).where(col(UserSession.subject) == subject)
    over = owned.where(
        or_(col(UserSession.ended_at).is_not(None), col(UserSession.idle_until) < moment)
    )
    session.execute(
        delete(RefreshToken).where(
            col(RefreshToken.recorded_at) < moment - TOKENS_KEPT,
            col(RefreshToken.session_id).in_(owned),
            or_(
                col(RefreshToken.used_at).is_not(None),
                col(RefreshToken.replaced_at).is_not(None),
                col(RefreshToken.session_id).in_(over),
            ),
        )
    )


def _live(session: Session, subject: str, moment: datetime) -> Sequence[UserSession]:
    return session.exec(
        select(UserSession)
        .where(
            col(UserSession.subject) == subject,
            col(UserSession.ended_at).is_(None),
            col(UserSession.idle_until) > moment,
        )
        .order_by(col(UserSession.id))
    ).all()


def list_sessions(session: Session, actor: Actor) -> Sequence[tuple[UserSession, Passkey]]:
    """List one's own live sessions with the passkey of each, oldest first."""
    live = _live(session, actor.subject, now())
    return [(one, session.get_one(Passkey, one.passkey_id)) for one in live]


def end_session(session: Session, actor: Actor, session_id: UUID) -> None:
    """End one's own session: its tokens count no more, from the next request on.

    Raises
    ------
    NotFound
        It is another's, or has ended.
    """
    found = session.get(UserSession, session_id, with_for_update=True, populate_existing=True)
    if found is None or found.subject != actor.subject or not found.is_live_at(now()):
        raise NotFound("session", session_id)
    end(session, actor, found, SessionEnd.SIGNED_OUT)


def require_not_ended(found: UserSession) -> None:
    """Refuse a session that was ended.

    Raises
    ------
    Unproven
        ``session_ended``.
    """
    if found.ended_at is not None:
        raise Unproven(
            "session_ended", "This session was ended.", remedy="Sign in by a passkey again."
        )


def end_of_passkey(session: Session, actor: Actor, passkey_id: UUID, why: SessionEnd) -> None:
    """End every session that a passkey began."""
    begun = session.exec(
        select(UserSession)
        .where(col(UserSession.passkey_id) == passkey_id, col(UserSession.ended_at).is_(None))
        .order_by(col(UserSession.id))
        .with_for_update()
    ).all()
    for one in begun:
        end(session, actor, one, why)


def end(session: Session, actor: Actor, ended: UserSession, why: SessionEnd) -> None:
    """End a session that the caller has locked."""
    ended.ended_at, ended.ended_for = now(), why
    session.flush()
    journal.record(session, actor, "session_ended", "user_session", ended.id, cause=why)
