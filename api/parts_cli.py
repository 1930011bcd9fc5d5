"""`milkiyat serve`, and the parts of it, each a command of its own too."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from typing import Annotated

import typer

from api.program import (
    notice_options,
    open_base,
    open_keys,
    running_program,
    running_sealer,
    serve_api,
    services,
)
from api.starting import clear_errors, load_settings, say, started, wait_for_signal
from api.webhooks.loop import run_notices
from chain.following import run_syncs
from chain.worker import run_alerts, run_exports, run_imports, run_screening, run_worker
from registry.kernel.settings import Settings


def add_serve(app: typer.Typer) -> None:
    """Add these commands to the program's."""
    app.command()(serve)
    for name, run in PARTS.items():
        app.command(name)(run)


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


def run_api() -> None:
    """Run the API alone."""
    with started() as (settings, base):
        wait_for_signal()  # the server sends it on to us when it has stopped: that is all
        serve_api(settings, base.database)


def run_worker_alone() -> None:
    """Run the worker alone: it carries operations out on chain, and seals the journal."""
    with started() as (settings, base), running_sealer(base.database):
        run_worker(
            base.database,
            open_keys(base),
            wait_for_signal(),
            finality=settings.finality,
            wanted_operations=settings.signer_warn_operations,
            anchor_minutes=settings.journal_anchor_minutes,
        )


def run_sync_alone() -> None:
    """Run the sync alone: it reads the chain's events into the cap table."""
    with started() as (settings, base):
        run_syncs(
            base.database,
            settings,
            open_keys(base).client,
            wait_for_signal(),
            announced_at=base.announced_at,
        )


def run_imports_alone() -> None:
    """Run the imports alone: they read files of assets into the register."""
    with started() as (settings, base):
        made = services(settings, base.database)
        run_imports(base.database, made.vault, made.store, wait_for_signal())


def run_exports_alone() -> None:
    """Run the exports alone: they write cap tables into files."""
    with started() as (settings, base):
        made = services(settings, base.database)
        run_exports(base.database, made.vault, made.store, wait_for_signal())


def run_screening_alone() -> None:
    """Run the screening alone: it looks for parties on the newest list of sanctions."""
    with started() as (settings, base):
        run_screening(base.database, services(settings, base.database).vault, wait_for_signal())


def run_alerts_alone() -> None:
    """Run the alerts alone: rules about holdings, payments and names; and reconciliation."""
    with started() as (settings, base):
        vault = services(settings, base.database).vault
        run_alerts(base.database, vault, settings.chain_id, wait_for_signal())


def run_notices_alone() -> None:
    """Run the notices alone: they are published to streams, and pushed to webhooks."""
    with started() as (settings, base):
        vault = services(settings, base.database).vault
        run_notices(base.database, vault, wait_for_signal(), **notice_options(settings))


PARTS: Mapping[str, Callable[[], None]] = {
    "api": run_api,
    "worker": run_worker_alone,
    "sync": run_sync_alone,
    "imports": run_imports_alone,
    "exports": run_exports_alone,
    "screening": run_screening_alone,
    "alerts": run_alerts_alone,
    "notices": run_notices_alone,
}
"""What `serve --processes` runs, each by its command."""
