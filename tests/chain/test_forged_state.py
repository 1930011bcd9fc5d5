"""One of several nodes that lies of state, transactions and receipts, or does not tell them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from chain.contracts.abi import contract
from chain.errors import RpcInconsistent, RpcRefused
from chain.node.client import ChainClient, Receipt, hex_of
from chain.node.pooled_node import NodeState
from chain.proving.holdings import HoldingReader
from chain.proving.reconciler import Reconciler
from chain.sync.adoption import examine
from chain.sync.indexer import Indexer
from tests.chain.mirror import Lie, Mirror
from tests.chain.pools import pool, states
from tests.chain.suite import ADDRESSES, Suite, catch_up, cursor_of

pytestmark = [pytest.mark.chain, pytest.mark.usefixtures("patiently")]


def test_pool__one_of_three_forges_what_a_transaction_logged__is_not_believed(
    held: Suite, three: list[Mirror]
) -> None:
    truth = held.mint(0, 7)

    def lie(request: dict[str, Any], result: Any) -> Any:
        if request["method"] != "eth_getTransactionReceipt":
            return result
        return result | {"logs": []}

    three[0].lie = lie
    assert pool(three).receipts([truth.tx_hash]) == [truth]


def test_pool__one_of_three_lies_of_the_newest_state__is_left_out(
    held: Suite, three: list[Mirror]
) -> None:
    """Roots of the journal, and all else that is asked of contracts as they stand now."""
    asked = contract("Token").functions["totalSupply"]

    def lie(request: dict[str, Any], result: Any) -> Any:
        return "0x" + f"{1:064x}" if request["method"] == "eth_call" else result

    three[0].lie = lie
    found = pool(three)

    assert asked.decode(found.call(held.token, asked.encode())) == held.on_chain().supply
    assert states(found)[0] == NodeState.INCONSISTENT


def test_examine__one_of_three_shows_no_code__token_is_found(
    held: Suite, three: list[Mirror]
) -> None:
    truth = examine(held.world.client, held.token)

    def lie(request: dict[str, Any], result: Any) -> Any:
        return "0x" if request["method"] == "eth_getCode" else result

    three[0].lie = lie
    found = pool(three)

    assert examine(found, held.token) == truth
    assert states(found)[0] == NodeState.INCONSISTENT


def test_pool__one_of_three_lies_in_proofs__is_left_out_and_no_break_is_opened(
    held: Suite, three: list[Mirror]
) -> None:
    held.index()

    def lie(request: dict[str, Any], result: Any) -> Any:
        if request["method"] != "eth_call" or not isinstance(request["params"][1], dict):
            return result
        return result[:-2] + ("00" if result[-2:] != "00" else "01")

    three[0].lie = lie
    found = pool(three)

    assert Reconciler(held.world.database, found).reconcile_due() > 0

    assert cursor_of(held.world.database).degraded is None
    assert states(found)[0] == NodeState.INCONSISTENT


def test_pool__one_of_three_tells_another_country__is_left_out(
    held: Suite, three: list[Mirror]
) -> None:
    """What T-REX does not log is asked for at the block of the log, and projected."""
    held.register(5, 76)

    def lie(request: dict[str, Any], result: Any) -> Any:
        return "0x" + f"{840:064x}" if request["method"] == "eth_call" else result

    three[0].lie = lie
    found = pool(three)

    catch_up(Indexer(held.world.database, found))

    held.assert_exact()
    assert states(found)[0] == NodeState.INCONSISTENT


REFUSED = {"error": {"code": -32000, "message": "missing trie node"}}


def refusing(method: str) -> Lie:
    return lambda request, told: REFUSED if request["method"] == method else told


def test_pool__the_second_gives_no_logs_at_all__is_left_out(
    held: Suite, three: list[Mirror]
) -> None:
    three[1].lie = refusing("eth_getLogs")
    found = pool(three[:2])

    catch_up(Indexer(held.world.database, found))

    held.assert_exact()
    assert states(found) == [NodeState.HEALTHY, NodeState.UNAVAILABLE]


def test_pool__the_second_keeps_no_old_state__counts_as_no_answer(
    held: Suite, three: list[Mirror]
) -> None:
    asked = contract("Token").functions["totalSupply"]
    block = held.world.client.head().number - 2
    wanted = held.world.client.call(held.token, asked.encode(), block=block)
    three[1].lie = refusing("eth_call")

    found = pool(three[:2])
    assert found.call(held.token, asked.encode(), block=block) == wanted
    assert states(found) == [NodeState.HEALTHY] * 2
    three[0].lie = refusing("eth_call")
    with pytest.raises(RpcRefused, match="missing trie node"):
        found.call(held.token, asked.encode(), block=block)


def test_pool__contract_refuses__is_what_the_nodes_agree_on(
    held: Suite, three: list[Mirror]
) -> None:
    data = contract("Token").functions["mint"].encode(hex_of(ADDRESSES[0]), 1)

    with pytest.raises(RpcRefused) as fault:
        pool(three).call(held.token, data, sender=ADDRESSES[0])

    assert fault.value.is_revert
    assert [node.count("eth_call") for node in three] == [1, 1, 0]


@pytest.mark.parametrize("place", [0, 1])
def test_pool__one_forges_why_a_contract_refuses__is_left_out(
    held: Suite, three: list[Mirror], place: int
) -> None:
    data = contract("Token").functions["mint"].encode(hex_of(ADDRESSES[0]), 1)
    with pytest.raises(RpcRefused) as truth:
        held.world.client.call(held.token, data, sender=ADDRESSES[0])
    three[place].refuses = {"eth_call": {"code": 3, "message": "reverted", "data": "0xdeadbeef"}}
    found = pool(three)

    with pytest.raises(RpcRefused) as fault:
        found.call(held.token, data, sender=ADDRESSES[0])

    assert fault.value.data == truth.value.data != "0xdeadbeef"
    assert states(found)[place] == NodeState.INCONSISTENT


def transactions(found: ChainClient, receipt: Receipt) -> object:
    return found.transactions({receipt.tx_hash: receipt.block_number})


def emitters(found: ChainClient, receipt: Receipt) -> object:
    return found.emitters(receipt.block_hash)


BY_HASH, BY_PLACE = "eth_getTransactionByHash", "eth_getTransactionByBlockHashAndIndex"
KEPT: dict[Callable[[ChainClient, Receipt], object], set[str]] = {
    transactions: {BY_HASH, BY_PLACE},
    emitters: {"eth_getBlockReceipts"},
}


@pytest.mark.parametrize("ask", KEPT)
def test_pool__one_keeps_no_old_index__counts_as_no_answer(
    held: Suite, three: list[Mirror], ask: Callable[[ChainClient, Receipt], object]
) -> None:
    receipt = held.mint(0, 7)
    truth = ask(held.world.client, receipt)
    for number, mirror in enumerate(three):
        mirror.lie = lambda request, told: None if request["method"] in KEPT[ask] else told
        found = pool(three)
        if number < 1:
            assert ask(found, receipt) == truth
        else:
            with pytest.raises(RpcInconsistent):
                ask(found, receipt)
        assert states(found) == [NodeState.HEALTHY] * 3


def test_pool__none_indexes_old_transactions__they_are_found_in_their_blocks(
    held: Suite, three: list[Mirror]
) -> None:
    receipt = held.mint(0, 7)
    held.world.node.mine(2)
    truth = transactions(held.world.client, receipt)
    for mirror in three:
        mirror.lie = lambda request, told: None if request["method"] == BY_HASH else told
    found = pool(three)

    assert transactions(found, receipt) == truth
    assert states(found) == [NodeState.HEALTHY] * 3


def test_pool__too_few_have_kept_one_of_two__the_other_is_told(
    held: Suite, three: list[Mirror]
) -> None:
    lost, kept = held.mint(0, 7), held.mint(1, 8)
    gone = [[hex_of(lost.tx_hash)], [hex_of(lost.block_hash), "0x0"]]
    for mirror in three[:2]:
        mirror.lie = lambda request, told: None if request["params"] in gone else told

    found = pool(three).kept_transactions(
        {each.tx_hash: each.block_number for each in (lost, kept)}
    )

    assert found == transactions(held.world.client, kept)


def test_pool__one_gives_another_transaction__is_left_out(held: Suite, three: list[Mirror]) -> None:
    receipt = held.mint(0, 7)

    def lie(request: dict[str, Any], told: Any) -> Any:
        if request["method"] != "eth_getTransactionByHash":
            return told
        return told | {"hash": "0x" + "77" * 32}

    three[0].lie = lie
    found = pool(three)

    assert transactions(found, receipt) == transactions(held.world.client, receipt)
    assert states(found)[0] == NodeState.INCONSISTENT


def test_pool__one_ignores_code_that_is_lent__the_other_is_believed(
    held: Suite, three: list[Mirror]
) -> None:
    held.index()

    def ignore(request: dict[str, Any], result: Any) -> Any:
        is_lent = request["method"] == "eth_call" and len(request["params"]) > 2
        return "0x" if is_lent else result

    three[1].lie = ignore
    found = pool(three[:2])
    block = held.world.client.head().hash

    amounts = HoldingReader(found).read(held.token, ADDRESSES[:5], block)

    assert amounts == HoldingReader(held.world.client).read(held.token, ADDRESSES[:5], block)
    # Of nobody first, then of all at once: each for itself would be ten calls of each node.
    assert three[0].count("eth_call") + three[1].count("eth_call") < 10
    assert states(found) == [NodeState.HEALTHY] * 2
