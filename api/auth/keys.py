"""API keys: which registrar's system the caller is."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from uuid import UUID

import structlog
from sqlalchemy.exc import SQLAlchemyError

from api.auth.errors import Unauthenticated
from registry.api_key import service as api_keys
from registry.api_key.models import KeyState
from registry.api_key.secret import MARK
from registry.kernel.actor import Actor
from registry.kernel.clock import now
from registry.kernel.db import Database

log = structlog.get_logger()

codes: Mapping[KeyState, tuple[str, str, str]] = {
    KeyState.PROPOSED: (
        "api_key_not_confirmed",
        "Nobody has confirmed this API key yet.",
        "Have another person confirm it.",
    ),
    KeyState.EXPIRED: (
        "api_key_expired",
        "This API key has expired.",
        "Have a new one made, of the same name.",
    ),
    KeyState.REVOKED: (
        "api_key_revoked",
        "This API key was revoked.",
        "Ask whoever made it.",
    ),
}
"""Why a key does not count: told only to whoever has all of it."""


class KeyVerifier:
    """Reads API keys; each request asks the database, so that a revocation counts at once."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._uses = Uses(database)

    @staticmethod
    def is_key(token: str) -> bool:
        return token.startswith(MARK)

    def verify(self, token: str) -> Actor:
        """Return the system that has this key.

        Raises
        ------
        Unauthenticated
            ``api_key_invalid``; of a key that is right, what else is in its way.
        """
        with self._database.reading() as session:
            key = api_keys.find_key(session, token)
        if key is None:
            raise Unauthenticated(
                "api_key_invalid", "There is no such API key.", remedy="Send all of it, unchanged."
            )
        at = now()
        state = key.state_at(at)
        if state != KeyState.ACTIVE:
            code, detail, remedy = codes[state]
            raise Unauthenticated(code, detail, remedy=remedy)
        self._uses.note(key.id, at)
        return key.actor

    def wait(self) -> None:
        """Wait until the uses of before are noted."""
        self._uses.wait()


class Uses:
    """Notes when keys were used: beside the answers, and once a minute for each key."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="key-uses")
        self._noted: dict[UUID, datetime] = {}
        self._lock = threading.Lock()

    def note(self, key_id: UUID, at: datetime) -> None:
        with self._lock:
            before = self._noted.get(key_id)
            if before is not None and at - before < api_keys.USE_NOTED_EVERY:
                return
            self._noted[key_id] = at
        self._writer.submit(self._write, key_id, at)

    def wait(self) -> None:
        self._writer.submit(lambda: None).result()

    def _write(self, key_id: UUID, at: datetime) -> None:
        try:
            with self._database.transaction() as session:
                api_keys.note_use(session, key_id, at)
        except SQLAlchemyError as fault:
            # The next use is noted instead: nothing hangs on it but what people see.
            log.warning("key_use_not_noted", reason=str(fault))
            with self._lock:
                self._noted.pop(key_id, None)
