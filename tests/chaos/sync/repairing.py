"""What an operator does where the sync cannot know better: `milkiyat reconcile --logs --repair`."""

from __future__ import annotations

import typer
from typer.testing import CliRunner

from api.reconcile_cli import add_reconcile
from chain.node.client import ChainClient, hex_of
from registry.kernel.db import Database
from tests.chaos.model.node import CHAIN_ID


def reconcile(database: Database, url: str, token: bytes) -> str:
    """Compare every log of a token and mend what is wrong; return what is still so, or nothing."""
    app = typer.Typer()
    client = ChainClient(url, CHAIN_ID)
    add_reconcile(app, lambda work, _: work(database, client))
    done = CliRunner().invoke(
        app, ["reconcile", hex_of(token), "--logs", "--repair"], catch_exceptions=False
    )
    return "" if done.exit_code == 0 else f"0x{token.hex()} cannot be repaired: {done.output}"
