"""The whole program: embedded services where none are named, API, worker and sync."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import uvicorn
from fastapi import FastAPI

from api.auth.keys import KeyVerifier
from api.auth.session_tokens import session_issuer
from api.auth.tokens import token_verifier
from api.deps import Services
from api.rate_limits import RateLimits
from api.s3_store import open_store
from api.webhooks.loop import run_notices
from chain.embedded.anvil import HOST
from chain.embedded.devnet import Devnet, depth_of
from chain.following import run_syncs
from chain.node.heads import announcing
from chain.operations.effect import Chain
from chain.runtime import fund_platform, open_chain, open_client
from chain.signing.curve import require_coincurve
from chain.worker import run_alerts, run_exports, run_imports, run_screening, run_worker
from registry.journal.loop import run_sealer
from registry.kernel import migrate
from registry.kernel.collector import look_seldom
from registry.kernel.db import Database
from registry.kernel.embedded import EmbeddedPostgres
from registry.kernel.settings import Settings
from registry.kernel.signing import read_signing_keys
from registry.kernel.vault import Vault

Say = Callable[[str], None]
START_SECONDS = 30.0
NODE_SECONDS = 5.0
"""How long a request waits for the node: a person is waiting for the answer."""


class PortTaken(Exception):
    """Somebody else listens where we were told to."""


@dataclass(frozen=True, slots=True)
class Base:
    """What every part of the program stands on."""

    settings: Settings
    database: Database
    rpc_url: str
    devnet: Devnet | None

    @property
    def announced_at(self) -> list[str]:
        """Where the nodes announce their blocks."""
        return announcing(self.rpc_url, self.settings.rpc_ws_url)


@contextlib.contextmanager
def open_base(settings: Settings, say: Say) -> Iterator[Base]:
    """Start or reach PostgreSQL and the node, and migrate the database.

    Raises
    ------
    DatabaseUnreachable, DatabaseBusy, EmbeddedServiceError, RpcUnavailable, WrongChain,
    SignerRefused
        With the setting to mend.
    """
    require_coincurve()
    with contextlib.ExitStack() as stack:
        devnet = _devnet(settings)
        if devnet is not None:
            devnet.check_port()
        if settings.database_url is None:
            say("starting the embedded PostgreSQL")
            postgres = EmbeddedPostgres(settings.data_dir / "postgres")
            url = postgres.start()
            stack.callback(postgres.stop)
        else:
            url = settings.database_url.get_secret_value()
        database = Database(url)
        stack.callback(database.dispose)
        database.check()
        migrate.upgrade(database)
        rpc_url = settings.rpc_url
        if devnet is not None:
            say(f"starting the embedded chain on port {settings.devnet_port}")
            rpc_url = devnet.start()
            stack.callback(devnet.stop)
        assert rpc_url is not None
        yield Base(settings, database, rpc_url, devnet)


def _devnet(settings: Settings) -> Devnet | None:
    if settings.rpc_url is not None:
        return None
    return Devnet(
        settings.data_dir / "chain",
        port=settings.devnet_port,
        chain_id=settings.chain_id,
        confirmations=depth_of(settings.finality),
    )


def open_keys(base: Base) -> Chain:
    """Reach the node with the keys unlocked; on the embedded chain the platform gets money."""
    chain = open_chain(base.settings, base.rpc_url)
    if base.devnet is not None:
        fund_platform(base.devnet, chain)
    return chain


def services(settings: Settings, database: Database) -> Services:
    """Build what the application needs."""
    assert settings.pii_key is not None, "the settings or the embedded secrets hold one"
    assert settings.pii_index_key is not None, "and this one"
    assert settings.report_key is not None, "and this one"
    return Services(
        settings=settings,
        database=database,
        vault=Vault(settings.pii_key.get_secret_value(), settings.pii_index_key.get_secret_value()),
        store=open_store(settings),
        tokens=token_verifier(settings),
        sessions=session_issuer(settings, database),
        keys=KeyVerifier(database),
        limits=RateLimits(database, settings),
        node=open_client(
            settings,
            settings.rpc_url or f"http://{HOST}:{settings.devnet_port}",
            timeout_seconds=NODE_SECONDS,
        ),
        signing=read_signing_keys(settings.report_key.get_secret_value()),
    )


@contextlib.contextmanager
def running_api(settings: Settings, database: Database) -> Iterator[str]:
    """Serve the API from a thread of this process.

    Yields
    ------
    str
        Its address.

    Raises
    ------
    PortTaken
        The message names the setting PORT.
    """
    check_port(settings)
    with _served(settings, database) as served:
        server = uvicorn.Server(server_config(settings, served))
        thread = threading.Thread(target=server.run, name="api", daemon=True)
        thread.start()
        deadline = time.monotonic() + START_SECONDS
        while not server.started:
            if not thread.is_alive() or time.monotonic() > deadline:
                raise PortTaken(f"The API did not come up on {settings.host}:{settings.port}.")
            time.sleep(0.01)
        try:
            yield f"http://{settings.host}:{settings.port}"
        finally:
            server.should_exit = True
            thread.join()


def serve_api(settings: Settings, database: Database) -> None:
    """Serve the API from this process until it is told to stop."""
    check_port(settings)
    with _served(settings, database) as served:
        uvicorn.Server(server_config(settings, served)).run()


@contextlib.contextmanager
def _served(settings: Settings, database: Database) -> Iterator[FastAPI]:
    """Give the application, on connections of its own: those of others have no limit of time."""
    # The routes take seconds to load, which every other part and command would wait for.
    from api.app import create_app  # noqa: PLC0415

    own = Database(
        database.url,
        pool_size=database.pool_size,
        statement_seconds=settings.statement_timeout_seconds,
    )
    try:
        yield create_app(services(settings, own))
    finally:
        own.dispose()


def server_config(settings: Settings, served: FastAPI) -> uvicorn.Config:
    """Say how an application is served that is complete."""
    look_seldom()
    return uvicorn.Config(
        served,
        host=settings.host,
        port=settings.port,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=5,
        forwarded_allow_ips=settings.trusted_proxies,
    )


def check_port(settings: Settings) -> None:
    """Refuse an address that cannot be listened on.

    Raises
    ------
    PortTaken
    """
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            raise PortTaken(
                f"The API cannot listen on {settings.host}:{settings.port}: {error.strerror}. "
                "Stop what listens there, or set PORT to a free one."
            ) from error


@contextlib.contextmanager
def running_sealer(database: Database) -> Iterator[None]:
    """Seal the journal in a thread of this process."""
    stop = threading.Event()
    loop = threading.Thread(target=run_sealer, args=(database, stop), name="sealer", daemon=True)
    loop.start()
    try:
        yield
    finally:
        stop.set()
        loop.join()


def notice_options(settings: Settings) -> dict[str, Any]:
    """Give what the settings say of notices and webhooks."""
    return {"chain_id": settings.chain_id, "allow_loopback": not settings.is_production}


@contextlib.contextmanager
def running_loops(base: Base, chain: Chain) -> Iterator[None]:
    """Run everything beside the API in threads of this process."""
    stop = threading.Event()
    made = services(base.settings, base.database)
    loops = [
        threading.Thread(
            target=run_worker,
            args=(base.database, chain, stop),
            kwargs={
                "finality": base.settings.finality,
                "wanted_operations": base.settings.signer_warn_operations,
                "anchor_minutes": base.settings.journal_anchor_minutes,
            },
            name="worker",
            daemon=True,
        ),
        threading.Thread(
            target=run_syncs,
            args=(base.database, base.settings, chain.client, stop),
            kwargs={"announced_at": base.announced_at},
            name="sync",
            daemon=True,
        ),
        threading.Thread(
            target=run_imports,
            args=(base.database, made.vault, made.store, stop),
            name="imports",
            daemon=True,
        ),
        threading.Thread(
            target=run_exports,
            args=(base.database, made.vault, made.store, stop),
            name="exports",
            daemon=True,
        ),
        threading.Thread(
            target=run_screening,
            args=(base.database, made.vault, stop),
            name="screening",
            daemon=True,
        ),
        threading.Thread(
            target=run_alerts,
            args=(base.database, made.vault, base.settings.chain_id, stop),
            name="alerts",
            daemon=True,
        ),
        threading.Thread(
            target=run_notices,
            args=(base.database, made.vault, stop),
            kwargs=notice_options(base.settings),
            name="notices",
            daemon=True,
        ),
    ]
    for loop in loops:
        loop.start()
    try:
        yield
    finally:
        stop.set()
        for loop in loops:
            loop.join()


@contextlib.contextmanager
def running_program(settings: Settings, say: Say) -> Iterator[str]:
    """Run everything in this process.

    Yields
    ------
    str
        The API's address.
    """
    check_port(settings)
    with open_base(settings, say) as base:
        chain = open_keys(base)
        with (
            running_sealer(base.database),
            running_loops(base, chain),
            running_api(settings, base.database) as address,
        ):
            yield address
