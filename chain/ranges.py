"""Reading one range of blocks, and believing it only when everything about it agrees.

Its last header is the same before and after the logs were read, every log stands in the block
that its header names, logs come in strictly rising order, and a block of which the node gives no
logs cannot hold any by its own bloom filter, or has none when asked for by its hash (ADR 0005).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec
import structlog

from chain.abi import contract
from chain.bloom import may_hold
from chain.client import Block, ChainClient, Log, bytes_of, hex_of, log_of
from chain.decode import TRANSFER, TransferReader, read_case_act, read_deployment, read_event
from chain.errors import RpcInconsistent, RpcRefused
from chain.forced import mark_forced
from chain.watched import Watched
from chain.wire import WireLog
from registry.captable.events import (
    ProjectedBlock,
    ProjectedEvent,
    ProjectedRange,
    ProjectedToken,
)
from registry.captable.models import EventKind

log = structlog.get_logger()

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
        """Whether what follows is to be read with other eyes: new tokens, or other agents."""
        return bool(self.found.tokens) or any(
            event.kind in _OF_AGENTS for event in self.found.events
        )


class RangeReader:
    """Reads ranges of one chain; several threads may read at once."""

    def __init__(self, client: ChainClient) -> None:
        self._client = client

    def read(self, watched: Watched, first: int, last: int, head_number: int) -> ReadRange:
        """Read the blocks from `first` to `last`, both included.

        Raises
        ------
        RpcInconsistent
            The node contradicts itself.
        RpcRefused
            Too many results, too wide a range, or anything else that the node does not give.
        UndecodableLog
            A contract of ours emitted what its ABI does not have.
        """
        ends = self._headers({first, last})
        logs, numbers, deployed = self._read_logs(watched, first, last)
        watched = watched.with_tokens(deployed)
        headers = ends | self._headers({*numbers, last})
        if headers[last].hash != ends[last].hash:
            raise RpcInconsistent(f"block {last} changed while its range was read")
        self._check_hashes(logs, numbers, headers)
        self._check_silence(watched, [headers[end] for end in {first, last} - set(numbers)])
        kept = {*numbers, last}
        return ReadRange(
            first=headers[first],
            found=ProjectedRange(
                blocks=[projected(headers[number]) for number in sorted(kept)],
                tokens=deployed,
                events=self._decode(watched, logs, numbers),
                head_number=head_number,
            ),
            logs=len(logs),
        )

    def _headers(self, wanted: set[int]) -> dict[int, Block]:
        numbers = sorted(wanted)
        headers = {}
        for number, block in zip(numbers, self._client.headers(numbers), strict=True):
            if block is None or block.number != number:
                raise RpcInconsistent(f"the node has no block {number} below its own head")
            headers[number] = block
        return headers

    def _read_logs(
        self, watched: Watched, first: int, last: int
    ) -> tuple[Sequence[WireLog], list[int], list[ProjectedToken]]:
        """Read the range's logs, each one's block, and the tokens deployed within it."""
        if watched.factory is None and not watched.emitters:
            return [], [], []
        logs = self._client.logs(watched.addresses, first, last)
        factory = hex_of(watched.factory) if watched.factory else None
        deployed = [
            token
            for entry in logs
            if entry.address == factory and (token := read_deployment(log_of(entry))) is not None
        ]
        if deployed:
            addresses = [item for new in deployed for item in (new.address, new.identity_registry)]
            logs = logs + self._client.logs(addresses, first, last)
            logs.sort(key=lambda entry: (int(entry.block_number, 16), int(entry.log_index, 16)))
        return logs, _rising_numbers(logs, first, last), deployed

    def _check_hashes(
        self, logs: Sequence[WireLog], numbers: Sequence[int], headers: Mapping[int, Block]
    ) -> None:
        hashes = {number: hex_of(block.hash) for number, block in headers.items()}
        for entry, number in zip(logs, numbers, strict=True):
            if entry.block_hash != hashes[number]:
                raise RpcInconsistent(f"a log of block {number} is of another branch")

    def _check_silence(self, watched: Watched, headers: Sequence[Block]) -> None:
        """Ask once more, by hash, for logs of a block whose own filter says that it may have some.

        Nodes were seen to answer "no logs" for a block that they had only just imported.
        """
        addresses = watched.addresses
        for header in headers:
            suspect = [item for item in addresses if may_hold(header.logs_bloom, item)]
            if suspect and self._client.logs_of_block(suspect, header.hash):
                raise RpcInconsistent(f"the node left out the logs of block {header.number}")

    def _decode(
        self, watched: Watched, logs: Sequence[WireLog], numbers: Sequence[int]
    ) -> Sequence[ProjectedEvent]:
        emitters = {hex_of(address): emitter for address, emitter in watched.emitters.items()}
        read_transfer = TransferReader().read
        events = []
        others = []
        for entry, number in zip(logs, numbers, strict=True):
            emitter = emitters.get(entry.address)
            if emitter and not emitter[1] and entry.topics and entry.topics[0] == TRANSFER:
                events.append(read_transfer(entry, emitter[0], number))
                continue
            known = log_of(entry)
            others.append(known)
            event = _read(watched, known)
            if event is None:
                continue
            if event.kind == EventKind.IDENTITY_REGISTERED:
                event = self._with_country(event, entry)
            events.append(event)
        return mark_forced(self._client, watched, events, others)

    def _with_country(self, event: ProjectedEvent, entry: WireLog) -> ProjectedEvent:
        """Read the country, which T-REX 4.1.6 does not log, at the event's own block."""
        function = contract("IdentityRegistry").functions["investorCountry"]
        assert event.target is not None
        assert event.extra is not None
        data, registry = function.encode(hex_of(event.target)), bytes_of(entry.address)
        try:
            answer = self._client.call(registry, data, block=bytes_of(entry.block_hash))
        except RpcRefused:
            # A node that pruned that state still knows the newest country; a change since then
            # is an event of its own, and will be projected in its turn.
            log.warning("historic_state_pruned", block=event.block_number)
            answer = self._client.call(registry, data)
        extra = event.extra | {"country": function.decode(answer)}
        return msgspec.structs.replace(event, extra=extra)


def _read(watched: Watched, entry: Log) -> ProjectedEvent | None:
    if entry.address == watched.agent:
        act = read_case_act(entry)
        return act if act and watched.emitters.get(act.token) == (act.token, False) else None
    if entry.address not in watched.emitters:
        return None
    token, is_registry = watched.emitters[entry.address]
    return read_event(entry, token, is_registry=is_registry)


def _rising_numbers(logs: Sequence[WireLog], first: int, last: int) -> list[int]:
    """Return the block of each log; all rise, by block and by index within the block."""
    numbers = []
    number, index, written = first - 1, 0, ""
    for entry in logs:
        if entry.block_number != written:
            written = entry.block_number
            following = int(written, 16)
            if following <= number:
                raise RpcInconsistent("the node's logs repeat or are out of order")
            if not first <= following <= last:
                raise RpcInconsistent("the node returned logs of blocks that were not asked for")
            number, index = following, -1
        place = int(entry.log_index, 16)
        if place <= index:
            raise RpcInconsistent("the node's logs repeat or are out of order")
        index = place
        numbers.append(number)
    return numbers


def projected(block: Block) -> ProjectedBlock:
    """Give what the projection keeps of a header."""
    return ProjectedBlock(
        number=block.number,
        hash=block.hash,
        parent_hash=block.parent_hash,
        mined_at=datetime.fromtimestamp(block.timestamp, UTC),
    )
