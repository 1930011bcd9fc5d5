"""The stages that tests start from, each built once and copied for every test.

`empty`: a node at its first block. `platform`: our contracts stand. `suite`: a token suite stands
beside them, deployed by hand, for tests that only read. `market` and `minted`: a sale that is
closed, and one that is carried out (see `tests.chain.market`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from eth_account import Account

from chain.contracts.platform import plan_platform
from chain.node import panel, pooled_node, voting
from chain.signing.keystore import KeystoreSigner
from chain.sync.indexer import Indexer
from registry.kernel.db import Database
from tests.chain.bench import Bench
from tests.chain.market import Deal, Market, build
from tests.chain.mirror import Mirror
from tests.chain.nodes import CHAIN_ID
from tests.chain.pools import mirrors
from tests.chain.stage import Signers, Stage
from tests.chain.suite import Suite, ahead_of_projection
from tests.chain.world import CLAIM_SIGNER, CONFIRMER, PLATFORM, Databases, Hand, World

PASSWORD = "correct horse"
DatabaseMaker = Callable[[], AbstractContextManager[Database]]


@pytest.fixture(scope="session")
def databases(make_database: DatabaseMaker) -> Iterator[Databases]:
    with make_database() as migrated:
        found = Databases(migrated)
        yield found
        found.drop_all()


@pytest.fixture(scope="session")
def signers(tmp_path_factory: pytest.TempPathFactory) -> Signers:
    """The platform's key, the claim key and the confirmer's, from files that open quickly."""
    folder = tmp_path_factory.mktemp("keys")
    opened = []
    for account in (PLATFORM, CLAIM_SIGNER, CONFIRMER):
        path = folder / f"{account.address}.json"
        path.write_text(json.dumps(Account.encrypt(account.key, PASSWORD, "pbkdf2", 10)))
        opened.append(KeystoreSigner(path, PASSWORD))
    return opened[0], opened[1], opened[2]


@pytest.fixture(scope="session")
def empty_stage(databases: Databases, signers: Signers) -> Stage:
    return Stage(databases, signers, databases.migrated)


@pytest.fixture(scope="session")
def platform_stage(empty_stage: Stage, tmp_path_factory: pytest.TempPathFactory) -> Stage:
    def build(world: World) -> None:
        with world.database.transaction() as session:
            plan_platform(session, CHAIN_ID)
        world.settle()
        # The cursor opens here, before the first token.
        assert not Indexer(world.database, world.client).advance()

    return empty_stage.after(tmp_path_factory.mktemp("platform"), build)


@pytest.fixture(scope="session")
def suite_stage(platform_stage: Stage, tmp_path_factory: pytest.TempPathFactory) -> Stage:
    # The country of the first holders is read at the block of their registration.
    folder = tmp_path_factory.mktemp("suite")
    return platform_stage.after(folder, Suite.deploy_first, history=True)


@pytest.fixture(scope="session")
def market_stage(
    platform_stage: Stage, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Stage, Deal]:
    deals = []
    folder = tmp_path_factory.mktemp("market")
    stage = platform_stage.after(
        folder, lambda world: deals.append(build(world, folder / "documents"))
    )
    return stage, deals[0]


@pytest.fixture(scope="session")
def minted_stage(
    market_stage: tuple[Stage, Deal], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Stage, Deal]:
    stage, deal = market_stage
    # The countries of the holders are read at the blocks of their registrations.
    folder = tmp_path_factory.mktemp("minted")
    return stage.after(folder, World.settle, history=True), deal


@pytest.fixture
def empty(empty_stage: Stage, tmp_path: Path) -> Iterator[World]:
    with empty_stage.open(tmp_path) as world:
        yield world


@pytest.fixture
def platform(platform_stage: Stage, tmp_path: Path) -> Iterator[World]:
    with platform_stage.open(tmp_path) as world:
        yield world


@pytest.fixture
def suite(suite_stage: Stage, tmp_path: Path) -> Iterator[Suite]:
    """A token with five registered holders, on a node of its own; nothing is minted."""
    with suite_stage.open(tmp_path) as world:
        yield Suite(world, Hand(world.node, PLATFORM))


@pytest.fixture
def market(market_stage: tuple[Stage, Deal], tmp_path: Path) -> Iterator[Market]:
    """A sale that is closed and paid, its registrations and mints planned and nothing sent."""
    stage, deal = market_stage
    with stage.open(tmp_path) as world:
        yield Market(world, deal, tmp_path / "documents")


@pytest.fixture
def minted(minted_stage: tuple[Stage, Deal], tmp_path: Path) -> Iterator[Market]:
    """The same, with everything minted and final; the token is not live yet."""
    stage, deal = minted_stage
    with stage.open(tmp_path) as world:
        yield Market(world, deal, tmp_path / "documents")


@pytest.fixture
def bench(minted: Market) -> Bench:
    """The same, read from the chain, with the people who decide cases at their desks."""
    found = Bench(minted)
    found.index()
    return found


# -- several nodes ---------------------------------------------------------------------------


@pytest.fixture
def three(suite: Suite) -> Iterator[list[Mirror]]:
    with mirrors(suite.world.node, 3) as found:
        yield found


@pytest.fixture
def held(suite: Suite) -> Suite:
    """A projected token, with six blocks of transfers that are not yet projected."""
    return ahead_of_projection(suite)


@pytest.fixture
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hear the nodes at every question; who was left out comes back at the next."""
    monkeypatch.setattr(panel, "FRESH_SECONDS", 0.0)
    monkeypatch.setattr(pooled_node, "FIRST_REST_SECONDS", 0.0)
    monkeypatch.setattr(pooled_node, "LONGEST_REST_SECONDS", 0.0)


@pytest.fixture
def second_look_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(voting, "LOOK_AGAIN_SECONDS", 0.0)


@pytest.fixture
def patiently(monkeypatch: pytest.MonkeyPatch, second_look_at_once: None) -> None:
    """Hear the nodes at every question; who was left out stays away for the test."""
    monkeypatch.setattr(panel, "FRESH_SECONDS", 0.0)
    monkeypatch.setattr(pooled_node, "FIRST_REST_SECONDS", 60.0)
