"""A bare anvil for one test: mined by hand where wanted, rolled back, restarted, killed."""

from __future__ import annotations

import gzip
import re
import subprocess
from pathlib import Path
from typing import Any, Self

from chain.embedded.anvil import HARDFORK, HOST, _find_binary
from chain.embedded.dump import with_one_genesis
from chain.node.client import Block, ChainClient, Receipt, bytes_of, hex_of

CHAIN_ID = 31337
START_LINE = re.compile(r"Listening on [\d.]+:(\d+)")
STOP_SECONDS = 10
FIRST_FEE = 10**13
"""Wei per gas: more than anybody here offers."""


class Node:
    """A running anvil that knows no account, and mines when it is told to.

    Its own mining of each transaction answers before the block is there, so that what a test
    sees would depend on the moment; only `mines_at_once` turns it on.

    Parameters
    ----------
    directory
        Its working directory; it writes what it caches there.
    state
        A dump to start from.
    """

    def __init__(
        self,
        directory: Path,
        *,
        state: Path | None = None,
        port: int = 0,
        chain_id: int = CHAIN_ID,
    ) -> None:
        self._directory = directory
        self.chain_id = chain_id
        self._process: subprocess.Popen[str] | None = None
        self.port = port
        self.start(state=state)
        self.client = ChainClient(self.url, CHAIN_ID)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    def start(self, *, state: Path | None = None) -> None:
        """Start the process; a second time on the same port."""
        load = ["--load-state", str(state)] if state else []
        self._process = subprocess.Popen(
            [
                *(str(_find_binary()), "--host", HOST, "--port", str(self.port)),
                *("--chain-id", str(self.chain_id), "--hardfork", HARDFORK, "--accounts", "0"),
                *(
                    "--no-mining",
                    "--no-cors",
                    "--cache-path",
                    str(self._directory / "cache"),
                    *load,
                ),
            ],
            cwd=self._directory,
            env={"HOME": str(self._directory)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        assert self._process.stdout is not None
        said = []
        for line in self._process.stdout:
            said.append(line)
            if found := START_LINE.search(line):
                self.port = int(found[1])
                # Nobody reads on: a full pipe would stop the node.
                self.rpc_once("anvil_setLoggingEnabled", False)
                return
        raise AssertionError("anvil did not start: " + "".join(said))

    def rpc_once(self, method: str, *params: Any) -> Any:
        return ChainClient(self.url, CHAIN_ID).request(method, *params)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(STOP_SECONDS)
            assert self._process.stdout is not None
            self._process.stdout.close()
            self._process = None

    # -- driving it --------------------------------------------------------------------------

    def rpc(self, method: str, *params: Any) -> Any:
        return self.client.request(method, *params)

    def mine(self, blocks: int = 1) -> Block:
        for _ in range(blocks):
            self.rpc("evm_mine")
        return self.client.head()

    def mined(self, sent: bytes) -> Receipt:
        """Mine, and return the receipt of a transaction that must have succeeded."""
        self.mine()
        receipt = self.client.receipts([sent])[0]
        assert receipt is not None
        assert receipt.succeeded
        return receipt

    def roll_back(self, blocks: int) -> Block:
        """Take the newest blocks away; their transactions are gone, not in the pool.

        The clock of the chain goes on: what is mined instead is mined later.
        """
        later = self.client.head().timestamp + 1
        self.rpc("anvil_rollback", blocks)
        self.drop_pool()
        self.rpc("evm_setNextBlockTimestamp", later)
        return self.client.head()

    def drop_pool(self) -> None:
        self.rpc("anvil_dropAllTransactions")

    def pool_size(self) -> int:
        return int(self.rpc("txpool_status")["pending"], 16)

    def mines_at_once(self) -> None:
        self.rpc("evm_setAutomine", True)

    def fund(self, address: bytes) -> None:
        self.rpc("anvil_setBalance", hex_of(address), hex(10**24))

    def act_as(self, sender: bytes, to: bytes, data: bytes, *, first: bool = False) -> None:
        """Let an address call that has no key, in a block of its own: a contract, say.

        Parameters
        ----------
        first
            It pays so much that it comes before what waits in the pool.
        """
        self.fund(sender)
        self.rpc("anvil_impersonateAccount", hex_of(sender))
        call = {"from": hex_of(sender), "to": hex_of(to), "data": hex_of(data), "gas": "0xf4240"}
        if first:
            call["gasPrice"] = hex(FIRST_FEE)
        sent = self.rpc("eth_sendTransaction", call)
        self.rpc("anvil_stopImpersonatingAccount", hex_of(sender))
        self.mined(bytes_of(sent))

    def dump(self, path: Path, *, history: bool = False) -> Path:
        """Write the chain for another node to start from.

        Parameters
        ----------
        history
            Whether the other node will know the state of older blocks too.
        """
        packed = self.rpc("anvil_dumpState", history)
        dump = gzip.decompress(bytes.fromhex(packed.removeprefix("0x")))
        path.write_bytes(with_one_genesis(dump))
        return path

    def transactions(self) -> list[str]:
        """Hashes of everything that is on chain, oldest first."""
        found = []
        for number in range(self.client.head().number + 1):
            found += self.rpc("eth_getBlockByNumber", hex(number), False)["transactions"]
        return found
