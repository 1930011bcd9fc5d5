"""What a test of the chain stands on: a node, a database, and the keys that sign."""

from __future__ import annotations

import contextlib
import itertools
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, LiteralString

import psycopg
from eth_account import Account
from eth_account.signers.local import LocalAccount
from psycopg import sql
from sqlmodel import col, select

from chain.contracts.abi import contract
from chain.contracts.platform import platform_address
from chain.node.client import BlockId, ChainClient, Receipt, bytes_of, hex_of
from chain.operations.effect import Chain
from chain.sending.pipeline import TOGETHER
from chain.sending.sender import Sender
from chain.sending.tracker import Tracker
from chain.signing.port import Signer
from registry.kernel.db import Database
from registry.operation.models import IN_FLIGHT, Operation, OperationState
from tests.chain.nodes import CHAIN_ID, Node

PLATFORM = Account.from_key(b"\x11" * 32)
CLAIM_SIGNER = Account.from_key(b"\x22" * 32)
CONFIRMER = Account.from_key(b"\x44" * 32)
GAS = 1_000_000
GAS_OF_SUITE = 8_000_000
CONFIRMATIONS = 1
TURNS = 60


def key_of(number: int) -> LocalAccount:
    """Give the key of one of the people of the tests."""
    account: LocalAccount = Account.from_key(bytes([number + 1]).rjust(32, b"\x33"))
    return account


def address_of(account: LocalAccount) -> bytes:
    return bytes.fromhex(account.address.removeprefix("0x"))


class Databases:
    """Copies of databases, all dropped at the end.

    Parameters
    ----------
    migrated
        A database without rows; the first that is copied.
    """

    def __init__(self, migrated: Database) -> None:
        self._first = migrated
        self._numbers = itertools.count(1)
        self._given: list[Database] = []
        # A name that is free again keeps its engine, which remembers compiled statements.
        self._free: deque[Database] = deque()
        # The next copy of each template is made while a test runs on the last one.
        self._ahead: dict[str, Future[Database]] = {}
        self._maker = ThreadPoolExecutor(1)
        self.migrated = self.as_template(migrated)

    def copy(self, template: str) -> Database:
        """Copy a database that nobody is connected to."""
        ready = self._ahead.pop(template, None)
        database = ready.result() if ready else self._create(template)
        self._ahead[template] = self._maker.submit(self._create, template)
        self._given.append(database)
        return database

    def _create(self, template: str) -> Database:
        try:
            database = self._free.popleft()
        except IndexError:
            url = self._first.engine.url.set(database=f"chain_{next(self._numbers)}")
            database = Database(url.render_as_string(hide_password=False))
        self._run(
            "CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY",
            self.as_template(database),
            template,
        )
        return database

    @contextlib.contextmanager
    def copied(self, template: str) -> Iterator[Database]:
        database = self.copy(template)
        try:
            yield database
        finally:
            self.drop(database)

    def as_template(self, database: Database) -> str:
        """Leave a database to be copied from, and return its name."""
        database.dispose()
        return str(database.engine.url.database)

    def drop(self, database: Database) -> None:
        self._given.remove(database)
        self._run("DROP DATABASE {} WITH (FORCE)", self.as_template(database))
        self._free.append(database)

    def drop_all(self) -> None:
        self._maker.shutdown()
        # Of a template that is in use at this moment none is made, and none has to be dropped.
        made = [unused for unused in self._ahead.values() if unused.exception() is None]
        self._given += [unused.result() for unused in made]
        for database in list(self._given):
            self.drop(database)

    def _run(self, statement: LiteralString, *names: str) -> None:
        url = self._first.engine.url.set(drivername="postgresql", database="postgres")
        admin = url.render_as_string(hide_password=False)
        with psycopg.connect(admin, autocommit=True) as connection:
            connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))


