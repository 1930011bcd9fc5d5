"""/.well-known/jwks.json: the keys by which others check the access tokens of our sessions."""

from __future__ import annotations

from typing import Any

from fastapi import Response
from pydantic import BaseModel

from api.auth.strangers import SessionIssuerDep
from api.routes.router import open_router

router = open_router("sessions")

MAX_AGE_SECONDS = 300


class KeySetRead(BaseModel):
    """A JSON Web Key Set (RFC 7517)."""

    keys: list[dict[str, Any]]


@router.get("/.well-known/jwks.json")
def list_public_keys(issuer: SessionIssuerDep, response: Response) -> KeySetRead:
    """List the public keys of our own issuer, the one that signs first."""
    response.headers["Cache-Control"] = f"public, max-age={MAX_AGE_SECONDS}"
    return KeySetRead(keys=[key.public_jwk for key in issuer.keys])
