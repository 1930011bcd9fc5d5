"""What the database and the chain hold, read with nothing of our own code.

The chain over plain HTTP, topics and selectors by hand; the database in SQL.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import psycopg
import requests
from psycopg.rows import dict_row

TRANSFER = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"
"""keccak-256 of `Transfer(address,address,uint256)`."""
TOTAL_SUPPLY = "0x18160ddd"
"""`totalSupply()`."""
TITLE_OF = "0x9820857c"
"""`titleOf(address)` of the TitleStatusModule."""
NOBODY = "0x" + "00" * 32

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Sent:
    """A transaction that a block holds."""

    tx_hash: str
    succeeded: bool
    is_empty: bool


class Books:
    """Everything that the database says, read at once."""

    def __init__(self, url: str, tokenization_id: str) -> None:
        with psycopg.connect(url, row_factory=dict_row) as connection:
            self.operations = {
                row["id"]: row
                for row in connection.execute(
                    "SELECT id, kind, key, state, params, problem, waits_for, signer, nonce,"
                    " batch_id, subject_kind, subject_id FROM operation ORDER BY id"
                )
            }
            self.owners = {
                "0x" + row["tx_hash"].hex(): row["operation_id"]
                for row in connection.execute("SELECT tx_hash, operation_id FROM operation_attempt")
            }
            self.next_nonces = {
                "0x" + row["signer"].hex(): int(row["next_nonce"])
                for row in connection.execute("SELECT signer, next_nonce FROM nonce_stream")
            }
            self.wallets = {
                str(row["id"]): "0x" + row["address"].hex()
                for row in connection.execute("SELECT id, address FROM wallet")
            }
            self.orders = {
                str(row["id"]): str(row["state"])
                for row in connection.execute("SELECT id, state FROM purchase_order")
            }
            self.suite: dict[str, str] = _one(
                connection.execute(
                    "SELECT suite AS found FROM tokenization WHERE id = %s", [tokenization_id]
                ).fetchone()
            )
            self.title_module = (
                "0x"
                + bytes(
                    _one(
                        connection.execute(
                            "SELECT address AS found FROM platform_contract"
                            " WHERE name = 'TitleStatusModule'"
                        ).fetchone()
                    )
                ).hex()
            )

    def mints(self) -> list[Row]:
        """List the mints that stand: what was planned anew has taken the key of the first."""
        return [
            row
            for row in self.operations.values()
            if row["kind"] == "mint" and "#" not in row["key"]
        ]


class Chain:
    """One node, asked directly."""

    def __init__(self, url: str) -> None:
        self._url = url

    def ask(self, method: str, *params: Any) -> Any:
        call = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        answer = requests.post(self._url, json=call, timeout=20).json()
        assert "error" not in answer, answer
        return answer["result"]

    def sent_by(self, senders: set[str], first: int) -> list[Sent]:
        """List what these addresses have sent since block `first`, oldest first."""
        found = []
        for number in range(first, int(self.ask("eth_blockNumber"), 16) + 1):
            for entry in self.ask("eth_getBlockByNumber", hex(number), True)["transactions"]:
                if entry["from"] in senders:
                    receipt = self.ask("eth_getTransactionReceipt", entry["hash"])
                    is_empty = (entry["to"], entry["input"]) == (entry["from"], "0x")
                    found.append(Sent(entry["hash"], receipt["status"] == "0x1", is_empty))
        return found

    def holds(self, tx_hash: str) -> bool:
        return self.ask("eth_getTransactionReceipt", tx_hash) is not None

    def minted(self, token: str) -> Counter[str]:
        """Add up the Transfer events from nobody, by wallet."""
        query = {"address": token, "topics": [TRANSFER, NOBODY], "fromBlock": "0x0"}
        units: Counter[str] = Counter()
        for entry in self.ask("eth_getLogs", query):
            units["0x" + entry["topics"][2][-40:]] += int(entry["data"], 16)
        return units

    def supply(self, token: str) -> int:
        return int(self._call(token, TOTAL_SUPPLY), 16)

    def title(self, module: str, compliance: str) -> str:
        return self._call(module, TITLE_OF + compliance.removeprefix("0x").lower().rjust(64, "0"))

    def nonce(self, address: str, tag: str) -> int:
        return int(self.ask("eth_getTransactionCount", address, tag), 16)

    def pool(self) -> dict[str, int]:
        return {name: int(size, 16) for name, size in self.ask("txpool_status").items()}

    def _call(self, to: str, data: str) -> str:
        return str(self.ask("eth_call", {"to": to, "data": data}, "latest"))


def _one(row: Row | None) -> Any:
    assert row is not None
    return row["found"]