@dataclass(frozen=True, slots=True)
class World:
    """A node, a database that knows what is on it, and the platform's keys.

    Parameters
    ----------
    batch_rows
        Operations in one transaction; most tests look at each by itself.
    """

    node: Node
    database: Database
    chain: Chain
    batch_rows: int = 1

    @property
    def client(self) -> ChainClient:
        return self.chain.client

    def place(self, name: str) -> bytes:
        """Return where a contract of the platform stands."""
        with self.database.reading() as session:
            return bytes_of(platform_address(session, CHAIN_ID, name))

    def through(self, client: ChainClient) -> World:
        """See the same world through another client."""
        return replace(self, chain=replace(self.chain, client=client))

    # -- carrying operations out -------------------------------------------------------------

    def sender(self) -> Sender:
        return self._sender(self.chain.platform)

    def _sender(self, key: Signer) -> Sender:
        return Sender(self.database, self.chain, key, batch_rows=self.batch_rows, together=TOGETHER)

    def tracker(self) -> Tracker:
        return Tracker(self.database, self.chain, finality=CONFIRMATIONS)

    def resend(self, *, at_start: bool = False) -> int:
        """Take back what the chain has lost, and send again what it does not show."""
        sender = self.sender()
        sender.take_back_vanished()
        return sender.resend_forgotten(at_start=at_start)

    def turn(self, *, at_start: bool = False) -> int:
        """Take one turn of the worker's loop with objects that remember nothing."""
        senders = [self._sender(key) for key in self.chain.senders]
        for sender in senders:
            sender.take_back_vanished()
        moved = sum(sender.resend_forgotten(at_start=at_start) for sender in senders)
        moved += self.tracker().follow()
        return moved + sum(sender.send_planned() for sender in senders)

    def settle(self, *, impatient: bool = False) -> None:
        """Take turns, with a block after each, until nothing is on its way.

        Parameters
        ----------
        impatient
            Send again in every turn what is not mined yet, instead of waiting some seconds.
        """
        for _ in range(TURNS):
            moved = self.turn(at_start=impatient)
            if not moved and not self.count(*IN_FLIGHT):
                return
            self.node.mine()
        raise AssertionError("the operations do not come to an end")

    def count(self, *states: OperationState) -> int:
        with self.database.reading() as session:
            query = select(Operation.id).where(col(Operation.state).in_(states))
            return len(session.exec(query).all())

    def operations(self) -> list[Operation]:
        """List every operation, in the order of planning."""
        with self.database.reading() as session:
            found = list(session.exec(select(Operation).order_by(col(Operation.id))).all())
            session.expunge_all()
            return found

    def find(self, kind: str, **params: Any) -> Operation:
        """Return the newest operation of a kind with these parameters."""
        return [
            operation
            for operation in self.operations()
            if operation.kind == kind and params.items() <= operation.params.items()
        ][-1]


class Hand:
    """A key that calls contracts directly, past all operations."""

    def __init__(self, node: Node, account: LocalAccount) -> None:
        self._node = node
        self._account = account
        self.address = address_of(account)

    def send(self, to: bytes, data: bytes, *, gas: int = GAS) -> bytes:
        """Send and return the hash; whether it is mined is the node's matter."""
        fields: dict[str, Any] = {
            "type": 2,
            "chainId": CHAIN_ID,
            "nonce": self._node.client.nonce(self.address, "pending"),
            "to": to,
            "value": 0,
            "data": data,
            "gas": gas,
            "maxFeePerGas": 10**11,
            "maxPriorityFeePerGas": 10**9,
        }
        signed = self._account.sign_transaction(fields)
        return self._node.client.send_raw(bytes(signed.raw_transaction))

    def call(self, name: str, address: bytes, function: str, *arguments: Any) -> Receipt:
        """Call a function in a block of its own, and insist that it succeeds."""
        data = contract(name).functions[function].encode(*map(_plain, arguments))
        return self._node.mined(self.send(address, data))


def ask(
    client: ChainClient,
    name: str,
    address: bytes,
    function: str,
    *arguments: Any,
    block: BlockId = "latest",
) -> Any:
    """Ask a contract's view function."""
    asked = contract(name).functions[function]
    return asked.decode(client.call(address, asked.encode(*map(_plain, arguments)), block=block))


def _plain(value: Any) -> Any:
    return hex_of(value) if isinstance(value, bytes) and len(value) == 20 else value
