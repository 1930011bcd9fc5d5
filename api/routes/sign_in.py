"""/v1/sessions and /v1/invitations for who is not signed in: the ceremonies, and refreshing."""

from __future__ import annotations

from fastapi import Request, Response

from api.auth.session_tokens import LIFETIME, SessionIssuer
from api.auth.strangers import COUNT_REFUSALS, COUNT_REQUEST, SessionIssuerDep
from api.deps import ServicesDep, SessionDep
from api.routes.router import open_router
from api.schemas.common import PROBLEMS
from api.schemas.passkeys import (
    CeremonyOptions,
    InvitationCode,
    InvitedPasskeyCreate,
    PasskeyRead,
    SessionCreate,
    SessionRefresh,
    SessionTokens,
)
from registry.passkey import invitations, refreshing, sessions
from registry.passkey.sessions import Granted

router = open_router("sessions", prefix="/v1", responses=PROBLEMS, dependencies=[COUNT_REFUSALS])


@router.post("/sessions/challenges", dependencies=[COUNT_REQUEST])
def begin_sign_in(session: SessionDep, issuer: SessionIssuerDep) -> CeremonyOptions:
    """Ask for a challenge that any of your passkeys may answer; it is open for five minutes."""
    return CeremonyOptions(public_key=sessions.begin_sign_in(session, issuer.party))


@router.post("/sessions", status_code=201)
def start_session(
    body: SessionCreate,
    session: SessionDep,
    issuer: SessionIssuerDep,
    services: ServicesDep,
    request: Request,
    response: Response,
) -> SessionTokens:
    """Sign in by a passkey."""
    granted = sessions.sign_in(session, issuer.party, issuer.lifetimes, body.credential)
    services.limits.count_principal(request, granted.session.subject)
    return _tokens(issuer, granted, response)


@router.post("/sessions/refresh")
def refresh_session(
    body: SessionRefresh,
    session: SessionDep,
    issuer: SessionIssuerDep,
    services: ServicesDep,
    request: Request,
    response: Response,
) -> SessionTokens:
    """Exchange the newest refresh token for the next ones; one that comes again ends all."""
    granted = refreshing.refresh(session, issuer.lifetimes, body.refresh_token)
    services.limits.count_principal(request, granted.session.subject)
    return _tokens(issuer, granted, response)


@router.post("/invitations/registrations")
def begin_invited_passkey(
    body: InvitationCode, session: SessionDep, issuer: SessionIssuerDep
) -> CeremonyOptions:
    """Ask for the challenge of a passkey to which you were invited."""
    return CeremonyOptions(public_key=invitations.begin_invited(session, issuer.party, body.code))


@router.post("/invitations/passkeys", status_code=201)
def add_invited_passkey(
    body: InvitedPasskeyCreate, session: SessionDep, issuer: SessionIssuerDep
) -> PasskeyRead:
    """Add the passkey to which you were invited; the code is used up by it."""
    made = invitations.add_invited(
        session, issuer.party, body.code, credential=body.credential, name=body.name
    )
    return PasskeyRead.of(made)


def _tokens(issuer: SessionIssuer, granted: Granted, response: Response) -> SessionTokens:
    response.headers["Cache-Control"] = "no-store"
    return SessionTokens(
        access_token=issuer.issue(granted.session),
        token_type="bearer",  # noqa: S106
        expires_in=int(LIFETIME.total_seconds()),
        refresh_token=granted.refresh_token,
        session_id=granted.session.id,
        refresh_until=granted.session.idle_until,
        session_expires_at=granted.session.expires_at,
    )
