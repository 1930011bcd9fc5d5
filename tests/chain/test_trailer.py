"""The ids behind the data of every transaction: no contract minds, and the chain tells them."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID, uuid4

import pytest

from chain.contracts.abi import contract
from chain.contracts.platform import STEPS
from chain.node.client import Sent, bytes_of, hex_of
from chain.sending.trailer import read_ids
from registry.kernel.ids import new_id
from registry.operation.models import OperationKind, OperationState
from tests.chain.market import Market
from tests.chain.world import World

pytestmark = pytest.mark.chain


def written(world: World) -> dict[UUID, Sent]:
    """Give everything that is on chain, by the id of the operation that owns it."""
    hashes = [bytes_of(each) for each in world.node.transactions()]
    found = world.client.transactions(dict.fromkeys(hashes, 0))
    return {read_ids(each.data)[-1]: each for each in found.values()}


def test_trailer__of_a_whole_sale__names_every_operation_and_every_contract_took_it(
    minted: Market,
) -> None:
    world = minted.world
    minted.plan(OperationKind.UNPAUSE, "open")
    minted.plan(OperationKind.PAUSE, "close")
    world.settle()

    owners = [each for each in world.operations() if each.nonce is not None]
    on_chain = written(world)
    assert on_chain.keys() == {each.id for each in owners}
    assert {each.state for each in owners} == {OperationState.FINAL}
    for each in owners:
        assert on_chain[each.id].sender == each.signer
    kinds = {each.kind for each in owners}
    assert kinds >= {
        OperationKind.PLATFORM_STEP,
        OperationKind.CREATE_IDENTITY,
        OperationKind.ADD_CLAIM,
        OperationKind.DEPLOY_SUITE,
        OperationKind.REGISTER_IDENTITY,
        OperationKind.MINT,
        OperationKind.UNPAUSE,
        OperationKind.PAUSE,
    }


def test_trailer__of_a_batch__names_its_rows_in_order_and_then_the_batch(market: Market) -> None:
    market = replace(market, world=replace(market.world, batch_rows=100))
    market.world.settle()
    mints = [each for each in market.world.operations() if each.kind == OperationKind.MINT]
    (batch,) = {each.batch_id for each in mints}
    assert batch is not None

    assert read_ids(written(market.world)[batch].data) == [*(each.id for each in mints), batch]


def test_trailer__of_a_creation__is_no_part_of_the_contract(platform: World) -> None:
    for operation in platform.operations():
        if "address" in operation.result:
            code = platform.client.code(bytes_of(operation.result["address"]))
            name = next(step.name for step in STEPS if step.name == operation.params["step"])
            assert operation.id.bytes not in code
            assert 0 < len(code) < len(contract(name).bytecode)


def test_read_ids__data_of_anybody_else__gives_none() -> None:
    words = (
        contract("CaseAgent")
        .functions["batchMint"]
        .encode(hex_of(b"\x99" * 20), [hex_of(b"\x88" * 20)] * 3, [1, 2, 2**255])
    )
    assert read_ids(b"") == []
    assert read_ids(b"\xff" * 15) == []
    assert read_ids(words) == []
    assert read_ids(words + uuid4().bytes) == []
    first, owner = new_id(), new_id()
    assert read_ids(words + first.bytes + owner.bytes) == [first, owner]
