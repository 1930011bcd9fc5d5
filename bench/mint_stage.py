"""A closed book of paid orders: every buyer registered on chain, nothing minted yet.

One buyer goes through the use cases; the database makes the others after that one's rows, and the
worker carries their identities, claims and registrations out like any others.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
from cryptography.fernet import Fernet
from psycopg import sql
from sqlalchemy import text
from sqlmodel import Session

from api.program import Base, open_keys, running_loops
from api.starting import load_settings
from bench.gas_node import BALANCE_WEI, CHAIN_ID, free_port
from chain.embedded.anvil import HOST, Anvil, launch
from chain.embedded.burial import Burial
from chain.runtime import embedded_keys
from registry.document.store import FolderStore
from registry.investor import service as investors
from registry.investor.models import Wallet
from registry.kernel import migrate
from registry.kernel.actor import THE_SYSTEM
from registry.kernel.db import Database
from registry.kernel.embedded import EmbeddedPostgres
from registry.kernel.settings import Settings
from registry.kernel.vault import Vault
from registry.offering import service as offerings
from registry.offering.models import Order
from registry.offering.terms import OfferTerms
from registry.tokenization import service as tokenizations
from registry.tokenization.registration import plan_registration
from tests import factories, sales

STAGE = "milkiyat_stage"
WAIT_SECONDS = 1800.0
HEARTBEAT_SECONDS = 0.5
"""How often the embedded chain buries its last block under an empty one."""

# Each buyer after the first: the same row under other names.
_CLONES = """
CREATE TEMP TABLE clone ON COMMIT DROP AS
    SELECT n, uuidv7() AS party_id, uuidv7() AS investor_id, uuidv7() AS wallet_id,
        uuidv7() AS create_identity, uuidv7() AS add_claim, uuidv7() AS register_identity,
        uuidv7() AS order_id, substring(sha256(int8send(n)) FOR 20) AS address
    FROM generate_series(2, :holders) AS n;
INSERT INTO party SELECT (jsonb_populate_record(old, jsonb_build_object('id', new.party_id,
    'cnic_fingerprint', '\\x' || encode(sha256(int8send(n)), 'hex')))).*
    FROM clone new, party old WHERE old.id = :party;
INSERT INTO investor SELECT (jsonb_populate_record(old, jsonb_build_object('id', new.investor_id,
    'subject', 'buyer-' || n, 'party_id', new.party_id))).*
    FROM clone new, investor old WHERE old.id = :investor;
INSERT INTO wallet SELECT (jsonb_populate_record(old, jsonb_build_object('id', new.wallet_id,
    'investor_id', new.investor_id, 'address', '\\x' || encode(new.address, 'hex')))).*
    FROM clone new, wallet old WHERE old.id = :wallet;
INSERT INTO operation SELECT (jsonb_populate_record(old, jsonb_build_object('id',
    CASE old.kind WHEN 'create_identity' THEN new.create_identity
        WHEN 'add_claim' THEN new.add_claim ELSE new.register_identity END,
    'key', CASE old.kind WHEN 'register_identity'
        THEN 'register_identity:' || (old.params ->> 'tokenization_id') || ':' || new.wallet_id
        ELSE old.kind || ':' || n END,
    'subject_id', CASE old.kind WHEN 'register_identity' THEN old.subject_id
        ELSE new.investor_id::text END,
    'state', 'planned', 'result', CAST('{}' AS jsonb), 'signer', NULL, 'nonce', NULL,
    'batch_id', NULL, 'ended_at', NULL,
    'params', old.params || jsonb_build_object('wallet_id', new.wallet_id)
        || CASE old.kind WHEN 'create_identity'
            THEN jsonb_build_object('wallet', '0x' || encode(new.address, 'hex'))
            ELSE CAST('{}' AS jsonb) END))).*
    FROM clone new, operation old WHERE old.params ->> 'wallet_id' = CAST(:wallet AS text);
INSERT INTO operation_dependency SELECT add_claim, create_identity FROM clone
    UNION ALL SELECT register_identity, add_claim FROM clone;
INSERT INTO purchase_order SELECT (jsonb_populate_record(old, jsonb_build_object('id',
    new.order_id, 'investor_id', new.investor_id, 'wallet_id', new.wallet_id,
    'reference', 'MLK' || n))).*
    FROM clone new, purchase_order old WHERE old.id = :order;
INSERT INTO payment SELECT (jsonb_populate_record(old, jsonb_build_object('id', uuidv7(),
    'order_id', new.order_id, 'rail_reference', 'bank ' || n))).*
    FROM clone new, payment old WHERE old.order_id = :order;
UPDATE offering SET reserved_units = :holders WHERE id = (
    SELECT offering_id FROM purchase_order WHERE id = :order)
