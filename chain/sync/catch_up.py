"""Catching single tokens up beside their chain, without holding the others up.

Whatever a token says that cannot be (a log that decodes to nonsense, more units than there are)
ends with that token being refused, and the rest goes on. Before, another node is asked: the first
may have garbled a log, or left out the one by which the units came.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import psycopg
import structlog
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlmodel import Session, col, select

from chain.errors import (
    ChainError,
    RateLimited,
    RpcInconsistent,
    RpcRefused,
    RpcUnavailable,
)
from chain.node.client import ChainClient, hex_of
from chain.sync.adoption import AdoptionRefused
from chain.sync.decode import UndecodableLog
from chain.sync.pace import Pace
from chain.sync.pasts import Pasts, StillReading
from chain.sync.ranges import RangeReader, ReadRange
from chain.sync.watched import Watched, read_watched
from registry.captable import catching_up
from registry.captable.events import ProjectedBlock
from registry.captable.models import ChainBlock, SyncCursor, Token
from registry.captable.projection import CursorMoved
from registry.captable.refusals import refuse
from registry.captable.sums import SumDiffers
from registry.kernel.db import Database
from registry.kernel.errors import RegistryError
from registry.reconciliation.alarm import sound_joined

log = structlog.get_logger()

TURN_SECONDS = 2.0
"""So long at most a turn goes on with one token."""
ADVANCE_SECONDS = 5.0
"""So long at most with all of them, but for the one begun, before the head is looked at again."""
REST_SECONDS = 10.0
"""So long a token is let be that could not be read on."""


class CatchUp:
    """Catches up what is behind, of one chain."""

    def __init__(self, database: Database, client: ChainClient) -> None:
        self._database = database
        self._client = client
        self._pasts = Pasts(client)
        self._reader = RangeReader(client, self._pasts.told)
        self._pace: dict[int, Pace] = {}
        self._rest_until: dict[int, float] = {}
        self._doubted: set[int] = set()
        self._last = 0

    def advance(self) -> bool:
        """Read on in the tokens that are behind, one after the other, for some seconds at most.

        One that cannot be read on rests for a while, and stops neither the others nor whoever
        asks for this.

        Returns
        -------
        bool
            Whether any was read on, so that there may be more.
        """
        with self._database.reading() as session:
            behind = catching_up.list_behind(session, self._client.chain_id)
        deadline, is_read_on = time.monotonic() + ADVANCE_SECONDS, False
        # Where there was no time for all, the next turn begins with those.
        for token in sorted(behind, key=lambda each: (each.token_no or 0) <= self._last):
            if self.rests(token.token_no or 0):
                continue
            self._last = token.token_no or 0
            is_read_on |= self._try_on(token)
            if time.monotonic() > deadline:
                break
        return is_read_on

    def rests(self, token_no: int) -> bool:
        """Tell whether a token is let be for a while: it could not be read on, or is doubted."""
        return time.monotonic() < self._rest_until.get(token_no, 0.0)

    def _try_on(self, token: Token) -> bool:
        """Read on in a token; False where that is not possible now."""
        assert token.token_no is not None
        name = hex_of(token.address)
        try:
            self.read_on(token.token_no)
        except CursorMoved as moved:
            log.info("token_waits", token=name, reason=str(moved))
            return True
        except (ChainError, OperationalError, psycopg.OperationalError) as fault:
            log.warning("token_waits", token=name, fault=type(fault).__name__, reason=str(fault))
        except Exception:
            # A bug, or what nobody thought of: it concerns this token, and no other one.
            log.exception("token_fault", token=name)
        else:
            return True
        self._rest_until[token.token_no] = time.monotonic() + REST_SECONDS
        return False

    def read_on(self, token_no: int) -> None:
        """Read on in one token that is behind, for some seconds at most.

        Raises
        ------
        ChainError
            The node does not give what is wanted, or contradicts itself.
        AdoptionRefused
            A reorg took the token's deployment back, and it was not deployed again so far.
        CursorMoved
            The chain went on, or back, meanwhile.
        """
        deadline = time.monotonic() + TURN_SECONDS
        try:
            while self._step(token_no) and time.monotonic() < deadline:
                pass
        except RpcInconsistent as fault:
            self._client.distrust(str(fault))
            raise

    def _step(self, token_no: int) -> bool:
        """Read the next range of a token; tell whether there is more."""
        with self._database.reading() as session:
            token = session.get(Token, token_no)
            cursor = session.get(SyncCursor, self._client.chain_id)
            if token is None or cursor is None or token.caught_up_to is None or token.refusal:
                return False
            watched = read_watched(session, self._client.chain_id, only=token)
        place = token.caught_up_to
        if place < token.block_number and not self._stands(token):
            return self._await_contract(token, cursor)
        if place >= cursor.number:
            return self._join(token_no, cursor)
        pace = self._pace.setdefault(token_no, Pace())
        last = min(place + pace.blocks, cursor.number)
        try:
            read = self._read(token, watched, cursor, pace, last)
        except UndecodableLog as nonsense:
            said = f"it emitted what its ABI does not have: {nonsense}"
            return self._refuse(token_no, cursor, said, at=last)
        return read is None or self._apply(token_no, place, cursor, read)

    def _read(
        self, token: Token, watched: Watched, cursor: SyncCursor, pace: Pace, last: int
    ) -> ReadRange | None:
        """Read up to `last`; None where less of it, or a contract's past, comes next."""
        assert token.caught_up_to is not None
        place = token.caught_up_to
        try:
            read = self._reader.read(watched, place + 1, last, cursor.head_number)
        except StillReading as pause:
            log.info("token_waits", token=hex_of(token.address), reason=str(pause))
            return None
        except RpcRefused as refused:
            pace.halve(last - place, refused)
            return None
        except RateLimited:
            raise
        except RpcUnavailable:
            pace.refused(last - place)
            raise
        except RpcInconsistent:
            # What the same node told before is not believed either.
            self._pasts.forget(token.address)
            raise
        pace.answered(last - place, read.logs)
        return read

    def _apply(self, token_no: int, place: int, cursor: SyncCursor, read: ReadRange) -> bool:
        end = read.found.end
        joins = joins_chain(end, cursor)
        try:
            with self._database.transaction() as session:
                lock_cursor(session, cursor)
                require_same(session, cursor.chain_id, read.found.blocks)
                token = session.get_one(Token, token_no, with_for_update=True)
                if token.caught_up_to != place:
                    raise CursorMoved("the token was read on meanwhile")
                catching_up.apply_part(session, token, read.found, joins=joins)
        except SumDiffers as wrong:
            with self._database.transaction() as session:
                catching_up.read_again(session, wrong)
            return True
        except (DBAPIError, psycopg.Error) as fault:
            if not catching_up.is_impossible(fault):
                raise
            said = str(getattr(fault, "orig", fault)).splitlines()[0]
            # What it has may have come by a log that was left out long before.
            reason = f"it moved what cannot be: {said}"
            return self._refuse(token_no, cursor, reason, at=end.number, from_first=True)
        self._pasts.forget(token.address)
        log.info(
            "token_caught_up" if joins else "token_catches_up",
            token=hex_of(token.address),
            block=end.number,
            of=cursor.number,
            events=read.found.count,
        )
        if joins:
            self._sound_joined(token)
        return not joins

    def _join(self, token_no: int, cursor: SyncCursor) -> bool:
        with self._database.transaction() as session:
            held = session.get_one(SyncCursor, cursor.chain_id, with_for_update=True)
            token = session.get_one(Token, token_no, with_for_update=True)
            joins = token.caught_up_to == held.number
            if joins:
                catching_up.join(session, token)
        if joins:
            self._sound_joined(token)
        return False

    def _sound_joined(self, token: Token) -> None:
        """Hold what was read apart against the cases: the watch looks at newer blocks only."""
        self._doubted.discard(token.token_no or 0)
        try:
            with self._database.transaction() as session:
                sound_joined(session, token.chain_id, token.address)
        except RegistryError as refusal:
            log.warning("alarm_refused", token=hex_of(token.address), code=refusal.code)

    def _stands(self, token: Token) -> bool:
        """Tell whether a token has a contract; what we deployed is told of when it is deployed."""
        return not token.is_adopted or bool(self._client.code(token.address))

    def _await_contract(self, token: Token, cursor: SyncCursor) -> bool:
        """Wait until a token is deployed again, or the blocks are final that took it back."""
        assert token.token_no is not None
        gone = "a reorg took its deployment back, and no contract stands at its address"
        if (cursor.finalized_number or 0) >= token.block_number:
            return self._refuse(token.token_no, cursor, gone, at=cursor.number)
        raise AdoptionRefused(f"{hex_of(token.address)} is waited for: {gone}.")

    def _refuse(
        self,
        token_no: int,
        cursor: SyncCursor,
        reason: str,
        *,
        at: int,
        from_first: bool = False,
    ) -> bool:
        """Project nothing of a token any more, unless another node tells otherwise.

        Where there is one node only, it is asked again after a rest: what garbled its answer may
        have passed by then.

        Parameters
        ----------
        cursor
            Where the chain stood when the token was read.
        at
            The last block of the range that says so.
        from_first
            The other node is asked about all of its past.

        Returns
        -------
        bool
            Whether another node is to be asked at once.

        Raises
        ------
        CursorMoved
            It stands elsewhere by now, and a reorg may have taken back what was read.
        """
        is_new = token_no not in self._doubted
        with self._database.transaction() as session:
            lock_cursor(session, cursor)
            token = session.get_one(Token, token_no, with_for_update=True)
            if not is_new:
                log.error("token_refused", token=hex_of(token.address), reason=reason)
                refuse(session, token, reason, at=at)
            elif from_first:
                catching_up.begin_again(session, token, after=token.block_number - 1)
        self._pasts.forget(token.address)
        if is_new:
            log.warning("token_doubted", token=hex_of(token.address), reason=reason)
            self._client.distrust(f"{hex_of(token.address)}: {reason}")
            self._doubted.add(token_no)
            if self._client.is_one_node:
                self._rest_until[token_no] = time.monotonic() + REST_SECONDS
        else:
            self._doubted.discard(token_no)
        return is_new and not self._client.is_one_node


