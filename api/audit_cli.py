"""`milkiyat audit`: find whatever was changed past the register's own ways, and say which row."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Annotated

import typer
from rich.console import Console

from api.deps import Services
from api.reconcile_cli import catch_up, catch_up_contracts, tokens_of
from chain.node.client import ChainClient
from chain.proving.audit import ChainAudit
from chain.proving.contract_repair import ContractRepair
from registry.captable.models import SyncCursor
from registry.certificate.audit import altered
from registry.document.audit import damaged
from registry.document.models import Document
from registry.journal.check import check
from registry.journal.verify import Head
from registry.kernel.db import Database
from registry.kyc.models import KycPaper

UseAll = Callable[[Callable[[Services, ChainClient], None]], None]
EVERY = 10_000
"""How often it is told how much of the journal holds, in entries."""
_progress = Console(stderr=True)


def say(text: str) -> None:
    _progress.print(f"  {text}", style="dim", highlight=False)


def add_audit(app: typer.Typer, use_all: UseAll) -> None:
    """Add the command to the program's."""

    @app.command("audit")
    def audit(
        offline: Annotated[
            bool, typer.Option("--offline", help="Without the chain's node: the register alone")
        ] = False,
    ) -> None:
        """Check the whole register: journal, legal rows, papers, certificates, and the chain's.

        Exit code 0: nothing was changed by hand; 1: something was, and each row is named.
        """
        use_all(lambda made, client: _audit(made, client, offline=offline))


def _audit(made: Services, client: ChainClient, *, offline: bool) -> None:
    found = 0
    for sentence in _everything(made, client, offline=offline):
        found += 1
        typer.echo(f"{sentence}.")
    if found:
        _progress.print(f"milkiyat: {found} things were changed by hand.", highlight=False)
        raise typer.Exit(1)
    typer.echo("nothing was changed by hand" + (", as far as the register tells" * offline))


def _everything(made: Services, client: ChainClient, *, offline: bool) -> Iterator[str]:
    yield from _register(made.database)
    say("the papers")
    read = 0

    def told(more: int) -> None:
        nonlocal read
        read += more
        say(f"{read} papers read")

    for table in (Document, KycPaper):
        yield from damaged(table, made.database, made.vault, made.store, on_batch=told)
    say("the certificates")
    with made.database.reading() as session:
        yield from altered(session, made.vault)
    if not offline:
        yield from _chain(made.database, client)


def _register(database: Database) -> Iterator[str]:
    """Journal, seals, and the legal rows against their sealed images."""
    say("the journal and the legal rows")
    next_told = EVERY
    with database.reading() as session:
        for item in check(session):
            if isinstance(item, str):
                yield item
            elif isinstance(item, Head) and item.size >= next_told:
                say(f"{item.size} entries of the journal hold")
                next_told = item.size + EVERY


def _chain(database: Database, client: ChainClient) -> Iterator[str]:
    client.check()
    work = ChainAudit(database, client, say)
    yield from work.journal()
    with database.reading() as session:
        is_read = session.get(SyncCursor, client.chain_id) is not None
    if not is_read:
        return
    yield from work.blocks()
    catch_up_contracts(database, client, ContractRepair(database, client, say))
    yield from work.contracts()
    for token in tokens_of(database, client.chain_id, None):
        if token.caught_up_to is not None:
            assert token.token_no is not None
            catch_up(database, client, token.token_no)
        yield from work.token(token)
