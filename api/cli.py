"""The command line: serve, or run one part; mend operations; make a development token."""

from __future__ import annotations

import gc
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError
from rich.console import Console

from api.audit_cli import add_audit
from api.auth.tokens import DevelopmentIssuer
from api.captable_cli import captable_commands
from api.deps import Services
from api.journal_cli import journal_commands
from api.keys_cli import keys_commands
from api.operations_cli import operations_commands
from api.program import (
    PortTaken,
    notice_options,
    open_base,
    open_keys,
    running_program,
    running_sealer,
    serve_api,
    services,
)
from api.reconcile_cli import add_reconcile
from api.tracing import start_tracing
from api.verify_cli import add_verify
from api.version import VERSION
from api.webhooks.loop import run_notices
from chain.embedded.anvil import HOST
from chain.errors import ChainError
from chain.following import client_of, run_syncs
from chain.node.client import ChainClient
from chain.operations.effect import Chain
from chain.runtime import open_chain, open_client
from chain.worker import run_alerts, run_exports, run_imports, run_screening, run_worker
from registry.kernel import failpoints
from registry.kernel.actor import Role
from registry.kernel.db import Database, DatabaseBusy, DatabaseUnreachable
from registry.kernel.embedded import EmbeddedPostgres
from registry.kernel.errors import RegistryError
from registry.kernel.log import configure_logging
from registry.kernel.secrets import with_embedded_secrets
from registry.kernel.service_directory import EmbeddedServiceError
from registry.kernel.settings import ROOT, Finality, Settings, get_settings
from registry.sweep.service import sweep

app = typer.Typer(
    name="milkiyat",
    help="Title registry and ERC-3643 tokenization. Without settings everything runs embedded.",
    no_args_is_help=True,
    add_completion=False,
)
OPENAPI = ROOT / "docs" / "reference" / "openapi.json"
PARTS = ("api", "worker", "sync", "imports", "exports", "screening", "alerts", "notices")
"""The parts of `serve`; each is a command of its own too."""

_console = Console(stderr=True)


def say(text: str) -> None:
    _console.print(f"milkiyat: {text}", highlight=False)


@contextmanager
def clear_errors() -> Iterator[None]:
    """End with one clear sentence and a non-zero exit where a setting is wrong."""
    try:
        yield
    except ValidationError as error:
        for item in error.errors(include_url=False, include_input=False):
            name = "_".join(str(part) for part in item["loc"]).upper() or "SETTINGS"
            say(f"{name}: {item['msg'].removeprefix('Value error, ')}")
    except (
        PortTaken,
        DatabaseBusy,
        DatabaseUnreachable,
        EmbeddedServiceError,
        ChainError,
        RegistryError,
    ) as error:
        say(str(error))
    else:
        return
    raise typer.Exit(1)


