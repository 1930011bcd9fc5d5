"""Taking in the logs of a range, piece by piece: each is checked and decoded while it is at hand.

What a piece leaves behind is a tenth of its JSON, and is made while the piece is still in the
processor's cache: a range that is read in one piece takes half as long again (ADR 0035).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import msgspec

from chain.errors import RpcInconsistent, RpcRefused
from chain.node.client import Block, ChainClient, Log, hex_of, log_of
from chain.node.log_table import LogTable, Patterns, read_table
from chain.node.wire import WireLog
from chain.sync.asked import is_half_told, told_whole, transactions_of
from chain.sync.contract_events import read_contract_event
from chain.sync.control import read_control
from chain.sync.countries import countries_of
from chain.sync.decode import UndecodableLog, read_case_act, read_deployment, read_event
from chain.sync.places import block_hashes
from chain.sync.suites import TOPICS, SuiteChanges, ToldBy, suite_after, told_change
from chain.sync.transfers import TransferReader
from chain.sync.watched import Part, Watched
from registry.captable.columns import Transfers
from registry.captable.events import ProjectedContractEvent, ProjectedEvent, ProjectedToken
from registry.captable.models import EventKind
from registry.captable.suites import WALLETS
from registry.captable.wallets import OF_WALLETS

MOST_CHANGES = 100
"""Of a token's suite in one block."""


