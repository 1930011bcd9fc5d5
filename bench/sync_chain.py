"""A real anvil with one token whose every Transfer moves a balance: what syncing is measured on.

Making twenty thousand blocks takes minutes, so a chain that was made once is kept, and loaded.

The token is a small emitter of our own, compiled with the project's compiler; a T-REX token would
take so much gas for the same logs that making the chain would outlast the measurement.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import solcx
from eth_abi.abi import encode
from eth_utils.crypto import keccak

from bench.gas_node import CHAIN_ID, PLATFORM, free_port
from chain.contracts.compile import SETTINGS, SOLC
from chain.embedded.anvil import HOST, Anvil, launch
from chain.node.client import ChainClient, bytes_of, hex_of

HOLDERS = 5_000
EMITTER_HOLDERS = 50
MINTS_PER_BLOCK = 200
UNITS = 10**24
GAS = 29_000_000
DUMP_SECONDS = 600.0
CONFIRMATIONS = 64
KEPT = Path(__file__).resolve().parent.parent / ".tools" / "bench-sync"
SOURCE = Path(__file__).parent / "sync_peers" / "TransferEmitter.sol"


@dataclass(frozen=True, slots=True)
class Workload:
    """So many blocks of so many transfers, after the blocks that mint.

    Parameters
    ----------
    name
        As the figures call it.
    """

    name: str
    blocks: int
    per_block: int

    @property
    def events(self) -> int:
        return HOLDERS + self.blocks * self.per_block


@dataclass(frozen=True, slots=True)
class SyncChain:
    """A chain that holds one workload."""

    url: str
    token: bytes
    deployed_at: int
    head: int
    workload: Workload


@contextlib.contextmanager
def sync_chain(workload: Workload) -> Iterator[SyncChain]:
    """Run a node with the whole workload in it."""
    kept = _kept(workload)
    if not kept.is_file():
        _make(workload, kept)
    with _node(kept) as node:
        client = ChainClient(f"http://{HOST}:{node.port}", CHAIN_ID)
        head = client.block_number()
        deployed_at = head - HOLDERS // MINTS_PER_BLOCK - workload.blocks
        created = client.receipts([_creation_of(client, deployed_at)])[0]
        assert created is not None
        assert created.contract_address is not None
        # SQD waits for confirmations of the last block that it was asked for.
        client.request("anvil_mine", hex(CONFIRMATIONS))
        yield SyncChain(client.rpc_url, created.contract_address, deployed_at, head, workload)


def _kept(workload: Workload) -> Path:
    digest = hashlib.sha256(SOURCE.read_bytes()).hexdigest()[:12]
    return KEPT / f"{workload.blocks}x{workload.per_block}-{digest}.json"


@contextlib.contextmanager
def _node(load: Path | None = None) -> Iterator[Anvil]:
    with tempfile.TemporaryDirectory(prefix="milkiyat-sync-") as folder:
        node = launch(Path(folder), free_port(), CHAIN_ID, load=load)
        try:
            yield node
        finally:
            node.end()


def _make(workload: Workload, kept: Path) -> None:
    """Mine the workload, and keep the chain without the state of its older blocks."""
    print(f"bench-sync: making {workload.blocks} blocks once ...", flush=True)
    with _node() as node:
        client = ChainClient(f"http://{HOST}:{node.port}", CHAIN_ID)
        _fill(client, workload)
        packed = node.call("anvil_dumpState", False, timeout=DUMP_SECONDS)
    kept.parent.mkdir(parents=True, exist_ok=True)
    half = kept.with_suffix(".part")
    half.write_bytes(gzip.decompress(bytes_of(packed)))
    half.rename(kept)


def _creation_of(client: ChainClient, number: int) -> bytes:
    block = client.request("eth_getBlockByNumber", hex(number), False)
    (created,) = block["transactions"]
    return bytes_of(created)


def _fill(client: ChainClient, workload: Workload) -> None:
    before = client.block_number()
    emitter = Emitter.deploy(client, HOLDERS)
    for seed in range(workload.blocks):
        emitter.move(seed, workload.per_block)
    blocks = 1 + HOLDERS // MINTS_PER_BLOCK + workload.blocks
    assert client.block_number() == before + blocks


NOWHERE = bytes(20)
"""What the token says of whatever it does not know: also of its registry and its rules."""


class Emitter:
    """The token, and the one account that lets it move balances, a transaction a block."""

    def __init__(self, client: ChainClient, token: bytes, deployed_at: int, count: int) -> None:
        self.token = token
        self.deployed_at = deployed_at
        self._client = client
        self._count = count
        self._nonce = 0
        self.resume()

    @classmethod
    def deploy(cls, client: ChainClient, count: int) -> Emitter:
        """Deploy the token, and give each of its `count` holders as much."""
        client.request("anvil_setBalance", PLATFORM, hex(10**30))
        client.request("anvil_impersonateAccount", PLATFORM)
        # Mined by hand, one transaction a block: its own mining may put two into one.
        client.request("evm_setAutomine", False)
        emitter = cls(client, b"", 0, count)
        emitter.token, emitter.deployed_at = emitter.create()
        for first in range(0, count, MINTS_PER_BLOCK):
            minted = min(MINTS_PER_BLOCK, count - first)
            emitter.call("mint(uint256,uint256,uint256)", first, minted, UNITS)
        return emitter

    def create(self) -> tuple[bytes, int]:
        """Deploy its code; the address, and the number of the block."""
        created = self._client.receipts([self.send(None, _bytecode())])[0]
        assert created is not None
        assert created.contract_address is not None
        return created.contract_address, created.block_number

    def stand_nowhere(self) -> None:
        """Have its own registry and rules, which it says are at zero, answer every proof."""
        self._client.request(
            "anvil_setCode", hex_of(NOWHERE), hex_of(self._client.code(self.token))
        )

    def move(self, seed: int, transfers: int) -> None:
        """Mine a block of transfers that only this seed gives."""
        self.call("move(uint256,uint256,uint256)", seed, transfers, self._count)

    def holders(self) -> list[bytes]:
        return [keccak(encode(["uint256"], [number]))[12:] for number in range(self._count)]

    def balance_call(self, holder: bytes) -> bytes:
        """Give the data of the call that asks for a balance."""
        return keccak(text="balanceOf(address)")[:4] + encode(["address"], [holder])

    def resume(self) -> None:
        """Go on from the account's nonce, which a rollback takes back too."""
        self._nonce = self._client.nonce(bytes_of(PLATFORM))

    def call(self, signature: str, *numbers: int) -> None:
        selector = keccak(text=signature)[:4]
        self.send(self.token, selector + encode(["uint256"] * len(numbers), numbers))

    def send(self, to: bytes | None, data: bytes) -> bytes:
        """Send a transaction, and mine it."""
        fields: dict[str, Any] = {
            "from": PLATFORM,
            "data": hex_of(data),
            "gas": hex(GAS),
            "nonce": hex(self._nonce),
        }
        if to is not None:
            fields["to"] = hex_of(to)
        self._nonce += 1
        sent = bytes_of(self._client.request("eth_sendTransaction", fields))
        self._client.request("evm_mine")
        return sent


def _bytecode() -> bytes:
    output = solcx.compile_standard(
        {
            "language": "Solidity",
            "sources": {SOURCE.name: {"content": SOURCE.read_text("utf-8")}},
            "settings": {
                "evmVersion": SETTINGS["evmVersion"],
                "optimizer": SETTINGS["optimizer"],
                "outputSelection": {"*": {"*": ["evm.bytecode.object"]}},
            },
        },
        solc_binary=SOLC,
    )
    code = output["contracts"][SOURCE.name]["TransferEmitter"]["evm"]["bytecode"]["object"]
    return bytes.fromhex(code)
