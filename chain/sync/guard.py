"""Whether what we stored is still the node's: at every start, and now and then.

Following the chain compares the cursor only. What was stored long ago, or while another program
wrote, is compared here: chain id, final block, and some blocks taken by chance.
"""

from __future__ import annotations

import math
import random
import time

import structlog
from sqlmodel import Session, col, func, select

from chain.errors import RpcRefused, WrongChain
from chain.node.client import ChainClient, hex_of
from chain.node.finality import final_height
from chain.sync.kept import kept_headers
from registry.captable import degraded
from registry.captable.models import ChainBlock, SyncCursor
from registry.kernel.db import Database
from registry.kernel.settings import Finality

log = structlog.get_logger()

CHECK_SECONDS = 60.0
SAMPLE = 16
TAG_SECONDS = 5.0
"""After which a node is asked again which block its tag names, where no new one has come."""


class Guard:
    """Compares what is stored of one chain with its node.

    Parameters
    ----------
    finality
        Which blocks are final; a reorg below one is an alarm.
    """

    def __init__(self, database: Database, client: ChainClient, *, finality: Finality) -> None:
        self._database = database
        self._client = client
        self._finality = finality
        self._check_at = 0.0
        self._seen: bytes | None = None
        self._look_again_at = math.inf

    def check_due(self) -> int | None:
        """Make sure that it is our chain; at the first call and every minute, compare.

        Returns
        -------
        int or None
            The lowest stored block that is not the node's, if one was found.

        Raises
        ------
        WrongChain
            The node serves another chain; that is said in the cursor.
        """
        # Another chain would look like a reorg of everything.
        self.require_chain()
        if time.monotonic() < self._check_at:
            return None
        wrong = self.compare()
        self._check_at = time.monotonic() + CHECK_SECONDS
        return wrong

    def require_chain(self) -> None:
        """Make sure that the node serves our chain.

        Raises
        ------
        WrongChain
            It does not; readers are told.
        """
        try:
            self._client.check()
        except WrongChain as wrong:
            with self._database.transaction() as session:
                degraded.degrade(
                    session,
                    self._client.chain_id,
                    f"the node serves chain {wrong.served} instead of {wrong.wanted}",
                )
            raise

    def compare(self) -> int | None:
        """Return the lowest stored block that is not the node's, of those that were compared.

        A cursor that is not the node's is none: following the chain takes that back. Where it is,
        a block below that the node does not give was not kept, and counts for nothing.
        """
        with self._database.reading() as session:
            cursor = session.get(SyncCursor, self._client.chain_id)
            if cursor is None:
                return None
            stored = self._sample(session, cursor)
        numbers = [*sorted(stored), cursor.number]
        *headers, last = kept_headers(self._client, numbers)
        if last is None or last.hash != cursor.hash:
            return None
        wrong = [
            number
            for number, header in zip(numbers, headers, strict=False)
            if header is not None and header.hash != stored[number]
        ]
        for number in wrong:
            log.error("stored_block_wrong", block=number, stored=hex_of(stored[number]))
        return min(wrong, default=None)

    def _sample(self, session: Session, cursor: SyncCursor) -> dict[int, bytes]:
        of_chain = col(ChainBlock.chain_id) == self._client.chain_id
        lowest = session.exec(select(func.min(col(ChainBlock.number))).where(of_chain)).one()
        stored = {}
        for _ in range(SAMPLE):
            place = random.randint(lowest, cursor.number)  # noqa: S311 - chance, not a secret
            row = session.exec(
                select(ChainBlock)
                .where(of_chain, col(ChainBlock.number) >= place)
                .order_by(col(ChainBlock.number))
                .limit(1)
            ).first()
            if row is not None:
                stored[row.number] = row.hash
        if cursor.finalized_number is not None and cursor.finalized_hash is not None:
            stored[cursor.finalized_number] = cursor.finalized_hash
        return stored

    def note_final(self) -> None:
        """Keep the newest block that is final now; only a reorg ever sets it back."""
        with self._database.reading() as session:
            cursor = session.get(SyncCursor, self._client.chain_id)
        if cursor is None:
            return
        if cursor.hash == self._seen and time.monotonic() < self._look_again_at:
            return
        try:
            height = final_height(self._client, self._finality, cursor.number)
        except RpcRefused as refused:
            log.warning("finality_unknown", reason=refused.message)
            return
        height = min(height, cursor.number)
        known = cursor.finalized_number
        block = self._client.block(height) if height > (-1 if known is None else known) else None
        if block is not None:
            with self._database.transaction() as session:
                held = session.get_one(SyncCursor, self._client.chain_id, with_for_update=True)
                if (held.number, held.hash) != (cursor.number, cursor.hash):
                    return
                held.finalized_number, held.finalized_hash = block.number, block.hash
                session.add(held)
        self._seen = cursor.hash
        # By a tag the newest block becomes final without another one.
        waits = height < cursor.number and not isinstance(self._finality, int)
        self._look_again_at = time.monotonic() + TAG_SECONDS if waits else math.inf
