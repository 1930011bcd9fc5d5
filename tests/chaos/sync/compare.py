"""What the database says, held against the oracle; every difference is a sentence."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from typing import Any

from sqlmodel import Session, col, select

from registry.captable import entries
from registry.captable import service as captable
from registry.captable.blocks import AsOfBlock
from registry.captable.bulk import cursor_of
from registry.captable.control import list_control_changes
from registry.captable.following import read_followed
from registry.captable.frozen import frozen_whole
from registry.captable.models import (
    ChainBlock,
    Holder,
    RegisteredWallet,
    SyncCursor,
    Token,
    TokenEvent,
)
from registry.captable.registered import registered_at
from registry.captable.stream import read_all_holdings, stream_holders
from registry.captable.suites import suite_at
from registry.captable.supply import supply_at
from registry.kernel.db import Database
from tests.chaos.model.acts import WALLETS
from tests.chaos.model.chain import Block
from tests.chaos.model.node import CHAIN_ID
from tests.chaos.model.state import ZERO
from tests.chaos.sync.fold import KINDS, Event, Table, Truth, fold

LOOKED_BACK = 20
BY_TIME = 0.3
MOST = 100_000
SHOWN = 3
Held = dict[bytes, tuple[int, int]]


def differences(
    database: Database, blocks: list[Block], dice: random.Random, *, is_pruned: bool
) -> list[str]:
    """Compare everything, as of the newest block and of some others.

    Parameters
    ----------
    is_pruned
        The node had not the state of old blocks: a country was then read newer, and what is said of
        it before it changed is not looked at.
    """
    truth = fold(blocks)
    found: list[str] = list(_model_differs(truth, blocks[-1]))
    with database.reading() as session:
        cursor = session.get_one(SyncCursor, CHAIN_ID)
        if (cursor.number, cursor.hash) != (blocks[-1].number, blocks[-1].hash):
            found.append(f"the cursor is at {cursor.number}, the head at {blocks[-1].number}")
            return found
        stored = dict(
            session.exec(
                select(ChainBlock.number, ChainBlock.hash).where(
                    col(ChainBlock.chain_id) == CHAIN_ID
                )
            ).all()
        )
        tokens = {
            token.address: token
            for token in session.exec(select(Token).where(col(Token.chain_id) == CHAIN_ID)).all()
        }
        found += _blocks_differ(stored, blocks, truth)
        found += _times_differ(cursor, [blocks[number] for number in sorted(stored)])
        found += _differ("tokens", set(tokens), set(truth.events))
        look = Look(session, truth, is_pruned=is_pruned)
        known = [tokens[address] for address in tokens.keys() & truth.events.keys()]
        for token in known:
            found += refusal_differs(token, truth)
            found += look.now(token)
            found += look.events(token)
        for _ in range(LOOKED_BACK):
            number, block = _some_block(session, blocks, dice)
            for token in known:
                found += look.past(token, number, block, dice)
    return found


def amounts_differ(database: Database, blocks: list[Block]) -> list[str]:
    """Compare only what a proof of the newest block tells: what is there now."""
    truth = fold(blocks)
    found: list[str] = []
    with database.reading() as session:
        for token in session.exec(select(Token).where(col(Token.chain_id) == CHAIN_ID)).all():
            if token.address in truth.events and token.is_told_whole:
                table = truth.tables[-1][token.address]
                held = _some(read_all_holdings(session, token))
                found += _differ("holders now", held, _some(table.holders))
                found += _differ("supply now", int(token.supply_units), table.supply)
                found += _differ("pause now", token.paused, table.paused)
    return found


def _some_block(
    session: Session, blocks: list[Block], dice: random.Random
) -> tuple[int, AsOfBlock]:
    """Take a block by chance, by its number or by its time."""
    number = dice.randrange(len(blocks))
    moment = blocks[number].timestamp
    # By a time: the last block that is not after it. Which one that is can be told of what we keep,
    # the blocks with events, if none of those below is after it.
    last = max(block.number for block in blocks if block.timestamp <= moment)
    is_told = all(block.timestamp <= moment for block in blocks[: last + 1] if block.mined)
    if dice.random() < BY_TIME and is_told:
        return last, captable.block_at(session, CHAIN_ID, datetime.fromtimestamp(moment, UTC))
    return number, captable.block_at(session, CHAIN_ID, number)


def _model_differs(truth: Truth, head: Block) -> Iterable[str]:
    """Hold the oracle against the model's own contracts: they must be one before we judge."""
    for address, suite in head.state.items():
        table = truth.tables[-1][address]
        both = suite.balances.keys() | suite.frozen.keys()
        held = {each: (suite.holds(each), suite.locked(each)) for each in both}
        yield from _differ("model holders", _some(table.holders), _some(held))
        yield from _differ("model supply", table.supply, suite.supply)
        yield from _differ("model pause", table.paused, suite.paused)
        yield from _differ("model registry", table.registered, suite.registered)
        yield from _differ("model freezes", table.stopped, suite.stopped)
        yield from _differ("model agents", table.agents, suite.agents)
        yield from _differ("model suite", table.suite, (suite.registry, suite.compliance))