def joins_chain(end: ProjectedBlock, cursor: SyncCursor) -> bool:
    """Tell whether what was read apart ends where its chain is read to.

    Raises
    ------
    RpcInconsistent
        It ends there, but in another block.
    """
    if end.number == cursor.number and end.hash != cursor.hash:
        raise RpcInconsistent(f"block {end.number} is not the one that the chain is read to")
    return end.number == cursor.number


def lock_cursor(session: Session, seen: SyncCursor) -> None:
    """Lock the chain's cursor, which stands where it stood when something was read apart.

    The next range of the chain begins after it, and whoever reads that one looks again at who
    goes along.

    Raises
    ------
    CursorMoved
        It stands elsewhere.
    """
    held = session.get_one(SyncCursor, seen.chain_id, with_for_update=True)
    if (held.number, held.hash) != (seen.number, seen.hash):
        raise CursorMoved("the chain moved while something was caught up")


def require_same(session: Session, chain_id: int, blocks: Sequence[ProjectedBlock]) -> None:
    """Make sure that the blocks of a token are those that its chain has, where both are stored."""
    stored = session.exec(
        select(ChainBlock).where(
            col(ChainBlock.chain_id) == chain_id,
            col(ChainBlock.number).in_([block.number for block in blocks]),
        )
    ).all()
    ours = {block.number: block.hash for block in stored}
    if any(ours.get(block.number, block.hash) != block.hash for block in blocks):
        raise RpcInconsistent("the blocks of a token are not those of its chain")
