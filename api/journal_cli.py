"""`milkiyat journal`: seal it, export it, check it; and verify an export with nothing else."""

from __future__ import annotations

import getpass
import re
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

from registry.anchor import reading as anchors
from registry.anchor.reading import AnchorState
from registry.anchor.service import plan_anchor
from registry.journal.check import check
from registry.journal.export import export_lines
from registry.journal.sealer import head, seal_all
from registry.journal.verify import Head, JournalBroken, verify
from registry.kernel.actor import Actor, Role
from registry.kernel.db import Database

RootOption = Annotated[
    str | None, typer.Option("--root", help="Root of a head that you noted earlier, 64 hex digits")
]
SizeOption = Annotated[
    int | None, typer.Option("--size", min=0, help="Size of the tree of that head")
]
WaitOption = Annotated[
    float, typer.Option("--wait", min=0, help="Seconds to wait until the chain has it")
]
LOOK_SECONDS = 0.5
_console = Console(stderr=True)


def journal_commands(
    use_database: Callable[[Callable[[Database], None]], None],
    use_chain: Callable[[Callable[[Database, int], None]], None],
) -> typer.Typer:
    """Give the commands; `use_database` runs those that need one on that of the settings.

    Parameters
    ----------
    use_chain
        Gives the id of the chain of the settings as well.
    """
    app = typer.Typer(
        help="Seal, anchor, export, check and verify the journal.", no_args_is_help=True
    )

    @app.command("seal")
    def seal() -> None:
        """Seal once what waits, as the service does all the time."""
        use_database(lambda database: typer.echo(f"sealed {seal_all(database)} rows"))

    @app.command("anchor")
    def anchor(wait: WaitOption = 0.0) -> None:
        """Send the root of everything that was done until now on chain, at once.

        The worker carries it out. Where one is on its way already, that one is named.
        """
        use_chain(lambda database, chain_id: _anchor(database, chain_id, wait))

    @app.command("export")
    def export(file: Annotated[Path, typer.Argument(help="The NDJSON file to write")]) -> None:
        """Write the sealed journal to FILE, for `milkiyat journal verify FILE`."""
        use_database(lambda database: _export(database, file))

    @app.command("check")
    def check_database(root: RootOption = None, size: SizeOption = None) -> None:
        """Check the database against its seals and its history, for changes made by hand."""
        known = _known(root, size)
        use_database(lambda database: _check(database, known))

    @app.command("verify")
    def verify_file(
        file: Annotated[Path, typer.Argument(help="What `milkiyat journal export` wrote")],
        root: RootOption = None,
        size: SizeOption = None,
    ) -> None:
        """Check an exported journal offline: nothing but FILE is read.

        Whoever noted an earlier head (/v1/journal/head) names it by --root and --size: then it is
        also proven that nothing up to it was changed since.
        """
        _verify(file, _known(root, size))

    return app


def _known(root: str | None, size: int | None) -> Head | None:
    if root is None and size is None:
        return None
    if root is None or size is None or not re.fullmatch("[0-9a-fA-F]{64}", root):
        raise typer.BadParameter("name both --root, 64 hex digits, and --size")
    return Head(size, bytes.fromhex(root))


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        console=_console,
        disable=not _console.is_terminal,
    )


def _anchor(database: Database, chain_id: int, wait: float) -> None:
    seal_all(database)
    person = Actor(getpass.getuser(), frozenset({Role.OPERATIONS}))
    with database.transaction() as session:
        planned = plan_anchor(session, person, chain_id)
        size, root, operation = planned.tree_size, planned.root.hex(), planned.operation_id
    typer.echo(f"the root {root} of {size} entries goes on chain by operation {operation}")
    deadline = time.monotonic() + wait
    while wait:
        with database.reading() as session:
            (found,) = anchors.list_anchors(session, chain_id, before=size + 1, limit=1)
        if found.state is AnchorState.ANCHORED and found.tx_hash and found.block:
            typer.echo(f"it stands in block {found.block.number}, 0x{found.tx_hash.hex()}")
            return
        if found.state is AnchorState.FAILED:
            raise _failure(f"Operation {operation} failed; see milkiyat operations.")
        if time.monotonic() > deadline:
            raise _failure(f"After {wait:g} s the chain does not have it yet.")
        time.sleep(LOOK_SECONDS)


def _export(database: Database, file: Path) -> None:
    part = file.with_name(f"{file.name}.part")
    try:
        with database.reading() as session, part.open("wb") as out, _progress() as progress:
            last = head(session)
            size = last.tree_size if last else 0
            task = progress.add_task("exporting", total=size)
            for line in export_lines(session):
                out.write(line)
                progress.advance(task, line.startswith(b'{"entry"'))
        part.replace(file)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise _failure(f"{file} cannot be written: {error.strerror}.") from error
    root = f" and root {last.root.hex()}" if last else ""
    typer.echo(f"exported {size} entries{root}")


def _check(database: Database, known: Head | None) -> None:
    faults = 0
    with database.reading() as session, _progress() as progress:
        last = head(session)
        task = progress.add_task("checking", total=last.tree_size if last else 0)
        for found in check(session, known=known):
            if isinstance(found, Head):
                progress.update(task, completed=found.size)
            else:
                faults += 1
                typer.echo(f"{found}.")
    if faults:
        raise _failure(f"{faults} things are wrong with the journal or the register.")
    typer.echo("the register is what its journal says")


def _verify(file: Path, known: Head | None) -> None:
    last: Head | None = None
    try:
        with file.open("rb") as lines, _progress() as progress:
            task = progress.add_task("verifying", total=file.stat().st_size)
            for held in verify(_counted(lines, progress, task), known=known):
                last = held
    except JournalBroken as fault:
        raise _failure(f"{fault}. The first entry in doubt is {fault.seq}.") from fault
    except OSError as error:
        raise _failure(f"{file} cannot be read: {error.strerror}.") from error
    size, root = (last.size, f" with root {last.root.hex()}") if last else (0, "")
    typer.echo(f"the journal holds: {size} entries{root}")


def _counted(lines: Iterable[bytes], progress: Progress, task: TaskID) -> Iterable[bytes]:
    for line in lines:
        progress.advance(task, len(line))
        yield line


def _failure(sentence: str) -> typer.Exit:
    _console.print(f"milkiyat: {sentence}", highlight=False, soft_wrap=True)
    return typer.Exit(1)
