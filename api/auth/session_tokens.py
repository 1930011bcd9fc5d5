"""Our own issuer: short access tokens for who signed in by a passkey."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import jwt

from api.auth.errors import Unauthenticated
from api.auth.session_keys import ALGORITHM, SessionKey, read_keys
from api.auth.tokens import invalid_token, read_claims, read_head, said_by
from registry.kernel.actor import KEY_MARK, Actor, Role
from registry.kernel.clock import now
from registry.kernel.db import Database
from registry.kernel.settings import Settings
from registry.passkey.ceremony import RelyingParty
from registry.passkey.models import UserSession
from registry.passkey.sessions import Lifetimes

LIFETIME = timedelta(minutes=10)
TYPE = "at+jwt"
"""RFC 9068: no other kind of token that our keys may sign one day is one of these."""
ROLES = frozenset({Role.INVESTOR})
"""All that a passkey ever gives: staff sign in where their roles are taken away, too."""

# Asked before every request of such a caller, on the driver's own connection.
_IS_LIVE = """
    SELECT 1 FROM user_session
    WHERE id = %(id)s AND subject = %(subject)s AND ended_at IS NULL
        AND expires_at > clock_timestamp()
"""


class SessionIssuer:
    """Signs and reads the access tokens of sessions.

    Parameters
    ----------
    settings
        With a relying party and keys.
    """

    def __init__(self, settings: Settings, database: Database) -> None:
        assert settings.relying_party_id is not None
        assert settings.session_key is not None
        self._database = database
        self._keys = read_keys(settings.session_key.get_secret_value())
        self._by_id = {key.kid: key for key in self._keys}
        self._issuer = settings.session_issuer
        self._audience = settings.oidc_audience
        self.party = RelyingParty(
            settings.relying_party_id, settings.passkey_rp_name, settings.passkey_origin_list
        )
        self.lifetimes = Lifetimes(
            timedelta(hours=settings.session_idle_hours),
            timedelta(hours=settings.session_max_hours),
        )

    @property
    def keys(self) -> tuple[SessionKey, ...]:
        return self._keys

    def issue(self, session: UserSession) -> str:
        """Sign a token of a session, with the first key."""
        issued = now()
        key = self._keys[0]
        said = {
            "iss": self._issuer,
            "aud": self._audience,
            "sub": session.subject,
            "sid": str(session.id),
            "roles": sorted(ROLES),
            "iat": issued,
            "exp": min(issued + LIFETIME, session.expires_at),
        }
        return jwt.encode(said, key.private, ALGORITHM, headers={"kid": key.kid, "typ": TYPE})

    def issued(self, token: str) -> bool:
        """Tell whether a token says to be ours; whether it is, only `verify` knows."""
        return said_by(token) == self._issuer

    def verify(self, token: str) -> Actor:
        """Return who signed in, while the session lives: an ended one counts no more at once.

        Raises
        ------
        Unauthenticated
            ``token_invalid``, ``token_expired``, ``session_ended``.
        """
        head = read_head(token)
        key = self._by_id.get(head.get("kid", ""))
        if key is None or head.get("typ") != TYPE:
            raise invalid_token("we have no such key")
        claims = read_claims(token, key.public, [ALGORITHM], self._audience, self._issuer)
        actor = _actor_of(claims)
        assert actor.session_id is not None
        if not self._is_live(actor.session_id, actor.subject):
            raise Unauthenticated(
                "session_ended", "This session was ended.", remedy="Sign in by a passkey again."
            )
        return actor

    def _is_live(self, session_id: UUID, subject: str) -> bool:
        with self._database.autocommit() as connection:
            asked = {"id": session_id, "subject": subject}
            return connection.execute(_IS_LIVE, asked).fetchone() is not None


def _actor_of(claims: dict[str, Any]) -> Actor:
    try:
        session_id = UUID(str(claims["sid"]))
    except (KeyError, ValueError) as error:
        raise invalid_token("it names no session") from error
    assert not claims["sub"].startswith(KEY_MARK), "no system has a passkey"
    return Actor(claims["sub"], ROLES, session_id)


def session_issuer(settings: Settings, database: Database) -> SessionIssuer | None:
    """Give our own issuer, where the settings want one."""
    if settings.relying_party_id is None or settings.session_key is None:
        return None
    return SessionIssuer(settings, database)
