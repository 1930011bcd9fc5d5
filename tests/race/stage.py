"""What every race begins with, built once: a sale on a real chain, and a crowd with identities."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from registry.kernel import migrate
from registry.kernel.actor import Role
from registry.kernel.db import Database
from registry.offering import service as offerings
from registry.offering.terms import OfferTerms
from registry.tokenization import service as tokenizations
from tests import factories, sales
from tests.chain.market import buyer_of, desk
from tests.chain.nodes import Node
from tests.chain.world import World
from tests.chaos.stage import Server, chain_of, fund_keys, make_keys, stand_platform, wrapped_by
from tests.crowd import Somebody, make_crowd
from tests.factories import Buyer, Desk
from tests.kyc import passed

BATCH_ROWS = 50


@dataclass(frozen=True, slots=True)
class Sale:
    """What the registry calls the things of the stage.

    Parameters
    ----------
    token
        Address of the token, as the chain's own words have it.
    """

    tokenization_id: UUID
    offering_id: UUID
    price_paisa: int
    token: str
    crowd: tuple[Somebody, ...]


@dataclass(frozen=True)
class Stage:
    """Where races are run, one after the other.

    Parameters
    ----------
    template
        Name of the database that each race copies.
    state
        The chain that belongs to it, as anvil's dump.
    offered
        Fractions: all that there are.
    """

    folder: Path
    server: Server
    template: str
    state: Path
    offered: int
    sale: Sale

    @property
    def keys(self) -> Path:
        return self.folder / "keys"


@contextlib.contextmanager
def open_stage(folder: Path, *, buyers: int, offered: int) -> Iterator[Stage]:
    """Build the stage, and take its server down at the end."""
    signers = make_keys(folder / "keys")
    server = Server(folder / "postgres")
    try:
        database = Database(server.url)
        migrate.upgrade(database)
        with Node(folder) as node:
            fund_keys(node)
            chain = chain_of(signers, node.client, pool=True)
            world = World(node, database, chain, batch_rows=BATCH_ROWS)
            sale = _build(world, folder / "documents", buyers, offered)
            state = node.dump(folder / "state.json")
        database.dispose()
        template = str(database.engine.url.database)
        yield Stage(folder, server, template, state, offered, sale)
    finally:
        server.stop()


def _build(world: World, folder: Path, buyers: int, offered: int) -> Sale:
    stand_platform(world)
    issuer = factories.actor(Role.ISSUER)
    with world.database.transaction() as session:
        at = desk(session, folder)
        asset = wrapped_by(at, issuer)
        crowd = make_crowd(session, _first(at), buyers)
    world.settle()
    with world.database.transaction() as session:
        at = desk(session, folder)
        tokenization = sales.approved(
            at,
            sales.Wrapped(asset, buyer_of(session, issuer)),
            declared_fractions=offered,
            price_paisa=factories.VALUE_PAISA // offered,
        )
        tokenizations.deploy_token(session, factories.COMPLIANCE, tokenization.id)
    world.settle()
    with world.database.transaction() as session:
        terms = OfferTerms(offered_units=offered, minimum_units=offered)
        sale = offerings.open_offering(session, factories.COMPLIANCE, tokenization.id, terms)
        token = tokenizations.get_tokenization(session, tokenization.id)
        assert token.suite is not None, "it is deployed"
        return Sale(token.id, sale.id, sale.price_paisa, token.suite["token"], tuple(crowd))


def _first(at: Desk) -> Buyer:
    who, investor = factories.enrolled(at)
    wallet = factories.proven_wallet(at, who, investor.id)
    passed(at, who, investor)
    return Buyer(who, investor, wallet)
