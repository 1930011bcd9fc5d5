"""A node that lies of our keys' nonces, lags behind its neighbours, or makes up what they sent."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from eth_account import Account

from chain.errors import ChainError, RpcInconsistent
from chain.node import pooled_node
from chain.node.client import bytes_of, hex_of
from chain.node.nodes import connect
from chain.node.pooled_node import NodeState
from chain.sending.own_transactions import find_own
from chain.sending.rebuild import MOST_UNKNOWN, Rebuild
from registry.operation.models import NonceStream, OperationState
from tests.chain.market import Market
from tests.chain.mirror import Lie, Mirror
from tests.chain.nodes import CHAIN_ID
from tests.chain.outcomes import assert_each_once, sent
from tests.chain.pools import mirrors, pool, states
from tests.chain.world import CONFIRMATIONS, PLATFORM, World, address_of, key_of

pytestmark = [pytest.mark.chain, pytest.mark.usefixtures("quickly", "second_look_at_once")]

COUNT = "eth_getTransactionCount"
OURS = address_of(PLATFORM)


@pytest.fixture
def three(minted: Market) -> Iterator[list[Mirror]]:
    with mirrors(minted.world.node, 3) as found:
        yield found


@pytest.fixture
def three_of(market: Market) -> Iterator[list[Mirror]]:
    """Three nodes of a market whose sale is still to be carried out."""
    with mirrors(market.world.node, 3) as found:
        yield found


def counting(count: int | None = None, *, more: int = 0) -> Lie:
    """Tell another count of our transactions, or some more, whatever the block."""

    def lie(request: dict[str, Any], result: Any) -> Any:
        if request["method"] != COUNT or bytes_of(request["params"][0]) != OURS:
            return result
        return hex(int(result, 16) + more if count is None else count)

    return lie


def next_nonce(world: World) -> int:
    with world.database.reading() as session:
        return session.get_one(NonceStream, (CHAIN_ID, OURS)).next_nonce


# -- what is taken back --------------------------------------------------------------------------


def test_take_back__one_of_three_counts_nothing__everything_stays_final(
    minted: Market, three: list[Mirror]
) -> None:
    three[0].lie = counting(0)
    before = sent(minted.world)

    minted.world.through(pool(three)).turn()

    assert {each.state for each in minted.world.operations()} == {OperationState.FINAL}
    assert sent(minted.world) == before


def test_take_back__only_node_counts_less_than_its_blocks_hold__everything_stays_final(
    minted: Market,
) -> None:
    """Behind one address one of several nodes lags, and the others do not."""
    with Mirror(minted.world.node) as node:
        node.lie = counting(0)
        world = minted.world.through(connect(node.url, CHAIN_ID))
        world.sender().take_back_vanished()
    assert {each.state for each in minted.world.operations()} == {OperationState.FINAL}


def test_take_back__only_node_misses_blocks_whose_receipts_it_has__everything_stays_final(
    minted: Market,
) -> None:
    def lie(request: dict[str, Any], result: Any) -> Any:
        if request["method"] == "eth_getBlockByNumber":
            number = request["params"][0]
            return result if number == "latest" or int(number, 16) < 2 else None
        return counting(0)(request, result)

    with Mirror(minted.world.node) as node:
        node.lie = lie
        world = minted.world.through(connect(node.url, CHAIN_ID))
        world.sender().take_back_vanished()
    assert {each.state for each in minted.world.operations()} == {OperationState.FINAL}


def test_take_back__nothing_to_take_back__asks_the_node_twice(minted: Market) -> None:
    with Mirror(minted.world.node) as node:
        world = minted.world.through(connect(node.url, CHAIN_ID))
        world.sender().take_back_vanished()
        assert node.asked == [COUNT, "eth_getBlockByNumber"]


# -- what is counted -----------------------------------------------------------------------------


@pytest.mark.parametrize("more", [1, 2**45, -1])
def test_sending__one_of_three_counts_wrongly__goes_on_with_what_the_others_count(
    market: Market, three_of: list[Mirror], more: int
) -> None:
    three_of[0].lie = counting(more=more)
    assert_each_once(replace(market, world=market.world.through(pool(three_of))))


def test_rebuild__only_node_counts_beyond_reason__says_so_and_looks_for_nothing(
    minted: Market,
) -> None:
    before = next_nonce(minted.world)
    with Mirror(minted.world.node) as node:
        node.lie = counting(2**45)
        world = minted.world.through(connect(node.url, CHAIN_ID))
        report = Rebuild(world.database, world.chain, finality=CONFIRMATIONS).run()
    [told] = report.left_open
    assert f"more than {MOST_UNKNOWN}" in told
    assert next_nonce(minted.world) == before


# -- what a block is said to hold ----------------------------------------------------------------


def made_up(first: int, count: int) -> Lie:
    """Count more, and show empty calls in our name that a stranger has signed."""

    def lie(request: dict[str, Any], result: Any) -> Any:
        if request["method"] == "eth_getBlockByNumber" and request["params"][1]:
            if result is None or not result["transactions"]:
                return result
            shown = [invented(result, first + each) for each in range(count)]
            return result | {"transactions": shown}
        return counting(first + count)(request, result)

    return lie


def invented(block: dict[str, Any], nonce: int) -> dict[str, Any]:
    fields: dict[str, Any] = {"type": 2, "chainId": CHAIN_ID, "nonce": nonce, "to": OURS}
    fields |= {"value": 0, "data": b"", "gas": 21_000}
    fields |= {"maxFeePerGas": 10**10, "maxPriorityFeePerGas": 10**9}
    signed = Account.sign_transaction(fields, key_of(7).key)
    return {
        "type": "0x2",
        "from": hex_of(OURS),
        "nonce": hex(nonce),
        "to": hex_of(OURS),
        "input": "0x",
        "value": "0x0",
        "gas": hex(21_000),
        "maxFeePerGas": hex(10**10),
        "maxPriorityFeePerGas": hex(10**9),
        "v": hex(signed.v),
        "r": hex(signed.r),
        "s": hex(signed.s),
        "hash": hex_of(bytes(signed.hash)),
        "blockNumber": block["number"],
        "blockHash": block["hash"],
        "transactionIndex": "0x0",
    }


def test_rebuild__only_node_makes_up_empty_calls__nothing_is_believed(minted: Market) -> None:
    before = next_nonce(minted.world)
    with Mirror(minted.world.node) as node:
        node.lie = made_up(before, 5)
        world = minted.world.through(connect(node.url, CHAIN_ID))
        with pytest.raises(ChainError, match="signed"):
            Rebuild(world.database, world.chain, finality=CONFIRMATIONS).run()
    assert next_nonce(minted.world) == before


def test_find__one_of_three_garbles_blocks__is_left_out_and_everything_is_found(
    minted: Market, three: list[Mirror], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pooled_node, "FIRST_REST_SECONDS", 60.0)
    monkeypatch.setattr(pooled_node, "LONGEST_REST_SECONDS", 60.0)
    nonces = {OURS: set(range(next_nonce(minted.world)))}
    truth = find_own(minted.world.client, nonces, 0)

    def lie(request: dict[str, Any], result: Any) -> Any:
        if request["method"] != "eth_getBlockByNumber" or not request["params"][1]:
            return result
        shown = [entry | {"from": hex_of(b"\x07" * 20)} for entry in result["transactions"]]
        return result | {"transactions": shown}

    three[0].lie = lie
    found = pool(three)

    assert find_own(found, nonces, 0) == truth
    assert states(found)[0] == NodeState.INCONSISTENT


def test_find__only_node_names_another_sender_than_signed__raises(minted: Market) -> None:
    first = next_nonce(minted.world)
    with Mirror(minted.world.node) as node:
        node.lie = made_up(first, 1)
        client = connect(node.url, CHAIN_ID)
        with pytest.raises(RpcInconsistent, match="signed"):
            find_own(client, {OURS: {first}}, 0)


# -- what waits in pools -------------------------------------------------------------------------


def pooling(more: int) -> Lie:
    """Tell that more of ours waits in the pool."""

    def lie(request: dict[str, Any], result: Any) -> Any:
        is_asked = request["method"] == COUNT and request["params"][1] == "pending"
        return hex(int(result, 16) + more) if is_asked else result

    return lie


@pytest.mark.parametrize(
    ("more", "believed"),
    [([3, 0, 0], 0), ([0, 2, 1], 1), ([0, 0, 5], 0), ([1, 1, 0], 1), ([3, 0], 3), ([0, 2], 2)],
)
def test_nonces_used__pools_differ__one_of_three_is_not_believed_and_of_two_the_higher_is(
    minted: Market, three: list[Mirror], more: list[int], believed: int
) -> None:
    nodes = three[: len(more)]
    for node, waiting in zip(nodes, more, strict=True):
        node.lie = pooling(waiting)
    mined = minted.world.client.nonce(OURS)

    found = pool(nodes)

    assert found.nonces_used([OURS]) == {OURS: mined + believed}
    assert found.nonce(OURS, "pending") == mined + believed
    assert found.nonce(OURS) == mined
    assert found.nonce_and_height(OURS) == (mined, found.block_number())
    assert set(states(found)) == {NodeState.HEALTHY}
