"""Catching the platform's own contracts up beside their chain, from the blocks that made them.

They stand before anybody looks at them, and on an older database for long: the claims that were
written by then are read here, and from then on with everything else.
"""

from __future__ import annotations

import time

import structlog

from chain.errors import RpcRefused
from chain.node.client import ChainClient, hex_of
from chain.sync.catch_up import TURN_SECONDS, joins_chain, lock_cursor, require_same
from chain.sync.contract_events import CONTRACTS
from chain.sync.pace import Pace
from chain.sync.ranges import RangeReader, ReadRange
from chain.sync.watched import Watched
from registry.captable import contracts
from registry.captable.contract_models import FollowedContract
from registry.captable.models import SyncCursor
from registry.captable.projection import CursorMoved
from registry.kernel.db import Database
from registry.operation.models import PlatformContract

log = structlog.get_logger()


class ContractCatchUp:
    """Catches up the platform's contracts on one chain."""

    def __init__(self, database: Database, client: ChainClient) -> None:
        self._database = database
        self._client = client
        self._reader = RangeReader(client)
        self._pace = Pace()

    def advance(self) -> bool:
        """Read on in every contract that is behind, for some seconds at most.

        Returns
        -------
        bool
            Whether any was behind, so that there may be more.
        """
        chain_id = self._client.chain_id
        with self._database.reading() as session:
            unknown = contracts.list_unknown(session, chain_id, CONTRACTS)
            behind = contracts.list_behind(session, chain_id)
        for found in unknown:
            self._begin(found)
        deadline = time.monotonic() + TURN_SECONDS
        for contract in behind:
            while self._step(contract.address) and time.monotonic() < deadline:
                pass
        return bool(unknown or behind)

    def _begin(self, found: PlatformContract) -> None:
        has_its_block = self._has(found.block_number)
        with self._database.transaction() as session:
            contract = contracts.begin(session, found)
            if not has_its_block:
                # Neither has it the logs, nor will it.
                cursor = session.get_one(SyncCursor, found.chain_id, with_for_update=True)
                contract.caught_up_to = cursor.number
                contract.read_from = cursor.number + 1
                session.add(contract)
                log.error(
                    "contract_history_missing",
                    contract=found.name,
                    since=found.block_number,
                    known_from=cursor.number + 1,
                    remedy="sync from a node that has the blocks, with the row of this contract "
                    "deleted from followed_contract",
                )

    def _has(self, number: int) -> bool:
        """Tell whether the node has a block: it may have been started from a snapshot, or prune."""
        try:
            return self._client.block(number) is not None
        except RpcRefused:
            return False

    def _step(self, address: bytes) -> bool:
        """Read the next range of a contract; tell whether there is more."""
        chain_id = self._client.chain_id
        with self._database.reading() as session:
            contract = session.get(FollowedContract, (chain_id, address))
            cursor = session.get(SyncCursor, chain_id)
        if contract is None or cursor is None or contract.caught_up_to is None:
            return False
        place = contract.caught_up_to
        if place >= cursor.number:
            return self._apply(contract, cursor, None)
        last = min(place + self._pace.blocks, cursor.number)
        watched = Watched(None, None, {}, contracts={address: contract.name})
        try:
            read = self._reader.read(watched, place + 1, last, cursor.head_number)
        except RpcRefused as refused:
            self._pace.halve(last - place, refused)
            return True
        self._pace.answered(last - place, read.logs)
        return self._apply(contract, cursor, read)

    def _apply(self, seen: FollowedContract, cursor: SyncCursor, read: ReadRange | None) -> bool:
        """Apply what was read while the chain stands where it stood; tell whether to go on."""
        with self._database.transaction() as session:
            lock_cursor(session, cursor)
            contract = session.get_one(
                FollowedContract, (seen.chain_id, seen.address), with_for_update=True
            )
            if contract.caught_up_to != seen.caught_up_to:
                raise CursorMoved("another program caught the contract up")
            if read is None:
                # Made above what is read of the chain, which comes to its block in its turn.
                joins, contract.caught_up_to = True, None
                session.add(contract)
            else:
                joins = joins_chain(read.found.end, cursor)
                require_same(session, cursor.chain_id, read.found.blocks)
                contracts.apply_part(session, contract, read.found, joins=joins)
        if joins:
            log.info("contract_followed", contract=seen.name, address=hex_of(seen.address))
        return not joins
