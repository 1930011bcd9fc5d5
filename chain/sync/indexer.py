"""Following the chain: which range comes next, and what a reorg takes back.

Two ranges are being read while the one before is written: the node, this program and the
database are busy at the same time (ADR 0029). What was read is applied strictly in order, each
range in one transaction that moves the cursor from exactly where the range begins.
"""

from __future__ import annotations

import gc
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import psycopg
import structlog
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from chain.errors import RateLimited, RpcInconsistent, RpcRefused, RpcUnavailable
from chain.node.client import Block, ChainClient
from chain.sync.ancestor import common_ancestor
from chain.sync.decode import UndecodableLog
from chain.sync.memory import keep_freed
from chain.sync.new_branch import NewBranch, read_branch
from chain.sync.pace import Pace
from chain.sync.ranges import RangeReader, ReadRange, projected
from chain.sync.suites import SuiteChanges
from chain.sync.watched import NAMES, Watched, watched_of
from registry.captable import catching_up, projection
from registry.captable.degraded import degrade, note_taken_back
from registry.captable.events import ProjectedBlock, ProjectedRange
from registry.captable.following import Followed, read_followed
from registry.captable.models import SyncCursor
from registry.captable.projection import CursorMoved
from registry.captable.rewind import rewind
from registry.captable.sums import SumDiffers
from registry.kernel import failpoints
from registry.kernel.clock import now
from registry.kernel.db import Database
from registry.operation import service as operations

log = structlog.get_logger()

BEAT_EVERY = timedelta(seconds=5)
IN_FLIGHT = 2
TURN_SECONDS = 5.0
"""After so long, catching up makes a pause, so that a program that is stopped notices."""
FAR_BEHIND = 100
"""Blocks from which on catching up is a bulk load: no garbage collector, no wait for the disk."""

