"""`milkiyat reconcile` and `milkiyat tokens adopt`: prove, repair and take on tokens."""

from __future__ import annotations

import getpass
import time
from collections.abc import Callable
from typing import Annotated, Any
from uuid import UUID

import typer
from rich.console import Console
from rich.table import Column, Table
from sqlmodel import col, select

from api.schemas.common import HEX_ADDRESS
from chain.errors import RpcRefused
from chain.node.client import ChainClient, bytes_of, hex_of
from chain.proving.claims import is_of_claims
from chain.proving.contract_repair import ContractRepair
from chain.proving.repair import Proven, Repair
from chain.sync.adoption import examine
from chain.sync.catch_up import CatchUp
from chain.sync.contract_catch_up import ContractCatchUp
from chain.sync.writer import STANDBY_SECONDS, Writer
from registry.captable import catching_up
from registry.captable.models import SyncCursor, Token
from registry.kernel.actor import Actor, Role
from registry.kernel.db import Database
from registry.kernel.errors import Conflict, Invalid, NotFound
from registry.tokenization.models import Tokenization

UseNode = Callable[[Callable[[Database, ChainClient], None], int | None], None]
ChainOption = Annotated[
    int | None, typer.Option("--chain", help="Id of a chain of FOLLOWED_CHAINS; by default ours")
]
LOOK_SECONDS = 0.5
HELP_SECONDS = 10.0
"""So long the writer's role is kept; then a service that was started meanwhile gets its turn."""
CLAIMS_REMAIN = (
    "Claims still differ, although every event that they are made of is as the chain logs it, or"
    " cannot be compared. Then it is not the register that can mend them: ask another node of"
    " RPC_URL, and compare the code at the contracts' addresses."
)
_out = Console()
_progress = Console(stderr=True)


def say(text: str) -> None:
    _progress.print(f"  {text}", style="dim", highlight=False)


def add_reconcile(app: typer.Typer, use_node: UseNode) -> None:
    """Add both commands to the program's."""
    tokens = typer.Typer(help="Tokens that others deployed.", no_args_is_help=True)
    app.add_typer(tokens, name="tokens")

    @app.command("reconcile")
    def reconcile(
        token: Annotated[
            str | None, typer.Argument(help="Address or id of one token; without it, all")
        ] = None,
        repair: Annotated[
            bool, typer.Option("--repair", help="Find the first bad block, read on from there")
        ] = False,
        logs: Annotated[
            bool, typer.Option("--logs", help="Compare every log too, not only what it led to")
        ] = False,
        chain: ChainOption = None,
    ) -> None:
        """Hold cap tables against the chain: balances, freezes, identities, countries, claims.

        Exit code 0: all is proven; 1: something differs, or could not be repaired.
        """
        use_node(lambda database, client: _reconcile(database, client, token, repair, logs), chain)

    @tokens.command("adopt")
    def adopt(
        address: Annotated[str, typer.Argument(help="Address of the token")],
        from_block: Annotated[
            int | None, typer.Option(min=0, help="Where to begin; without it, where its code is")
        ] = None,
        chain: ChainOption = None,
    ) -> None:
        """Follow an ERC-3643 token that stands already, from its first block on."""
        use_node(lambda database, client: _adopt(database, client, address, from_block), chain)


def _reconcile(
    database: Database, client: ChainClient, named: str | None, repair: bool, logs: bool
) -> None:
    client.check()
    is_whole = _contracts(database, client, repair=repair) if logs or repair else True
    table = _table("token", "block", "holders", "supply", "result")
    found: list[tuple[str, dict[str, Any]]] = []
    for listed in tokens_of(database, client.chain_id, named):
        # Whoever syncs goes on meanwhile: it may be set apart by now, or gone with its block.
        token = _as_it_stands(database, listed)
        if token is None:
            continue
        assert token.token_no is not None
        work = Repair(database, client, token.token_no, say)
        if token.refusal is not None and repair:
            work.read_again(token.block_number)
        if token.caught_up_to is not None or token.refusal is not None:
            catch_up(database, client, token.token_no)
        proven = work.prove()
        bad = _first_bad(work, proven, logs=logs or repair)
        if repair and (_of_token(proven) or bad is not None):
            proven, bad = _repair(database, client, token, work, bad)
        differs = bool(proven.differences) or bad is not None
        is_whole = is_whole and not differs
        since = f" since block {bad}" if bad is not None else ""
        result = f"differs{since}" if differs else "proven"
        name = hex_of(token.address)
        table.add_row(
            name, str(proven.block_number), str(proven.holders), str(proven.supply), result
        )
        found += [(name, item) for item in proven.differences]
    _out.print(table)
    if found:
        _tell(found)
    if repair and any(is_of_claims(item) for _, item in found):
        _out.print(CLAIMS_REMAIN)
    if not is_whole:
        raise typer.Exit(1)


def _contracts(database: Database, client: ChainClient, *, repair: bool) -> bool:
    """Compare what the platform's contracts told with their logs; tell whether all is right.

    What is wrong is read again from its block, if it is to be.
    """
    work = ContractRepair(database, client, say)
    catch_up_contracts(database, client, work)
    is_right = True
    for contract in work.list_contracts():
        name = f"{contract.name} {hex_of(contract.address)}"
        try:
            bad = work.first_wrong_log(contract)
            if bad is not None and repair:
                work.read_again(contract, bad)
                catch_up_contracts(database, client, work)
                bad = work.first_wrong_log(contract)
        except RpcRefused as refused:
            say(f"{name} cannot be compared, the node has forgotten its logs ({refused.message})")
            continue
        if bad is not None:
            is_right = False
            _out.print(f"{name} differs since block {bad}", soft_wrap=True)
    return is_right


