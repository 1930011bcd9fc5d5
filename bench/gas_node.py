"""A throw-away node, and one key on it that deploys and calls."""

from __future__ import annotations

import contextlib
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from chain.contracts.abi import contract
from chain.embedded.anvil import HOST, launch
from chain.node.client import ChainClient, Receipt, bytes_of, hex_of

CHAIN_ID = 31_337
PLATFORM = "0x" + "b5" * 20
BALANCE_WEI = 10**24
GAS_LIMIT = 29_000_000


class GasNode:
    """Calls contracts, and tells what each call cost.

    Parameters
    ----------
    client
        A node that lets any address send.
    """

    def __init__(self, client: ChainClient) -> None:
        self.client = client
        # Mined by hand: at once, a transaction counts some microseconds before its receipt does.
        client.request("evm_setAutomine", False)
        self.lend(PLATFORM)

    def lend(self, address: str) -> None:
        """Let an address send whose key nobody has."""
        self.client.request("anvil_setBalance", address, hex(BALANCE_WEI))
        self.client.request("anvil_impersonateAccount", address)

    def create(self, name: str, *arguments: Any) -> str:
        """Create a contract, and return where it stands."""
        created = self.send(PLATFORM, None, contract(name).creation(arguments)).contract_address
        assert created is not None, f"{name} was not created"
        return hex_of(created)

    def do(
        self, name: str, address: str, function: str, *arguments: Any, sender: str = PLATFORM
    ) -> Receipt:
        """Call a contract, and insist that it succeeds."""
        data = contract(name).functions[function].encode(*arguments)
        return self.send(sender, address, data)

    def ask(self, name: str, address: str, function: str, *arguments: Any) -> Any:
        asked = contract(name).functions[function]
        return asked.decode(self.client.call(bytes_of(address), asked.encode(*arguments)))

    def send(self, sender: str, to: str | None, data: bytes) -> Receipt:
        """Send what an address says, and insist that it succeeds."""
        fields = {"from": sender, "data": hex_of(data), "gas": hex(GAS_LIMIT)}
        if to is not None:
            # Asked first, because a call says why it refuses, and a receipt does not.
            self.client.call(bytes_of(to), data, sender=bytes_of(sender))
            fields["to"] = to
        sent = bytes_of(self.client.request("eth_sendTransaction", fields))
        self.client.request("evm_mine")
        receipt = self.client.receipts([sent])[0]
        assert receipt is not None, "the node has mined what it took"
        assert receipt.succeeded, f"a transaction to {to} failed"
        return receipt


@contextlib.contextmanager
def gas_node() -> Iterator[GasNode]:
    """Run a node that is forgotten at the end."""
    with tempfile.TemporaryDirectory(prefix="milkiyat-gas-") as folder:
        node = launch(Path(folder), free_port(), CHAIN_ID)
        try:
            yield GasNode(ChainClient(f"http://{HOST}:{node.port}", CHAIN_ID))
        finally:
            node.end()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port
