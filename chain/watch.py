"""Watching over the tokens: what an agent did is held against the cases as soon as it is read."""

from __future__ import annotations

from uuid import UUID

from registry.kernel.db import Database
from registry.reconciliation.alarm import Place, list_newest_acts, sound_alarm


class Watch:
    """Raises the alarm for one chain.

    Parameters
    ----------
    database
        Where the projection stands. What was looked at is remembered here only: after a start
        everything is looked at once more, and no break is opened twice.
    """

    def __init__(self, database: Database, chain_id: int) -> None:
        self._database = database
        self._chain_id = chain_id
        self._seen: dict[UUID, Place] = {}

    def look(self) -> int:
        """Look at every token on which an agent has acted since the last look.

        Returns
        -------
        int
            Breaks opened.
        """
        with self._database.reading() as session:
            newest = list_newest_acts(session, self._chain_id)
        opened = 0
        for token, place in newest.items():
            if self._seen.get(token) != place:
                with self._database.transaction() as session:
                    opened += sound_alarm(session, token)
                self._seen[token] = place
        return opened
