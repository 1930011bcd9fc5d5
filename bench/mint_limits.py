"""What stands between a COMMIT and a broadcast by nature, and what web3.py takes for the same."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import cast

import psycopg
from eth_account import Account
from sqlmodel import select
from web3 import Web3
from web3.types import TxParams

from api.program import Base, open_keys
from bench.gas_node import CHAIN_ID
from bench.mint_stage import MintStage
from chain.embedded.anvil import HOST, Anvil
from chain.node.client import hex_of
from chain.operations import EFFECTS
from chain.operations.effect import Call, Chain
from chain.runtime import embedded_keys
from chain.signing.port import UnsignedTransaction
from registry.investor.models import Wallet
from registry.kernel.db import Database
from registry.operation.models import Operation, OperationKind

GAS = 500_000
GWEI = 10**9


@dataclass(frozen=True, slots=True)
class _Place:
    """A node and a database of the stage, and the call that is made."""

    node: Anvil
    database: Database
    chain: Chain
    call: Call


def by_hand(stage: MintStage, sends: int) -> list[float]:
    """Do only what cannot be left out; milliseconds of each time.

    A COMMIT with a NOTIFY that another connection hears, an estimate, a COMMIT of the signed
    bytes, and the broadcast.
    """
    with (
        _place(stage, "by_hand") as place,
        psycopg.connect(place.database.driver_url, autocommit=True) as heard,
        psycopg.connect(place.database.driver_url) as writing,
    ):
        heard.execute("LISTEN by_hand")
        writing.execute("CREATE TABLE signed (raw bytea)")
        writing.commit()
        client, sender = place.chain.client, place.chain.platform
        first = client.nonce(sender.address)

        def send(number: int) -> None:
            writing.execute("NOTIFY by_hand")
            writing.commit()
            assert list(heard.notifies(timeout=1, stop_after=1))
            gas = client.estimate_gas(place.call.to, place.call.data, sender=sender.address)
            signed = sender.sign_transaction(
                UnsignedTransaction(
                    chain_id=CHAIN_ID,
                    nonce=first + number,
                    to=place.call.to,
                    data=place.call.data,
                    gas=gas * 2,
                    max_fee_wei=100 * GWEI,
                    tip_wei=GWEI,
                )
            )
            writing.execute("INSERT INTO signed VALUES (%s)", [signed.raw])
            writing.commit()
            client.send_raw(signed.raw)

        return _timed(send, sends)


def by_web3py(stage: MintStage, sends: int) -> list[float]:
    """Build, sign and send the same call with web3.py, which asks the node for all it needs."""
    keystore = embedded_keys(stage.settings) / "platform.json"
    assert stage.settings.signer_password is not None
    password = stage.settings.signer_password.get_secret_value()
    account = Account.from_key(Account.decrypt(keystore.read_text(), password))
    with _place(stage, "by_web3py") as place:
        web3 = Web3(Web3.HTTPProvider(f"http://{HOST}:{place.node.port}"))
        assert place.call.to is not None
        to = Web3.to_checksum_address(place.call.to)

        def send(_: int) -> None:
            built: dict[str, object] = {
                "from": account.address,
                "to": to,
                "data": hex_of(place.call.data),
                "chainId": web3.eth.chain_id,
                "nonce": web3.eth.get_transaction_count(account.address, "pending"),
                "maxFeePerGas": 2 * web3.eth.gas_price,
                "maxPriorityFeePerGas": web3.eth.max_priority_fee,
            }
            built["gas"] = web3.eth.estimate_gas(cast("TxParams", built))
            signed = account.sign_transaction(built)
            web3.eth.send_raw_transaction(signed.raw_transaction)

        return _timed(send, sends)


@contextmanager
def _place(stage: MintStage, name: str) -> Iterator[_Place]:
    rpc_url = stage.settings.rpc_url
    assert rpc_url is not None
    with stage.node() as node, stage.database(name) as database:
        chain = open_keys(Base(stage.settings, database, rpc_url, None))
        with database.reading() as session:
            wallet = session.exec(select(Wallet).limit(1)).one()
            operation = Operation(
                kind=OperationKind.CREATE_IDENTITY,
                key="limit",
                subject_kind="investor",
                subject_id=str(wallet.investor_id),
                requested_by="bench",
                params={"wallet": hex_of(wallet.address), "wallet_id": str(wallet.id)},
            )
            call = EFFECTS[operation.kind].prepare(session, chain, operation)
        yield _Place(node, database, chain, call)


def _timed(send: Callable[[int], None], sends: int) -> list[float]:
    taken = []
    for number in range(sends):
        started = time.perf_counter()
        send(number)
        taken.append((time.perf_counter() - started) * 1000)
        # As between the operations of the worker: the node is at rest again.
        time.sleep(0.05)
    return taken
