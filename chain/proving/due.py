"""What of the projection is to be proven next, within a budget.

A token that was never proven, or of which many changed, is proven as a whole: balances and frozen
parts of everybody, in a few calls. Else whoever changed is asked about everything, and so is
whoever differed when last looked at. When nothing of that is due, the sweep goes on.
"""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlmodel import Session, col, select

from chain.node.client import bytes_of
from chain.proving.proof import Claimed
from registry.captable import believed, rounds
from registry.captable.claims_believed import read_claims
from registry.captable.models import Reconciliation, SyncCursor, Token
from registry.captable.readings import times_read_again
from registry.captable.stream import read_all_holdings
from registry.kernel.clock import now
from registry.kernel.db import Database, ReadSession

SLICE = 50
"""Holders in one question of the sweep; five calls for each, and one for each kind of claim."""
CHANGED_AT_ONCE = 2_000
"""When more changed than this, the token is proven as a whole, or in a new round of the sweep."""
WHOLE = 100_000
"""Holders of whom the amounts are proven at once; what a larger token has, slices prove."""
ROUND_EVERY = timedelta(minutes=5)
"""A round begins no sooner after the one before began."""
AGAIN_SECONDS = 5.0
"""How soon a difference is looked at again, and the balances of a token added up again."""


@dataclass(frozen=True, slots=True)
class Task:
    """What to prove of a token now.

    Parameters
    ----------
    swept
        After whom, and up to whom, where this is a slice of the sweep.
    is_last
        No holder is left in the round.
    is_news
        Something changed, or was never looked at: worth a row, whatever the newest one says.
    """

    claimed: Claimed
    swept: tuple[int, int] | None
    is_last: bool
    is_news: bool


