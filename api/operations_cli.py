"""`milkiyat operations`: list, explain, retry, cancel, and rebuild from the chain."""

from __future__ import annotations

import getpass
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated
from uuid import UUID

import typer
from rich.console import Console
from rich.table import Column, Table
from sqlmodel import Session, col, select

from chain.node.client import hex_of
from chain.operations.effect import Chain
from chain.sending import remedies
from chain.sending.rebuild import Rebuild, Report
from registry.kernel.actor import Actor, Role
from registry.kernel.clock import now
from registry.kernel.db import Database
from registry.kernel.settings import Finality
from registry.operation import service as operations
from registry.operation.models import (
    FAILED,
    Operation,
    OperationDependency,
    OperationKind,
    OperationState,
)

IdArgument = Annotated[UUID, typer.Argument(help="The operation's id")]
ByOption = Annotated[str | None, typer.Option("--by", help="Who you are, for the journal")]
UseDatabase = Callable[[Callable[[Database], None]], None]
UseChain = Callable[[Callable[[Database, Chain, Finality], None]], None]

NEXT = {
    OperationState.PLANNED: "It is sent once everything that it requires is on chain.",
    OperationState.SIGNED: "It is broadcast again by itself.",
    OperationState.BROADCAST: "It waits for a block; its fee is raised by itself.",
    OperationState.MINED: "It is final when its block is (FINALITY).",
    OperationState.FINAL: "It has happened; nothing is left to do.",
}


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which operations to list."""

    state: OperationState | None
    kind: OperationKind | None
    subject_id: str | None
    planned_before: datetime | None
    limit: int


def operations_commands(use_database: UseDatabase, use_chain: UseChain) -> typer.Typer:
    """Give the commands; those that sign or read the chain are run by `use_chain`."""
    app = typer.Typer(
        help="See what is being done on chain, and mend it.\n\n"
        "Exit code 0: done; 1: refused, or a person must look; 2: wrong arguments.",
        no_args_is_help=True,
    )

    @app.command("list")
    def list_them(
        state: Annotated[OperationState | None, typer.Option(help="Only in this state")] = None,
        kind: Annotated[OperationKind | None, typer.Option(help="Only of this kind")] = None,
        subject: Annotated[str | None, typer.Option(help="Only of the record of this id")] = None,
        older_than: Annotated[
            float | None, typer.Option(min=0, help="Only planned so many minutes ago or earlier")
        ] = None,
        limit: Annotated[int, typer.Option(min=1, max=1000)] = 50,
    ) -> None:
        """List operations, oldest first, with what went wrong."""
        age = None if older_than is None else timedelta(minutes=older_than)
        wanted = Wanted(state, kind, subject, None if age is None else now() - age, limit)
        use_database(lambda database: _list(database, wanted))

    @app.command("explain")
    def explain(operation: IdArgument) -> None:
        """Tell how one operation stands: attempts, what it waits for, what can be done."""
        use_database(lambda database: _explain(database, operation))

    @app.command("retry")
    def retry(operation: IdArgument, by: ByOption = None) -> None:
        """Plan a failed operation anew, under its key: it still happens once at most."""
        use_database(lambda database: _retry(database, _person(by), operation))

    @app.command("cancel")
    def cancel(
        operation: IdArgument,
        reason: Annotated[str, typer.Option(help="Why, for the journal")],
        by: ByOption = None,
    ) -> None:
        """Refuse a planned operation, or replace a stuck one by an empty call on its nonce.

        One that was sent may still happen, if it is mined first; `explain` tells.
        """
        if not reason.strip():
            raise typer.BadParameter("--reason is empty")
        use_chain(
            lambda database, chain, _: _cancel(database, chain, _person(by), operation, reason)
        )

    @app.command("rebuild")
    def rebuild(
        accept_foreign: Annotated[
            bool, typer.Option("--accept-foreign", help="Go on behind what is not ours")
        ] = False,
    ) -> None:
        """Read from the chain what a database from an old backup has forgotten.

        Sends nothing but an empty call of a key to itself, where the node's pool keeps
        transactions of ours behind a missing nonce. Without --accept-foreign it ends with exit
        code 1 where the chain holds transactions of our keys that match no operation: look at
        each of them first.
        """
        use_chain(
            lambda database, chain, finality: _tell(
                Rebuild(database, chain, finality=finality).run(accept_foreign=accept_foreign)
            )
        )

    return app


def _person(name: str | None) -> Actor:
    return Actor(f"cli:{name or getpass.getuser()}", frozenset({Role.OPERATIONS}))


def _list(database: Database, wanted: Wanted) -> None:
    table = Table(Column("operation", no_wrap=True), "kind", "state", "age", "nonce", "problem")
    with database.reading() as session:
        rows = operations.list_operations(
            session,
            subject_id=wanted.subject_id,
            state=wanted.state,
            kind=wanted.kind,
            planned_before=wanted.planned_before,
            after=None,
            limit=wanted.limit,
        )
        for row in rows:
            detail = (row.problem or row.waits_for or {}).get("detail", "")
            nonce = "" if row.nonce is None else str(row.nonce)
            table.add_row(str(row.id), row.kind, row.state, _age(row), nonce, detail)
    Console().print(table)


def _age(row: Operation) -> str:
    return str(timedelta(seconds=int(((row.ended_at or now()) - row.recorded_at).total_seconds())))


def _explain(database: Database, operation_id: UUID) -> None:
    with database.reading() as session:
        row = operations.get_operation(session, operation_id)
        typer.echo(f"operation {row.id}: {row.kind}, {row.state}, {_age(row)} old")
        typer.echo(f"key       {row.key}")
        typer.echo(f"of        {row.subject_kind} {row.subject_id}, by {row.requested_by}")
        if row.signer is not None:
            typer.echo(f"sent by   {hex_of(row.signer)} with nonce {row.nonce}")
        if row.batch_id is not None:
            typer.echo(f"carried   by batch {row.batch_id}")
        for earlier in _requires(session, row):
            typer.echo(f"requires  {earlier.id}: {earlier.kind}, {earlier.state}")
        for attempt in operations.list_attempts(session, row):
            block = "in no block" if attempt.block_number is None else attempt.block_number
            typer.echo(
                f"attempt   {attempt.seq}: {hex_of(attempt.tx_hash)}, at most"
                f" {attempt.max_fee_wei} wei per gas, block: {block}"
            )
        for name, problem in (("problem", row.problem), ("waits for", row.waits_for)):
            if problem is not None:
                typer.echo(f"{name:9} {problem['code']}: {problem['detail']}")
                if "remedy" in problem:
                    typer.echo(f"remedy    {problem['remedy']}")
        typer.echo(f"next      {_next(row)}")


def _next(row: Operation) -> str:
    if row.state in FAILED:
        return f"Nothing happened. Plan it anew: milkiyat operations retry {row.id}"
    return NEXT[row.state]


def _requires(session: Session, row: Operation) -> list[Operation]:
    return list(
        session.exec(
            select(Operation)
            .join(OperationDependency, col(OperationDependency.requires_id) == col(Operation.id))
            .where(col(OperationDependency.operation_id) == row.id)
        ).all()
    )


def _retry(database: Database, person: Actor, operation_id: UUID) -> None:
    with database.transaction() as session:
        typer.echo(f"planned as {remedies.retry(session, person, operation_id).id}")


def _cancel(
    database: Database, chain: Chain, person: Actor, operation_id: UUID, reason: str
) -> None:
    with database.transaction() as session:
        refused = remedies.cancel_planned(session, person, operation_id, reason=reason)
    if refused:
        typer.echo("refused; nothing was sent")
        return
    sent = remedies.cancel_sent(database, chain, person, operation_id, reason=reason)
    typer.echo(f"an empty call takes its nonce if it is mined first: {hex_of(sent)}")


def _tell(report: Report) -> None:
    for entry in report.entries:
        what = f"operation {entry.operation_id}" if entry.operation_id else entry.note
        typer.echo(
            f"{entry.finding:8} {hex_of(entry.tx_hash)} block {entry.block_number},"
            f" {hex_of(entry.signer)} nonce {entry.nonce}: {what}".rstrip(": ")
        )
    for signer, why in report.waiting.items():
        typer.echo(f"waiting  {hex_of(signer)}: {why}")
    left = report.unexplained
    typer.echo(f"{len(report.entries)} transactions were unknown, {len(left)} of them still are")
    if not report.is_complete:
        if left and not report.accepted:
            typer.echo(
                "What is lost is found once its instruction is entered again. Look at each foreign"
                " one, then run this again with --accept-foreign."
            )
        raise typer.Exit(1)
