"""What every schedule begins with, built once: a sale on a real chain, and a server to copy from.

A server of its own, since schedules restart and kill it.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import LiteralString

import psycopg
from eth_account import Account
from eth_account.signers.local import LocalAccount
from psycopg import sql

from chain.contracts.platform import plan_platform
from chain.node.client import ChainClient
from chain.operations.effect import Chain
from chain.sending.roles import plan_grants
from chain.signing.keystore import KeystoreSigner
from chain.signing.policies import FeePolicy
from registry.asset.models import Asset
from registry.investor import service as investors
from registry.kernel import migrate
from registry.kernel.actor import Actor, Role
from registry.kernel.db import Database
from registry.kernel.embedded import EmbeddedPostgres
from registry.offering import service as offerings
from registry.offering.terms import OfferTerms
from registry.tokenization import service as tokenizations
from tests import factories, sales
from tests.chain.market import buyer_of, desk, pass_kyc
from tests.chain.nodes import CHAIN_ID, Node
from tests.chain.world import CLAIM_SIGNER, CONFIRMER, PLATFORM, World
from tests.factories import Desk

AGENTS = 2
BUYERS = 9
UNITS = (40, 120, 7, 200, 33, 90, 1, 64, 150)
"""What each buyer orders; the wrapper keeps the rest."""
PASSWORD = "correct horse"
FLOOR = 40
"""Empty blocks before a schedule begins: reorgs of 32 take nothing of the stage's own."""
FEES = FeePolicy(stuck_blocks=8)
"""Blocks come every few hundredths of a second, so that little is a while."""
ACCOUNTS: tuple[LocalAccount, ...] = (
    *(PLATFORM, CLAIM_SIGNER, CONFIRMER),
    *(Account.from_key(bytes([0x60 + number]) * 32) for number in range(AGENTS)),
)


@dataclass(frozen=True, slots=True)
class Buyer:
    """Somebody who has ordered, and not paid yet."""

    actor: Actor
    wallet: bytes
    units: int
    reference: str
    amount_paisa: int


@dataclass(frozen=True, slots=True)
class Sale:
    """What the registry calls the things of the stage."""

    asset_id: str
    tokenization_id: str
    buyers: tuple[Buyer, ...]


class Server:
    """A PostgreSQL that is restarted, killed, and copied from."""

    def __init__(self, folder: Path) -> None:
        self._embedded = EmbeddedPostgres(folder)
        self.url = self._embedded.start()
        # A killed server loses no commit by this: the machine stays up.
        self.run("ALTER SYSTEM SET fsync = off")
        self.run("ALTER SYSTEM SET full_page_writes = off")
        self.restart()

    def stop(self) -> None:
        self._embedded.stop()

    def restart(self, *, crash: bool = False) -> None:
        """Stop it, or kill it, and start it again."""
        pid = self._embedded.pid
        if crash and pid is not None:
            os.kill(pid, signal.SIGKILL)
            while self._embedded.pid is not None:
                time.sleep(0.005)
        else:
            self._embedded.stop()
        self._embedded.start()

    @property
    def socket(self) -> Path:
        return Path(str(Database(self.url).engine.url.query["host"])) / ".s.PGSQL.5432"

    def database(self, name: str) -> Database:
        return Database(Database(self.url).engine.url.set(database=name).render_as_string())

    def copy(self, name: str, template: str) -> None:
        self.run("CREATE DATABASE {} TEMPLATE {}", name, template)

    def drop(self, name: str) -> None:
        self.run("DROP DATABASE IF EXISTS {} WITH (FORCE)", name)

    def end_sessions(self, name: str) -> None:
        """End every connection to a database, and wait until they are gone."""
        url = self.database("postgres").driver_url
        with psycopg.connect(url, autocommit=True) as connection:
            while connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name]
            ).fetchall():
                time.sleep(0.005)

    def run(self, statement: LiteralString, *names: str) -> None:
        url = self.database("postgres").driver_url
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))