class Due:
    """Finds what is due, of one chain.

    Parameters
    ----------
    holders_per_second
        Budget of the sweep; what changed is due whatever it costs.
    """

    def __init__(self, database: Database, chain_id: int, holders_per_second: int) -> None:
        self._database = database
        self._chain_id = chain_id
        self._rate = holders_per_second
        self._budget = float(holders_per_second)
        self._filled_at = time.monotonic()
        self._looked_at: dict[int, float] = {}
        self._added_at: dict[int, float] = {}

    def fill(self) -> None:
        """Add to the budget what the time that has passed allows."""
        passed = time.monotonic() - self._filled_at
        self._filled_at += passed
        self._budget = min(self._budget + passed * self._rate, float(self._rate))

    def tokens(self) -> list[int]:
        """List the tokens that are projected with their chain."""
        with self._database.reading() as session:
            query = select(Token.token_no).where(
                col(Token.chain_id) == self._chain_id,
                col(Token.refusal).is_(None),
                col(Token.caught_up_to).is_(None),
            )
            return [number for number in session.exec(query).all() if number is not None]

    def looked_at(self, token_no: int) -> None:
        """Note that a token was just proven."""
        self._looked_at[token_no] = time.monotonic()

    def next_of(self, token_no: int) -> Task | None:
        """Give what to prove next of a token; None where nothing is due."""
        with self._database.reading() as session:
            cursor = session.get(SyncCursor, self._chain_id)
            token = session.get(Token, token_no)
            # Refused, set apart or taken back since the turn began: nothing of it is claimed.
            if cursor is None or token is None or not token.is_told_whole:
                return None
            last = newest_proof(session, token_no)
            if last is None and self._is_small(session, token_no):
                return self._whole(session, cursor, token)
            changed = believed.list_changed(
                session,
                token_no,
                after=last.block_number if last else cursor.number,
                limit=CHANGED_AT_ONCE,
            )
            suspects = self._suspects(token_no, last)
            if changed is not None and len(changed) == CHANGED_AT_ONCE:
                if self._is_small(session, token_no):
                    return self._whole(session, cursor, token)
                place: int | None = rounds.FIRST
            elif changed is not None or suspects:
                return self._of_these(session, cursor, token, changed, suspects)
            else:
                place = self._place(session, token_no, cursor)
            is_news = changed is not None or last is None
            return self._slice(session, cursor, token, place, is_news=is_news)

    # -- the kinds of tasks ------------------------------------------------------------------

    def _whole(self, session: ReadSession, cursor: SyncCursor, token: Token) -> Task:
        amounts = read_all_holdings(session, token)
        claimed = claim_of(session, cursor, token, amounts=amounts)
        return Task(claimed, None, is_last=False, is_news=True)

    def _of_these(
        self,
        session: ReadSession,
        cursor: SyncCursor,
        token: Token,
        changed: list[int] | None,
        suspects: set[bytes],
    ) -> Task:
        token_no = token.token_no or 0
        claimed = claim_of(
            session,
            cursor,
            token,
            total=self._total(session, token_no, always=bool(suspects)),
            **facts_of(session, cursor, token_no, changed or [], suspects),
        )
        return Task(claimed, None, is_last=False, is_news=changed is not None)

    def _slice(
        self,
        session: ReadSession,
        cursor: SyncCursor,
        token: Token,
        after: int | None,
        *,
        is_news: bool,
    ) -> Task | None:
        if after is None:
            return None
        token_no = token.token_no or 0
        limit = min(SLICE, max(int(self._budget), 1))
        swept = believed.list_slice(session, token_no, after=after, limit=limit)
        self._budget -= len(swept)
        is_last = len(swept) < limit
        claimed = claim_of(
            session,
            cursor,
            token,
            total=self._total(session, token_no, always=is_last),
            **facts_of(session, cursor, token_no, swept),
        )
        return Task(claimed, (after, swept[-1] if swept else after), is_last, is_news)

    # -- what decides ------------------------------------------------------------------------

    def _is_small(self, session: Session, token_no: int) -> bool:
        return believed.count_holders(session, token_no, limit=WHOLE) < WHOLE

    def _suspects(self, token_no: int, last: Reconciliation | None) -> set[bytes]:
        """Name whom the last proof found to differ, if it is time to look again."""
        if last is None or not last.differences:
            return set()
        if self._looked_at.get(token_no, 0.0) > time.monotonic() - AGAIN_SECONDS:
            return set()
        named = {item.get("holder") for item in last.differences}
        # What differs as a whole has no holder; nobody has the zero address either.
        return {bytes_of(item) for item in named if item} or {believed.NOBODY}

    def _place(self, session: Session, token_no: int, cursor: SyncCursor) -> int | None:
        """Return after whom the sweep goes on; None where it rests."""
        if self._budget < 1:
            return None
        return rounds.place_of(
            session, token_no, due_before=now() - ROUND_EVERY, void_before=cursor.degraded_since
        )

    def _total(self, session: Session, token_no: int, *, always: bool) -> int | None:
        """Add the balances up, but not at every block: a token may have a million."""
        if not always and self._added_at.get(token_no, 0.0) > time.monotonic() - AGAIN_SECONDS:
            return None
        self._added_at[token_no] = time.monotonic()
        return believed.sum_of_balances(session, token_no)


def newest_proof(session: Session, token_no: int) -> Reconciliation | None:
    """Return the newest proof of a token, of those that are not void."""
    return session.exec(
        select(Reconciliation)
        .where(col(Reconciliation.token_no) == token_no, col(Reconciliation.void_since).is_(None))
        .order_by(col(Reconciliation.id).desc())
        .limit(1)
    ).first()


def facts_of(
    session: Session,
    cursor: SyncCursor,
    token_no: int,
    holders: Collection[int],
    addresses: Collection[bytes] = (),
) -> dict[str, Any]:
    """Give what is said of holders, by number or address, and of the claims about them."""
    facts = believed.read_facts(session, token_no, holders, addresses)
    identities = {each.identity for each in facts} - {believed.NOBODY}
    claims = read_claims(session, cursor.chain_id, cursor.number, identities)
    return {"holders": facts, "claims": claims}


def claim_of(session: Session, cursor: SyncCursor, token: Token, **more: Any) -> Claimed:
    """Give what is said of a token at the cursor's block, with what `more` says of holders."""
    assert token.token_no is not None
    return Claimed(
        token_no=token.token_no,
        address=token.address,
        identity_registry=token.identity_registry,
        compliance=token.compliance,
        block_number=cursor.number,
        block_hash=cursor.hash,
        supply=int(token.supply_units),
        paused=token.paused,
        reading=times_read_again(session, token),
        **more,
    )