def _some(held: Held) -> Held:
    return {each: both for each, both in held.items() if any(both)}


def _blocks_differ(stored: Mapping[int, bytes], blocks: list[Block], truth: Truth) -> list[str]:
    strange = [number for number, digest in stored.items() if blocks[number].hash != digest]
    with_events = {block.number for block in blocks if _speaks(block, truth)}
    missing = sorted(with_events - stored.keys())
    found = [f"stored blocks of other branches: {strange[:SHOWN]}"] if strange else []
    return found + ([f"blocks with events are not stored: {missing[:SHOWN]}"] if missing else [])


def _times_differ(cursor: SyncCursor, stored: list[Block]) -> Iterator[str]:
    """Say where a block that is of a time before an earlier one's would not be looked for."""
    times = [block.timestamp for block in stored]
    late = max(most - each for each, most in zip(times, accumulate(times, max), strict=True))
    if timedelta(seconds=late) > (cursor.set_back or timedelta(0)):
        yield f"times: set back by {late} s, and {cursor.set_back} is told"


def _speaks(block: Block, truth: Truth) -> bool:
    """Tell whether a block has an event of a token that is told of."""
    ours = {
        place
        for token, suite in block.state.items()
        if token not in truth.garbled
        for place in (suite.token, suite.registry)
    }
    return any(
        log.address in ours and log.topics and log.topics[0] in KINDS
        for _, _, log in block.placed_logs()
    )


def refusal_differs(token: Token, truth: Truth) -> Iterator[str]:
    """Say whether a token is refused that should be followed, or the reverse."""
    garbled = truth.garbled.get(token.address)
    name = f"0x{token.address.hex()}"
    if garbled is None:
        if token.refusal is not None or token.caught_up_to is not None:
            yield f"{name} is not followed: {token.refusal}, read to {token.caught_up_to}"
    elif token.refusal is None or token.refused_at is None or token.refused_at < garbled:
        yield f"{name} logs nonsense in block {garbled}, and is refused at {token.refused_at}"
    elif token.caught_up_to is None or token.caught_up_to >= garbled:
        yield f"{name} logs nonsense in block {garbled}, and is read to {token.caught_up_to}"


