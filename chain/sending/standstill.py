"""Saying in operations that nothing at all is sent, and why, for as long as that is so."""

from __future__ import annotations

from collections.abc import Mapping

from chain.sending.outbox import forget_waiting, note_standstill
from registry.kernel.db import Database

CODES = ("nonce_ahead", "wrong_chain")


class Standstill:
    """Tells what every operation waits for that could be sent, and takes it back."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._is_told = True
        """At the start they may say it from a run before."""

    def tell(self, problem: Mapping[str, object]) -> None:
        """Let everything that could be sent say what it waits for."""
        self._is_told = True
        with self._database.transaction() as session:
            note_standstill(session, problem)

    def untell(self) -> None:
        """Take it back: something may be sent again."""
        if not self._is_told:
            return
        with self._database.transaction() as session:
            forget_waiting(session, CODES)
        self._is_told = False
