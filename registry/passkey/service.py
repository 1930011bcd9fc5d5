"""Passkeys: adding, naming, removing them."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import structlog
from sqlmodel import Session, col, select

from registry.journal import service as journal
from registry.kernel.actor import Actor
from registry.kernel.clock import now
from registry.kernel.errors import Conflict, Forbidden, Invalid, NotFound
from registry.kernel.masking import mask_text
from registry.passkey import ceremony, challenges, sessions
from registry.passkey.ceremony import CeremonyRefused, RelyingParty
from registry.passkey.models import Ceremony, Passkey, SessionEnd, UserSession

log = structlog.get_logger()

MOST = 20
USER_HANDLE_BYTES = 32
RECENT = timedelta(minutes=15)


def begin_registration(session: Session, party: RelyingParty, actor: Actor) -> dict[str, Any]:
    """Pose the challenge for a new passkey of the caller's.

    Raises
    ------
    Forbidden
        ``sign_in_not_recent``.
    Conflict
        ``passkeys_exhausted``.
    """
    require_recent(session, actor)
    return options_for(session, party, actor.subject)


def options_for(session: Session, party: RelyingParty, subject: str) -> dict[str, Any]:
    """Pose the challenge for a new passkey of `subject`.

    Raises
    ------
    Conflict
        ``passkeys_exhausted``.
    """
    known = live_passkeys(session, subject)
    _require_room(known)
    handle = known[0].user_handle if known else secrets.token_bytes(USER_HANDLE_BYTES)
    challenge = challenges.pose(session, Ceremony.REGISTRATION, subject=subject, user_handle=handle)
    return ceremony.creation_options(
        party,
        challenge=challenge,
        user_handle=handle,
        known=[passkey.credential_id for passkey in known],
    )


def add_passkey(
    session: Session, party: RelyingParty, actor: Actor, *, credential: Mapping[str, Any], name: str
) -> Passkey:
    """Add the passkey that an authenticator made for the caller's challenge.

    Raises
    ------
    Invalid
        ``passkey_challenge_invalid``, ``passkey_known``, or as `ceremony.check_attestation`.
    Forbidden
        ``sign_in_not_recent``.
    Conflict
        ``passkeys_exhausted``.
    """
    require_recent(session, actor)
    return record_passkey(session, party, actor, credential=credential, name=name)


def record_passkey(
    session: Session,
    party: RelyingParty,
    actor: Actor,
    *,
    credential: Mapping[str, Any],
    name: str,
    invitation_id: UUID | None = None,
) -> Passkey:
    """Check the answer to a challenge of the actor's, and record the passkey.

    Raises
    ------
    Invalid
        ``passkey_challenge_invalid``, ``passkey_known``, or as `ceremony.check_attestation`.
    Conflict
        ``passkeys_exhausted``.
    """
    try:
        challenge = ceremony.challenge_of(credential)
        posed = challenges.take(session, Ceremony.REGISTRATION, challenge, subject=actor.subject)
        if posed is None:
            raise CeremonyRefused(
                "passkey_challenge_invalid",
                "No such challenge is open: it was answered, or is older than five minutes.",
                remedy="Begin again with a new challenge.",
            )
        made = ceremony.check_attestation(party, credential, challenge)
    except CeremonyRefused as error:
        raise Invalid(error.code, error.detail, field="/credential", remedy=error.remedy) from error
    _require_room(live_passkeys(session, actor.subject))
    _require_new(session, made.credential_id)
    assert posed.user_handle is not None, "a registration has one"
    passkey = Passkey(
        subject=actor.subject,
        user_handle=posed.user_handle,
        credential_id=made.credential_id,
        public_key=made.public_key,
        sign_count=made.sign_count,
        name=mask_text(name),
        is_synced=made.is_synced,
        invitation_id=invitation_id,
    )
    session.add(passkey)
    session.flush()
    journal.record(
        session, actor, "passkey_added", "passkey", passkey.id,
        invitation_id=str(invitation_id) if invitation_id else None,
    )  # fmt: skip
    return passkey


def _require_room(known: Sequence[Passkey]) -> None:
    if len(known) >= MOST:
        raise Conflict(
            "passkeys_exhausted", f"You have {MOST} passkeys.", remedy="Remove one of them first."
        )


def _require_new(session: Session, credential_id: bytes) -> None:
    known = select(Passkey.id).where(col(Passkey.credential_id) == credential_id)
    if session.exec(known).first() is not None:
        raise Invalid(
            "passkey_known",
            "This passkey was recorded before.",
            field="/credential",
            remedy="Sign in by it, or make another one.",
        )


def require_recent(session: Session, actor: Actor) -> None:
    """Refuse who signed in by a passkey a while ago: a token that leaked adds no way in.

    Raises
    ------
    Unproven
        ``session_ended``, since the request was let in.
    Forbidden
        ``sign_in_not_recent``.
    """
    if actor.session_id is None:
        return
    # Locked: whoever ends the session afterwards sees what was added by it.
    signed_in = session.get_one(
        UserSession, actor.session_id, with_for_update=True, populate_existing=True
    )
    sessions.require_not_ended(signed_in)
    if now() - signed_in.recorded_at > RECENT:
        raise Forbidden(
            "sign_in_not_recent",
            f"This is done within {RECENT.seconds // 60} minutes of a sign-in.",
            remedy="Sign in by a passkey again, and repeat.",
        )


def require_fresh(session: Session, actor: Actor) -> None:
    """Refuse who did not authenticate a moment ago, however they signed in.

    Raises
    ------
    Unproven
        ``session_ended``, since the request was let in.
    Forbidden
        ``sign_in_not_recent``, also of an issuer that does not tell when somebody signed in.
    """
    if actor.session_id is not None:
        require_recent(session, actor)
    elif actor.signed_in_at is None or now() - actor.signed_in_at > RECENT:
        raise Forbidden(
            "sign_in_not_recent",
            f"This is confirmed within {RECENT.seconds // 60} minutes of a sign-in.",
            remedy="Sign in again (OpenID Connect: max_age, so that auth_time is told).",
        )


def live_passkeys(session: Session, subject: str, *, lock: bool = False) -> Sequence[Passkey]:
    """List the passkeys of somebody, oldest first."""
    query = (
        select(Passkey)
        .where(col(Passkey.subject) == subject, col(Passkey.removed_at).is_(None))
        .order_by(col(Passkey.id))
    )
    if lock:
        query = query.with_for_update().execution_options(populate_existing=True)
    return session.exec(query).all()


def rename_passkey(session: Session, actor: Actor, passkey_id: UUID, *, name: str) -> Passkey:
    """Name one's own passkey.

    Raises
    ------
    NotFound
    """
    passkey = _own(live_passkeys(session, actor.subject, lock=True), passkey_id)
    passkey.name = mask_text(name)
    session.flush()
    return passkey


def remove_passkey(session: Session, actor: Actor, passkey_id: UUID) -> None:
    """Take one's own passkey away, with the sessions that it began.

    The last one goes only if the caller signed in another way: that one is left then.

    Raises
    ------
    NotFound
    Forbidden
        ``sign_in_not_recent``.
    Conflict
        ``last_passkey``.
    """
    # Passkeys before sessions, as everywhere: nobody waits in a circle.
    known = live_passkeys(session, actor.subject, lock=True)
    require_recent(session, actor)
    passkey = _own(known, passkey_id)
    if len(known) == 1 and actor.session_id is not None:
        raise Conflict(
            "last_passkey",
            "This is your last passkey, and you signed in by a passkey.",
            remedy="Add another one first, or sign in by the organisation's issuer.",
        )
    _remove(session, actor, passkey, SessionEnd.PASSKEY_REMOVED)


def revoke_all(session: Session, actor: Actor, subject: str, *, reason: str) -> int:
    """Take every passkey of an investor away, and end all sessions.

    Codes stay: see `invitations.shut_out`.

    Returns
    -------
    int
        How many passkeys there were.
    """
    gone = 0
    # Again, until no session is left that could have added one meanwhile.
    while known := live_passkeys(session, subject, lock=True):
        for passkey in known:
            _remove(session, actor, passkey, SessionEnd.REVOKED, reason=reason)
        gone += len(known)
    return gone


def _remove(
    session: Session, actor: Actor, passkey: Passkey, end: SessionEnd, **facts: str
) -> None:
    passkey.removed_at = now()
    session.flush()
    journal.record(session, actor, "passkey_removed", "passkey", passkey.id, **facts)
    sessions.end_of_passkey(session, actor, passkey.id, end)


def _own(known: Sequence[Passkey], passkey_id: UUID) -> Passkey:
    for passkey in known:
        if passkey.id == passkey_id:
            return passkey
    raise NotFound("passkey", passkey_id)
