"""The embedded chain while it runs: what survives, what is mined, what is kept."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from chain.embedded.devnet import Devnet, DevnetError
from tests.chain.embedded.usage import (
    SENDER,
    STRANGER,
    Wallet,
    at_rest,
    eventually,
    is_running,
    kill_node,
    observe,
)

pytestmark = pytest.mark.chain


def test_restart__stopped__keeps_everything_a_reader_sees(devnet: Devnet, wallet: Wallet) -> None:
    counter = wallet.deploy_counter()
    sent = [wallet.send(counter) for _ in range(5)]
    wallet.mined(sent[-1])
    at_rest(devnet, wallet)
    before = observe(wallet, counter, sent)
    assert len(before["logs"]) == 5

    devnet.stop()
    devnet.start()

    after = observe(wallet, counter, sent)
    assert after["blocks"][: len(before["blocks"])] == before["blocks"]
    assert after["block receipts"][: len(before["blocks"])] == before["block receipts"]
    for kind in before.keys() - {"blocks", "block receipts"}:
        assert after[kind] == before[kind], kind
    times = [int(block["timestamp"], 16) for block in after["blocks"]]
    assert times == sorted(times)
    # One block below the head is what a reader with one confirmation asks for.
    below = hex(wallet.height() - 1)
    assert wallet.call("eth_call", {"to": counter}, below) == before["storage"]
    wallet.mined(wallet.send(counter))
    assert wallet.count(counter) == 6


def test_restart__several_times__block_1_follows_the_same_genesis(
    devnet: Devnet, wallet: Wallet
) -> None:
    """A node's dump holds the genesis that it made at its own start beside the one it loaded."""
    wallet.deploy_counter()
    genesis = wallet.call("eth_getBlockByNumber", "0x0", False)

    for _ in range(4):
        devnet.stop()
        time.sleep(1)  # a genesis made within the same second would be the same
        devnet.start()

        assert wallet.call("eth_getBlockByNumber", "0x0", False) == genesis
        assert wallet.call("eth_getBlockByNumber", "0x1", False)["parentHash"] == genesis["hash"]


def test_stop__mined_just_before__is_in_the_last_snapshot(devnet: Devnet, wallet: Wallet) -> None:
    counter = wallet.deploy_counter()
    wallet.mined(wallet.send(counter))

    devnet.stop()
    devnet.start()

    assert wallet.count(counter) == 1


def test_stop__running__leaves_no_process_and_no_thread(devnet: Devnet) -> None:
    pid = devnet.pid
    assert pid is not None

    devnet.stop()

    assert not is_running(pid)
    assert not [thread for thread in threading.enumerate() if thread.name == "devnet-keeper"]
    assert devnet.pid is None
    devnet.stop()


def test_fund__balance_lower_or_higher__is_raised_only(devnet: Devnet, wallet: Wallet) -> None:
    devnet.fund(STRANGER, 5)
    devnet.fund(STRANGER, 3)
    assert wallet.call("eth_getBalance", STRANGER, "latest") == "0x5"

    devnet.stop()
    devnet.start()

    assert wallet.call("eth_getBalance", STRANGER, "latest") == "0x5"


def test_fund__not_running__is_refused(tmp_path: Path) -> None:
    with pytest.raises(DevnetError):
        Devnet(tmp_path).fund(STRANGER, 1)


@pytest.mark.parametrize("confirmations", [0, 1, 3])
def test_heartbeat__transaction__is_confirmed_and_then_nothing_is_mined(
    tmp_path: Path, port: int, confirmations: int
) -> None:
    chain = Devnet(tmp_path, port=port, confirmations=confirmations, heartbeat_seconds=0.05)
    with chain, Wallet(chain.url) as wallet:
        chain.fund(SENDER.address, 10**20)
        mined = int(wallet.mined(wallet.send(STRANGER))["blockNumber"], 16)

        eventually(lambda: wallet.height() == mined + confirmations)
        time.sleep(0.5)

        assert wallet.height() == mined + confirmations


def test_heartbeat__blocks_keep_coming__no_empty_one_comes_between(
    tmp_path: Path, port: int
) -> None:
    chain = Devnet(tmp_path, port=port, confirmations=1, heartbeat_seconds=0.2)
    with chain, Wallet(chain.url) as wallet:
        chain.fund(SENDER.address, 10**20)
        at_rest(chain, wallet)
        first = wallet.height() + 1
        for _ in range(40):
            last = int(wallet.mined(wallet.send(STRANGER))["blockNumber"], 16)
            time.sleep(0.03)

        # The keeper's first look may find one block alone.
        assert last - first <= 40
        assert eventually(lambda: wallet.height() == last + 1)


def test_heartbeat__more_than_a_block_holds__is_mined_to_the_last(
    tmp_path: Path, port: int
) -> None:
    chain = Devnet(tmp_path, port=port, confirmations=0, heartbeat_seconds=0.1)
    with chain, Wallet(chain.url) as wallet:
        chain.fund(SENDER.address, 10**20)
        raws = [wallet.signed(STRANGER, gas=14_000_000) for _ in range(9)]
        calls = [
            {"jsonrpc": "2.0", "id": raw, "method": "eth_sendRawTransaction", "params": [raw]}
            for raw in raws
        ]
        sent = [answer["result"] for answer in wallet.http.post("/", json=calls).json()]

        # Two of them fill a block, and nothing else ever arrives.
        assert all(wallet.mined(each) for each in sent)


def test_heartbeat__mining_turned_off__leaves_it_to_the_driver(
    devnet: Devnet, wallet: Wallet
) -> None:
    at_rest(devnet, wallet)
    wallet.call("evm_setAutomine", False)
    height = wallet.height()

    wallet.send(STRANGER)
    time.sleep(0.3)
    assert wallet.height() == height

    wallet.call("evm_mine")
    time.sleep(0.3)
    assert wallet.height() == height + 1


def test_keeper__node_killed__starts_it_again_from_the_snapshot(
    devnet: Devnet, wallet: Wallet
) -> None:
    counter = wallet.deploy_counter()
    sent = wallet.send(counter)
    wallet.mined(sent)
    at_rest(devnet, wallet)
    before = wallet.call("eth_getBlockByNumber", "latest", True)

    killed = kill_node(devnet)

    assert eventually(lambda: wallet.call("eth_getTransactionReceipt", sent))
    assert devnet.pid != killed
    assert wallet.call("eth_getBlockByNumber", before["number"], True) == before
    wallet.mined(wallet.send(counter))
    assert wallet.count(counter) == 2


def test_snapshot__taken_while_blocks_are_mined__is_of_one_block(
    devnet: Devnet, wallet: Wallet
) -> None:
    counter = wallet.deploy_counter()
    for _ in range(3):
        deadline = time.monotonic() + 1
        while time.monotonic() < deadline:
            wallet.send(counter)
        saved = devnet._saved_head
        kill_node(devnet)

        # The account's nonce is that of its last transaction on the chain, neither more nor less.
        eventually(wallet.height)
        nonce = int(wallet.call("eth_getTransactionCount", SENDER.address, "latest"), 16)
        blocks = [
            wallet.call("eth_getBlockByNumber", hex(n), False) for n in range(wallet.height() + 1)
        ]
        assert sum(len(block["transactions"]) for block in blocks) == nonce
        assert saved in {block["hash"] for block in blocks}
        assert wallet.count(counter) == nonce - 1
        assert nonce > 1
        wallet.nonce = nonce
