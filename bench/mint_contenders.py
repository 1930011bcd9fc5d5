"""Who mints: the program itself, a plain web3.py loop, and the node by itself."""

from __future__ import annotations

import contextlib
import itertools
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import httpx
from eth_account import Account
from eth_typing import ChecksumAddress
from sqlalchemy import text
from web3 import Web3
from web3.types import TxParams

from api.auth.tokens import DevelopmentIssuer
from bench.gas_node import CHAIN_ID
from bench.mint_stage import MintStage, heartbeat
from chain.contracts.platform import platform_address
from chain.embedded.anvil import HOST, Anvil
from chain.node.client import hex_of
from chain.runtime import embedded_keys
from registry.kernel.actor import Role
from registry.kernel.db import Database

ROOT = Path(__file__).resolve().parent.parent
START_SECONDS = 300.0
RUN_SECONDS = 300.0
LOOK_SECONDS = 0.02
LOOK_AT_ALL_SECONDS = 0.25
"""Between two looks over all mints, each of which takes the database some milliseconds."""

SETTLE_SECONDS = 5.0
"""Until every part of the program has come up after the API: a server does not start for a sale."""
LOOP_GAS = 1_000_000
GWEI = 10**9
MINT = [
    {
        "type": "function",
        "name": "mint",
        "stateMutability": "nonpayable",
        "inputs": [
            {"name": "token", "type": "address"},
            {"name": "to", "type": "address"},
            {"name": "amount", "type": "uint256"},
        ],
        "outputs": [],
    }
]
_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Minted:
    """What a run of the program took, and the transactions that it signed."""

    seconds: float
    raws: list[bytes]


