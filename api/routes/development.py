"""/dev/token: the development issuer. Production does not have this route."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import BaseModel, Field

from api.auth.tokens import MAX_LIFETIME, DevelopmentIssuer
from api.deps import ServicesDep
from api.routes.router import open_router
from api.schemas.common import Body, ShortText, problems
from registry.kernel.actor import Role
from registry.kernel.whole import NO_FLAG

router = open_router("development", responses=problems(422))


class TokenRequest(Body):
    """Who you would like to be."""

    subject: ShortText
    roles: Annotated[list[Role], Field(min_length=1)]
    expires_in: Annotated[int, Field(ge=-3600, le=int(MAX_LIFETIME.total_seconds())), NO_FLAG] = (
        3600
    )


class TokenAnswer(BaseModel):
    """An OAuth 2 bearer token (RFC 6749 section 5.1)."""

    access_token: str
    token_type: str
    expires_in: int


@router.post("/dev/token")
def issue_development_token(body: TokenRequest, services: ServicesDep) -> TokenAnswer:
    """Sign in as anybody: for development and the demo only."""
    assert isinstance(services.tokens, DevelopmentIssuer), "mounted with that issuer only"
    token = services.tokens.issue(body.subject, body.roles, timedelta(seconds=body.expires_in))
    return TokenAnswer(access_token=token, token_type="bearer", expires_in=body.expires_in)  # noqa: S106
