"""The demo from the outside: killed at its most delicate moments, and played once more."""

from __future__ import annotations

import contextlib
import signal
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from sqlmodel import select

from chain.contracts.abi import contract
from chain.contracts.platform import STEPS
from chain.embedded.devnet import Devnet
from chain.node.client import ChainClient
from registry.kernel.db import Database
from registry.kernel.embedded import EmbeddedPostgres
from registry.ledger.models import Account
from registry.ledger.service import trial_balance
from registry.offering.models import Order, Payment
from registry.offering.money import fault_of, standings_of
from registry.operation.models import Operation
from registry.tokenization.models import Tokenization
from tests.e2e.program import (
    environment,
    free_port,
    kill_group,
    kill_servers,
    run,
    servers_of,
    start,
    wait_for_line,
)

pytestmark = pytest.mark.e2e

LAST_LINE = "demo: reconciled 6 tokens, 22 holders, 0 differences"
PLATFORM_STEPS = len(STEPS)
WALLETS = 8
TOKENS = 6
ORDERS = 2 * 4 + 4 * 2
"""Four investors buy of two assets, two of them of the other four."""
HOLDINGS = ORDERS + TOKENS
"""What is not sold stays with the wrapper."""
CHAIN_ID = 31337
STOP_SECONDS = 30
NOTICED = 2
"""Tokens on a title with a debt whose lender agreed: the chain notes it."""
OPERATIONS = PLATFORM_STEPS + 2 * WALLETS + 2 * TOKENS + 2 * HOLDINGS + NOTICED
"""Identity and claim a wallet; suite and unpause a token; registration and mint a holding."""


@pytest.fixture
def data_dir(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "data"
    yield folder
    kill_servers(folder)


def assert_books_are_right(data_dir: Path) -> None:
    """Hold database and chain against each other, without the program."""
    chain = Devnet(data_dir / "chain", port=free_port())
    with chain, EmbeddedPostgres(data_dir / "postgres") as postgres:
        client = ChainClient(chain.url, CHAIN_ID)
        database = Database(postgres.start())
        with database.reading() as session:
            operations = session.exec(select(Operation)).all()
            orders = session.exec(select(Order)).all()
            payments = session.exec(select(Payment)).all()
            tokens = session.exec(select(Tokenization)).all()
            standings = standings_of(session, [order.id for order in orders])
            books = trial_balance(session).balances
        database.dispose()
        assert {row.state for row in operations} == {"final"}, operations
        assert len([row for row in operations if row.kind != "batch"]) == OPERATIONS
        nonces = sorted(row.nonce for row in operations if row.nonce is not None)
        assert nonces == list(range(len(nonces))), "a nonce is missing or doubled"
        assert client.nonce(operations[0].signer or b"") == len(nonces)
        assert all((row.nonce is None) == (row.batch_id is not None) for row in operations)
        assert len([row for row in operations if row.kind == "mint"]) == HOLDINGS
        assert {order.state for order in orders} == {"SETTLED"}
        assert len({payment.order_id for payment in payments}) == len(payments) == len(orders)
        assert len(orders) == ORDERS
        assert {fault_of(order, standings[order.id]) for order in orders} == {None}
        sold = sum(order.amount_paisa for order in orders)
        assert books[Account.BANK] == -books[Account.SALE_PROCEEDS] == sold
        supply = contract("Token").functions["totalSupply"]
        on_chain = {
            token.symbol: supply.decode(client.call(token.token_address or b"", supply.encode()))
            for token in tokens
        }
        assert on_chain == {token.symbol: token.declared_fractions for token in tokens}
        assert len(on_chain) == TOKENS


def play_until_killed(env: Mapping[str, str], log: Path, moment: str, *, wait: float = 0.0) -> None:
    """Kill it a while after it said `moment`; its servers go on."""
    program = start(["demo", "--once"], env, log)
    wait_for_line(log, moment, program)
    with contextlib.suppress(subprocess.TimeoutExpired):
        program.wait(wait)
    kill_group(program)


def play_to_the_end(env: Mapping[str, str]) -> None:
    played = run(["demo", "--once"], env)
    assert played.returncode == 0, played.stdout[-2000:] + played.stderr[-2000:]
    assert played.stdout.rstrip().endswith(LAST_LINE)


def test_demo__killed_again_and_again__loses_and_doubles_nothing(
    data_dir: Path, tmp_path: Path
) -> None:
    """Each run goes on where the killed one was, and says what it is killed at next.

    Three times a while after it was ready, and at two delicate moments: with its servers, but
    once, where the next run takes over those that go on. Then to the end, and once more on what
    is there.
    """
    env = environment(data_dir)
    play_until_killed(env, tmp_path / "early", "ready on", wait=0.4)
    assert kill_servers(data_dir) > 0
    play_until_killed(env, tmp_path / "later", "ready on", wait=1.9)
    assert kill_servers(data_dir) > 0
    play_until_killed(env, tmp_path / "latest", "ready on", wait=3.7)
    assert kill_servers(data_dir) > 0
    play_until_killed(env, tmp_path / "buys", "buys 2,500 fractions")
    play_until_killed(env, tmp_path / "closes", "closes the sale")
    assert kill_servers(data_dir) > 0

    play_to_the_end(env)
    assert servers_of(data_dir) == []
    assert_books_are_right(data_dir)

    play_to_the_end(env)
    assert servers_of(data_dir) == []
    assert_books_are_right(data_dir)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_demo__told_to_stop_in_the_middle__leaves_no_server(
    data_dir: Path, tmp_path: Path, number: signal.Signals
) -> None:
    log = tmp_path / "log"
    program = start(["demo"], environment(data_dir), log)
    wait_for_line(log, "ready on", program)
    program.send_signal(number)

    assert program.wait(STOP_SECONDS) == 128 + number
    assert servers_of(data_dir) == []
    assert "Traceback" not in log.read_text("utf-8")
