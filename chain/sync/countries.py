"""The countries of new registrations, which T-REX 4.1.6 does not log.

`IdentityRegistered` names a wallet and an identity only. The registry tells the country, at the
block of the log. A node that has pruned that state, or that was started from a dump without it,
is asked in other ways, the most exact first.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from operator import attrgetter
from typing import NamedTuple

import structlog

from chain.contracts.abi import contract
from chain.contracts.decoding import Garbled
from chain.errors import RpcInconsistent, RpcRefused
from chain.node.answers import BlockId, Log, bytes_of, call_params, hex_of, log_of
from chain.node.client import ChainClient
from chain.node.wire import wire_log
from chain.sync.asked import SETTLED_BLOCKS, asked_countries, transactions_of
from chain.sync.decode import UndecodableLog

log = structlog.get_logger()

_STORED = contract("IdentityRegistryStorage").events["IdentityStored"].topic

Place = tuple[int, int]
"""Number of a block, index of a log in it."""


class Country(NamedTuple):
    """The country of a registration, ISO 3166-1 numeric.

    Parameters
    ----------
    is_newer
        As of a later block: it may have been changed since, or deleted, which is 0.
    """

    number: int
    is_newer: bool


def countries_of(client: ChainClient, registered: Sequence[Log]) -> list[Country]:
    """Return the country of each registration.

    Parameters
    ----------
    registered
        Logs of IdentityRegistered, or of IdentityStored, in the order of the chain.

    Raises
    ------
    RpcRefused
        The node has no state that tells it for certain; it will when more blocks have come.
    RpcInconsistent
        The node contradicts itself.
    UndecodableLog
        A registry tells no country of a wallet that it says it has registered.
    """
    try:
        return [Country(number, is_newer=False) for number in _asked(client, registered)]
    except RpcRefused as refused:
        known = _known_or_told(client, registered)
        untold = [entry for entry in registered if _place(entry) not in known]
        newer = dict(zip(map(_place, untold), _later(client, untold, refused), strict=True))
        known |= newer
        places = map(_place, registered)
        return [Country(known[place], place in newer) for place in places]


def _known_or_told(client: ChainClient, registered: Sequence[Log]) -> dict[Place, int]:
    """Ask block by block, then the transactions of the blocks whose state the node has not."""
    known: dict[Place, int] = {}
    pruned: list[Log] = []
    reverted: set[bytes] = set()
    for _, entries in groupby(registered, attrgetter("block_hash")):
        of_block = list(entries)
        try:
            answers = _asked(client, of_block)
        except RpcRefused as refused:
            pruned += of_block
            if refused.is_revert:
                reverted.add(of_block[0].block_hash)
        else:
            known |= zip(map(_place, of_block), answers, strict=True)
    log.warning("historic_state_pruned", registrations=len(pruned))
    sent = transactions_of(client, pruned)
    for entry in pruned:
        asked = sent.get(entry.tx_hash)
        told = asked_countries(asked.data) if asked and asked.to == entry.address else {}
        if (country := told.get(_wallet(entry))) is not None:
            known[_place(entry)] = country
        elif entry.block_hash in reverted:
            known[_place(entry)] = _asked_alone(client, entry)
    return known


def _asked_alone(client: ChainClient, entry: Log) -> int:
    """Ask one registry: it is not the node that refuses, but this one or another of its block."""
    try:
        (country,) = _asked(client, [entry])
    except RpcRefused as refused:
        if not refused.is_revert:
            raise
        said = f"{hex_of(entry.address)} tells no country: {refused.message}"
        raise UndecodableLog(said, entry.address) from refused
    return country


def _later(client: ChainClient, registered: Sequence[Log], refused: RpcRefused) -> list[int]:
    """Read newer countries in the place of those that the node does not know any more.

    Below the settled blocks, whatever they are: a change since then is an event of its own, and
    will be projected in its turn. Nearer to the head a reorg may take the change back, while
    what was read of it would stay; there, only of wallets that nothing more was said of.
    """
    if not registered:
        return []
    head = client.head()
    newer = head.number - SETTLED_BLOCKS
    if newer >= registered[-1].block_number:
        return _asked(client, registered, newer)
    addresses = list(dict.fromkeys(entry.address for entry in registered))
    since = client.logs(addresses, registered[0].block_number, head.number)
    last = _last_told_of(map(log_of, map(wire_log, since)))
    if any(last.get(_whom(entry), _place(entry)) > _place(entry) for entry in registered):
        raise refused
    found = _asked(client, registered, head.hash)
    if client.standing([head.number]) != {(head.number, head.hash)}:
        raise RpcInconsistent(f"block {head.number} changed while it was read")
    return found


def _last_told_of(since: Iterable[Log]) -> dict[tuple[bytes, bytes], Place]:
    """Say where each registry last named each wallet, or anything else, in a log."""
    return {(entry.address, topic): _place(entry) for entry in since for topic in entry.topics[1:]}


def _whom(entry: Log) -> tuple[bytes, bytes]:
    return entry.address, entry.topics[1]


def _place(entry: Log) -> Place:
    return entry.block_number, entry.log_index


def _wallet(entry: Log) -> bytes:
    return entry.topics[1][12:]


def _asked(
    client: ChainClient, registered: Sequence[Log], block: BlockId | None = None
) -> list[int]:
    """Ask the registries or storages, each at its own block, or all at `block`."""
    of_registry = contract("IdentityRegistry").functions["investorCountry"]
    of_storage = contract("IdentityRegistryStorage").functions["storedInvestorCountry"]
    calls = []
    for entry in registered:
        function = of_storage if entry.topics[0] == _STORED else of_registry
        data = function.encode(hex_of(_wallet(entry)))
        at = entry.block_hash if block is None else block
        calls.append(("eth_call", call_params(entry.address, data, None, at)))
    countries = []
    for entry, answer in zip(registered, client.batch(calls), strict=True):
        try:
            countries.append(int(of_registry.decode(bytes_of(answer))))
        except Garbled as error:
            said = f"{hex_of(entry.address)} tells no country: {error}"
            raise UndecodableLog(said, entry.address) from error
    return countries