"""


@dataclass(frozen=True)
class MintStage:
    """The chain and the database that every run starts from.

    Parameters
    ----------
    settings
        Of the program that runs on it, but for the database.
    state
        The chain, for a node to start from.
    """

    settings: Settings
    server: Database
    state: Path
    tokenization_id: UUID
    holders: int

    @contextlib.contextmanager
    def node(self) -> Iterator[Anvil]:
        """Give a node at the state of the stage: everybody mints on the same chain."""
        rpc_url = self.settings.rpc_url
        assert rpc_url is not None
        port = int(rpc_url.rpartition(":")[2])
        node = launch(self.state.parent, port, CHAIN_ID, load=self.state)
        try:
            fund(node, embedded_keys(self.settings))
            yield node
        finally:
            node.end()

    @contextlib.contextmanager
    def database(self, name: str) -> Iterator[Database]:
        """Give a database of the stage, for one run."""
        with psycopg.connect(self.server.driver_url, autocommit=True) as admin:
            admin.execute(
                sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(
                    sql.Identifier(name), sql.Identifier(STAGE)
                )
            )
            # Nobody pays for what another left to be written.
            admin.execute("CHECKPOINT")
            database = Database(_named(self.server.url, name))
            try:
                yield database
            finally:
                database.dispose()
                admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@contextlib.contextmanager
def mint_stage(holders: int) -> Iterator[MintStage]:
    """Build the stage, and take it down at the end."""
    with contextlib.ExitStack() as stack:
        named = tempfile.TemporaryDirectory(prefix="milkiyat-mint-", ignore_cleanup_errors=True)
        folder = Path(stack.enter_context(named))
        server = Database(stack.enter_context(EmbeddedPostgres(folder / "postgres")).start())
        stack.callback(server.dispose)
        port = free_port()
        rpc_url = f"http://{HOST}:{port}"
        settings = _settings(folder / "data", rpc_url)
        database = _empty_register(server)
        node = launch(folder, port, CHAIN_ID)
        try:
            fund(node, embedded_keys(settings))
            base = Base(settings, database, rpc_url, None)
            with heartbeat(node), running_loops(base, open_keys(base)):
                tokenization_id = _build(database, folder, holders)
            database.dispose()
            state = folder / "state.json"
            state.write_bytes(gzip.decompress(node.dump_state()[1]))
        finally:
            node.end()
        yield MintStage(settings, server, state, tokenization_id, holders)


def _settings(data: Path, rpc_url: str) -> Settings:
    said = {"DATA_DIR": str(data), "PORT": str(free_port()), "RPC_URL": rpc_url}
    os.environ.update(said, LOG_LEVEL="error")
    return load_settings()


def _empty_register(server: Database) -> Database:
    with psycopg.connect(server.driver_url, autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(STAGE)))
    database = Database(_named(server.url, STAGE))
    migrate.upgrade(database)
    with database.transaction() as session:
        session.add(factories.panel_valuer())
    return database


def fund(node: Anvil, keys: Path) -> None:
    """Give every key of a folder money."""
    for path in keys.glob("*.json"):
        address = json.loads(path.read_text("utf-8"))["address"]
        node.call("anvil_setBalance", f"0x{address.removeprefix('0x')}", hex(BALANCE_WEI))


@contextlib.contextmanager
def heartbeat(node: Anvil) -> Iterator[None]:
    """Mine now and then, as the embedded chain's keeper does: what was mined becomes final."""
    stop = threading.Event()

    def beat() -> None:
        burial = Burial()
        while not stop.wait(HEARTBEAT_SECONDS):
            node.mine_what_waits()
            if burial.is_due(node.head().number):
                burial.mine(node)

    thread = threading.Thread(target=beat, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _build(database: Database, folder: Path, holders: int) -> UUID:
    keys = (Fernet.generate_key().decode() for _ in range(2))
    vault, store = Vault(*keys), FolderStore(folder / "documents")
    await_quiet(database)
    with database.transaction() as session:
        at = factories.Desk(session, vault, store)
        vehicle = factories.company(at)
        asset = factories.registered(at, factories.open_apartment(at, vehicle))
        sales.name_wrapper(at, asset, vehicle)
        wrapped = sales.Wrapped(asset, factories.issuer(at, vehicle))
        first = factories.buyer(at)
        tokenization = sales.approved(
            at,
            wrapped,
            declared_fractions=holders,
            price_paisa=factories.VALUE_PAISA // holders,
        )
        tokenizations.deploy_token(session, factories.COMPLIANCE, tokenization.id)
    await_quiet(database)
    with database.transaction() as session:
        at = factories.Desk(session, vault, store)
        terms = OfferTerms(offered_units=holders)
        sale = offerings.open_offering(session, factories.COMPLIANCE, tokenization.id, terms)
        token = tokenizations.get_tokenization(session, tokenization.id)
        wallet = session.get_one(Wallet, first.wallet.id)
        order = sales.order(at, sale, replace(first, wallet=wallet), 1)
        sales.pay(at, order)
        plan_registration(session, THE_SYSTEM, token, wallet)
        _clone(session, order, holders)
    await_quiet(database)
    return tokenization.id


def _clone(session: Session, order: Order, holders: int) -> None:
    investor = investors.get_investor(session, order.investor_id)
    values: dict[str, Any] = {
        "holders": holders,
        "party": investor.party_id,
        "investor": investor.id,
        "wallet": order.wallet_id,
        "order": order.id,
    }
    session.flush()
    for step in _CLONES.split(";"):
        used = {name: value for name, value in values.items() if f":{name}" in step}
        session.connection().execute(text(step), used)
    session.connection().execute(text("NOTIFY milkiyat_operation"))


def await_quiet(database: Database) -> None:
    """Wait until every operation has ended well."""
    deadline = time.monotonic() + WAIT_SECONDS
    query = text(
        "SELECT count(*) FILTER (WHERE state = 'final'), count(*),"
        " count(*) FILTER (WHERE problem IS NOT NULL) FROM operation"
    )
    while time.monotonic() < deadline:
        with database.reading() as session:
            final, known, failed = session.connection().execute(query).one()
        if failed:
            raise RuntimeError(f"{failed} operations of the stage have failed")
        if known and final == known:
            return
        time.sleep(0.2)
    raise RuntimeError(f"the stage was not ready after {WAIT_SECONDS:.0f} s")


def _named(url: str, name: str) -> str:
    server, _, rest = url.partition("@/")
    return f"{server}@/{name}?{rest.partition('?')[2]}"