class Gathering:
    """What the logs of one range say.

    Parameters
    ----------
    watched
        Whose logs are read; grows by the tokens that are deployed within the range.
    told_by
        Gives what a contract had said that becomes a part of a token's suite, see `RangeReader`.
    is_past
        Whether what a contract had said is read just for who is registered, or what is bound.

    Attributes
    ----------
    events
        What tokens and their registries said but for transfers, in the order of the chain.
    contract_events
        The same, of the platform's contracts that serve all tokens.
    others : list of Log
        Every log but the transfers.
    hashes : dict
        Block number to the hash that its logs name.
    logs : int
        How many there were.
    """

    def __init__(
        self,
        client: ChainClient,
        watched: Watched,
        told_by: ToldBy | None = None,
        *,
        is_past: bool = False,
    ) -> None:
        self.watched = watched
        self.tokens: list[ProjectedToken] = []
        self.events: list[ProjectedEvent] = []
        self.contract_events: list[ProjectedContractEvent] = []
        self.others: list[Log] = []
        self.hashes: dict[int, bytes] = {}
        self.logs = 0
        self._client = client
        self._transfers = TransferReader()
        self._patterns: Patterns = {}
        self._told_by = told_by
        self._is_past = is_past
        self._registered: list[tuple[int, Log]] = []
        self._half_told: list[tuple[int, Log]] = []
        self._watched_from: list[tuple[int, Watched]] = []
        self._replaced: dict[bytes, int] = {}
        self._changed: list[int] = []

    def read(self, first: int, last: int) -> None:
        """Read the blocks from `first` to `last`, which follow those that were read before.

        Raises
        ------
        RpcInconsistent, RpcRefused, UndecodableLog, SuiteChanges, StillReading
            See `chain.sync.ranges.RangeReader.read`.
        """
        if not self.watched.is_anybody:
            return
        while first <= last:
            first = self._read_piece(first, last) + 1

    def watched_at(self, number: int) -> Watched:
        """Give whose logs were read of a block."""
        return next(
            (known for first, known in reversed(self._watched_from) if first <= number),
            self.watched,
        )

    def is_new(self, address: bytes) -> bool:
        """Tell whether a contract is of a token that is deployed in the range."""
        return any(
            address in {token.address, token.identity_registry, token.compliance}
            for token in self.tokens
        )

    def _read_piece(self, first: int, last: int) -> int:
        """Read up to `last`, or to the first block after which others are to be heard."""
        written = self._client.logs(self.watched.addresses, first, last)
        logs = read_table(written, self._patterns)
        watched = self.watched
        if deployed := self._deployed(logs):
            addresses = [
                item
                for new in deployed
                for item in (new.address, new.identity_registry, new.compliance)
            ]
            written = written + self._client.logs(addresses, first, last)
            logs = read_table(written, self._patterns, in_order=False)
            watched = watched.with_tokens(deployed)
        changed = _first_change(watched, logs)
        if changed is not None and changed < last:
            return self._read_piece(first, changed)
        self.watched = watched
        self.tokens += deployed
        self._watched_from.append((first, watched))
        self._take_in(logs, first, last)
        return last

    def read_block(self, addresses: Sequence[bytes], block: Block) -> bool:
        """Read the logs of some of the addresses in one block; False where that says too little.

        Raises
        ------
        RpcInconsistent, UndecodableLog, SuiteChanges
            See `chain.sync.ranges.RangeReader.read_head`.
        """
        try:
            logs = read_table(self._client.logs_of_block(addresses, block.hash), self._patterns)
        except RpcRefused:
            return False
        if not len(logs) or self._deployed(logs):
            return False
        self._take_in(logs, block.number, block.number)
        if self.hashes[block.number] != block.hash:
            raise RpcInconsistent(f"a log of block {block.number} is of another branch")
        return True

    def _deployed(self, logs: LogTable) -> list[ProjectedToken]:
        """Give the tokens that are deployed, but for those whose logs are asked for already.

        An adopted one may be followed before its deployment is read, where a reorg took that back.
        """
        factory = hex_of(self.watched.factory) if self.watched.factory else None
        return [
            token
            for entry in logs.others.values()
            if entry.address == factory
            and (token := read_deployment(log_of(entry))) is not None
            and token.address not in self.watched.emitters
        ]

    def _take_in(self, logs: LogTable, first: int, last: int) -> None:
        """Take in logs that rise by block and by index, and note the hashes of their blocks."""
        self.logs += len(logs)
        self.hashes |= block_hashes(logs, first, last)
        others = self._transfers.read(logs, self.watched.tokens)
        for entry in logs.others_and(others):
            self._take(entry)
        self._tell_whole()
        self._add_countries()

    def transfers(self) -> Transfers:
        """Give the transfers of all tokens, in the order of the chain."""
        return self._transfers.transfers()

    def said(self) -> list[ProjectedEvent | ProjectedContractEvent]:
        """Give everything but the transfers."""
        return [*self.events, *self.contract_events]

    def emitters_from(self, number: int, transfers: Transfers) -> dict[int, set[bytes]]:
        """Return whose logs there are in each block from `number` on."""
        near = transfers.since(number)
        found: dict[int, set[bytes]] = {}
        for block, token in set(zip(near.block.tolist(), near.token.tolist(), strict=True)):
            found.setdefault(block, set()).add(near.tokens[token])
        for other in reversed(self.others):
            if other.block_number < number:
                break
            found.setdefault(other.block_number, set()).add(other.address)
        return found

    def _take(self, entry: WireLog) -> None:
        """Take in a log that is no transfer."""
        known = log_of(entry)
        self.others.append(known)
        if (name := self.watched.contracts.get(known.address)) is not None:
            self.contract_events += read_contract_event(known, name)
            return
        for event in _read(self.watched, known):
            if event.kind == EventKind.TRANSFER:
                raise RpcInconsistent("a Transfer is written as no node writes its logs")
            if event.kind in OF_WALLETS and self._replaced.get(event.token) == event.block_number:
                continue  # known with what the new storage has at the block's end
            if event.kind == EventKind.IDENTITY_REGISTERED:
                self._registered.append((len(self.events), known))
            if is_half_told(event) and not (self._is_past and event.kind == EventKind.CONTROL):
                self._half_told.append((len(self.events), known))
            self.events.append(self._with_suite(event, known))

    def _with_suite(self, event: ProjectedEvent, known: Log) -> ProjectedEvent:
        """Add what an event changes of its token's suite, and hear others from then on."""
        was = self.watched.suites.get(event.token)
        now = None if was is None else suite_after(was, event)
        if was is None or now is None:
            return event
        if self._told_by is None:
            self._leave_apart(event.token)
            return event
        if self._changed and self._changed[0] != event.block_number:
            # What was read for each is kept until all are: one block is enough to keep.
            raise RpcRefused("eth_getLogs", 0, "a suite changes in more than one block", None)
        self._changed.append(event.block_number)
        told_by, digest = self._told_by, known.block_hash

        def told(address: bytes, part: Part, last: int) -> Sequence[ProjectedEvent]:
            return told_by(address, part, last, digest)

        try:
            if len(self._changed) > MOST_CHANGES:
                raise UndecodableLog("its suite changes more often than anybody follows")
            event, now = told_change(was, now, event, told)
        except UndecodableLog as fault:
            # Whatever it names for its new contract, only this token is to stop for it.
            said = f"the new suite of {hex_of(event.token)} cannot be read: {fault}"
            raise UndecodableLog(said, event.token) from fault
        if WALLETS in (event.extra or {}):
            self._replaced[event.token] = event.block_number
        self.watched = self.watched.with_tokens([now])
        return event

    def _leave_apart(self, address: bytes) -> None:
        """Leave a token to whoever reads it by itself: no past is read while its chain waits.

        Raises
        ------
        SuiteChanges
            Of a token that is known already.
        """
        for place, token in enumerate(self.tokens):
            if token.address == address:
                # There is no row of it yet that could be set apart.
                self.tokens[place] = replace(token, is_apart=True)
                return
        raise SuiteChanges(address)

    def _tell_whole(self) -> None:
        """Read from their transactions what the logs leave out that were just taken in."""
        half_told, self._half_told = self._half_told, []
        sent = transactions_of(self._client, [entry for _, entry in half_told])
        for place, entry in half_told:
            self.events[place] = told_whole(sent.get(entry.tx_hash), self.events[place], entry)

    def _add_countries(self) -> None:
        """Read the countries of the registrations that were just taken in."""
        registered, self._registered = self._registered, []
        countries = countries_of(self._client, [entry for _, entry in registered])
        for (place, _), country in zip(registered, countries, strict=True):
            event = self.events[place]
            assert event.extra is not None
            extra = event.extra | {"country": country.number}
            self.events[place] = msgspec.structs.replace(
                event, extra=extra, has_newer_country=country.is_newer
            )


