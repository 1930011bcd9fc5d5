"""The oracle: what the cap table is, folded from the chain's raw logs in plain Python.

It shares no code with what it judges, neither the decoder nor the projection: topics are compared,
data is sliced, and everything is added up again from the first block.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from tests.chaos.model import logs
from tests.chaos.model.acts import What
from tests.chaos.model.chain import Block, Mined
from tests.chaos.model.logs import RawLog

KINDS = {
    logs.TRANSFER: 1,
    logs.ADDRESS_FROZEN: 2,
    logs.TOKENS_FROZEN: 3,
    logs.TOKENS_UNFROZEN: 4,
    logs.PAUSED: 5,
    logs.UNPAUSED: 6,
    logs.RECOVERY: 7,
    logs.REGISTERED: 8,
    logs.REMOVED: 9,
    logs.UPDATED: 10,
    logs.COUNTRY: 11,
    logs.CASE_ACT: 12,
    logs.AGENT_ADDED: 13,
    logs.AGENT_REMOVED: 14,
}
"""As they are stored; published, so never renumbered."""
ACTS = {0: "FORCED_TRANSFER", 1: "BURN", 6: "RECOVERY"}
OF_REGISTRY = {logs.REGISTERED, logs.REMOVED, logs.UPDATED, logs.COUNTRY}
CONTROLS = {
    logs.AGENT_ADDED: "AgentAdded",
    logs.AGENT_REMOVED: "AgentRemoved",
    logs.PAUSED: "Paused",
    logs.UNPAUSED: "Unpaused",
    logs.REGISTRY_SET: "IdentityRegistryAdded",
    logs.COMPLIANCE_SET: "ComplianceAdded",
    logs.INFORMATION: "UpdatedTokenInformation",
}
"""What a token says of who may do what to it."""
TAKEN = {What.FORCE, What.FORCE_ROGUE, What.RECOVER}
"""What moves units without their holder."""


@dataclass(frozen=True, slots=True)
class Event:
    """One log of a token, as the projection must have it."""

    block: int
    index: int
    kind: int
    tx_hash: bytes
    source: bytes | None = None
    target: bytes | None = None
    units: int | None = None
    forced: bool = False
    extra: tuple[tuple[str, str], ...] = ()
    """What is kept of it besides, by name, written as text."""


@dataclass(frozen=True, slots=True)
class Table:
    """The cap table of one token as of one block.

    Parameters
    ----------
    holders
        Balance and frozen part of whoever has any.
    registered
        Identity and country of each registered wallet.
    stopped
        Addresses that are frozen as a whole.
    suite
        Identity registry and compliance.
    """

    supply: int = 0
    paused: bool = True
    holders: dict[bytes, tuple[int, int]] = field(default_factory=dict)
    registered: dict[bytes, tuple[bytes, int]] = field(default_factory=dict)
    stopped: frozenset[bytes] = frozenset()
    agents: frozenset[bytes] = frozenset()
    suite: tuple[bytes, bytes] = (b"", b"")


@dataclass(slots=True)
class _Open:
    """A token while it is folded."""

    registry: bytes
    compliance: bytes
    supply: int = 0
    paused: bool = True
    balances: dict[bytes, int] = field(default_factory=dict)
    frozen: dict[bytes, int] = field(default_factory=dict)
    registered: dict[bytes, tuple[bytes, int]] = field(default_factory=dict)
    stopped: set[bytes] = field(default_factory=set)
    agents: set[bytes] = field(default_factory=set)
    events: list[Event] = field(default_factory=list)
    controls: list[tuple[int, int, str]] = field(default_factory=list)
    replaced_at: int | None = None
    """The block in which it got the registry that it has."""
    garbled_at: int | None = None

    def table(self) -> Table:
        both = self.balances.keys() | self.frozen.keys()
        holders = {each: (self.balances.get(each, 0), self.frozen.get(each, 0)) for each in both}
        return Table(
            self.supply,
            self.paused,
            {holder: held for holder, held in holders.items() if any(held)},
            dict(self.registered),
            frozenset(self.stopped),
            frozenset(self.agents),
            (self.registry, self.compliance),
        )


@dataclass(frozen=True, slots=True)
class Truth:
    """What the canonical chain says.

    Parameters
    ----------
    tables
        By block, every token's table; blocks before a token have none of it.
    events
        By token, in the order of the chain.
    controls
        The same of what changed who may do what: block, index, and name of the event.
    garbled
        The first block in which a token, or its registry, logged what its events do not have:
        nothing that begins there is told of it any more.
    """

    tables: list[dict[bytes, Table]]
    events: dict[bytes, list[Event]]
    controls: dict[bytes, list[tuple[int, int, str]]]
    garbled: dict[bytes, int]


def fold(blocks: list[Block]) -> Truth:
    """Fold a whole chain, from its first block."""
    tokens: dict[bytes, _Open] = {}
    tables: list[dict[bytes, Table]] = []
    for block in blocks:
        for _, _, log in block.placed_logs():
            if log.topics and log.topics[0] == logs.DEPLOYED:
                tokens[log.topics[1][12:]] = _Open(log.data[12:32], log.data[-20:])
        for index, mined, log in block.placed_logs():
            _take(tokens, block, index, mined, log)
        tables.append(
            {name: token.table() for name, token in tokens.items()}
            if block.mined or not tables
            else tables[-1]
        )
    return Truth(
        tables,
        {name: token.events for name, token in tokens.items()},
        {name: token.controls for name, token in tokens.items()},
        {name: token.garbled_at for name, token in tokens.items() if token.garbled_at is not None},
    )


def _take(tokens: dict[bytes, _Open], block: Block, index: int, mined: Mined, log: RawLog) -> None:
    if not log.topics or log.topics[0] not in KINDS.keys() | CONTROLS.keys():
        return
    kind = log.topics[0]
    token: _Open | None
    if kind == logs.CASE_ACT:
        token = tokens[log.topics[2][12:]]
    elif kind in OF_REGISTRY:
        token = next((each for each in tokens.values() if each.registry == log.address), None)
    else:
        token = tokens.get(log.address)
    if token is None:
        return
    if mined.act.what == What.GARBLE:
        token.garbled_at = block.number if token.garbled_at is None else token.garbled_at
        return
    if kind in CONTROLS:
        token.controls.append((block.number, index, CONTROLS[kind]))
        _control(token, block, log)
    if kind not in KINDS:
        return
    event = Event(block.number, index, KINDS[kind], mined.act.hash)
    if kind not in OF_REGISTRY:
        token.events.append(_of_token(token, mined, event, log))
    elif token.replaced_at != block.number:
        # Else it is known with what the new registry has at the block's end.
        token.events.append(_of_registry(token, block, event, log))


def _control(token: _Open, block: Block, log: RawLog) -> None:
    """Take in what changes who may do what; where it was said by a registry, nothing is."""
    kind, one = log.topics[0], log.topics[-1][12:]
    if kind == logs.AGENT_ADDED:
        token.agents.add(one)
    elif kind == logs.AGENT_REMOVED:
        token.agents.discard(one)
    elif kind == logs.COMPLIANCE_SET:
        token.compliance = one
    elif kind == logs.REGISTRY_SET:
        token.registry, token.replaced_at = one, block.number
        # What a registry of nobody's had been told, no later log repeats.
        token.registered = dict(block.state[log.address].registered_in(one) or {})


def _written(**said: object) -> tuple[tuple[str, str], ...]:
    """Write arguments as texts: an address in hex, as a reader of JSON sees it."""
    texts = {
        name: "0x" + value.hex() if isinstance(value, bytes) else str(value)
        for name, value in said.items()
    }
    return tuple(sorted(texts.items()))


def _party(padded: bytes) -> bytes | None:
    return padded[12:] if any(padded) else None


def _of_token(token: _Open, mined: Mined, event: Event, log: RawLog) -> Event:
    kind = log.topics[0]
    if kind == logs.TRANSFER:
        source, target = _party(log.topics[1]), _party(log.topics[2])
        units = int.from_bytes(log.data, "big")
        if source is None:
            token.supply += units
        else:
            token.balances[source] = token.balances.get(source, 0) - units
        if target is None:
            token.supply -= units
        else:
            token.balances[target] = token.balances.get(target, 0) + units
        between = source is not None and target is not None
        forced = between and mined.act.what in TAKEN
        return replace(event, source=source, target=target, units=units, forced=forced)
    if kind in {logs.TOKENS_FROZEN, logs.TOKENS_UNFROZEN}:
        wallet, units = log.topics[1][12:], int.from_bytes(log.data, "big")
        change = units if kind == logs.TOKENS_FROZEN else -units
        token.frozen[wallet] = token.frozen.get(wallet, 0) + change
        return replace(event, target=wallet, units=units)
    if kind in {logs.PAUSED, logs.UNPAUSED}:
        token.paused = kind == logs.PAUSED
        return replace(event, extra=_written(agent=log.data[12:]))
    if kind == logs.CASE_ACT:
        wallet_word, other, units_word = (log.data[place : place + 32] for place in (32, 64, 96))
        amount = int.from_bytes(units_word, "big")
        extra = _written(
            case_id=log.topics[1].hex(),
            number=int.from_bytes(log.data[:32], "big"),
            act=ACTS[log.topics[3][-1]],
            operator=log.data[140:160],
        )
        source, target = _party(wallet_word), _party(other)
        return replace(event, source=source, target=target, units=amount, extra=extra)
    return _of_wallet(token, event, log)


def _of_wallet(token: _Open, event: Event, log: RawLog) -> Event:
    kind, wallet = log.topics[0], log.topics[1][12:]
    if kind == logs.RECOVERY:
        return replace(event, source=wallet, target=log.topics[2][12:])
    if kind == logs.ADDRESS_FROZEN:
        is_stopped = bool(log.topics[2][-1])
        (token.stopped.add if is_stopped else token.stopped.discard)(wallet)
        extra = _written(frozen=is_stopped, agent=log.topics[3][12:])
        return replace(event, target=wallet, extra=extra)
    return replace(event, target=wallet)


def _of_registry(token: _Open, block: Block, event: Event, log: RawLog) -> Event:
    kind, one = log.topics[0], log.topics[1][12:]
    if kind == logs.REGISTERED:
        # The log has no country: it is what the registry says at the end of the block.
        told = (suite.registered_in(log.address) for suite in block.state.values())
        country = next(each for each in told if each is not None).get(one, (b"", 0))[1]
        identity = log.topics[2][12:]
        token.registered[one] = identity, country
        event = replace(event, extra=_written(identity=identity.hex(), country=country))
    elif kind == logs.REMOVED:
        token.registered.pop(one, None)
    elif kind == logs.COUNTRY:
        country = int.from_bytes(log.topics[2], "big")
        token.registered[one] = token.registered[one][0], country
        event = replace(event, extra=_written(country=country))
    else:
        new = log.topics[2][12:]
        for wallet, (identity, country) in token.registered.items():
            if identity == one:
                token.registered[wallet] = new, country
        return replace(event, extra=_written(old_identity=one.hex(), identity=new.hex()))
    return replace(event, target=one)