Place = tuple[int, bytes]
"""Number and hash of a block."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """A range that is being read."""

    first: int
    last: int
    answer: Future[ReadRange]


class Indexer:
    """Projects one chain.

    Parameters
    ----------
    database, client
        Where the projection goes, and where it comes from.
    """

    def __init__(self, database: Database, client: ChainClient) -> None:
        self._database = database
        self._client = client
        self._reader = RangeReader(client)
        self._pace = Pace()

    def advance(self) -> bool:
        """Project what is new, for some seconds at most, or take back what a reorg undid.

        Returns
        -------
        bool
            True when something changed and there may be more.

        Raises
        ------
        RpcInconsistent
            The node contradicts itself; ranges before that one stay, and a later try may succeed.
        CursorMoved
            Another indexer was faster; what it has applied stays, and nothing is applied twice.
        """
        try:
            return self._advance()
        except RpcInconsistent as fault:
            self._client.distrust(str(fault))
            raise

    def _advance(self) -> bool:
        head = self._client.head()
        try:
            return self._go_on(head)
        except (UndecodableLog, SuiteChanges) as told:
            if not self._set_apart({told.address}):
                # Of none that could be left to itself: what is new comes of code that we know.
                raise RpcInconsistent(str(told)) from told
        return True

    def _go_on(self, head: Block) -> bool:
        seen = self._followed()
        if seen.cursor and seen.cursor[1] == head.parent_hash and self._apply_head(seen, head):
            return True
        cursor = self._cursor(head)
        stored = self._client.block(cursor.number)
        if stored is None or stored.hash != cursor.hash:
            self._take_back(cursor, head)
            return True
        if head.number <= cursor.number:
            self._beat(cursor)
            return False
        with _collector_put_off(far=head.number - cursor.number > FAR_BEHIND):
            self._follow((cursor.number, cursor.hash), head)
        return True

    def _set_apart(self, addresses: Iterable[bytes]) -> int:
        """Let tokens that cannot be followed be looked at by themselves (`chain.sync.catch_up`)."""
        chain_id = self._client.chain_id
        with self._database.transaction() as session:
            cursor = session.get_one(SyncCursor, chain_id, with_for_update=True)
            return catching_up.set_apart(session, chain_id, addresses, after=cursor.number)

    def _beat(self, cursor: SyncCursor) -> None:
        """Tell now and then that we are at the head, so that readers know it is no silence."""
        # Either way: a clock that was ahead, and is right again, would be silent until then.
        if abs(now() - cursor.checked_at) > BEAT_EVERY:
            with self._database.transaction() as session:
                projection.touch_cursor(session, self._client.chain_id)

    def _cursor(self, head: Block) -> SyncCursor:
        """Return the cursor; the first time it stands at the head, before anything of ours."""
        with self._database.transaction() as session:
            return projection.open_cursor(
                session, self._client.chain_id, projected(head), head.number
            )

    def _apply_head(self, seen: Followed, head: Block) -> bool:
        """Apply the one block that follows the cursor: by their hashes, no reorg is between."""
        assert seen.cursor is not None
        read = self._reader.read_head(watched_of(seen), head)
        if read is None:
            return False
        self._apply(seen.cursor, read.found)
        return True

    # -- catching up -------------------------------------------------------------------------

    def _follow(self, place: Place, head: Block) -> None:
        """Read ranges ahead and apply them in order, from `place` towards the head."""
        deadline = time.monotonic() + TURN_SECONDS
        watched = self._watched()
        asked: deque[_Asked] = deque()
        following = place[0] + 1
        writing: Future[None] | None = None
        with ThreadPoolExecutor(IN_FLIGHT) as readers, ThreadPoolExecutor(1) as writer:
            try:
                while True:
                    if time.monotonic() < deadline:
                        self._ask_ahead(readers, asked, watched, following, head)
                    if not asked:
                        return
                    current = asked.popleft()
                    read = self._answer_of(current)
                    if read is None:
                        # Too wide: what was asked beyond it is asked again, from there.
                        _forget(asked)
                        continue
                    if read.first.parent_hash != place[1]:
                        raise RpcInconsistent(
                            f"block {current.first} does not follow our block {place[0]}"
                        )
                    if writing is not None:
                        writing.result()
                    writing = writer.submit(self._apply, place, read.found)
                    place = (read.found.end.number, read.found.end.hash)
                    following = current.last + 1
                    if read.changes_watched:
                        writing.result()
                        watched = self._watched()
                        _forget(asked)
            finally:
                _forget(asked)
                if writing is not None:
                    writing.result()

    def _ask_ahead(
        self,
        readers: ThreadPoolExecutor,
        asked: deque[_Asked],
        watched: Watched,
        following: int,
        head: Block,
    ) -> None:
        first = asked[-1].last + 1 if asked else following
        while len(asked) < IN_FLIGHT and first <= head.number:
            last = min(first + self._pace.blocks - 1, head.number)
            answer = readers.submit(
                self._reader.read, watched, first, last, head.number, steps=self._pace.steps
            )
            asked.append(_Asked(first, last, answer))
            first = last + 1

    def _answer_of(self, asked: _Asked) -> ReadRange | None:
        """Wait for a range; None where the node may give a narrower one."""
        blocks = asked.last - asked.first + 1
        try:
            read = asked.answer.result()
        except RpcRefused as refused:
            self._pace.halve(blocks, refused)
            return None
        except RateLimited:
            # Narrower ranges would be more of them.
            raise
        except RpcUnavailable:
            self._pace.refused(blocks)
            raise
        self._pace.answered(blocks, read.logs)
        return read

    def _apply(self, after: Place, found: ProjectedRange) -> None:
        """Apply a range in one transaction, whether or not the answer to its COMMIT arrives."""
        chain_id = self._client.chain_id
        try:
            with self._database.transaction() as session:
                if found.head_number - found.end.number > FAR_BEHIND:
                    # A crash of the server may then take the newest ranges back, each as a
                    # whole and with its cursor; whatever is committed later and durably, as
                    # everything that was decided upon them, makes them durable too.
                    session.execute(text("SET LOCAL synchronous_commit = off"))
                projection.apply_range(session, chain_id, after=after, found=found)
                failpoints.reach("sync_before_commit")
            failpoints.reach("sync_after_commit")
        except SumDiffers as wrong:
            self._read_again(wrong)
            raise CursorMoved("a token of this range is read again by itself") from wrong
        except (DBAPIError, psycopg.Error) as fault:
            if catching_up.is_impossible(fault):
                if not self._set_apart(found.named_tokens()):
                    raise RpcInconsistent(
                        f"what is deployed by block {found.end.number} moves what it has not"
                    ) from fault
                raise CursorMoved("tokens of this range are caught up by themselves") from fault
            # Only the cursor knows. Its row is locked until the lost transaction has ended.
            with self._database.transaction() as session:
                cursor = session.get(SyncCursor, chain_id, with_for_update=True)
            if cursor is None or (cursor.number, cursor.hash) != (found.end.number, found.end.hash):
                raise
            log.warning("commit_confirmed", block=found.end.number)
        if found.count:
            log.info(
                "range_projected",
                first=after[0] + 1,
                last=found.end.number,
                events=found.count,
            )

    def _read_again(self, wrong: SumDiffers, *, back_to: int | None = None) -> None:
        """Mend the one token, so that the rest goes on, and tell that it was wrong.

        See `registry.captable.catching_up.read_again`.

        Raises
        ------
        RpcInconsistent
            The same range deploys it, so that nothing of it stands that could be mended.
        """
        with self._database.transaction() as session:
            is_known = catching_up.read_again(session, wrong, back_to=back_to)
        if not is_known:
            raise RpcInconsistent(str(wrong)) from wrong

    def _followed(self) -> Followed:
        # One statement sees one moment, and needs no transaction around it.
        with self._database.autocommit() as connection:
            return read_followed(connection, self._client.chain_id, NAMES)

    def _watched(self) -> Watched:
        return watched_of(self._followed())

    # -- reorgs ------------------------------------------------------------------------------

    def take_back_wrong(self, number: int) -> None:
        """Go back to before a stored block that is not the node's, though the cursor is."""
        head = self._client.head()
        cursor = self._cursor(head)
        with self._database.transaction() as session:
            reason = f"block {number} as it was stored is not the chain's"
            degrade(session, self._client.chain_id, reason, block=number)
        self._take_back(cursor, head, below=number)

    def _take_back(self, cursor: SyncCursor, head: Block, *, below: int | None = None) -> None:
        # Another chain has none of our blocks, and that is no reason to forget them.
        self._client.check()
        found = common_ancestor(self._database, self._client, below=below)
        ancestor = projected(found or self._genesis())
        branch = None
        if below is None:
            # Otherwise most of it is what is taken back, and whoever follows would see no change.
            watched = self._watched()
            branch = read_branch(self._reader, watched, ancestor, head, self._pace.steps)
        failpoints.reach("sync_before_rewind")
        try:
            taken = self._rewind(cursor, head, ancestor, branch, is_reset=found is None)
        except SumDiffers as wrong:
            self._read_again(wrong, back_to=ancestor.number)
            raise CursorMoved("a token is read again, and the reorg followed then") from wrong
        failpoints.reach("sync_after_rewind")
        log.warning("reorg", was=cursor.number, ancestor=ancestor.number, blocks_taken_back=taken)

    def _rewind(
        self,
        cursor: SyncCursor,
        head: Block,
        ancestor: ProjectedBlock,
        branch: NewBranch | None,
        *,
        is_reset: bool,
    ) -> int:
        chain_id = self._client.chain_id
        with self._database.transaction() as session:
            # First of all, and locking the cursor: another indexer may have done it meanwhile,
            # and gone on along the new branch.
            projection.move_cursor(
                session,
                chain_id,
                after=(cursor.number, cursor.hash),
                to=ancestor,
                head_number=head.number,
            )
            taken = rewind(session, chain_id, ancestor)
            note_taken_back(session, chain_id, cursor, ancestor, is_reset=is_reset)
            # What was mined in those blocks is sent again at once.
            operations.wake(session)
            failpoints.reach("sync_mid_rewind")
            if branch is not None:
                branch.apply(session, chain_id)
                failpoints.reach("sync_before_commit")
        return taken

    def _genesis(self) -> Block:
        """Give the chain's first block, to begin again there.

        Where the node has none of our blocks, its chain is another one than we followed, and the
        operations are sent again from their bytes.
        """
        genesis = self._client.block(0)
        if genesis is None:
            raise RpcInconsistent("the node has no block 0")
        return genesis


def _forget(asked: deque[_Asked]) -> None:
    """Drop what was asked ahead; an answer that is on its way is read and thrown away."""
    while asked:
        asked.pop().answer.cancel()


_counting = threading.Lock()
_far_behind = 0


@contextmanager
def _collector_put_off(*, far: bool) -> Iterator[None]:
    """Put the garbage collector off while anybody in this process is far behind.

    Nothing made meanwhile has cycles, but the collector would walk it again and again.
    """
    global _far_behind  # noqa: PLW0603
    if not far:
        yield
        return
    keep_freed()
    with _counting:
        _far_behind += 1
        gc.disable()
    try:
        yield
    finally:
        with _counting:
            _far_behind -= 1
            if not _far_behind:
                gc.enable()
