"""Reading the chain's events into the cap table, block range by block range.

A range is believed only when everything about it agrees: its first header follows our cursor,
its last header is the same before and after the logs were read, every log stands in the block
that its header names, and logs come in strictly rising order (ADR 0005).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import structlog
from sqlmodel import Session, col, select

from chain.abi import contract
from chain.client import Block, ChainClient, Log, block_query, hex_of, read_block
from chain.decode import read_case_act, read_deployment, read_event
from chain.errors import RpcInconsistent, RpcRefused
from chain.forced import mark_forced
from chain.platform import platform_contract
from registry.captable import projection
from registry.captable.events import (
    ProjectedBlock,
    ProjectedEvent,
    ProjectedRange,
    ProjectedToken,
)
from registry.captable.models import ChainBlock, EventKind, SyncCursor, Token
from registry.captable.rewind import rewind
from registry.kernel.clock import now
from registry.kernel.db import Database

log = structlog.get_logger()

MAX_RANGE = 2_000
BEAT_EVERY = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class _Watched:
    """Whose logs are read: address to (token, whether it is the token's identity registry).

    Parameters
    ----------
    agent
        The CaseAgent, which tells of forced acts on every token.
    """

    factory: bytes | None
    agent: bytes | None
    emitters: dict[bytes, tuple[bytes, bool]]

    @property
    def addresses(self) -> list[bytes]:
        return [item for item in (self.factory, self.agent, *self.emitters) if item is not None]

    def with_tokens(self, tokens: Sequence[ProjectedToken]) -> _Watched:
        emitters = dict(self.emitters)
        for token in tokens:
            emitters[token.address] = (token.address, False)
            emitters[token.identity_registry] = (token.address, True)
        return replace(self, emitters=emitters)


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
        self._range = MAX_RANGE

    def advance(self) -> bool:
        """Project the next range, or take back what a reorg undid.

        Returns
        -------
        bool
            True when something changed and there may be more.

        Raises
        ------
        RpcInconsistent
            The node contradicts itself; nothing is changed, and a later try may succeed.
        CursorMoved
            Another indexer was faster; nothing is changed.
        """
        head = self._client.head()
        cursor = self._cursor(head)
        stored = self._client.block(cursor.number)
        if stored is None or stored.hash != cursor.hash:
            self._take_back(cursor, head)
            return True
        if head.number <= cursor.number:
            self._beat(cursor)
            return False
        last = min(head.number, cursor.number + self._range)
        try:
            found = self._read_range(cursor, last, head)
        except RpcRefused as refused:
            # Too many results, too wide a range: nodes word it differently, halving cures it.
            if self._range == 1:
                raise
            self._range = max(self._range // 2, 1)
            log.info("range_halved", blocks=self._range, reason=refused.message)
            return True
        self._range = min(self._range * 2, MAX_RANGE)
        with self._database.transaction() as session:
            projection.apply_range(
                session, self._client.chain_id, after=(cursor.number, cursor.hash), found=found
            )
        if found.events:
            log.info(
                "range_projected", first=cursor.number + 1, last=last, events=len(found.events)
            )
        return True

    def _beat(self, cursor: SyncCursor) -> None:
        """Tell now and then that we are at the head, so that readers know it is no silence."""
        if now() - cursor.checked_at > BEAT_EVERY:
            with self._database.transaction() as session:
                projection.touch_cursor(session, self._client.chain_id)

    def _cursor(self, head: Block) -> SyncCursor:
        """Return the cursor; the first time it stands at the head, before anything of ours."""
        with self._database.transaction() as session:
            return projection.open_cursor(
                session, self._client.chain_id, _projected(head), head.number
            )

    # -- reading a range ---------------------------------------------------------------------

    def _read_range(self, cursor: SyncCursor, last: int, head: Block) -> ProjectedRange:
        first = cursor.number + 1
        ends = self._headers({first, last})
        if ends[first].parent_hash != cursor.hash:
            raise RpcInconsistent(f"block {first} does not follow our block {cursor.number}")
        with self._database.reading() as session:
            watched = _watched(session, self._client.chain_id)
        logs, deployed = self._read_logs(watched, first, last)
        headers = self._headers({entry.block_number for entry in logs} | {last})
        if headers[last].hash != ends[last].hash:
            raise RpcInconsistent(f"block {last} changed while its range was read")
        for entry in logs:
            if entry.block_hash != headers[entry.block_number].hash:
                raise RpcInconsistent(f"a log of block {entry.block_number} is of another branch")
        return ProjectedRange(
            blocks=[_projected(headers[number]) for number in sorted(headers)],
            tokens=deployed,
            events=self._decode(watched.with_tokens(deployed), logs),
            head_number=head.number,
        )

    def _headers(self, numbers: set[int]) -> dict[int, Block]:
        answers = self._client.batch(
            [(name, tuple(params)) for name, *params in map(block_query, sorted(numbers))]
        )
        headers = {}
        for number, answer in zip(sorted(numbers), answers, strict=True):
            block = read_block(answer)
            if block is None or block.number != number:
                raise RpcInconsistent(f"the node has no block {number} below its own head")
            headers[number] = block
        return headers

    def _read_logs(
        self, watched: _Watched, first: int, last: int
    ) -> tuple[list[Log], list[ProjectedToken]]:
        """Read the range's logs, those of tokens that are deployed within it included."""
        if watched.factory is None:
            return [], []
        logs = self._client.logs(watched.addresses, first, last)
        deployed = [
            token
            for entry in logs
            if entry.address == watched.factory and (token := read_deployment(entry)) is not None
        ]
        if deployed:
            addresses = [item for new in deployed for item in (new.address, new.identity_registry)]
            logs += self._client.logs(addresses, first, last)
            logs.sort(key=lambda entry: (entry.block_number, entry.log_index))
        places = [(entry.block_number, entry.log_index) for entry in logs]
        if any(later <= earlier for earlier, later in pairwise(places)):
            raise RpcInconsistent("the node's logs repeat or are out of order")
        if places and not first <= places[0][0] <= places[-1][0] <= last:
            raise RpcInconsistent("the node returned logs of blocks that were not asked for")
        return logs, deployed

    def _decode(self, watched: _Watched, logs: Sequence[Log]) -> list[ProjectedEvent]:
        events = []
        for entry in logs:
            event = _read(watched, entry)
            if event is None:
                continue
            if event.kind == EventKind.IDENTITY_REGISTERED:
                event = self._with_country(event, entry)
            events.append(event)
        return mark_forced(self._client, events, logs)

    def _with_country(self, event: ProjectedEvent, entry: Log) -> ProjectedEvent:
        """Read the country, which T-REX 4.1.6 does not log, at the event's own block."""
        function = contract("IdentityRegistry").functions["investorCountry"]
        assert event.target is not None
        assert event.extra is not None
        data = function.encode(hex_of(event.target))
        try:
            answer = self._client.call(entry.address, data, block=entry.block_hash)
        except RpcRefused:
            # A node that pruned that state still knows the newest country; a change since then
            # is an event of its own, and will be projected in its turn.
            log.warning("historic_state_pruned", block=entry.block_number)
            answer = self._client.call(entry.address, data)
        return replace(event, extra=event.extra | {"country": function.decode(answer)})

    # -- reorgs ------------------------------------------------------------------------------

    def _take_back(self, cursor: SyncCursor, head: Block) -> None:
        ancestor = self._common_ancestor()
        with self._database.transaction() as session:
            # First of all, and locking the cursor: another indexer may have done it meanwhile,
            # and gone on along the new branch.
            projection.move_cursor(
                session,
                self._client.chain_id,
                after=(cursor.number, cursor.hash),
                to=ancestor,
                head_number=head.number,
            )
            taken = rewind(session, self._client.chain_id, ancestor)
        log.warning("reorg", was=cursor.number, ancestor=ancestor.number, blocks_taken_back=taken)

    def _common_ancestor(self) -> ProjectedBlock:
        """Find the newest stored block that the node still has.

        Where it has none of them, the whole chain is another one than we followed; then we
        begin again at its first block, and the operations are sent again from their bytes.
        """
        with self._database.reading() as session:
            stored = session.exec(
                select(ChainBlock)
                .where(col(ChainBlock.chain_id) == self._client.chain_id)
                .order_by(col(ChainBlock.number).desc())
            ).all()
        for row in stored:
            block = self._client.block(row.number)
            if block is not None and block.hash == row.hash:
                return _projected(block)
        genesis = self._client.block(0)
        if genesis is None:
            raise RpcInconsistent("the node has no block 0")
        return _projected(genesis)


def _read(watched: _Watched, entry: Log) -> ProjectedEvent | None:
    if entry.address == watched.agent:
        act = read_case_act(entry)
        return act if act and watched.emitters.get(act.token) == (act.token, False) else None
    if entry.address not in watched.emitters:
        return None
    token, is_registry = watched.emitters[entry.address]
    return read_event(entry, token, is_registry=is_registry)


def _watched(session: Session, chain_id: int) -> _Watched:
    factory = platform_contract(session, chain_id, "TREXFactory")
    tokens = session.exec(select(Token).where(col(Token.chain_id) == chain_id))
    agent = platform_contract(session, chain_id, "CaseAgent")
    watched = _Watched(factory.address if factory else None, agent.address if agent else None, {})
    return watched.with_tokens(
        [
            ProjectedToken(
                address=token.address,
                identity_registry=token.identity_registry,
                compliance=token.compliance,
                block_number=token.block_number,
            )
            for token in tokens
        ]
    )


def _projected(block: Block) -> ProjectedBlock:
    return ProjectedBlock(
        number=block.number,
        hash=block.hash,
        parent_hash=block.parent_hash,
        mined_at=datetime.fromtimestamp(block.timestamp, UTC),
    )
