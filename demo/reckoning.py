"""The end of the demo: the cap table in PostgreSQL beside the chain's own answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from chain.contracts.abi import contract
from chain.node.client import ChainClient, bytes_of
from demo.client import Office
from demo.people import REGULATOR


@dataclass(slots=True)
class Reckoning:
    """What was compared."""

    tokens: int = 0
    holders: int = 0
    differences: int = 0

    @property
    def line(self) -> str:
        return (
            f"demo: reconciled {self.tokens} tokens, {self.holders} holders, "
            f"{self.differences} differences"
        )


def reckon(
    office: Office, client: ChainClient, tokens: Sequence[Mapping[str, Any]], console: Console
) -> Reckoning:
    """Compare every holder of every token, and the supply, at the same block."""
    reckoning = Reckoning()
    for token in tokens:
        _reckon_token(office, client, token, console, reckoning)
    return reckoning


def _reckon_token(
    office: Office,
    client: ChainClient,
    token: Mapping[str, Any],
    console: Console,
    reckoning: Reckoning,
) -> None:
    why = {"purpose": "demonstration", "legal_basis": "demo of the regulator's view"}
    answer = office.get(REGULATOR, f"/v1/tokens/{token['id']}/holders", limit="200", **why)
    block = answer["as_of_block"]
    table = Table(
        "holder",
        "wallet",
        "in PostgreSQL",
        "on chain",
        "share",
        title=f"{token['symbol']} at block {block['number']} ({block['finality']})",
    )
    functions, address = contract("Token").functions, bytes_of(token["token_address"])

    def on_chain(function: str, *arguments: str) -> int:
        asked = functions[function]
        # The projection's block is the newest that changed anything; asked of the head, since
        # a node may have pruned the state of that block, and nothing changed after it.
        return int(asked.decode(client.call(address, asked.encode(*arguments))))

    for row in answer["items"]:
        ours, theirs = int(row["balance_units"]), on_chain("balanceOf", row["wallet"])
        reckoning.differences += ours != theirs
        numerator, denominator = row["share"]
        table.add_row(
            f"{row['name'] or 'unknown'} {row['cnic_masked'] or ''}".strip(),
            f"{row['wallet'][:10]}…{row['wallet'][-6:]}",
            f"{ours:,}",
            f"{theirs:,}" if ours == theirs else f"[red]{theirs:,}[/red]",
            f"{numerator}/{denominator}",
        )
    supply = on_chain("totalSupply")
    projected = sum(int(row["balance_units"]) for row in answer["items"])
    table.add_section()
    table.add_row("supply", "", f"{int(answer['supply_units']):,}", f"{supply:,}", "")
    reckoning.differences += len({supply, projected, int(answer["supply_units"])}) - 1
    reckoning.tokens += 1
    reckoning.holders += len(answer["items"])
    console.print(table)
