"""Reading one range of blocks, and believing it only when everything about it agrees.

Its last header is the same before and after the logs were read, every log stands in the block
that its header names, logs come in strictly rising order, and a block of which the node gives no
logs cannot hold any by its own bloom filter, or has none when asked for by its hash (ADR 0005).
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog

from chain.errors import RpcInconsistent, RpcRefused
from chain.node.bloom import may_hold
from chain.node.client import Block, ChainClient
from chain.sync.decode import UndecodableLog
from chain.sync.forced import mark_forced
from chain.sync.gathering import Gathering
from chain.sync.near_head import check_near_head, near_head
from chain.sync.pace import Steps
from chain.sync.suites import ToldBy
from chain.sync.watched import Watched
from registry.captable.events import ProjectedBlock, ProjectedRange
from registry.captable.models import EventKind

log = structlog.get_logger()

FAR_SECONDS = 0.1
"""A node that takes longer for two headers is asked for wide pieces only: its way is too long."""
MOST_LOGS = 250_000
"""A range that has more is read as narrower ones: about 50 MB."""

_OF_AGENTS = frozenset({EventKind.AGENT_ADDED, EventKind.AGENT_REMOVED})


@dataclass(frozen=True, slots=True)
class ReadRange:
    """A range that agrees with itself.

    Parameters
    ----------
    first
        Its first header, which must follow the cursor.
    """

    first: Block
    found: ProjectedRange
    logs: int

    @property
    def changes_watched(self) -> bool:
        """Whether what follows is to be read with other eyes: new tokens, or new agents."""
        return bool(self.found.tokens) or any(
            event.kind in _OF_AGENTS for event in self.found.events
        )


class RangeReader:
    """Reads ranges of one chain; several threads may read at once.

    Parameters
    ----------
    told_by
        Gives what a contract had said that becomes a part of a token's suite. Without it a token
        whose suite changes is left to whoever reads it by itself.
    """

    def __init__(self, client: ChainClient, told_by: ToldBy | None = None) -> None:
        self._client = client
        self._told_by = told_by

    def read(
        self,
        watched: Watched,
        first: int,
        last: int,
        head_number: int,
        *,
        steps: Steps | None = None,
    ) -> ReadRange:
        """Read the blocks from `first` to `last`, both included.

        Parameters
        ----------
        steps
            Of how many blocks to ask for the logs at once; of all by default.

        Raises
        ------
        RpcInconsistent
            The node contradicts itself.
        RpcRefused
            Too many results, too wide a range, or anything else that the node does not give.
        UndecodableLog
            A contract of ours emitted what its ABI does not have.
        SuiteChanges
            A token gets another contract, and nobody gives its past.
        StillReading
            Its past is not read to its end.
        """
        asked_at = time.monotonic()
        ends = self._headers({first, last})
        is_far = time.monotonic() - asked_at > FAR_SECONDS
        gathered = Gathering(self._client, watched, self._told_by)
        for start, end in _pieces(first, last, steps and (steps.far if is_far else steps.near)):
            _gather(gathered, start, end, is_narrow=first == last)
            if gathered.logs > MOST_LOGS and first < last:
                raise RpcRefused(
                    "eth_getLogs", 0, f"the range has more than {MOST_LOGS} logs", None
                )
        numbers = gathered.hashes.keys()
        near = near_head(first, last, head_number)
        headers = ends | self._headers({*numbers, *near, last})
        if headers[last].hash != ends[last].hash:
            raise RpcInconsistent(f"block {last} changed while its range was read")
        for number, digest in gathered.hashes.items():
            if digest != headers[number].hash:
                raise RpcInconsistent(f"a log of block {number} is of another branch")
        # Elsewhere than near the head only of the two ends, and only if they are wholly silent.
        silent = {first, last} - gathered.hashes.keys()
        asked = [headers[number] for number in sorted({*silent, *near})]
        transfers = gathered.transfers()
        heard = gathered.emitters_from(near.start, transfers) if near else {}
        self._check_silence(gathered, heard, asked)
        check_near_head(self._client, near, headers, transfers, gathered.said())
        return ReadRange(
            first=headers[first],
            found=ProjectedRange(
                blocks=[projected(headers[number]) for number in sorted({*numbers, last})],
                tokens=gathered.tokens,
                transfers=mark_forced(
                    self._client, watched, transfers, gathered.events, gathered.others
                ),
                events=gathered.events,
                contract_events=gathered.contract_events,
                head_number=head_number,
            ),
            logs=gathered.logs,
        )

    def read_head(self, watched: Watched, head: Block) -> ReadRange | None:
        """Read the newest block by its hash (EIP-234), which binds all that is said of it.

        Nothing is asked where its own filter says that it has no log of ours.

        Returns
        -------
        ReadRange or None
            None where it is to be read like any range: tokens are deployed in it, the node does
            not give logs by hash, or gives none of an address that the filter may hold.

        Raises
        ------
        RpcInconsistent, UndecodableLog, SuiteChanges
            As `read`.
        """
        gathered = Gathering(self._client, watched, self._told_by)
        suspect = [item for item in watched.addresses if may_hold(head.logs_bloom, item)]
        if suspect and not gathered.read_block(suspect, head):
            return None
        transfers = gathered.transfers()
        heard = gathered.emitters_from(head.number, transfers)
        if heard.get(head.number, set()) != set(suspect):
            return None
        only = range(head.number, head.number + 1)
        check_near_head(self._client, only, {head.number: head}, transfers, gathered.said())
        return ReadRange(
            first=head,
            found=ProjectedRange(
                blocks=[projected(head)],
                tokens=[],
                transfers=mark_forced(
                    self._client, watched, transfers, gathered.events, gathered.others
                ),
                events=gathered.events,
                contract_events=gathered.contract_events,
                head_number=head.number,
            ),
            logs=gathered.logs,
        )

    def _headers(self, wanted: set[int]) -> dict[int, Block]:
        numbers = sorted(wanted)
        headers = {}
        for number, block in zip(numbers, self._client.headers(numbers), strict=True):
            if block is None or block.number != number:
                raise RpcInconsistent(f"the node has no block {number} below its own head")
            headers[number] = block
        return headers

    def _check_silence(
        self, gathered: Gathering, heard: Mapping[int, set[bytes]], headers: Sequence[Block]
    ) -> None:
        """Ask once more, by hash, for what a block's own filter says that it may have.

        Nodes were seen to answer "no logs" for a block that they had only just imported, and an
        answer for a token that the range itself deploys may be of another node than the first.
        """
        for header in headers:
            silent = gathered.watched_at(header.number).addresses_but(heard.get(header.number, ()))
            suspect = [item for item in silent if may_hold(header.logs_bloom, item)]
            if suspect and self._are_heard(suspect, header):
                raise RpcInconsistent(f"the node left out logs of block {header.number}")

    def _are_heard(self, addresses: Sequence[bytes], header: Block) -> bool:
        """Ask a node's index of logs by the block's hash, and then what the index is made of."""
        if self._client.logs_of_block(addresses, header.hash):
            return True
        try:
            return bool(self._client.emitters(header.hash) & set(addresses))
        except RpcRefused as refused:
            # Not every node has the method; its other answers agree, and filters match by chance.
            log.debug("receipts_unknown", block=header.number, reason=refused.message)
            return False


def projected(block: Block) -> ProjectedBlock:
    """Give what the projection keeps of a header."""
    return ProjectedBlock(
        number=block.number,
        hash=block.hash,
        parent_hash=block.parent_hash,
        mined_at=datetime.fromtimestamp(block.timestamp, UTC),
    )


def _gather(gathered: Gathering, start: int, end: int, *, is_narrow: bool) -> None:
    """Read a piece of a range.

    Raises
    ------
    RpcRefused
        A token that is deployed in the range says nonsense in it. There is no row of it yet that
        could be set apart: a narrower range ends in between.
    """
    try:
        gathered.read(start, end)
    except UndecodableLog as nonsense:
        if is_narrow or not gathered.is_new(nonsense.address):
            raise
        raise RpcRefused("eth_getLogs", 0, f"a new token cannot be read: {nonsense}", None) from (
            nonsense
        )


def _pieces(first: int, last: int, step: int | None) -> Iterator[tuple[int, int]]:
    width = step or last - first + 1
    for start in range(first, last + 1, width):
        yield start, min(start + width - 1, last)
