import gzip
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

import httpx
import psutil
import pytest
from eth_account import Account
from eth_utils.address import to_checksum_address

from chain.embedded.devnet import Devnet, DevnetError

pytestmark = pytest.mark.chain

ROOT = Path(__file__).resolve().parents[2]
CHAIN_ID = 31337
SENDER = Account.from_key(b"\x11" * 32)
STRANGER = "0x" + "42" * 20
# Each call adds one to slot 0, logs the sum under topic 0xaa, and returns it:
# sload(0) + 1, dup, sstore(0), mstore(0), log1(0, 32, 0xaa), return(0, 32)
COUNTER_CODE = bytes.fromhex("5f546001018060005560005260aa60206000a160206000f3")
# codecopy(0, 9, size), return(0, size)
COUNTER_INIT = bytes([0x60, len(COUNTER_CODE), *bytes.fromhex("8060095f395ff3")]) + COUNTER_CODE
# A program that starts the chain, says so, and waits to be killed.
PROGRAM = """
import sys, time
from pathlib import Path
from chain.embedded.devnet import Devnet
devnet = Devnet(Path(sys.argv[1]), port=int(sys.argv[2]))
devnet.start()
print(devnet.pid, flush=True)
time.sleep(60)
"""


class Wallet:
    """Sends signed transactions of one key."""

    def __init__(self, url: str, nonce: int = 0) -> None:
        self.http = httpx.Client(base_url=url, trust_env=False, timeout=30)
        self.nonce = nonce

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()

    def call(self, method: str, *parameters: object) -> Any:
        request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(parameters)}
        answer = self.http.post("/", json=request).json()
        assert "result" in answer, answer
        return answer["result"]

    def send(self, to: str | None, data: bytes = b"") -> str:
        return str(self.call("eth_sendRawTransaction", self.signed(to, data)))

    def signed(self, to: str | None, data: bytes = b"", *, gas: int = 300_000) -> str:
        transaction: dict[str, Any] = {
            "chainId": CHAIN_ID,
            "nonce": self.nonce,
            "gas": gas,
            "maxFeePerGas": 10**11,
            "maxPriorityFeePerGas": 10**9,
            "value": 0,
            "data": data,
            "type": 2,
        }
        if to is not None:
            transaction["to"] = to_checksum_address(to)
        raw = SENDER.sign_transaction(transaction).raw_transaction
        self.nonce += 1
        return "0x" + bytes(raw).hex()

    def mined(self, transaction: str) -> dict[str, Any]:
        return dict(eventually(lambda: self.call("eth_getTransactionReceipt", transaction)))

    def deploy_counter(self) -> str:
        return str(self.mined(self.send(None, COUNTER_INIT))["contractAddress"])

    def count(self, counter: str) -> int:
        return int(self.call("eth_call", {"to": counter}, "latest"), 16) - 1

    def height(self) -> int:
        return int(self.call("eth_blockNumber"), 16)


def eventually(look: Callable[[], Any], seconds: float = 8) -> Any:
    deadline = time.monotonic() + seconds
    while True:
        try:
            found = look()
        except (httpx.HTTPError, AssertionError):
            found = None
        if found:
            return found
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.01)


def observe(wallet: Wallet, counter: str, transactions: list[str]) -> dict[str, Any]:
    """Everything that a reader can ask of a chain."""
    numbers = [hex(number) for number in range(wallet.height() + 1)]
    everything = {"fromBlock": "0x0", "toBlock": "latest"}
    return {
        "blocks": [wallet.call("eth_getBlockByNumber", number, True) for number in numbers],
        "block receipts": [wallet.call("eth_getBlockReceipts", number) for number in numbers],
        "receipts": [wallet.call("eth_getTransactionReceipt", sent) for sent in transactions],
        "transactions": [wallet.call("eth_getTransactionByHash", sent) for sent in transactions],
        "logs": wallet.call("eth_getLogs", everything),
        "nonce": wallet.call("eth_getTransactionCount", SENDER.address, "latest"),
        "code": wallet.call("eth_getCode", counter, "latest"),
        "balance": wallet.call("eth_getBalance", SENDER.address, "latest"),
        "storage": wallet.call("eth_call", {"to": counter}, "latest"),
    }


def start_program(directory: Path, port: int) -> tuple[subprocess.Popen[str], int]:
    program = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(directory), str(port)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert program.stdout is not None
    for line in program.stdout:
        if line.strip().isdecimal():  # among the log's lines
            return program, int(line)
    raise AssertionError("the program ended")


def kill_program(program: subprocess.Popen[str]) -> None:
    program.kill()
    program.wait()
    assert program.stdout is not None
    program.stdout.close()


def is_running(pid: int) -> bool:
    """Tell whether the process lives; a dead child that nobody has collected does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def kill_node(devnet: Devnet) -> int:
    assert devnet.pid is not None
    os.kill(devnet.pid, signal.SIGKILL)
    return devnet.pid


def snapshot(directory: Path) -> Path:
    return directory / f"chain-{CHAIN_ID}.json.gz"


def previous(directory: Path) -> Path:
    return directory / f"chain-{CHAIN_ID}.json.previous.gz"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def devnet(tmp_path: Path, port: int) -> Iterator[Devnet]:
    """A quick one: looks twenty times a second, and saves at each look that finds something."""
    chain = Devnet(tmp_path, port=port, heartbeat_seconds=0.05, snapshot_seconds=0.05)
    try:
        chain.start()
        chain.fund(SENDER.address, 10**20)
        yield chain
    finally:
        chain.stop()


@pytest.fixture
def wallet(devnet: Devnet) -> Iterator[Wallet]:
    with Wallet(devnet.url) as sender:
        yield sender


def at_rest(devnet: Devnet, wallet: Wallet) -> None:
    """Wait until the newest transaction is confirmed and the snapshot has everything."""
    eventually(lambda: not wallet.call("eth_getBlockByNumber", "latest", False)["transactions"])
    head = wallet.call("eth_getBlockByNumber", "latest", False)["hash"]
    eventually(lambda: devnet._saved_head == head and not devnet._is_touched.is_set())
    # Whoever saves it turns mining on again afterwards.
    eventually(lambda: wallet.call("anvil_getAutomine"))


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
