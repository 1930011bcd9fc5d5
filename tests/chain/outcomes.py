"""What tests look at in the end: everything was carried out once, and is projected exactly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlmodel import col, select

from chain.contracts.platform import STEPS
from chain.node.client import hex_of
from registry.kernel.db import Database
from registry.operation.models import (
    Operation,
    OperationAttempt,
    OperationState,
    PlatformContract,
)
from tests import sales
from tests.chain.market import Market
from tests.chain.suite import count
from tests.chain.world import World


@dataclass(frozen=True)
class Sent:
    """What the database keeps of a signed transaction."""

    nonce: int | None
    tx_hash: bytes
    raw: bytes


def sent(world: World) -> list[Sent]:
    with world.database.reading() as session:
        rows = session.exec(
            select(Operation.nonce, OperationAttempt.tx_hash, OperationAttempt.raw)
            .join(OperationAttempt, col(OperationAttempt.operation_id) == col(Operation.id))
            .order_by(col(Operation.nonce))
        )
        return [Sent(*row) for row in rows]


def assert_each_once(market: Market) -> None:
    """Everything is final, minted once, and the chain holds exactly what the database signed."""
    world = market.world
    world.settle(impatient=True)
    assert {operation.state for operation in world.operations()} == {OperationState.FINAL}
    assert market.suite().on_chain().supply == sales.FRACTIONS
    stored = {hex_of(attempt.tx_hash) for attempt in sent(world)}
    assert set(world.node.transactions()) == stored
    assert len(stored) == sum(operation.nonce is not None for operation in world.operations())


def assert_deployed_once(world: World) -> None:
    """Every step is final, and the chain holds nothing but one transaction for each."""
    operations = world.operations()
    assert [operation.params["step"] for operation in operations] == [step.name for step in STEPS]
    assert {operation.state for operation in operations} == {OperationState.FINAL}
    nonces = sorted(operation.nonce for operation in operations if operation.nonce is not None)
    assert nonces == list(range(len(STEPS)))
    assert count(world.database, OperationAttempt) == len(STEPS)
    assert len(world.node.transactions()) == len(STEPS)
    assert world.client.nonce(world.chain.platform.address) == len(STEPS)
    created = [step for step in STEPS if step.calls is None]
    assert count(world.database, PlatformContract) == len(created)
    for step in created:
        assert world.client.code(world.place(step.name)), step.name


def everything(database: Database) -> dict[str, list[Any]]:
    """Read every row of the projection, with addresses in the place of numbers."""
    queries = {
        "tokens": "SELECT address, identity_registry, block_number, supply_units, paused"
        " FROM token",
        "events": "SELECT t.address, e.block_number, e.log_index, e.kind, e.tx_hash,"
        " s.address, g.address, e.units, e.extra::text FROM token_event e"
        " JOIN token t USING (token_no) LEFT JOIN holder s ON s.holder_no = e.source"
        " LEFT JOIN holder g ON g.holder_no = e.target",
        "history": "SELECT t.address, h.address, b.block_number, b.balance_units, b.frozen_units"
        " FROM balance_history b JOIN token t USING (token_no) JOIN holder h USING (holder_no)",
        "balances": "SELECT t.address, h.address, b.block_number, b.balance_units, b.frozen_units"
        " FROM balance b JOIN token t USING (token_no) JOIN holder h USING (holder_no)",
        "wallets": "SELECT t.address, h.address, w.identity, w.country, w.block_number"
        " FROM registered_wallet w JOIN token t USING (token_no) JOIN holder h USING (holder_no)",
    }
    with database.engine.connect() as connection:
        return {
            name: sorted(tuple(row) for row in connection.exec_driver_sql(query))
            for name, query in queries.items()
        }
