"""A user of the embedded chain, and what a test can do to its node and its program."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import httpx
import psutil
from eth_account import Account
from eth_utils.address import to_checksum_address

from chain.embedded.devnet import Devnet

ROOT = Path(__file__).resolve().parents[3]
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


def at_rest(devnet: Devnet, wallet: Wallet) -> None:
    """Wait until the newest transaction is confirmed and the snapshot has everything."""
    eventually(lambda: not wallet.call("eth_getBlockByNumber", "latest", False)["transactions"])
    head = wallet.call("eth_getBlockByNumber", "latest", False)["hash"]
    eventually(lambda: devnet._saved_head == head and not devnet._is_touched.is_set())
    # Whoever saves it turns mining on again afterwards.
    eventually(lambda: wallet.call("anvil_getAutomine"))