def catch_up_contracts(database: Database, client: ChainClient, work: ContractRepair) -> None:
    """Wait until the contracts are caught up, by whoever syncs; where nobody does, do it here."""
    writer = Writer(database, client)
    try:
        while work.is_behind():
            if writer.hold():
                ContractCatchUp(writer.database, client).advance()
            else:
                time.sleep(LOOK_SECONDS)
    finally:
        writer.release()


def _of_token(proven: Proven) -> bool:
    """Tell whether anything differs that reading the token again can mend."""
    return not all(map(is_of_claims, proven.differences))


def _first_bad(work: Repair, proven: Proven, *, logs: bool) -> int | None:
    found = [work.first_bad_block(proven.differences)]
    if logs:
        found.append(work.first_wrong_log())
    return min((number for number in found if number is not None), default=None)


def _repair(
    database: Database, client: ChainClient, token: Token, work: Repair, bad: int | None
) -> tuple[Proven, int | None]:
    """Read again from the first bad block; where that does not do, from the token's first.

    Where every event is right, what is made of them is made again, and nothing is read.
    """
    assert token.token_no is not None
    for first in (bad, token.block_number):
        again = "made again from its events" if first is None else f"read again from block {first}"
        say(f"{hex_of(token.address)} is {again}")
        work.read_again(first)
        catch_up(database, client, token.token_no)
        proven = work.prove()
        still = _first_bad(work, proven, logs=True)
        if still is None and not _of_token(proven):
            return proven, None
    return proven, still


def catch_up(database: Database, client: ChainClient, token_no: int) -> None:
    """Wait until a token is caught up, by whoever syncs; where nobody does, do it here.

    Where its chain has yet to be read so far, that is a sync's to do, and needs the role.
    """
    writer = Writer(database, client)
    behind = CatchUp(writer.database, client)
    let_go_at = time.monotonic() + HELP_SECONDS
    try:
        while True:
            with database.reading() as session:
                token = session.get_one(Token, token_no)
                cursor = session.get_one(SyncCursor, client.chain_id)
            if token.refusal is not None:
                raise Conflict("token_refused", f"It is not followed any more: {token.refusal}.")
            if token.caught_up_to is None:
                return
            is_ahead = token.caught_up_to > cursor.number
            if is_ahead:
                say(
                    f"its chain is read up to block {cursor.number} only: waiting for a sync, such "
                    f"as that of milkiyat serve, to come to block {token.caught_up_to}"
                )
            else:
                say(f"read up to block {token.caught_up_to} of {cursor.number}")
            if is_ahead or time.monotonic() > let_go_at:
                writer.release()
                time.sleep(2 * STANDBY_SECONDS)
                let_go_at = time.monotonic() + HELP_SECONDS
            elif writer.hold() and not behind.rests(token_no):
                behind.read_on(token_no)
            else:
                time.sleep(LOOK_SECONDS)
    finally:
        writer.release()


def tokens_of(database: Database, chain_id: int, named: str | None) -> list[Token]:
    """List the tokens that are followed, or the one that is named by its address or id."""
    with database.reading() as session:
        query = select(Token).where(col(Token.chain_id) == chain_id)
        if named is not None and HEX_ADDRESS.fullmatch(named):
            query = query.where(col(Token.address) == bytes_of(named.lower()))
        elif named is not None:
            query = query.join(
                Tokenization, col(Tokenization.token_address) == col(Token.address)
            ).where(col(Tokenization.id) == _id_of(named))
        else:
            query = query.where(col(Token.refusal).is_(None))
        found = list(session.exec(query.order_by(col(Token.token_no))).all())
    if named is not None and not found:
        raise NotFound("token", named)
    return found


def _as_it_stands(database: Database, listed: Token) -> Token | None:
    with database.reading() as session:
        found: Token | None = session.get(Token, listed.token_no)
        return found


def _id_of(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError as error:
        raise Invalid("token_unnamed", f"{text} is neither an address nor an id.") from error


def _table(*names: str) -> Table:
    # Folded rather than cut: an address is of no use without its end.
    columns = [Column(name, overflow="fold") for name in names]
    return Table(*columns, box=None, pad_edge=False)


def _tell(found: list[tuple[str, dict[str, Any]]]) -> None:
    table = _table("token", "what", "holder", "register", "chain")
    for name, item in found:
        table.add_row(
            name, item["what"], item.get("holder") or "", str(item["database"]), str(item["chain"])
        )
    _out.print(table)


def _adopt(database: Database, client: ChainClient, address: str, from_block: int | None) -> None:
    if not HEX_ADDRESS.fullmatch(address):
        raise Invalid("token_unnamed", f"{address} is not an address.")
    place = bytes_of(address.lower())
    found = examine(client, place, first_block=from_block)
    person = Actor(getpass.getuser(), frozenset({Role.OPERATIONS}))
    with database.transaction() as session:
        known = select(Token.token_no).where(
            col(Token.chain_id) == client.chain_id, col(Token.address) == place
        )
        if session.exec(known).first() is not None:
            raise Conflict("token_known", f"{address} is followed already.")
        if session.get(SyncCursor, client.chain_id) is None:
            raise Conflict("sync_not_started", "The chain has not been read yet; start the sync.")
        token = catching_up.adopt(session, person, client.chain_id, found)
    assert token.token_no is not None
    typer.echo(f"{address} is followed from block {found.block_number} on")
    catch_up(database, client, token.token_no)
    typer.echo(f"{address} is caught up")
