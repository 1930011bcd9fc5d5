"""How the embedded chain starts, whatever was left behind: a process, a port, a broken snapshot."""

from __future__ import annotations

import gzip
import os
import signal
import socket
import threading
from pathlib import Path

import pytest

from chain.embedded.devnet import Devnet, DevnetError
from tests.chain.embedded.usage import (
    COUNTER_CODE,
    SENDER,
    STRANGER,
    Wallet,
    at_rest,
    eventually,
    free_port,
    is_running,
    kill_program,
    previous,
    snapshot,
    start_program,
)

pytestmark = pytest.mark.chain


def test_start__program_killed__takes_over_its_node(tmp_path: Path, port: int) -> None:
    program, pid = start_program(tmp_path, port)
    with Wallet(f"http://127.0.0.1:{port}") as wallet:
        wallet.call("anvil_setBalance", SENDER.address, hex(10**20))
        # As if it had been killed in the middle of a snapshot.
        wallet.call("evm_setAutomine", False)
        kill_program(program)
        sent = wallet.send(STRANGER)

        with Devnet(tmp_path, port=port) as chain:
            assert chain.pid == pid
            assert wallet.mined(sent)["status"] == "0x1"
    # What was killed has lost its name before it is gone.
    assert eventually(lambda: not is_running(pid))


def test_start__program_and_node_killed__has_the_snapshot(
    tmp_path: Path, port: int, devnet: Devnet, wallet: Wallet
) -> None:
    sent = wallet.send(STRANGER)
    wallet.mined(sent)
    at_rest(devnet, wallet)
    devnet.stop()
    program, pid = start_program(tmp_path, port)
    os.kill(pid, signal.SIGKILL)
    kill_program(program)

    devnet.start()

    assert wallet.call("eth_getTransactionReceipt", sent)["status"] == "0x1"


def test_start__survivor_on_another_port__moves_its_chain(tmp_path: Path, port: int) -> None:
    program, pid = start_program(tmp_path, port)
    with Wallet(f"http://127.0.0.1:{port}") as wallet:
        wallet.call("anvil_setBalance", STRANGER, "0x7")
    kill_program(program)

    with Devnet(tmp_path, port=free_port()) as chain, Wallet(chain.url) as wallet:
        assert not is_running(pid)
        assert wallet.call("eth_getBalance", STRANGER, "latest") == "0x7"


def test_start__stale_note_of_a_process__is_ignored(tmp_path: Path, port: int) -> None:
    (tmp_path / "anvil.pid").write_text(f"{os.getpid()}\n")

    with Devnet(tmp_path, port=port) as chain:
        assert chain.pid != os.getpid()


def test_start__port_busy__names_setting_and_touches_nothing(tmp_path: Path, port: int) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", port))
        other.listen()

        with pytest.raises(DevnetError, match="DEVNET_PORT") as refusal:
            Devnet(tmp_path / "new", port=port).start()

    assert str(port) in str(refusal.value)
    assert not (tmp_path / "new").exists()


def test_start__killed_node_still_holds_the_port__waits_for_it(tmp_path: Path, port: int) -> None:
    (tmp_path / "anvil.pid").write_text("999999999\n")
    other = socket.create_server(("127.0.0.1", port))
    closing = threading.Timer(0.3, other.close)
    closing.start()

    with Devnet(tmp_path, port=port) as chain:
        assert chain.pid is not None
    closing.join()


def test_start__other_program_runs__names_directory_and_process(tmp_path: Path, port: int) -> None:
    program, pid = start_program(tmp_path, port)
    try:
        with pytest.raises(DevnetError) as refusal:
            Devnet(tmp_path, port=port).start()
        assert str(tmp_path) in str(refusal.value)
        assert str(program.pid) in str(refusal.value)
        assert is_running(pid)
    finally:
        kill_program(program)
        with Devnet(tmp_path, port=port):
            pass


@pytest.mark.parametrize("damage", ["cut", "overwritten", "not a chain"])
def test_start__snapshot_damaged__takes_the_previous_one(
    tmp_path: Path, devnet: Devnet, wallet: Wallet, damage: str
) -> None:
    counter = wallet.deploy_counter()
    at_rest(devnet, wallet)
    wallet.mined(wallet.send(counter))
    devnet.stop()
    good = snapshot(tmp_path).read_bytes()
    contents = {
        "cut": good[: len(good) // 2],
        "overwritten": good[:100] + bytes(200) + good[300:],
        "not a chain": gzip.compress(b'{"block": null}'),
    }
    snapshot(tmp_path).write_bytes(contents[damage])

    devnet.start()

    assert wallet.call("eth_getCode", counter, "latest") == "0x" + COUNTER_CODE.hex()
    assert snapshot(tmp_path).with_suffix(".corrupt").exists()
    assert previous(tmp_path).exists()


def test_start__no_snapshot_usable__begins_at_genesis_and_keeps_them(
    tmp_path: Path, devnet: Devnet, wallet: Wallet
) -> None:
    wallet.mined(wallet.send(STRANGER))
    at_rest(devnet, wallet)
    devnet.stop()
    snapshot(tmp_path).write_bytes(b"")
    previous(tmp_path).write_bytes(b"nothing")

    devnet.start()

    assert wallet.call("eth_getTransactionCount", SENDER.address, "latest") == "0x0"
    assert len(list(tmp_path.glob("*.corrupt"))) == 2


def test_start__crash_between_the_renames__takes_the_previous_one(
    tmp_path: Path, devnet: Devnet, wallet: Wallet
) -> None:
    counter = wallet.deploy_counter()
    devnet.stop()
    snapshot(tmp_path).replace(previous(tmp_path))

    devnet.start()

    assert wallet.call("eth_getCode", counter, "latest") == "0x" + COUNTER_CODE.hex()


def test_start__other_chain_id__has_a_chain_of_its_own(
    tmp_path: Path, port: int, devnet: Devnet, wallet: Wallet
) -> None:
    wallet.mined(wallet.send(STRANGER))
    devnet.stop()

    with Devnet(tmp_path, port=port, chain_id=77):
        assert wallet.call("eth_chainId") == hex(77)
        assert wallet.height() == 0
    devnet.start()

    assert wallet.call("eth_getTransactionCount", SENDER.address, "latest") == "0x1"
