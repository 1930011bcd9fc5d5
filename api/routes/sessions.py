"""/v1/sessions: where one is signed in."""

from __future__ import annotations

from uuid import UUID

from api.deps import ActorDep, ReadSessionDep, SessionDep
from api.idempotency import IDEMPOTENT
from api.routes.router import resource_router
from api.schemas.passkeys import SessionRead
from registry.passkey import sessions

router = resource_router("sessions")


@router.get("/sessions")
def list_sessions(session: ReadSessionDep, actor: ActorDep) -> list[SessionRead]:
    """List where you are signed in by a passkey."""
    return [
        SessionRead.of(row, passkey, actor.session_id)
        for row, passkey in sessions.list_sessions(session, actor)
    ]


@router.delete("/sessions/{session_id}", status_code=204, dependencies=IDEMPOTENT)
def end_session(session_id: UUID, session: SessionDep, actor: ActorDep) -> None:
    """Sign out, here or elsewhere: the session's tokens count no more."""
    sessions.end_session(session, actor, session_id)
