"""API keys as the tests have them made."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlmodel import Session

from registry.api_key import service as api_keys
from registry.api_key.models import ApiKey
from registry.kernel.actor import Actor, Role
from registry.kernel.clock import now
from tests.factories import CHECKER, MAKER, numbers


def proposed_key(session: Session, maker: Actor = MAKER, **changes: Any) -> tuple[ApiKey, str]:
    said: dict[str, Any] = {
        "name": f"desk-{next(numbers)}",
        "roles": [Role(role) for role in maker.roles],
        "expires_at": now() + timedelta(days=30),
    }
    return api_keys.propose_key(session, maker, **(said | changes))


def live_key(session: Session, maker: Actor = MAKER, **changes: Any) -> tuple[ApiKey, str]:
    key, secret = proposed_key(session, maker, **changes)
    return api_keys.confirm_key(session, CHECKER, key.id), secret
