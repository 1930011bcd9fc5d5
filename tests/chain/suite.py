"""A token suite driven by hand, and the same state seen on the chain and in the projection."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, text
from sqlmodel import col, select

from chain.contracts.abi import contract
from chain.contracts.platform import ZERO_ADDRESS, platform_address
from chain.node.client import BlockId, Receipt, bytes_of, call_params, hex_of
from chain.sync.indexer import Indexer
from registry.captable import service as captable
from registry.captable.models import (
    Balance,
    EventKind,
    Holder,
    RegisteredWallet,
    SyncCursor,
    TokenEvent,
)
from registry.kernel.db import Database
from tests.chain.nodes import CHAIN_ID
from tests.chain.world import GAS_OF_SUITE, PLATFORM, Hand, World, address_of, ask, key_of

PEOPLE = 8
REGISTERED = 5
COUNTRIES = (586, 784, 826, 840, 586)
ADDRESSES = [address_of(key_of(number)) for number in range(PEOPLE)]
INDEXER_TURNS = 50


@dataclass(frozen=True)
class View:
    """Everything that the cap table says of a token.

    Parameters
    ----------
    holders
        Balance and frozen part of whoever has any.
    registered
        Identity and country of whoever is registered.
    frozen
        Whose address is frozen as a whole.
    """

    supply: int
    paused: bool
    holders: dict[bytes, tuple[int, int]]
    registered: dict[bytes, tuple[bytes, int]]
    frozen: frozenset[bytes]


class Suite:
    """One token and its registry, called by their agent.

    Parameters
    ----------
    agent
        Owner and agent of every contract.
    """

    def __init__(self, world: World, agent: Hand, salt: str = "first") -> None:
        self.world = world
        self.agent = agent
        with world.database.reading() as session:
            self.factory = bytes_of(platform_address(session, CHAIN_ID, "TREXFactory"))
            self.id_factory = bytes_of(platform_address(session, CHAIN_ID, "IdFactory"))
        self.token = self._ask("TREXFactory", self.factory, "getToken", salt)
        self.registry = bytes(20)
        if any(self.token):
            self.registry = self._ask("Token", self.token, "identityRegistry")

    @classmethod
    def deploy_first(cls, world: World) -> Suite:
        """Deploy a suite whose holders need no claim, and register five people."""
        agent = Hand(world.node, PLATFORM)
        factory = cls(world, agent)
        factory.deploy("first")
        for address in ADDRESSES:
            world.node.fund(address)
            salt = f"by hand {hex_of(address)}"
            agent.call("IdFactory", factory.id_factory, "createIdentity", address, salt)
        deployed = cls(world, agent)
        for number in range(REGISTERED):
            deployed.register(number, COUNTRIES[number])
        return deployed

    def deploy(self, salt: str, *, mine: bool = True, storage: str | bytes = ZERO_ADDRESS) -> Suite:
        """Deploy one more suite, and return it as it stands or, unmined, will stand.

        Parameters
        ----------
        storage
            Of another suite, to be shared with it.
        """
        owner = hex_of(self.agent.address)
        places: tuple[Any, ...] = (storage, ZERO_ADDRESS, [owner], [owner], [], [])
        deploy = contract("TREXFactory").functions["deployTREXSuite"]
        details = (owner, "By hand", "HAND", 0, *places)
        data = deploy.encode(salt, details, ([], [], []))
        sent = self.agent.send(self.factory, data, gas=GAS_OF_SUITE)
        if mine:
            self.world.node.mined(sent)
        return Suite(self.world, self.agent, salt)

    def _ask(self, name: str, address: bytes, function: str, *arguments: Any) -> bytes:
        """Ask for an address, of the block that would be mined now."""
        asked = ask(self.world.client, name, address, function, *arguments, block="pending")
        return bytes_of(asked)

    # -- calls -------------------------------------------------------------------------------

    def do(self, function: str, *arguments: Any) -> Receipt:
        """Call the token as its agent."""
        return self.agent.call("Token", self.token, function, *arguments)

    def send(self, function: str, *arguments: Any) -> bytes:
        """Call the token as its agent, and leave mining to the node."""
        plain = [hex_of(item) if isinstance(item, bytes) else item for item in arguments]
        return self.agent.send(self.token, contract("Token").functions[function].encode(*plain))

    def mint(self, person: int, units: int) -> Receipt:
        return self.do("mint", ADDRESSES[person], units)

    def move(self, source: int, target: int, units: int) -> Receipt:
        """Move units as the agent may, whatever is frozen or paused."""
        return self.do("forcedTransfer", ADDRESSES[source], ADDRESSES[target], units)

    def person(self, number: int) -> Hand:
        """Let a holder act with their own key."""
        return Hand(self.world.node, key_of(number))

    def register(self, person: int, country: int) -> Receipt:
        return self.world.node.mined(self.send_registration(person, country))

    def send_registration(self, person: int, country: int) -> bytes:
        register = contract("IdentityRegistry").functions["registerIdentity"]
        wallet, identity = hex_of(ADDRESSES[person]), hex_of(self.identity(person))
        return self.agent.send(self.registry, register.encode(wallet, identity, country))

    def identity(self, person: int) -> bytes:
        return self._ask("IdFactory", self.id_factory, "getIdentity", ADDRESSES[person])

    # -- both sides --------------------------------------------------------------------------

    def index(self, indexer: Indexer | None = None) -> None:
        """Project until nothing is left to project."""
        catch_up(indexer or Indexer(self.world.database, self.world.client))

    def on_chain(self, block: BlockId = "latest") -> View:
        """Ask the chain everything that the projection claims to know."""
        answers = iter(self._answers(block))
        supply, paused = int(next(answers), 16), bool(int(next(answers), 16))
        holders, registered, frozen = {}, {}, set()
        for address in ADDRESSES:
            balance, locked, stopped, identity, country = (int(next(answers), 16) for _ in range(5))
            if balance or locked:
                holders[address] = (balance, locked)
            if identity:
                registered[address] = (identity.to_bytes(20, "big"), country)
            if stopped:
                frozen.add(address)
        assert sum(balance for balance, _ in holders.values()) == supply
        return View(supply, paused, holders, registered, frozenset(frozen))

    def _answers(self, block: BlockId) -> list[str]:
        token, registry = contract("Token").functions, contract("IdentityRegistry").functions
        of_token = [token[name] for name in ("balanceOf", "getFrozenTokens", "isFrozen")]
        of_registry = [registry[name] for name in ("identity", "investorCountry")]
        calls = [(self.token, token[name].encode()) for name in ("totalSupply", "paused")]
        for address in map(hex_of, ADDRESSES):
            calls += [(self.token, function.encode(address)) for function in of_token]
            calls += [(self.registry, function.encode(address)) for function in of_registry]
        return self.world.client.batch(
            [("eth_call", call_params(to, data, None, block)) for to, data in calls]
        )

    def projected(self, database: Database | None = None) -> View:
        """Read the same from the projection, having checked that it agrees with itself."""
        with (database or self.world.database).reading() as session:
            token = captable.get_token(session, self.token)
            assert token.identity_registry == self.registry
            number = token.token_no
            balances = session.exec(
                select(Holder.address, Balance.balance_units, Balance.frozen_units)
                .join(Balance, col(Balance.holder_no) == col(Holder.holder_no))
                .where(col(Balance.token_no) == number)
            ).all()
            history = session.connection().execute(
                text(
                    "SELECT address, balance_units, frozen_units FROM balance_history"
                    " JOIN holder USING (holder_no) WHERE token_no = :token ORDER BY block_number"
                ),
                {"token": number},
            )
            assert {row[0]: tuple(row) for row in balances} == {
                row[0]: tuple(row) for row in history
            }
            wallets = session.exec(
                select(Holder.address, RegisteredWallet.identity, RegisteredWallet.country)
                .join(RegisteredWallet, col(RegisteredWallet.holder_no) == col(Holder.holder_no))
                .where(col(RegisteredWallet.token_no) == number)
            ).all()
            flags = session.exec(
                select(Holder.address, TokenEvent.extra)
                .join(TokenEvent, col(TokenEvent.target) == col(Holder.holder_no))
                .where(
                    col(TokenEvent.token_no) == number,
                    col(TokenEvent.kind) == EventKind.ADDRESS_FROZEN,
                )
                .order_by(col(TokenEvent.block_number), col(TokenEvent.log_index))
            ).all()
            return View(
                supply=int(token.supply_units),
                paused=token.paused,
                holders={
                    address: (int(balance), int(frozen))
                    for address, balance, frozen in balances
                    if balance or frozen
                },
                registered={address: (identity, country) for address, identity, country in wallets},
                frozen=frozenset(
                    address for address, extra in dict(flags).items() if (extra or {})["frozen"]
                ),
            )

    def assert_exact(self) -> None:
        """Hold the projection against the chain, at the cursor's own block."""
        cursor = cursor_of(self.world.database)
        assert cursor.hash == self.world.client.head().hash
        ours, theirs = self.projected(), self.on_chain(cursor.hash)
        assert ours == theirs, f"{ours}\n{theirs}"


def shuffle(suite: Suite, seed: int, blocks: int) -> None:
    """Mine blocks with transfers that only this seed gives; everybody holds enough already."""
    chosen = random.Random(seed)
    for _ in range(blocks):
        for _ in range(chosen.randint(1, 3)):
            source, target = chosen.choices(range(REGISTERED), k=2)
            units = chosen.randint(1, 50)
            suite.send("forcedTransfer", ADDRESSES[source], ADDRESSES[target], units)
        suite.world.node.mine()


def ahead_of_projection(suite: Suite) -> Suite:
    """Have a token projected, and then six blocks of transfers that are not."""
    for person in range(5):
        suite.mint(person, 10_000)
    suite.index()
    shuffle(suite, seed=11, blocks=6)
    return suite


def catch_up(indexer: Indexer) -> None:
    for _ in range(INDEXER_TURNS):
        if not indexer.advance():
            return
    raise AssertionError("the indexer does not come to an end")


def cursor_of(database: Database) -> SyncCursor:
    with database.reading() as session:
        return captable.sync_state(session, CHAIN_ID)


def count(database: Database, model: type[Any], *conditions: Any) -> int:
    with database.reading() as session:
        return session.exec(select(func.count()).select_from(model).where(*conditions)).one()