@dataclass(frozen=True)
class Stage:
    """Where schedules are played, one after the other.

    Parameters
    ----------
    template
        Name of the database that each schedule copies.
    state
        The chain that belongs to it, as anvil's dump.
    """

    folder: Path
    server: Server
    signers: tuple[KeystoreSigner, ...]
    template: str
    state: Path
    sale: Sale

    @property
    def keys(self) -> Path:
        return self.folder / "keys"

    def chain(self, url: str, *, pool: bool) -> Chain:
        return chain_of(self.signers, ChainClient(url, CHAIN_ID), pool=pool)


def chain_of(signers: tuple[KeystoreSigner, ...], client: ChainClient, *, pool: bool) -> Chain:
    platform, claims, confirmer, *agents = signers
    return Chain(
        client, platform, claims, confirmer, agents=tuple(agents) if pool else (), fees=FEES
    )


def open_signers(keys: Path) -> tuple[KeystoreSigner, ...]:
    return tuple(KeystoreSigner(keys / f"{account.address}.json", PASSWORD) for account in ACCOUNTS)


def make_keys(folder: Path) -> tuple[KeystoreSigner, ...]:
    """Write a key file for each account of ours into a new folder, and open them."""
    folder.mkdir()
    for account in ACCOUNTS:
        sealed = Account.encrypt(account.key, PASSWORD, "pbkdf2", 10)
        (folder / f"{account.address}.json").write_text(json.dumps(sealed))
    return open_signers(folder)


@contextlib.contextmanager
def open_stage(folder: Path) -> Iterator[Stage]:
    """Build the stage, and take its server down at the end."""
    signers = make_keys(folder / "keys")
    server = Server(folder / "postgres")
    try:
        database = Database(server.url)
        migrate.upgrade(database)
        with Node(folder) as node:
            fund_keys(node)
            world = World(node, database, chain_of(signers, node.client, pool=True))
            sale = _build(world, folder / "documents")
            state = node.dump(folder / "state.json", history=True)
        database.dispose()
        template = str(database.engine.url.database)
        yield Stage(folder, server, signers, template, state, sale)
    finally:
        server.stop()


def fund_keys(node: Node) -> None:
    for account in ACCOUNTS:
        node.fund(bytes.fromhex(account.address.removeprefix("0x")))


def stand_platform(world: World) -> None:
    """Deploy the platform by its own key, then let the agents share the work."""
    with world.database.transaction() as session:
        session.add(factories.panel_valuer())
        plan_platform(session, CHAIN_ID)
    replace(world, chain=replace(world.chain, agents=())).settle()
    with world.database.transaction() as session:
        plan_grants(session, world.chain)
    world.settle()


def wrapped_by(at: Desk, issuer: Actor) -> Asset:
    """Register an apartment in the name of a company, for which the issuer passes KYC."""
    vehicle = factories.company(at)
    asset = factories.registered(at, factories.open_apartment(at, vehicle))
    sales.name_wrapper(at, asset, vehicle)
    pass_kyc(at, issuer, investors.enrol_for_company(at.session, issuer, vehicle.id), 0)
    return asset


def _build(world: World, folder: Path) -> Sale:
    stand_platform(world)
    people, issuer = [], factories.actor(Role.ISSUER)
    with world.database.transaction() as session:
        at = desk(session, folder)
        asset = wrapped_by(at, issuer)
        for number in range(BUYERS):
            who, investor = factories.enrolled(at)
            pass_kyc(at, who, investor, number + 1)
            people.append(who)
    world.settle()
    with world.database.transaction() as session:
        at = desk(session, folder)
        wrapped = sales.Wrapped(asset, buyer_of(session, issuer))
        tokenization = sales.approved(at, wrapped)
        tokenizations.deploy_token(session, factories.COMPLIANCE, tokenization.id)
    world.settle()
    buyers = []
    with world.database.transaction() as session:
        at = desk(session, folder)
        terms = OfferTerms(offered_units=sales.FRACTIONS)
        sale = offerings.open_offering(session, factories.COMPLIANCE, tokenization.id, terms)
        for who, units in zip(people, UNITS, strict=True):
            buyer = buyer_of(session, who)
            placed = sales.order(at, sale, buyer, units)
            buyers.append(
                Buyer(who, buyer.wallet.address, units, placed.reference, placed.amount_paisa)
            )
    return Sale(str(asset.id), str(tokenization.id), tuple(buyers))
