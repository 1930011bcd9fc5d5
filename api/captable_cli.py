"""`milkiyat captable`: the cap table of a token into a file, straight from the database."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer
from eth_utils.address import to_checksum_address
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from api.as_of import ChainTime, read_as_of, read_known_at
from api.schemas.common import HEX_ADDRESS
from registry.captable import service as captable
from registry.captable.branches import known_block_at
from registry.captable.models import Token
from registry.export.models import CapTableExport, ExportFormat
from registry.export.service import new_export
from registry.export.writing import write_export
from registry.kernel.db import Database, ReadSession
from registry.kernel.errors import Invalid, NotFound
from registry.tokenization import service as tokenizations

TokenArgument = Annotated[
    str, typer.Argument(help="Id of the token, which its tokenization has, or its address")
]
ChainOption = Annotated[
    int | None, typer.Option("--chain", help="On which chain an address is; by default ours")
]
FileArgument = Annotated[Path, typer.Argument(help="The file to write")]
FormatOption = Annotated[ExportFormat, typer.Option("--format", help="csv, or ocf (a ZIP)")]
AsOfOption = Annotated[
    str | None, typer.Option("--as-of", help="RFC 3339 time or block:<number>; without it, now")
]
KnownAtOption = Annotated[
    str | None,
    typer.Option("--known-at", help="RFC 3339 time: what was known then; without it, now"),
]
_console = Console(stderr=True)


def captable_commands(use_database: Callable[[Callable[[Database], None]], None]) -> typer.Typer:
    """Give the commands; `use_database` runs them on the database of the settings."""
    app = typer.Typer(help="Export cap tables.", no_args_is_help=True)

    @app.callback()
    def captable_() -> None:
        """Export cap tables."""

    @app.command("export")
    def export(  # noqa: PLR0917 - typer's options
        token: TokenArgument,
        file: FileArgument,
        file_format: FormatOption = ExportFormat.CSV,
        as_of: AsOfOption = None,
        known_at: KnownAtOption = None,
        chain: ChainOption = None,
    ) -> None:
        """Write who held TOKEN at a block to FILE, and say which block it was."""

        def work(database: Database) -> None:
            when = ChainTime(read_as_of(as_of), read_known_at(known_at))
            _export(database, (token, chain), file, file_format, when)

        use_database(work)

    return app


def _export(
    database: Database,
    named: tuple[str, int | None],
    file: Path,
    file_format: ExportFormat,
    when: ChainTime,
) -> None:
    part = file.with_name(f"{file.name}.part")
    progress = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        console=_console,
        disable=not _console.is_terminal,
    )
    try:
        with database.reading() as session, part.open("w+b") as out, progress:
            token = _find(session, *named)
            block = known_block_at(session, token.chain_id, when.as_of, when.known_at)
            job = new_export(
                session, "command line", token, block, file_format, known_at=when.known_at
            )
            task = progress.add_task("exporting", total=job.total)
            sha256, size = write_export(
                session,
                job,
                out,
                lambda done: progress.update(task, completed=done),
                to_checksum_address,
            )
        part.replace(file)
    except OSError as error:
        sentence = f"milkiyat: {file} cannot be written: {error.strerror}."
        _console.print(sentence, highlight=False, soft_wrap=True)
        raise typer.Exit(1) from error
    finally:
        part.unlink(missing_ok=True)
    _tell(job, sha256, size)


def _find(session: ReadSession, named: str, chain_id: int | None) -> Token:
    """Find a token by the id of its tokenization, or by its address on a chain."""
    if HEX_ADDRESS.fullmatch(named):
        return captable.get_token(session, bytes.fromhex(named[2:]), chain_id=chain_id)
    try:
        token_id = UUID(named)
    except ValueError as error:
        raise Invalid("token_unnamed", f"{named} is neither an address nor an id.") from error
    tokenization = tokenizations.get_deployed(session, token_id)
    assert tokenization.token_address is not None
    token = captable.get_token(session, tokenization.token_address)
    if chain_id not in {None, token.chain_id}:
        raise NotFound("token", named)
    return token


def _tell(job: CapTableExport, sha256: bytes, size: int) -> None:
    typer.echo(f"{job.total} holders at block {job.block_number} 0x{job.block_hash.hex()}")
    typer.echo(f"{size} bytes, sha256 {sha256.hex()}")