class Look:
    """Looks at what is told of tokens, in every way in which it is."""

    def __init__(self, session: Session, truth: Truth, *, is_pruned: bool) -> None:
        self._session = session
        self._truth = truth
        self._is_pruned = is_pruned
        self._names = {
            number: address
            for number, address in session.exec(select(Holder.holder_no, Holder.address)).all()
            if number is not None
        }

    def _last(self, token: Token) -> int:
        """Give the last block of which a token is told: one that is refused stays behind."""
        last = len(self._truth.tables) - 1
        return min(last, token.caught_up_to or 0) if token.refusal else last

    def _table(self, token: Token, number: int) -> Table:
        return self._truth.tables[number].get(token.address, Table())

    def now(self, token: Token) -> list[str]:
        """Compare what a token is now."""
        session, last = self._session, self._last(token)
        table = self._table(token, last)
        wallets = session.exec(
            select(RegisteredWallet).where(col(RegisteredWallet.token_no) == token.token_no)
        ).all()
        registered = {self._names[row.holder_no]: (row.identity, row.country) for row in wallets}
        with cursor_of(session) as cursor:
            told = read_followed(cursor, CHAIN_ID, ()).agents
        agents = {agent for address, agent in told if address == token.address}
        found = [
            *_differ("supply", int(token.supply_units), table.supply),
            *_differ("pause", token.paused, table.paused),
            *_differ("registered wallets", registered, table.registered),
            *_differ("agents", agents, table.agents),
        ]
        if table.suite[0]:
            suite = (token.identity_registry, token.compliance)
            found += _differ("suite", suite, table.suite)
        return found

    def events(self, token: Token) -> list[str]:
        """Compare every event that is kept of a token."""
        last = self._last(token)
        expected = [each for each in self._truth.events[token.address] if each.block <= last]
        rows = self._session.exec(
            select(TokenEvent)
            .where(
                col(TokenEvent.token_no) == token.token_no,
                # What the oracle does not know, it does not judge.
                col(TokenEvent.kind).in_(list(KINDS.values())),
            )
            .order_by(col(TokenEvent.block_number), col(TokenEvent.log_index))
        ).all()
        said = [self._event(row) for row in rows]
        if self._is_pruned:
            said, expected = map(_without_countries, (said, expected))
        pairs = zip(said, expected, strict=False)
        wrong = [(ours, theirs) for ours, theirs in pairs if ours != theirs]
        found = [f"event: ours {ours}, chain's {theirs}" for ours, theirs in wrong[:SHOWN]]
        return found + _differ("number of events", len(said), len(expected))

    def _event(self, row: TokenEvent) -> Event:
        extra = dict(row.extra or {})
        forced = bool(extra.pop("forced", False))
        return Event(
            row.block_number,
            row.log_index,
            row.kind,
            row.tx_hash,
            self._names[row.source] if row.source else None,
            self._names[row.target] if row.target else None,
            None if row.units is None else int(row.units),
            forced,
            tuple(sorted((name, str(value)) for name, value in extra.items())),
        )

    def past(self, token: Token, number: int, block: AsOfBlock, dice: random.Random) -> list[str]:
        """Compare what a token was at a block, as far as it is told of."""
        if number > self._last(token):
            return []
        session, table = self._session, self._table(token, number)
        where = f"as of block {number}: "
        held: Held = {row[0]: row[1:] for row in stream_holders(session, token, block.number)}
        there = {each: both for each, both in table.holders.items() if both[0]}
        found = _differ(where + "streamed holders", held, there)
        if dice.random() < 0.5:
            listed: Held = {
                entry.address: (entry.balance_units, entry.frozen_units)
                for entry in entries.list_holders(session, token, block)
            }
            found += _differ(where + "listed holders", listed, there)
        wallet = dice.choice(WALLETS)
        one = entries.holding_at(session, token, wallet, number)
        found += _differ(where + "one holder", one, table.holders.get(wallet, (0, 0)))
        supply = supply_at(session, token, block)
        found += _differ(where + "supply", supply, table.supply)
        stopped = frozen_whole(session, token, block, [*WALLETS, ZERO])
        found += _differ(where + "frozen addresses", stopped, table.stopped)
        return found + [where + each for each in self._control_differs(token, number, block)]

    def _control_differs(self, token: Token, number: int, block: AsOfBlock) -> Iterator[str]:
        """Compare who might do what, and who was registered where."""
        session, table = self._session, self._table(token, number)
        changes = [
            each
            for each in list_control_changes(session, token, block, after=None, limit=MOST)
            if each.contract == "Token"
        ]
        told = [(each.block_number, each.log_index, each.event) for each in changes]
        said = [each for each in self._truth.controls[token.address] if each[0] <= number]
        yield from _differ("changes of control", told, said)
        agents: set[bytes] = set()
        for each in changes:
            if each.event in {"AgentAdded", "AgentRemoved"}:
                agent = bytes.fromhex(each.said["agent"][2:])
                (agents.add if each.event == "AgentAdded" else agents.discard)(agent)
        yield from _differ("agents", agents, table.agents)
        if table.suite[0]:
            suite = suite_at(session, token, number)
            both = (suite.identity_registry, suite.compliance)
            yield from _differ("suite", both, table.suite)
        found = registered_at(session, token, block, WALLETS)
        registered = {wallet: (each.identity, each.country) for wallet, each in found.items()}
        expected = table.registered
        if self._is_pruned:
            registered, expected = (
                {wallet: (identity, 0) for wallet, (identity, _) in both.items()}
                for both in (registered, expected)
            )
        yield from _differ("registered wallets", registered, expected)


def _without_countries(events: list[Event]) -> list[Event]:
    return [
        replace(each, extra=tuple(pair for pair in each.extra if pair[0] != "country"))
        for each in events
    ]


def _differ(what: str, ours: Any, theirs: Any) -> list[str]:
    if ours == theirs:
        return []
    if isinstance(ours, dict) and isinstance(theirs, dict):
        keys = [key for key in ours.keys() | theirs.keys() if ours.get(key) != theirs.get(key)]
        shown = [f"{key.hex()}: {ours.get(key)} | {theirs.get(key)}" for key in keys[:SHOWN]]
        return [f"{what}: {len(keys)} differ, ours | chain's: {'; '.join(shown)}"]
    return [f"{what}: ours {ours}, chain's {theirs}"]
