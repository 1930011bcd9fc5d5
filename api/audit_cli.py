"""`milkiyat audit`: find whatever was changed past the register's own ways, and say which row."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Annotated

import typer
from rich.console import Console
from sqlmodel import col, select

from api.deps import Services
from api.reconcile_cli import catch_up, catch_up_contracts, tokens_of
from api.schemas.common import HEX_ADDRESS
from chain.errors import RpcUnavailable, WrongChain
from chain.following import client_of
from chain.node.client import ChainClient, bytes_of
from chain.proving import carried
from chain.proving.audit import ChainAudit
from chain.proving.contract_repair import ContractRepair
from registry.alert.audit import unraised
from registry.captable import lost_seal
from registry.captable.contract_models import ContractEvent, FollowedContract
from registry.captable.models import ChainBlock, SyncCursor, Token
from registry.certificate.audit import altered
from registry.document.audit import damaged
from registry.document.models import Document
from registry.journal.check import check
from registry.journal.verify import Head
from registry.kernel.db import Database
from registry.kyc import audit as reviews
from registry.kyc.models import KycPaper
from registry.offering.audit import faults
from registry.operation import planned
from registry.party import audit as parties
from registry.sanctions import audit as screenings

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
        contract: Annotated[
            str | None,
            typer.Option(help="Address of RegistryAnchor, as you noted it outside the register"),
        ] = None,
    ) -> None:
        """Check the whole register: journal, rows, money, papers, certificates, and the chains'.

        Exit code 0: nothing was changed by hand; 1: something was, and each row is named, or a
        chain's node is away.
        """
        named = _address(contract)
        use_all(lambda made, client: _audit(made, client, offline=offline, named=named))


def _address(text: str | None) -> bytes | None:
    if text is None:
        return None
    if not HEX_ADDRESS.fullmatch(text):
        raise typer.BadParameter(f"{text} is not an address", param_hint="--contract")
    return bytes_of(text.lower())


def _audit(made: Services, client: ChainClient, *, offline: bool, named: bytes | None) -> None:
    found = 0
    for sentence in _everything(made, client, offline=offline, named=named):
        found += 1
        typer.echo(f"{sentence}.")
    if found:
        _progress.print(
            f"milkiyat: {found} things were changed by hand, or could not be looked at.",
            highlight=False,
        )
        raise typer.Exit(1)
    typer.echo("nothing was changed by hand" + (", as far as the register tells" * offline))


def _everything(
    made: Services, client: ChainClient, *, offline: bool, named: bytes | None
) -> Iterator[str]:
    yield from _register(made.database)
    say("the money")
    with made.database.reading() as session:
        yield from faults(session)
    say("the papers")
    read = 0

    def told(more: int) -> None:
        nonlocal read
        read += more
        say(f"{read} papers read")

    for table in (Document, KycPaper):
        yield from damaged(table, made.database, made.vault, made.store, on_batch=told)
    say("the parties")
    with made.database.reading() as session:
        yield from parties.altered(session, made.vault)
    say("who was screened")
    with made.database.reading() as session:
        yield from screenings.passed_over(session, made.vault)
    say("the alerts")
    with made.database.reading() as session:
        yield from unraised(session, made.vault)
    say("the reviews")
    with made.database.reading() as session:
        yield from reviews.altered(session, made.vault)
    say("the certificates")
    with made.database.reading() as session:
        yield from altered(session, made.vault)
    say("the blocks that reorgs took")
    with made.database.reading() as session:
        yield from lost_seal.altered(session)
    say("the operations, and what carried them out")
    with made.database.reading() as session:
        yield from planned.altered(session)
        yield from carried.astray(session)
    if not offline:
        yield from _our_chain(made.database, client, named)
        yield from _other_chains(made)


def _register(database: Database) -> Iterator[str]:
    """Journal, seals, and the rows against what was sealed of them."""
    say("the journal, and the rows that it seals")
    next_told = EVERY
    with database.reading() as session:
        for item in check(session):
            if isinstance(item, str):
                yield item
            elif isinstance(item, Head) and item.size >= next_told:
                say(f"{item.size} entries of the journal hold")
                next_told = item.size + EVERY


def _our_chain(database: Database, client: ChainClient, named: bytes | None) -> Iterator[str]:
    client.check()
    work = ChainAudit(database, client, say)
    yield from work.journal(named)
    yield from work.blocks()
    if not _is_read(database, client.chain_id):
        yield from _unread(database, client.chain_id)
        return
    catch_up_contracts(database, client, ContractRepair(database, client, say))
    yield from work.contracts()
    yield from _tokens(database, client, work)
    say("transactions that operation_attempt does not have")
    yield from carried.missing(database, client)


def _other_chains(made: Services) -> Iterator[str]:
    """Audit what is kept of chains that are followed: their blocks, and the tokens on them."""
    named = {other.chain_id for other in made.settings.followed_chains}
    with made.database.reading() as session:
        kept = set(session.exec(select(Token.chain_id).distinct()).all())
    for chain_id in sorted((named | kept) - {made.settings.chain_id}):
        say(f"chain {chain_id}")
        if chain_id not in named:
            yield f"Tokens of chain {chain_id} were not audited: FOLLOWED_CHAINS does not name it"
            continue
        try:
            yield from _other_chain(made.database, client_of(made.settings, chain_id))
        except (RpcUnavailable, WrongChain) as away:
            yield f"Chain {chain_id} was not audited to its end, its node is away: {away}"


def _other_chain(database: Database, client: ChainClient) -> Iterator[str]:
    client.check()
    work = ChainAudit(database, client, say)
    yield from work.blocks()
    if _is_read(database, client.chain_id):
        yield from _tokens(database, client, work)
    else:
        yield from _unread(database, client.chain_id)


def _tokens(database: Database, client: ChainClient, work: ChainAudit) -> Iterator[str]:
    for token in tokens_of(database, client.chain_id, None):
        if token.caught_up_to is not None:
            assert token.token_no is not None
            catch_up(database, client, token.token_no)
        yield from work.token(token)


def _is_read(database: Database, chain_id: int) -> bool:
    with database.reading() as session:
        return session.get(SyncCursor, chain_id) is not None


def _unread(database: Database, chain_id: int) -> Iterator[str]:
    """Tell of a chain that was read, and whose cursor is gone."""
    with database.reading() as session:
        for table in (ChainBlock, Token, FollowedContract, ContractEvent):
            kept = select(table).where(col(table.chain_id) == chain_id).limit(1)
            if session.exec(kept).first() is not None:
                yield (
                    f"sync_cursor has no row of chain {chain_id}, of which {table.__tablename__} "
                    "has some: they were not audited"
                )