@contextlib.contextmanager
def serving(stage: MintStage, database: Database, *command: str) -> Iterator[tuple[str, int]]:
    """Run `milkiyat serve`, or another command, on a database of the stage.

    Yields
    ------
    str, int
        Its address and its process.
    """
    settings = stage.settings
    environment = os.environ | {"DATABASE_URL": database.url}
    address = f"http://{settings.host}:{settings.port}"
    child = subprocess.Popen(
        [sys.executable, "-m", "api.cli", *command],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + START_SECONDS
        while "serve" in command and not _is_ready(address):
            if child.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("the program did not come up")
            time.sleep(0.1)
        yield address, child.pid
    finally:
        child.terminate()
        child.wait()


def _is_ready(address: str) -> bool:
    try:
        return httpx.get(f"{address}/readyz", trust_env=False).is_success
    except httpx.HTTPError:
        return False


def mint_by_api(stage: MintStage) -> Minted:
    """Have the sale closed over HTTP, and wait until every mint of it is final."""
    issuer = DevelopmentIssuer(stage.settings)
    token = issuer.issue("COMPL-1", [Role.COMPLIANCE], timedelta(hours=1))
    with (
        stage.database(f"run_{next(_numbers)}") as database,
        stage.node() as node,
        serving(stage, database, "serve", "--processes") as (address, _),
        heartbeat(node),
    ):
        time.sleep(SETTLE_SECONDS)
        started = time.perf_counter()
        answer = httpx.post(
            f"{address}/v1/tokenizations/{stage.tokenization_id}/mint",
            headers={"Authorization": f"Bearer {token}", "Idempotency-Key": "mint"},
            timeout=RUN_SECONDS,
            trust_env=False,
        )
        answer.raise_for_status()
        answered = time.perf_counter() - started
        _await_final(database)
        seconds = time.perf_counter() - started
        print(
            f"ours: answered after {answered:.2f} s, final after {seconds:.2f} s", file=sys.stderr
        )
        return Minted(seconds, _signed(database, stage.holders))


def _await_final(database: Database) -> None:
    deadline = time.monotonic() + RUN_SECONDS
    unfinished = text("SELECT 1 FROM operation WHERE kind = 'mint' AND state <> 'final' LIMIT 1")
    while time.monotonic() < deadline:
        with database.reading() as session:
            if session.connection().execute(unfinished).first() is None:
                return
        time.sleep(LOOK_AT_ALL_SECONDS)
    raise RuntimeError("the mints did not come to an end")


def _signed(database: Database, holders: int) -> list[bytes]:
    """Give what minted, in the order of nonces, and make sure that it was all."""
    counted = text("SELECT count(*) FROM operation WHERE kind = 'mint' AND state = 'final'")
    signed = text(
        "SELECT raw FROM operation_attempt JOIN operation ON id = operation_id"
        " WHERE (kind = 'mint' OR params ->> 'kind' = 'mint') AND block_number IS NOT NULL"
        " ORDER BY nonce"
    )
    with database.reading() as session:
        connection = session.connection()
        assert connection.execute(counted).scalar_one() == holders
        return [bytes(row[0]) for row in connection.execute(signed)]


def blast(stage: MintStage, raws: Sequence[bytes]) -> float:
    """Hand the node everything at once; seconds until the last is mined."""
    calls = [
        {"jsonrpc": "2.0", "id": n, "method": "eth_sendRawTransaction", "params": [hex_of(raw)]}
        for n, raw in enumerate(raws)
    ]
    with stage.node() as node, httpx.Client(trust_env=False, timeout=RUN_SECONDS) as http:
        started = time.perf_counter()
        answers = http.post(f"http://{HOST}:{node.port}", json=calls).json()
        hashes = [answer["result"] for answer in answers]
        # Left to itself, the node mines what was pending when it last looked, and rests.
        while node.call("txpool_status")["pending"] != "0x0":
            node.call("evm_mine", timeout=RUN_SECONDS)
        return _mined_after(node, started, hashes)


def mint_by_loop(stage: MintStage, count: int, *, local: bool) -> float:
    """Mint to so many of the holders with web3.py, one by one; seconds until the last is mined.

    Parameters
    ----------
    local
        The loop counts its nonces itself, and takes gas and fees as given; otherwise it asks the
        node, as web3.py does by itself.
    """
    keystore = embedded_keys(stage.settings) / "platform.json"
    assert stage.settings.signer_password is not None
    key = Account.decrypt(keystore.read_text(), stage.settings.signer_password.get_secret_value())
    account = Account.from_key(key)
    token, agent, wallets = _places(stage, count)
    given: dict[str, Any] = {"from": account.address, "value": 0}
    if local:
        given |= {
            "chainId": CHAIN_ID,
            "gas": LOOP_GAS,
            "maxFeePerGas": 100 * GWEI,
            "maxPriorityFeePerGas": GWEI,
        }
    with stage.node() as node:
        web3 = Web3(Web3.HTTPProvider(f"http://{HOST}:{node.port}"))
        mint = web3.eth.contract(Web3.to_checksum_address(agent), abi=MINT).functions.mint
        nonce = int(web3.eth.get_transaction_count(account.address))
        hashes = []
        started = time.perf_counter()
        for number, wallet in enumerate(wallets):
            if not local:
                nonce = web3.eth.get_transaction_count(account.address, "pending") - number
            built = mint(token, wallet, 1).build_transaction(
                cast("TxParams", {**given, "nonce": nonce + number})
            )
            signed = account.sign_transaction(built)
            hashes.append(Web3.to_hex(web3.eth.send_raw_transaction(signed.raw_transaction)))
        return _mined_after(node, started, hashes)


def _places(stage: MintStage, count: int) -> tuple[ChecksumAddress, str, list[ChecksumAddress]]:
    """Give the token, its agent, and wallets of buyers."""
    with stage.database("places") as database, database.reading() as session:
        connection = session.connection()
        token = connection.execute(
            text("SELECT token_address FROM tokenization WHERE id = :id"),
            {"id": stage.tokenization_id},
        ).scalar_one()
        wallets = connection.execute(
            text(
                "SELECT address FROM wallet JOIN purchase_order ON wallet_id = wallet.id LIMIT :n"
            ),
            {"n": count},
        )
        addresses = [Web3.to_checksum_address(bytes(row[0])) for row in wallets]
        agent = platform_address(session, CHAIN_ID, "CaseAgent")
    return Web3.to_checksum_address(bytes(token)), agent, addresses


def _mined_after(node: Anvil, started: float, hashes: Sequence[str]) -> float:
    """Wait for the last receipt, and insist that every one tells of success; the seconds taken."""
    while node.call("eth_getTransactionReceipt", hashes[-1]) is None:
        if time.perf_counter() - started > RUN_SECONDS:
            raise RuntimeError(f"the node mines no more: {node.call('txpool_status')}")
        time.sleep(LOOK_SECONDS / 4)
    seconds = time.perf_counter() - started
    receipts = (node.call("eth_getTransactionReceipt", digest) for digest in hashes)
    failed = [receipt for receipt in receipts if receipt is None or receipt["status"] != "0x1"]
    assert not failed, f"{len(failed)} of {len(hashes)} transactions failed"
    return seconds
