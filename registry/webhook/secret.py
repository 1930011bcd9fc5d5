"""The secrets of an endpoint: made, sealed, rotated with an overlap, and signed with."""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta

from standardwebhooks.webhooks import Webhook

from registry.kernel.clock import now
from registry.kernel.vault import Vault, said_in
from registry.webhook.models import WebhookEndpoint

SECRET_BYTES = 32
OVERLAP = timedelta(hours=24)
"""How long the secret before signs too, so that receivers can change over."""


def new_secret() -> str:
    """Make a secret as Standard Webhooks writes it."""
    return f"whsec_{base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()}"


def set_secret(vault: Vault, endpoint: WebhookEndpoint, secret: str) -> None:
    """Seal a secret into an endpoint; the one before goes on for a while."""
    before = _opened(vault, endpoint)[:1] if endpoint.sealed else []
    endpoint.old_secret_until = now() + OVERLAP if before else None
    _seal(vault, endpoint, [secret, *before])


def reseal(vault: Vault, endpoint: WebhookEndpoint) -> None:
    """Seal the secrets anew under the vault's first key.

    Raises
    ------
    SealBroken
    """
    _seal(vault, endpoint, _opened(vault, endpoint))


def secrets_of(vault: Vault, endpoint: WebhookEndpoint) -> Sequence[str]:
    """Return what signs now, the newest first.

    Raises
    ------
    SealBroken
    """
    newest, *before = _opened(vault, endpoint)
    until = endpoint.old_secret_until
    return [newest, *before] if until is not None and until > now() else [newest]


def signature_of(secrets: Sequence[str], message_id: str, moment: datetime, body: str) -> str:
    """Give ``webhook-signature``: one signature for each secret."""
    return " ".join(Webhook(secret).sign(message_id, moment, body) for secret in secrets)


def _seal(vault: Vault, endpoint: WebhookEndpoint, found: Sequence[str]) -> None:
    # The id is sealed in as well: the secrets of one endpoint are not taken for another's.
    said = {"id": str(endpoint.id), "secrets": list(found)}
    endpoint.sealed, endpoint.sealed_with = vault.seal(json.dumps(said)), vault.key_id


def _opened(vault: Vault, endpoint: WebhookEndpoint) -> list[str]:
    said = said_in(vault.unseal(endpoint.sealed), endpoint.id, "secrets")
    found: list[str] = said["secrets"]
    return found
