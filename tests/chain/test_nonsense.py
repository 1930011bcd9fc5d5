"""One of several nodes whose answers make no sense: it is left out, and the others are asked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from chain.errors import RpcInconsistent
from chain.node.client import ChainClient, call_params, hex_of
from chain.node.pooled_node import NodeState
from chain.sync.indexer import Indexer
from tests.chain.mirror import Lie, Mirror
from tests.chain.nodes import CHAIN_ID
from tests.chain.pools import pool, states
from tests.chain.suite import ADDRESSES, Suite, catch_up

pytestmark = [pytest.mark.chain, pytest.mark.usefixtures("patiently")]

KEY = ADDRESSES[0]
LENT = {hex_of(KEY): {"code": "0x60015f5260205ff3"}}
"""Code that answers 1."""


def answering(method: str, nonsense: Any) -> Lie:
    return lambda request, told: nonsense if request["method"] == method else told


def changing(method: str, **fields: Any) -> Lie:
    return lambda request, told: told | fields if request["method"] == method else told


HEAD = "eth_getBlockByNumber"
HEADS: dict[str, Lie] = {
    "empty": answering(HEAD, {}),
    "a list": answering(HEAD, []),
    "a number": answering(HEAD, 5),
    "null": answering(HEAD, None),
    "no number": changing(HEAD, number=None),
    "half a number": changing(HEAD, number="0x"),
    "a number below zero": changing(HEAD, timestamp="-0x5"),
    "no limit": changing(HEAD, gasLimit=None),
    "a word for a limit": changing(HEAD, gasLimit="many"),
    "no filter": changing(HEAD, logsBloom=None),
    "a word for a hash": changing(HEAD, hash="0xzz"),
    "lists for transactions": changing(HEAD, transactions=[[1]]),
    "empty transactions": changing(HEAD, transactions=[{}]),
    "words for transactions": changing(HEAD, transactions=["0x12"]),
    "no chain": answering("eth_chainId", None),
    "a list for a chain": answering("eth_chainId", []),
}


def test_pool__one_head_makes_no_sense__is_left_out_and_two_are_believed(
    suite: Suite, three: list[Mirror]
) -> None:
    for person in range(3):
        suite.mint(person, 10_000)
    for name, lie in HEADS.items():
        three[0].lie = lie
        found = pool(three)

        found.check()

        assert found.head() == suite.world.client.head(), name
        assert states(found) == [NodeState.INCONSISTENT, *[NodeState.HEALTHY] * 2], name

    catch_up(Indexer(suite.world.database, found))
    suite.assert_exact()


def receipts(found: ChainClient, tx_hash: bytes) -> Any:
    return found.receipts([tx_hash])


def transactions(found: ChainClient, tx_hash: bytes) -> Any:
    return found.transactions({tx_hash: 0})


def emitters(found: ChainClient, tx_hash: bytes) -> Any:
    (receipt,) = found.receipts([tx_hash])
    assert receipt is not None
    return found.emitters(receipt.block_hash)


def headers(found: ChainClient, _: bytes) -> Any:
    return found.headers([1, 2])


def call(found: ChainClient, _: bytes) -> Any:
    return found.call(KEY, b"")


def lent(found: ChainClient, _: bytes) -> Any:
    return found.request("eth_call", *call_params(KEY, b"", None, found.head().hash), LENT)


def estimate(found: ChainClient, _: bytes) -> Any:
    return found.estimate_gas(KEY, b"", sender=KEY)


def balance(found: ChainClient, _: bytes) -> Any:
    return found.balance(KEY)


def fees(found: ChainClient, _: bytes) -> Any:
    return found.outlook(KEY, 2).base_fees_wei


def nonces(found: ChainClient, _: bytes) -> Any:
    return found.nonces_used([KEY])


ASKED: list[tuple[Callable[[ChainClient, bytes], Any], Lie]] = [
    (receipts, answering("eth_getTransactionReceipt", {})),
    (receipts, answering("eth_getTransactionReceipt", [1])),
    (receipts, changing("eth_getTransactionReceipt", blockNumber="soon")),
    (receipts, changing("eth_getTransactionReceipt", logs=None)),
    (receipts, changing("eth_getTransactionReceipt", logs=[{}])),
    (transactions, answering("eth_getTransactionByHash", {})),
    (transactions, changing("eth_getTransactionByHash", input=5)),
    (transactions, changing("eth_getTransactionByHash", **{"from": None})),
    (emitters, answering("eth_getBlockReceipts", 7)),
    (emitters, answering("eth_getBlockReceipts", [{}])),
    (headers, changing("eth_getBlockByNumber", gasLimit="0xzz")),
    (headers, changing("eth_getBlockByNumber", gasLimit=None)),
    (call, answering("eth_call", [])),
    (call, answering("eth_call", "0x1")),
    (call, answering("eth_call", "words")),
    (lent, answering("eth_call", [])),
    (lent, answering("eth_call", {})),
    (estimate, answering("eth_estimateGas", None)),
    (balance, answering("eth_getBalance", {})),
    (fees, answering("eth_feeHistory", {"baseFeePerGas": ["x"]})),
    (fees, answering("eth_feeHistory", "x")),
    (nonces, answering("eth_getTransactionCount", "x")),
]


def test_pool__one_answer_makes_no_sense__is_left_out_and_another_is_asked(
    suite: Suite, three: list[Mirror]
) -> None:
    tx_hash = suite.mint(0, 7).tx_hash
    for ask, lie in ASKED:
        three[0].lie = lambda _, told: told
        truth = ask(suite.world.client, tx_hash)
        found = pool(three)
        found.check()
        three[0].lie = lie

        assert ask(found, tx_hash) == truth
        assert states(found)[0] == NodeState.INCONSISTENT, ask


def test_client__the_only_node_makes_no_sense__is_an_own_error(
    suite: Suite, three: list[Mirror]
) -> None:
    tx_hash = suite.mint(0, 7).tx_hash
    for ask, lie in ASKED:
        three[0].lie = lie
        with pytest.raises(RpcInconsistent):
            ask(ChainClient(three[0].url, CHAIN_ID), tx_hash)


def test_client__receipt_of_what_only_waits__is_none(suite: Suite, three: list[Mirror]) -> None:
    """Some nodes give one, of no block, while it is in their pool."""
    tx_hash = suite.mint(0, 7).tx_hash
    three[0].lie = changing("eth_getTransactionReceipt", blockNumber=None, blockHash=None)

    assert ChainClient(three[0].url, CHAIN_ID).receipts([tx_hash]) == [None]