def _first_change(watched: Watched, logs: LogTable) -> int | None:
    """Return the first block in which a token gets another registry, storage or compliance."""
    blocks = [
        event.block_number
        for entry in logs.others.values()
        if entry.topics and entry.topics[0] in TOPICS
        for event in _read(watched, log_of(entry))
        if event.token in watched.suites
        and suite_after(watched.suites[event.token], event) is not None
    ]
    return min(blocks, default=None)


def _read(watched: Watched, entry: Log) -> Iterator[ProjectedEvent]:
    """Give what a log says, of each token of whose suite its contract is a part.

    A contract may be several parts of one suite, as its owner likes: the first tells.
    """
    if entry.address == watched.agent:
        act = read_case_act(entry)
        if act is not None and watched.is_token(act.token):
            yield act
        return
    told: set[bytes] = set()
    for part in watched.emitters.get(entry.address, ()):
        if part.token in told:
            continue
        event = _said_of(part, entry)
        if event is not None:
            told.add(part.token)
            yield event


def _said_of(part: Part, entry: Log) -> ProjectedEvent | None:
    if part.tells_wallets or part.contract == "Token":
        event = read_event(entry, part.token, part.contract)
        if event is not None or part.contract == "IdentityRegistryStorage":
            return event
    return read_control(entry, part.token, part.contract)
