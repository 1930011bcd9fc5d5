"""What the database says, held against the oracle; every difference is a sentence."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from sqlmodel import Session, col, select

from registry.captable import entries
from registry.captable import service as captable
from registry.captable.models import (
    ChainBlock,
    Holder,
    RegisteredWallet,
    SyncCursor,
    Token,
    TokenEvent,
)
from registry.captable.stream import stream_holders
from registry.captable.supply import supply_at
from registry.kernel.db import Database
from tests.chaos.model.acts import WALLETS
from tests.chaos.model.chain import Block
from tests.chaos.model.node import CHAIN_ID
from tests.chaos.sync.fold import KINDS, Event, Table, Truth, fold

LOOKED_BACK = 20
SHOWN = 3
Held = dict[bytes, tuple[int, int]]


def differences(database: Database, blocks: list[Block], dice: random.Random) -> list[str]:
    """Compare everything, as of the newest block and of some others."""
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
        found += _blocks_differ(stored, blocks)
        tokens = {
            token.address: token
            for token in session.exec(select(Token).where(col(Token.chain_id) == CHAIN_ID)).all()
        }
        found += _differ("tokens", set(tokens), set(truth.events))
        names = {
            number: address
            for number, address in session.exec(select(Holder.holder_no, Holder.address)).all()
            if number is not None
        }
        for address in tokens.keys() & truth.events.keys():
            token = tokens[address]
            found += _now_differs(session, token, truth.tables[-1][address], names)
            found += _events_differ(session, token, truth.events[address], names)
        for _ in range(LOOKED_BACK):
            found += _past_differs(session, tokens, truth, blocks, dice)
    return found


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


def _some(held: Held) -> Held:
    return {each: both for each, both in held.items() if any(both)}


def _blocks_differ(stored: Mapping[int, bytes], blocks: list[Block]) -> list[str]:
    strange = [number for number, digest in stored.items() if blocks[number].hash != digest]
    with_events = {block.number for block in blocks if _speaks(block)}
    missing = sorted(with_events - stored.keys())
    found = [f"stored blocks of other branches: {strange[:SHOWN]}"] if strange else []
    return found + ([f"blocks with events are not stored: {missing[:SHOWN]}"] if missing else [])


def _speaks(block: Block) -> bool:
    ours = {place for suite in block.state.values() for place in (suite.token, suite.registry)}
    return any(
        log.address in ours and log.topics and log.topics[0] in KINDS
        for _, _, log in block.placed_logs()
    )


def _now_differs(
    session: Session, token: Token, table: Table, names: Mapping[int, bytes]
) -> list[str]:
    wallets = session.exec(
        select(RegisteredWallet).where(col(RegisteredWallet.token_no) == token.token_no)
    ).all()
    registered = {names[row.holder_no]: (row.identity, row.country) for row in wallets}
    return [
        *_differ("supply", int(token.supply_units), table.supply),
        *_differ("pause", token.paused, table.paused),
        *_differ("registered wallets", registered, table.registered),
    ]


def _events_differ(
    session: Session, token: Token, expected: list[Event], names: Mapping[int, bytes]
) -> list[str]:
    rows = session.exec(
        select(TokenEvent)
        .where(
            col(TokenEvent.token_no) == token.token_no,
            # What the oracle does not know, it does not judge.
            col(TokenEvent.kind).in_(list(KINDS.values())),
        )
        .order_by(col(TokenEvent.block_number), col(TokenEvent.log_index))
    ).all()
    said = [
        Event(
            row.block_number,
            row.log_index,
            row.kind,
            row.tx_hash,
            names[row.source] if row.source else None,
            names[row.target] if row.target else None,
            None if row.units is None else int(row.units),
            bool((row.extra or {}).get("forced")),
        )
        for row in rows
    ]
    wrong = [(ours, theirs) for ours, theirs in zip(said, expected, strict=False) if ours != theirs]
    found = [f"event: ours {ours}, chain's {theirs}" for ours, theirs in wrong[:SHOWN]]
    return found + _differ("number of events", len(said), len(expected))


def _past_differs(
    session: Session,
    tokens: Mapping[bytes, Token],
    truth: Truth,
    blocks: list[Block],
    dice: random.Random,
) -> list[str]:
    number = dice.randrange(len(blocks))
    if dice.random() < 0.3:
        # By a time: the last block of that second.
        moment = blocks[number].timestamp
        number = max(block.number for block in blocks if block.timestamp <= moment)
        block = captable.block_at(session, CHAIN_ID, datetime.fromtimestamp(moment, UTC))
    else:
        block = captable.block_at(session, CHAIN_ID, number)
    tables = truth.tables[number]
    found: list[str] = []
    for address, token in tokens.items():
        table = tables.get(address, Table())
        where = f"as of block {number}: "
        held: Held = {row[0]: row[1:] for row in stream_holders(session, token, block.number)}
        there = {each: both for each, both in table.holders.items() if both[0]}
        found += _differ(where + "streamed holders", held, there)
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
    return found


def _differ(what: str, ours: Any, theirs: Any) -> list[str]:
    if ours == theirs:
        return []
    if isinstance(ours, dict) and isinstance(theirs, dict):
        keys = [key for key in ours.keys() | theirs.keys() if ours.get(key) != theirs.get(key)]
        shown = [f"{key.hex()}: {ours.get(key)} | {theirs.get(key)}" for key in keys[:SHOWN]]
        return [f"{what}: {len(keys)} differ, ours | chain's: {'; '.join(shown)}"]
    return [f"{what}: ours {ours}, chain's {theirs}"]
