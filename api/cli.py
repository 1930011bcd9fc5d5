"""The command line: what it can do, and how each command reaches the database and the node."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from api.audit_cli import add_audit
from api.auth.tokens import DevelopmentIssuer
from api.captable_cli import captable_commands
from api.deps import Services
from api.journal_cli import journal_commands
from api.keys_cli import keys_commands
from api.operations_cli import operations_commands
from api.parts_cli import add_serve
from api.program import services
from api.reconcile_cli import add_reconcile
from api.starting import clear_errors, load_settings, say, started
from api.verify_cli import add_verify
from chain.embedded.anvil import HOST
from chain.following import client_of
from chain.node.client import ChainClient
from chain.operations.effect import Chain
from chain.runtime import open_chain, open_client
from registry.kernel.actor import Role
from registry.kernel.db import Database
from registry.kernel.embedded import EmbeddedPostgres
from registry.kernel.secrets import with_embedded_secrets
from registry.kernel.settings import ROOT, Finality, Settings, get_settings
from registry.sweep.service import sweep

app = typer.Typer(
    name="milkiyat",
    help="Title registry and ERC-3643 tokenization. Without settings everything runs embedded.",
    no_args_is_help=True,
    add_completion=False,
)
OPENAPI = ROOT / "docs" / "reference" / "openapi.json"

add_serve(app)


@app.command("migrate")
def migrate_database() -> None:
    """Bring the database of DATABASE_URL to this version's schema."""
    with started() as (_, base):
        say(f"the database is at the newest schema ({base.database.engine.url.database})")


@app.command()
def token(
    subject: Annotated[str, typer.Option(help="Who you would like to be")],
    role: Annotated[list[Role], typer.Option(help="May be repeated")],
    hours: Annotated[float, typer.Option(min=0.01, max=12)] = 1.0,
) -> None:
    """Print a development token (refused in production)."""
    with clear_errors():
        settings = load_settings()
        if settings.is_production:
            say("ENVIRONMENT=production: tokens come from OIDC_ISSUER.")
            raise typer.Exit(1)
        issuer = DevelopmentIssuer(settings)
        typer.echo(issuer.issue(subject, role, timedelta(hours=hours)))


@app.command("sweep")
def sweep_once() -> None:
    """Fire what time alone brings about, as the worker does every minute, and say how much."""
    with clear_errors():
        settings = load_settings()
        for name, fired in sweep(_running_database(settings)).items():
            typer.echo(f"{name}: {fired}")


def _running_database(settings: Settings) -> Database:
    """Reach the database of the service that runs; nothing is started for a look."""
    if settings.database_url is not None:
        database = Database(settings.database_url.get_secret_value())
        database.check()
        return database
    url = EmbeddedPostgres(settings.data_dir / "postgres").running_url
    if url is None:
        say("No service runs here. Start it with: make serve. Or set DATABASE_URL.")
        raise typer.Exit(1)
    return Database(url)


def _reach_database() -> Database:
    with clear_errors():
        return _running_database(load_settings())
    raise typer.Exit(1)


def _use_running(work: Callable[[Database], None]) -> None:
    with clear_errors():
        work(_running_database(load_settings()))


def _use_running_chain(work: Callable[[Database, int], None]) -> None:
    with clear_errors():
        settings = load_settings()
        work(_running_database(settings), settings.chain_id)


def _use_services(work: Callable[[Services], None]) -> None:
    with clear_errors():
        settings = load_settings()
        work(services(settings, _running_database(settings)))


def _use_chain(work: Callable[[Database, Chain, Finality], None]) -> None:
    with clear_errors():
        settings = load_settings()
        database = _running_database(settings)
        rpc_url = settings.rpc_url or f"http://{HOST}:{settings.devnet_port}"
        work(database, open_chain(settings, rpc_url), settings.finality)


def _use_node(work: Callable[[Database, ChainClient], None], chain_id: int | None) -> None:
    with clear_errors():
        settings = load_settings()
        database = _running_database(settings)
        if chain_id not in {None, settings.chain_id}:
            assert chain_id is not None
            work(database, client_of(settings, chain_id))
            return
        rpc_url = settings.rpc_url or f"http://{HOST}:{settings.devnet_port}"
        work(database, open_client(settings, rpc_url))


def _use_services_and_node(work: Callable[[Services, ChainClient], None]) -> None:
    with clear_errors():
        settings = load_settings()
        database = _running_database(settings)
        rpc_url = settings.rpc_url or f"http://{HOST}:{settings.devnet_port}"
        work(services(settings, database), open_client(settings, rpc_url))


add_reconcile(app, _use_node)
add_audit(app, _use_services_and_node)
add_verify(app, _reach_database)
app.add_typer(operations_commands(_use_running, _use_chain), name="operations")
app.add_typer(captable_commands(_use_running), name="captable")
app.add_typer(journal_commands(_use_running, _use_running_chain), name="journal")
app.add_typer(keys_commands(_use_services), name="keys")


@app.command()
def openapi(
    write: Annotated[bool, typer.Option("--write", help=f"Write {OPENAPI.name}")] = False,
    check: Annotated[bool, typer.Option("--check", help="Fail when it is not current")] = False,
) -> None:
    """Print the OpenAPI document, write it, or compare it with the committed one."""
    from api.app import create_app  # noqa: PLC0415 (as in api.program)

    # It describes the API, and needs nothing that the API needs.
    settings = with_embedded_secrets(Settings()).model_copy(update={"document_store": None})
    document = create_app(services(settings, Database("postgresql://unused/unused"))).openapi()
    text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
    if write:
        OPENAPI.parent.mkdir(parents=True, exist_ok=True)
        OPENAPI.write_text(text, "utf-8")
    elif check:
        if not OPENAPI.exists() or OPENAPI.read_text("utf-8") != text:
            say("docs/reference/openapi.json is not current. Run: make openapi")
            raise typer.Exit(1)
    else:
        typer.echo(text)


@app.command()
def reset(
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask")] = False,
) -> None:
    """Forget the embedded database, chain, keys and documents."""
    settings = get_settings()
    folder: Path = settings.data_dir
    if not folder.exists():
        say("there is nothing to forget")
        return
    if EmbeddedPostgres(folder / "postgres").pid is not None:
        say(f"a service runs on {folder}; stop it first")
        raise typer.Exit(1)
    if not yes:
        typer.confirm(f"Forget everything in {folder}?", abort=True)
    shutil.rmtree(folder)
    say(f"{folder} is gone")


if __name__ == "__main__":
    app(prog_name=app.info.name)
