"""`milkiyat keys`: rotate the keys that seal personal data, and see what lies under old ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from api.deps import Services
from api.key_rotation import BATCH, Left, left, rotate

_console = Console(stderr=True)


def keys_commands(use_services: Callable[[Callable[[Services], None]], None]) -> typer.Typer:
    """Give the commands; `use_services` runs them on the services of the settings."""
    app = typer.Typer(help="Rotate the keys of personal data.", no_args_is_help=True)

    @app.command("status")
    def status() -> None:
        """Tell how much is sealed under other keys than the first of PII_KEY."""
        use_services(lambda made: _tell(left(made.database, made.vault)))

    @app.command("rotate")
    def rotate_all(
        batch: Annotated[int, typer.Option(min=1, max=10_000, help="How many at once")] = BATCH,
    ) -> None:
        """Seal everything anew under the first key of PII_KEY; may be stopped and started again.

        Put the new key before the others, restart the service, run this, and drop the others.
        """
        use_services(lambda made: _rotate(made, batch))

    return app


def _rotate(made: Services, batch: int) -> None:
    todo = left(made.database, made.vault)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=_console) as progress:
        tasks = {
            "parties": progress.add_task("parties", total=todo.parties),
            "documents": progress.add_task("documents", total=todo.documents),
            "kyc": progress.add_task("kyc", total=todo.kyc),
            "webhooks": progress.add_task("webhooks", total=todo.webhooks),
            "certificates": progress.add_task("certificates", total=todo.certificates),
        }
        rotate(
            made.database,
            made.vault,
            made.store,
            batch=batch,
            on_batch=lambda kind, number: progress.advance(tasks[kind], number),
        )
    remaining = left(made.database, made.vault)
    _tell(remaining)
    if remaining != Left(0, 0):
        _console.print("milkiyat: these open with no key of PII_KEY; keep looking for theirs")
        raise typer.Exit(1)


def _tell(remaining: Left) -> None:
    typer.echo(
        f"under old keys: {remaining.parties} parties, {remaining.documents} documents, "
        f"{remaining.kyc} of KYC, {remaining.webhooks} webhook endpoints, "
        f"{remaining.certificates} certificates"
        + (": the old keys can be dropped" if remaining == Left(0, 0) else "")
    )
