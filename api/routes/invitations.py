"""/v1/invitations: the way to a passkey for an investor who cannot sign in."""

from __future__ import annotations

from uuid import UUID

from fastapi import Request, Response

from api.deps import ActorDep, ReadSessionDep, SessionDep
from api.idempotency import IDEMPOTENT, keep_instead
from api.pagination import PagingDep
from api.reading import ReadingDep
from api.routes.router import resource_router
from api.schemas.common import Page
from api.schemas.passkeys import InvitationIssued, InvitationRead
from registry.passkey import invitations

router = resource_router("passkeys")


@router.post("/investors/{investor_id}/invitations", status_code=201, dependencies=IDEMPOTENT)
def invite_investor(
    investor_id: UUID, session: SessionDep, actor: ActorDep, request: Request, response: Response
) -> InvitationIssued:
    """Make a code for an investor; it is shown here only. Another person confirms it."""
    invitation, code = invitations.invite(session, actor, investor_id)
    keep_instead(request, InvitationIssued.with_code(invitation, None))
    response.headers["Cache-Control"] = "no-store"
    return InvitationIssued.with_code(invitation, code)


@router.get("/investors/{investor_id}/invitations")
def list_invitations(
    investor_id: UUID, session: ReadSessionDep, reading: ReadingDep, paging: PagingDep
) -> Page[InvitationRead]:
    """List the invitations of an investor."""
    rows = invitations.list_invitations(
        session, investor_id, after=paging.after_id, limit=paging.fetch
    )
    return reading.of(paging.page(rows, lambda row: str(row.id), InvitationRead.of))


@router.post("/invitations/{invitation_id}/confirm", dependencies=IDEMPOTENT)
def confirm_invitation(invitation_id: UUID, session: SessionDep, actor: ActorDep) -> InvitationRead:
    """Let an invitation count that somebody else made."""
    return InvitationRead.of(invitations.confirm_invitation(session, actor, invitation_id))


@router.post("/invitations/{invitation_id}/revoke", dependencies=IDEMPOTENT)
def revoke_invitation(invitation_id: UUID, session: SessionDep, actor: ActorDep) -> InvitationRead:
    """Take an invitation back."""
    return InvitationRead.of(invitations.revoke_invitation(session, actor, invitation_id))