def load_settings() -> Settings:
    """Read the settings, and make the secrets that they leave out.

    From here on Ctrl-C and SIGTERM end the program by way of its cleaning up, so that no server
    of ours stays behind.

    Raises
    ------
    EmbeddedServiceError
        DATA_DIR cannot be written.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda received, _: sys.exit(128 + received))
    settings = get_settings()
    try:
        settings = with_embedded_secrets(settings)
    except OSError as error:
        raise EmbeddedServiceError(
            f"DATA_DIR={settings.data_dir} cannot be written: {error.strerror}.",
            remedy="Set it to a folder of this account's.",
        ) from error
    configure_logging(settings.log_level)
    failpoints.arm(settings.failpoint)
    start_tracing(settings, VERSION)
    return settings


@app.command()
def serve(
    processes: Annotated[
        bool, typer.Option("--processes", help="API, worker and sync in processes of their own")
    ] = False,
) -> None:
    """Run API, worker and sync, with embedded PostgreSQL and chain where none are named."""
    with clear_errors():
        settings = load_settings()
        if processes:
            _serve_in_processes(settings)
        else:
            with running_program(settings, say) as address:
                say(f"serving {address} (docs at {address}/docs); Ctrl-C stops")
                wait_for_signal().wait()
                say("stopping")


def wait_for_signal() -> threading.Event:
    """Give an event that Ctrl-C or SIGTERM sets; whoever asks for it is up."""
    # What was loaded stays for good: a full collection would walk it all each time, for 0.1 s.
    gc.freeze()
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    return stop


def _serve_in_processes(settings: Settings) -> None:
    with open_base(settings, say) as base:
        open_keys(base)
        environment = os.environ | {
            "DATABASE_URL": base.database.url,
            "RPC_URL": base.rpc_url,
            "DATA_DIR": str(settings.data_dir),
        }
        stop = wait_for_signal()
        parts = {
            part: subprocess.Popen([sys.executable, "-m", "api.cli", part], env=environment)  # noqa: S603
            for part in PARTS
        }
        say(f"serving http://{settings.host}:{settings.port} from {len(parts)} processes")
        ended = None
        while ended is None and not stop.wait(0.5):
            ended = next((name for name, part in parts.items() if part.poll() is not None), None)
        for part in parts.values():
            part.terminate()
        for part in parts.values():
            part.wait()
        if ended is not None:
            say(f"the {ended} process ended by itself; the others were stopped")
            raise typer.Exit(1)


@app.command("api")
def run_api() -> None:
    """Run the API alone."""
    with clear_errors():
        settings = load_settings()
        with open_base(settings, say) as base:
            wait_for_signal()  # the server sends it on to us when it has stopped: that is all
            serve_api(settings, base.database)


@app.command("worker")
def run_worker_alone() -> None:
    """Run the worker alone: it carries operations out on chain, and seals the journal."""
    with clear_errors():
        settings = load_settings()
        with open_base(settings, say) as base, running_sealer(base.database):
            run_worker(
                base.database,
                open_keys(base),
                wait_for_signal(),
                finality=settings.finality,
                wanted_operations=settings.signer_warn_operations,
                anchor_minutes=settings.journal_anchor_minutes,
            )


@app.command("sync")
def run_sync_alone() -> None:
    """Run the sync alone: it reads the chain's events into the cap table."""
    with clear_errors():
        settings = load_settings()
        with open_base(settings, say) as base:
            run_syncs(
                base.database,
                settings,
                open_keys(base).client,
                wait_for_signal(),
                announced_at=base.announced_at,
            )


@app.command("imports")
def run_imports_alone() -> None:
    """Run the imports alone: they read files of assets into the register."""
    with clear_errors():
        settings = load_settings()
        with open_base(settings, say) as base:
            made = services(settings, base.database)
            run_imports(base.database, made.vault, made.store, wait_for_signal())


@app.command("exports")
def run_exports_alone() -> None:
    """Run the exports alone: they write cap tables into files."""
    with clear_errors():
        settings = load_settings()
        with open_base(settings, say) as base:
            made = services(settings, base.database)
            run_exports(base.database, made.vault, made.store, wait_for_signal())


@app.command("screening")
def run_screening_alone() -> None:
    """Run the screening alone: it looks for parties on the newest list of sanctions."""
    with clear_errors():
        settings = load_settings()
        with open_base(settings, say) as base:
            run_screening(base.database, services(settings, base.database).vault, wait_for_signal())


@app.command("alerts")
def run_alerts_alone() -> None:
    """Run the alerts alone: rules about holdings, payments and names; and reconciliation."""
    with clear_errors():
        settings = load_settings()
        with open_base(settings, say) as base:
            run_alerts(base.database, settings.chain_id, wait_for_signal())


@app.command("notices")
def run_notices_alone() -> None:
    """Run the notices alone: they are published to streams, and pushed to webhooks."""
    with clear_errors():
        settings = load_settings()
        with open_base(settings, say) as base:
            vault = services(settings, base.database).vault
            run_notices(base.database, vault, wait_for_signal(), **notice_options(settings))


@app.command("migrate")
def migrate_database() -> None:
    """Bring the database of DATABASE_URL to this version's schema."""
    with clear_errors():
        settings = load_settings()
        with open_base(settings, say) as base:
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
    app()
