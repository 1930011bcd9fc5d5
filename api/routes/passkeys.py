"""/v1/passkeys: one's own passkeys. /v1/investors/{id}/passkeys: taken away by compliance."""

from __future__ import annotations

from uuid import UUID

from api.auth.strangers import SessionIssuerDep
from api.deps import ActorDep, ReadSessionDep, SessionDep
from api.idempotency import IDEMPOTENT
from api.routes.router import resource_router
from api.schemas.passkeys import (
    CeremonyOptions,
    PasskeyCreate,
    PasskeyRead,
    PasskeyRename,
    PasskeysRevoke,
    PasskeysRevoked,
)
from registry.passkey import invitations
from registry.passkey import service as passkeys

router = resource_router("passkeys")


@router.post("/passkeys/registrations", dependencies=IDEMPOTENT)
def begin_passkey(
    session: SessionDep, actor: ActorDep, issuer: SessionIssuerDep
) -> CeremonyOptions:
    """Ask for the challenge of a new passkey; it is open for five minutes."""
    return CeremonyOptions(public_key=passkeys.begin_registration(session, issuer.party, actor))


@router.post("/passkeys", status_code=201, dependencies=IDEMPOTENT)
def add_passkey(
    body: PasskeyCreate, session: SessionDep, actor: ActorDep, issuer: SessionIssuerDep
) -> PasskeyRead:
    """Add the passkey that your authenticator made."""
    made = passkeys.add_passkey(session, issuer.party, actor, **body.model_dump())
    return PasskeyRead.of(made)


@router.get("/passkeys")
def list_passkeys(session: ReadSessionDep, actor: ActorDep) -> list[PasskeyRead]:
    """List your passkeys."""
    return [PasskeyRead.of(row) for row in passkeys.live_passkeys(session, actor.subject)]


@router.post("/passkeys/{passkey_id}/rename", dependencies=IDEMPOTENT)
def rename_passkey(
    passkey_id: UUID, body: PasskeyRename, session: SessionDep, actor: ActorDep
) -> PasskeyRead:
    """Name a passkey of yours."""
    return PasskeyRead.of(passkeys.rename_passkey(session, actor, passkey_id, name=body.name))


@router.delete("/passkeys/{passkey_id}", status_code=204, dependencies=IDEMPOTENT)
def remove_passkey(passkey_id: UUID, session: SessionDep, actor: ActorDep) -> None:
    """Take a passkey of yours away, with the sessions that it began."""
    passkeys.remove_passkey(session, actor, passkey_id)


@router.post("/investors/{investor_id}/passkeys/revoke", dependencies=IDEMPOTENT)
def revoke_passkeys(
    investor_id: UUID, body: PasskeysRevoke, session: SessionDep, actor: ActorDep
) -> PasskeysRevoked:
    """Take every passkey and code of an investor away, whose phone was stolen say; sessions end."""
    gone = invitations.shut_out(session, actor, investor_id, reason=body.reason)
    return PasskeysRevoked(passkeys=gone)
