"""Compacting the history of every token of a chain, some holders at a time, while all is quiet."""

from __future__ import annotations

import time

from sqlmodel import Session, col, select

from registry.captable.compacting import compact
from registry.captable.models import SyncCursor, Token
from registry.kernel.db import Database

HOLDERS = 50
"""Looked at in one transaction: a block that comes meanwhile waits for it."""

REST_SECONDS = 0.5
"""Between two transactions; a million holders have their turn eight times a day."""


class Compacting:
    """Goes round over the holders of all tokens; where it stands is not kept over a restart.

    Parameters
    ----------
    database
        Of the chain's writer: whoever has lost the role may not write.
    """

    def __init__(
        self, database: Database, chain_id: int, *, rest_seconds: float = REST_SECONDS
    ) -> None:
        self._database = database
        self._chain_id = chain_id
        self._rest_seconds = rest_seconds
        self._rested_until = 0.0
        self._place = (0, 0)
        self._folded = 0
        self._began_at: int | None = None
        self._done_at: int | None = None

    def turn(self) -> int:
        """Look at the next holders, if it is time to; give the rows that were folded."""
        if time.monotonic() < self._rested_until:
            return 0
        self._rested_until = time.monotonic() + self._rest_seconds
        final = self._final()
        # After a round in which nothing was due, nothing is until more is final.
        if final is None or final == self._done_at:
            return 0
        if self._place == (0, 0):
            self._began_at, self._folded = final, 0
        folded = self._step()
        self._folded += folded
        return folded

    def _final(self) -> int | None:
        with self._database.reading() as session:
            cursor = session.get(SyncCursor, self._chain_id)
        return cursor.finalized_number if cursor else None

    def _step(self) -> int:
        token_no, after = self._place
        with self._database.transaction() as session:
            # Locked: blocks are taken back and added before or after, but not meanwhile.
            cursor = session.get_one(SyncCursor, self._chain_id, with_for_update=True)
            following = self._next_token(session, token_no if after else token_no + 1)
            if following is None or cursor.finalized_number is None:
                self._end_round()
                return 0
            last, folded = compact(
                session,
                following,
                final=cursor.finalized_number,
                after=after if following == token_no else 0,
                limit=HOLDERS,
            )
        self._place = (following, last or 0)
        return folded

    def _end_round(self) -> None:
        self._place = (0, 0)
        if not self._folded:
            self._done_at = self._began_at

    def _next_token(self, session: Session, at_least: int) -> int | None:
        return session.exec(
            select(Token.token_no)
            .where(
                col(Token.chain_id) == self._chain_id,
                col(Token.token_no) >= at_least,
                # One that is caught up is being written beside the chain.
                col(Token.caught_up_to).is_(None),
            )
            .order_by(col(Token.token_no))
            .limit(1)
        ).first()
