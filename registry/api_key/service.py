"""Making, confirming, revoking and believing API keys."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import or_, update
from sqlmodel import Session, col, select

from registry.api_key.models import MACHINE_ROLES, ApiKey, KeyState
from registry.api_key.secret import NewSecret, hash_of, prefix_of
from registry.journal import service as journal
from registry.kernel.actor import OVERSIGHT, Actor, Role
from registry.kernel.clock import now
from registry.kernel.errors import Conflict, Forbidden, Invalid, NotFound
from registry.kernel.masking import mask_fields
from registry.kernel.rows import get_row, page_after
from registry.lifecycle.reasons import check_other_person

LONGEST = timedelta(days=365)
USE_NOTED_EVERY = timedelta(minutes=1)
SEE_ALL = OVERSIGHT | {Role.REGISTRAR_CHECKER}
REVOKE_ALL = (Role.REGISTRAR_CHECKER, Role.COMPLIANCE)
_NO_HASH = bytes(32)


def propose_key(
    session: Session, actor: Actor, *, name: str, roles: Sequence[Role], expires_at: datetime
) -> tuple[ApiKey, str]:
    """Make a key for a registrar's system, and return its secret, which is kept nowhere.

    It counts once another person confirms, who never sees the secret.

    Raises
    ------
    Invalid
        ``role_not_for_systems``, ``key_term_wrong``.
    Forbidden
        ``role_not_yours``: nobody gives what they do not have.
    """
    for number, role in enumerate(roles):
        if role not in MACHINE_ROLES:
            raise Invalid(
                "role_not_for_systems",
                f"A system cannot be {role}: that decides, or acts for itself.",
                field=f"/roles/{number}",
                remedy=f"Possible are {', '.join(sorted(MACHINE_ROLES))}.",
            )
        if not actor.has(role):
            raise Forbidden("role_not_yours", f"You are no {role}, so your system cannot be.")
    at = now()
    if not at < expires_at <= at + LONGEST:
        raise Invalid(
            "key_term_wrong",
            f"A key ends after now, and within {LONGEST.days} days.",
            field="/expires_at",
        )
    secret = NewSecret.make()
    key = ApiKey(
        name=name,
        prefix=secret.prefix,
        secret_sha256=hash_of(secret.text),
        roles=sorted(set(roles)),
        proposed_by=actor.subject,
        expires_at=expires_at,
        recorded_at=at,
    )
    session.add(key)
    session.flush()
    journal.record(
        session, actor, "api_key_proposed", "api_key", key.id,
        principal=key.actor.subject, roles=key.roles, expires_at=expires_at.isoformat(),
    )  # fmt: skip
    return key, secret.text


def confirm_key(session: Session, actor: Actor, key_id: UUID) -> ApiKey:
    """Let a key that somebody else made count.

    Raises
    ------
    Forbidden
        ``checker_is_maker``.
    Conflict
        ``api_key_confirmed``, ``api_key_ended``.
    """
    key = get_row(session, ApiKey, key_id, kind="API key", lock=True)
    told = "Another person confirms a key (rule APR-01)."
    check_other_person(actor, key.proposed_by, told=told)
    _require_open(key)
    if key.confirmed_by is not None:
        raise Conflict("api_key_confirmed", "Somebody has confirmed this key already.")
    key.confirmed_by, key.confirmed_at = actor.subject, now()
    session.flush()
    journal.record(session, actor, "api_key_confirmed", "api_key", key.id)
    return key


def revoke_key(session: Session, actor: Actor, key_id: UUID, *, reason: str) -> ApiKey:
    """End a key at once: its maker may, and whoever watches over all of them.

    Raises
    ------
    NotFound
        Also of another's key, to those who see only their own.
    Conflict
        ``api_key_ended``.
    """
    key = get_key(session, actor, key_id, lock=True)
    if not (actor.has(*REVOKE_ALL) or actor.is_person_of(key.proposed_by)):
        raise NotFound("API key", key_id)
    _require_open(key)
    key.revoked_by, key.revoked_at, key.reason = actor.subject, now(), mask_fields(reason)
    session.flush()
    journal.record(session, actor, "api_key_revoked", "api_key", key.id, reason=reason)
    return key


def _require_open(key: ApiKey) -> None:
    state = key.state_at(now())
    if state in {KeyState.EXPIRED, KeyState.REVOKED}:
        raise Conflict(
            "api_key_ended", f"The key is {state}.", remedy="Make another one of the same name."
        )


def get_key(session: Session, actor: Actor, key_id: UUID, *, lock: bool = False) -> ApiKey:
    """Return a key that the caller made, or any to those who see all.

    Raises
    ------
    NotFound
    """
    key = get_row(session, ApiKey, key_id, kind="API key", lock=lock)
    if not (actor.has(*SEE_ALL) or actor.is_person_of(key.proposed_by)):
        raise NotFound("API key", key_id)
    return key


def list_keys(
    session: Session, actor: Actor, *, after: UUID | None, limit: int
) -> Sequence[ApiKey]:
    """List the keys that the caller may see, oldest first."""
    query = select(ApiKey)
    if not actor.has(*SEE_ALL):
        query = query.where(col(ApiKey.proposed_by) == actor.subject)
    return session.exec(page_after(query, col(ApiKey.id), after=after, limit=limit)).all()


def find_key(session: Session, text: str) -> ApiKey | None:
    """Return the row of a key whose secret is right, however it stands; None of any other.

    A prefix that there is and one that there is not take the same steps.
    """
    prefix = prefix_of(text)
    if prefix is None:
        return None
    key = session.exec(select(ApiKey).where(col(ApiKey.prefix) == prefix)).first()
    is_right = hmac.compare_digest(key.secret_sha256 if key else _NO_HASH, hash_of(text))
    return key if is_right else None


def note_use(session: Session, key_id: UUID, at: datetime) -> None:
    """Note that a key was used, unless that was noted within the last minute."""
    session.execute(
        update(ApiKey)
        .where(
            col(ApiKey.id) == key_id,
            or_(
                col(ApiKey.last_used_at).is_(None),
                col(ApiKey.last_used_at) <= at - USE_NOTED_EVERY,
            ),
        )
        .values(last_used_at=at)
    )
