"""Watching over the tokens: what an agent did is held against the cases as soon as it is read."""

from __future__ import annotations

import structlog
from sqlmodel import Session

from registry.captable.models import ChainBlock, SyncCursor
from registry.kernel.db import Database
from registry.kernel.errors import RegistryError
from registry.reconciliation.alarm import list_acted_on, sound_alarm

log = structlog.get_logger()

NOTHING = -1
"""Below every block."""


class Watch:
    """Raises the alarm for one chain.

    Parameters
    ----------
    database
        Where the projection stands. How far it was looked at is remembered here only: after a
        start, or where a reorg took that block back, everything is looked at once more, and no
        break is opened twice.
    """

    def __init__(self, database: Database, chain_id: int) -> None:
        self._database = database
        self._chain_id = chain_id
        self._looked: tuple[int, bytes] | None = None

    def look(self) -> int:
        """Look at every token on which an agent has acted since the last look.

        One that is refused, or read again, holds no other up; it is looked at when it joins its
        chain (`chain.sync.catch_up`).

        Returns
        -------
        int
            Breaks opened.
        """
        with self._database.reading() as session:
            cursor = session.get(SyncCursor, self._chain_id)
            if cursor is None or (cursor.number, cursor.hash) == self._looked:
                return 0
            seen = (cursor.number, cursor.hash)
            tokens = list_acted_on(session, self._chain_id, after=self._believed(session))
        opened = 0
        for token in tokens:
            try:
                with self._database.transaction() as session:
                    opened += sound_alarm(session, token)
            except RegistryError as refusal:
                log.warning("alarm_refused", token=str(token), code=refusal.code)
        self._looked = seen
        return opened

    def _believed(self, session: Session) -> int:
        """Return the last block that was looked at, if it is still there."""
        if self._looked is None:
            return NOTHING
        number, digest = self._looked
        block = session.get(ChainBlock, (self._chain_id, number))
        return number if block is not None and block.hash == digest else NOTHING
