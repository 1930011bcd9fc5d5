"""Taking in the logs of a range, piece by piece: each is checked and decoded while it is at hand.

What a piece leaves behind is a tenth of its JSON, and is made while the piece is still in the
processor's cache: a range that is read in one piece takes half as long again (ADR 0035).
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from chain.errors import RpcInconsistent, RpcRefused
from chain.node.client import Block, ChainClient, Log, hex_of, log_of
from chain.node.wire import WireLog
from chain.sync.asked import is_half_told, told_whole
from chain.sync.contract_events import read_contract_event
from chain.sync.control import read_control
from chain.sync.countries import countries_of
from chain.sync.decode import TRANSFER, TransferReader, read_case_act, read_deployment, read_event
from chain.sync.watched import Watched
from registry.captable.events import ProjectedContractEvent, ProjectedEvent, ProjectedToken
from registry.captable.models import EventKind


class Gathering:
    """What the logs of one range say.

    Parameters
    ----------
    watched
        Whose logs are read; grows by the tokens that are deployed within the range.

    Attributes
    ----------
    events
        In the order of the chain.
    contract_events
        The same, of the platform's contracts that serve all tokens.
    others : list of Log
        Every log but the transfers.
    hashes : dict
        Block number to the hash, as written, that its logs name.
    logs : int
        How many there were.
    """

    def __init__(self, client: ChainClient, watched: Watched) -> None:
        self.watched = watched
        self.tokens: list[ProjectedToken] = []
        self.events: list[ProjectedEvent] = []
        self.contract_events: list[ProjectedContractEvent] = []
        self.others: list[Log] = []
        self.hashes: dict[int, str] = {}
        self.logs = 0
        self._client = client
        self._transfers = TransferReader()
        self._registered: list[tuple[int, Log]] = []

    def read(self, first: int, last: int) -> None:
        """Read the blocks from `first` to `last`, which follow those that were read before.

        Raises
        ------
        RpcInconsistent, RpcRefused, UndecodableLog
            See `chain.sync.ranges.RangeReader.read`.
        """
        if not self.watched.is_anybody:
            return
        logs = self._client.logs(self.watched.addresses, first, last)
        if deployed := self._deployed(logs):
            addresses = [
                item
                for new in deployed
                for item in (new.address, new.identity_registry, new.compliance)
            ]
            logs = logs + self._client.logs(addresses, first, last)
            logs.sort(key=lambda entry: (int(entry.block_number, 16), int(entry.log_index, 16)))
            self.watched = self.watched.with_tokens(deployed)
            self.tokens += deployed
        self.logs += len(logs)
        self._take_in(logs, first, last)

    def read_block(self, addresses: Sequence[bytes], block: Block) -> bool:
        """Read the logs of some of the addresses in one block; False where that says too little.

        Raises
        ------
        RpcInconsistent, UndecodableLog
            See `chain.sync.ranges.RangeReader.read_head`.
        """
        try:
            logs = self._client.logs_of_block(addresses, block.hash)
        except RpcRefused:
            return False
        if not logs or self._deployed(logs):
            return False
        self.logs += len(logs)
        self._take_in(logs, block.number, block.number)
        if self.hashes[block.number] != hex_of(block.hash):
            raise RpcInconsistent(f"a log of block {block.number} is of another branch")
        return True

    def _deployed(self, logs: Sequence[WireLog]) -> list[ProjectedToken]:
        factory = hex_of(self.watched.factory) if self.watched.factory else None
        return [
            token
            for entry in logs
            if entry.address == factory and (token := read_deployment(log_of(entry))) is not None
        ]

    def _take_in(self, logs: Sequence[WireLog], first: int, last: int) -> None:
        """Take in logs that rise by block and by index, and note the hashes of their blocks."""
        tokens = {
            hex_of(address): token
            for address, (token, is_registry) in self.watched.emitters.items()
            if not is_registry
        }
        read_transfer, append = self._transfers.read, self.events.append
        number, index, written, digest = first - 1, -1, "", ""
        for entry in logs:
            if entry.block_number != written:
                written, digest = entry.block_number, entry.block_hash
                number, index = self._next_block(entry, number, first, last), -1
            elif entry.block_hash != digest:
                raise RpcInconsistent(f"a log of block {number} is of another branch")
            place = int(entry.log_index, 16)
            if place <= index:
                raise RpcInconsistent("the node's logs repeat or are out of order")
            index = place
            topics = entry.topics
            if topics and topics[0] == TRANSFER and (token := tokens.get(entry.address)):
                append(read_transfer(entry, token, number, place))
            else:
                self._take(entry)
        self._add_countries()

    def _next_block(self, entry: WireLog, number: int, first: int, last: int) -> int:
        """Return the number of the block that follows block `number` with this log."""
        following = int(entry.block_number, 16)
        if following <= number:
            raise RpcInconsistent("the node's logs repeat or are out of order")
        if not first <= following <= last:
            raise RpcInconsistent("the node returned logs of blocks that were not asked for")
        self.hashes[following] = entry.block_hash
        return following

    def emitters_from(self, number: int) -> dict[int, set[bytes]]:
        """Return whose logs there are in each block from `number` on."""
        found: dict[int, set[bytes]] = {}
        for event in reversed(self.events):
            if event.block_number < number:
                break
            if event.kind == EventKind.TRANSFER:
                found.setdefault(event.block_number, set()).add(event.token)
        for other in reversed(self.others):
            if other.block_number < number:
                break
            found.setdefault(other.block_number, set()).add(other.address)
        return found

    def everything(
        self, events: Sequence[ProjectedEvent]
    ) -> Sequence[ProjectedEvent | ProjectedContractEvent]:
        """Give the events of tokens, as they were completed, and all others in their places."""
        if not self.contract_events:
            return events
        return sorted(
            [*events, *self.contract_events],
            key=lambda event: (event.block_number, event.log_index),
        )

    def _take(self, entry: WireLog) -> None:
        """Take in a log that is no transfer."""
        known = log_of(entry)
        self.others.append(known)
        if (name := self.watched.contracts.get(known.address)) is not None:
            self.contract_events += read_contract_event(known, name)
            return
        event = _read(self.watched, known)
        if event is None:
            return
        if event.kind == EventKind.IDENTITY_REGISTERED:
            self._registered.append((len(self.events), known))
        elif is_half_told(event):
            event = told_whole(self._client, event, known)
        self.events.append(event)

    def _add_countries(self) -> None:
        """Read the countries of the registrations that were just taken in."""
        registered, self._registered = self._registered, []
        countries = countries_of(self._client, [entry for _, entry in registered])
        for (place, _), country in zip(registered, countries, strict=True):
            event = self.events[place]
            assert event.extra is not None
            extra = event.extra | {"country": country}
            self.events[place] = msgspec.structs.replace(event, extra=extra)


def _read(watched: Watched, entry: Log) -> ProjectedEvent | None:
    if entry.address == watched.agent:
        act = read_case_act(entry)
        return act if act and watched.emitters.get(act.token) == (act.token, False) else None
    if (bound := watched.compliances.get(entry.address)) is not None:
        return read_control(entry, bound, "ModularCompliance")
    if entry.address not in watched.emitters:
        return None
    token, is_registry = watched.emitters[entry.address]
    event = read_event(entry, token, is_registry=is_registry)
    if event is not None:
        return event
    return read_control(entry, token, "IdentityRegistry" if is_registry else "Token")
