"""The places of one schedule: a chain, a database, what stands before both, and who works there."""

from __future__ import annotations

import contextlib
import itertools
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from sqlmodel import col, select

from chain.contracts.abi import contract
from chain.node.client import bytes_of, hex_of
from registry.investor import service as investors
from registry.investor.models import Wallet
from registry.kernel.clock import now
from registry.kernel.db import Database
from registry.kernel.postgres_installation import SUPERUSER
from tests.chain.nodes import Node
from tests.chaos import proxy_postgres, proxy_rpc
from tests.chaos.clients import Clients
from tests.chaos.contender import CLIENT_SECONDS, Orders
from tests.chaos.crew import Crew
from tests.chaos.network import Network
from tests.chaos.person import Person
from tests.chaos.schedule import Schedule
from tests.chaos.stage import Stage, fund_keys

_numbers = itertools.count(1)


@dataclass
class Scene:
    """One schedule under way.

    Parameters
    ----------
    database
        The database itself, past the proxy.
    later
        What is to be mended, and at which block.
    """

    stage: Stage
    schedule: Schedule
    database: Database
    node: Node
    rpc: proxy_rpc.RpcProxy
    postgres: proxy_postgres.PostgresProxy
    crew: Crew
    network: Network
    clients: Clients
    person: Person
    later: list[tuple[int, Callable[[], object]]] = field(default_factory=list)
    block: int = 0
    broken: Counter[str] = field(default_factory=Counter)

    @property
    def name(self) -> str:
        return str(self.database.engine.url.database)

    def after(self, blocks: int, what: Callable[[], object]) -> None:
        self.later.append((self.block + blocks, what))

    def mend_due(self) -> None:
        for due in [each for each in self.later if each[0] <= self.block]:
            self.later.remove(due)
            due[1]()

    @contextlib.contextmanager
    def nobody_connected(self) -> Iterator[None]:
        """Keep everybody from the database, as its copying needs."""
        self.postgres.is_away = True
        self.postgres.cut_all()
        self.database.dispose()
        self.stage.server.end_sessions(self.name)
        yield
        self.postgres.is_away = False

    # -- bad rows ----------------------------------------------------------------------------

    def freeze(self, buyer: int, *, frozen: bool = True, first: bool = False) -> None:
        """Freeze a wallet on chain, or free it, past the registry.

        Parameters
        ----------
        first
            In front of what waits in the pool.
        """
        with self.database.engine.connect() as connection:
            agent = connection.exec_driver_sql(
                "SELECT address FROM platform_contract WHERE name = 'CaseAgent'"
            ).scalar_one()
            token = connection.exec_driver_sql(
                "SELECT suite->>'token' FROM tokenization WHERE suite IS NOT NULL"
            ).scalar_one()
        wallet = hex_of(self.stage.sale.buyers[buyer].wallet)
        data = contract("Token").functions["setAddressFrozen"].encode(wallet, frozen)
        self.node.act_as(bytes(agent), bytes_of(str(token)), data, first=first)

    def is_mint_waiting(self, buyer: int) -> bool:
        """Tell whether a buyer's mint is in the pool, in a transaction of its own."""
        with self.database.engine.connect() as connection:
            sent = connection.exec_driver_sql(
                "SELECT tx_hash FROM operation_attempt a JOIN operation o ON o.id = a.operation_id"
                " JOIN wallet w ON w.id::text = o.params->>'wallet_id'"
                " WHERE o.kind = 'mint' AND o.state IN ('signed', 'broadcast') AND w.address = %s",
                (self.stage.sale.buyers[buyer].wallet,),
            ).scalars()
            hashes = {hex_of(bytes(each)) for each in sent}
        return bool(hashes.intersection(self.network.pending()))

    def end_kyc(self, buyer: int) -> None:
        address = self.stage.sale.buyers[buyer].wallet
        with self.database.transaction() as session:
            wallet = session.exec(select(Wallet).where(col(Wallet.address) == address)).one()
            investor = investors.get_investor(session, wallet.investor_id, lock=True)
            investor.kyc_valid_until = now() - timedelta(seconds=1)
            session.add(investor)


@contextlib.contextmanager
def open_scene(stage: Stage, schedule: Schedule, log: Path) -> Iterator[Scene]:
    """Copy the stage for one schedule.

    Parameters
    ----------
    log
        Where what the workers say is written.
    """
    name = f"chaos_{next(_numbers)}"
    folder = stage.folder / name
    folder.mkdir()
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        stage.server.copy(name, stage.template)
        for made in (name, backup_of(name)):
            stack.callback(stage.server.drop, made)
        database = stage.server.database(name)
        stack.callback(database.dispose)
        node = stack.enter_context(Node(folder, state=stage.state))
        fund_keys(node)
        silence = CLIENT_SECONDS * 1.5
        rpc = proxy_rpc.RpcProxy(node.url, seed=schedule.seed, silence_seconds=silence)
        stack.callback(rpc.close)
        postgres = proxy_postgres.PostgresProxy(stage.server.socket)
        stack.callback(postgres.close)
        through = Database(postgres.url(name, SUPERUSER))
        stack.callback(through.dispose)
        orders = Orders(
            through.url, rpc.url, stage.keys, schedule.pool, schedule.finality, None, log
        )
        crew = Crew(orders, schedule.workers, schedule.failpoints)
        stack.callback(crew.kill_all)
        network = Network(node, rpc, seed=schedule.seed)
        clients = Clients(through, stage.sale, schedule)
        person = Person(database, stage, schedule, node.url)
        yield Scene(stage, schedule, database, node, rpc, postgres, crew, network, clients, person)


def backup_of(name: str) -> str:
    return f"{name}_backup"
