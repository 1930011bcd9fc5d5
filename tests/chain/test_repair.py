"""`milkiyat reconcile`: what somebody edited, or a node kept back, is found and read again."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import typer
from msgspec import Raw
from sqlmodel import select
from typer.testing import CliRunner

from api import reconcile_cli
from api.reconcile_cli import add_reconcile, tokens_of
from chain.errors import RpcRefused
from chain.node.client import ChainClient, hex_of
from chain.proving.repair import Repair
from chain.sync.asked import SETTLED_BLOCKS
from chain.sync.indexer import Indexer
from chain.sync.pace import FIRST_BLOCKS
from chain.worker import run_sync
from registry.captable import catching_up
from registry.captable import service as captable
from registry.captable.models import Token
from registry.kernel.errors import Unavailable
from tests.chain.nodes import CHAIN_ID
from tests.chain.outcomes import everything
from tests.chain.suite import ADDRESSES, Suite, cursor_of, shuffle
from tests.chain.test_reconciler import balance_of
from tests.chain.world import CONFIRMATIONS

pytestmark = pytest.mark.chain


@pytest.fixture
def held(suite: Suite) -> Suite:
    """A token that has seen a lot, projected."""
    for number in range(5):
        suite.mint(number, 10_000)
    shuffle(suite, seed=1, blocks=6)
    suite.do("freezePartialTokens", ADDRESSES[1], 10)
    shuffle(suite, seed=2, blocks=6)
    suite.index()
    return suite


def milkiyat(suite: Suite, *arguments: str, client: ChainClient | None = None) -> Any:
    app = typer.Typer()
    add_reconcile(app, lambda work, _: work(suite.world.database, client or suite.world.client))
    return CliRunner().invoke(app, list(arguments), catch_exceptions=False)


def edit(suite: Suite, statement: str) -> None:
    with suite.world.database.engine.begin() as connection:
        assert connection.exec_driver_sql(statement).rowcount >= 1


def tampering(suite: Suite) -> dict[str, str]:
    second = balance_of(suite, 1)
    transfers = "FROM token_event WHERE kind = 1 AND source <> target"
    middle = (
        f"(SELECT block_number, log_index {transfers} ORDER BY block_number, log_index"
        f" OFFSET (SELECT count(*) / 2 {transfers}) LIMIT 1)"
    )
    return {
        "balance": f"UPDATE balance SET balance_units = 7 WHERE {second}",
        "balance deleted": f"DELETE FROM balance WHERE {second}",
        "history": f"UPDATE balance_at SET balance_units = balance_units + 1 WHERE {second}"
        f" AND block_number = (SELECT min(block_number) FROM balance_at WHERE {second})",
        "event": "UPDATE token_event SET units = units + 1"
        f" WHERE (block_number, log_index) = {middle}",
        "event lost": f"DELETE FROM token_event WHERE (block_number, log_index) = {middle}",
        "supply": "UPDATE token SET supply_units = supply_units + 1",
        "country": f"UPDATE registered_wallet SET country = 1 WHERE {second}",
    }


KINDS = ("balance", "balance deleted", "history", "event", "event lost", "supply", "country")


@pytest.mark.parametrize("kind", KINDS)
def test_reconcile__row_edited_by_hand__is_found_and_repaired(held: Suite, kind: str) -> None:
    right = everything(held.world.database)
    edit(held, tampering(held)[kind])

    found = milkiyat(held, "reconcile", hex_of(held.token))
    assert found.exit_code == 1
    assert "differs" in found.output

    repaired = milkiyat(held, "reconcile", hex_of(held.token), "--repair")
    assert repaired.exit_code == 0, repaired.output
    assert "proven" in repaired.output
    held.assert_exact()
    assert everything(held.world.database) == right

    assert milkiyat(held, "reconcile").exit_code == 0


def test_reconcile__event_that_moves_nothing_edited__takes_the_logs_to_find(held: Suite) -> None:
    """Of a transfer to oneself no balance tells."""
    edit(held, "UPDATE token_event SET units = units + 1 WHERE kind = 1 AND source = target")
    assert milkiyat(held, "reconcile").exit_code == 0
    assert milkiyat(held, "reconcile", "--logs").exit_code == 1
    assert milkiyat(held, "reconcile", "--repair").exit_code == 0
    assert milkiyat(held, "reconcile", "--logs").exit_code == 0


def test_reconcile__untouched__proves_everything(held: Suite) -> None:
    found = milkiyat(held, "reconcile", "--logs")
    assert found.exit_code == 0
    assert hex_of(held.token)[:20] in found.output


def test_reconcile__an_agent_has_acted_and_is_none_any_more__proves_everything(
    held: Suite,
) -> None:
    held.world.node.mine(FIRST_BLOCKS)
    held.do("forcedTransfer", ADDRESSES[0], ADDRESSES[1], 1)
    held.do("removeAgent", held.agent.address)
    held.index()

    found = milkiyat(held, "reconcile", "--logs")

    assert found.exit_code == 0, found.output


class Forgetful(ChainClient):
    """Keeps the logs back; nothing in such an answer contradicts itself."""

    def logs(self, *_: object) -> list[Raw]:
        return []

    def logs_of_block(self, *_: object) -> list[Raw]:
        return []

    def emitters(self, *_: object) -> set[bytes]:
        return set()


class WithoutPast(ChainClient):
    """Has the state of its newest block only."""

    def request(self, method: str, *params: Any) -> Any:
        if method == "eth_call" and isinstance(params[1], dict):
            newest = super().request("eth_getBlockByNumber", "latest", False)["hash"]
            if params[1]["blockHash"] != newest:
                raise RpcRefused(method, -32000, "missing trie node", None)
        return super().request(method, *params)

    def batch(self, calls: Sequence[tuple[str, tuple[Any, ...]]]) -> list[Any]:
        return [self.request(method, *params) for method, params in calls]


@pytest.mark.parametrize("node", [ChainClient, WithoutPast])
def test_repair__events_that_a_node_kept_back__are_read_again_from_their_block(
    held: Suite, node: Callable[[str, int], ChainClient]
) -> None:
    held.mint(0, 5)
    lost = held.world.client.head().number
    held.index(Indexer(held.world.database, Forgetful(held.world.node.url, CHAIN_ID)))
    shuffle(held, seed=5, blocks=3)
    # A country whose state is gone is read newer, from a block that no reorg takes.
    held.world.node.mine(SETTLED_BLOCKS)
    held.index()

    client = node(held.world.node.url, CHAIN_ID)
    found = milkiyat(held, "reconcile", client=client)
    assert found.exit_code == 1
    assert f"differs since block {lost}" in found.output

    repaired = milkiyat(held, "reconcile", "--repair", client=client)
    assert repaired.exit_code == 0, repaired.output
    assert f"read again from block {lost}" in repaired.output
    held.assert_exact()


def test_repair__beside_a_running_sync__which_goes_on(held: Suite) -> None:
    edit(held, tampering(held)["event"])
    stop = threading.Event()
    sync = threading.Thread(
        target=run_sync,
        args=(held.world.database, held.world.client, stop),
        kwargs={"finality": CONFIRMATIONS},
    )
    sync.start()
    try:
        repaired = milkiyat(held, "reconcile", "--repair")
        assert repaired.exit_code == 0, repaired.output
    finally:
        stop.set()
        sync.join(30)
    shuffle(held, seed=6, blocks=2)
    held.index()
    held.assert_exact()
    assert cursor_of(held.world.database).generation >= 2


def test_reconcile__unknown_token__is_refused(held: Suite) -> None:
    for named in ("0x" + "11" * 20, "nothing"):
        with pytest.raises(Exception, match=r"token|address"):
            milkiyat(held, "reconcile", named)


def test_repair__killed_after_the_rewinding__next_run_goes_on(held: Suite) -> None:
    database = held.world.database
    with database.reading() as session:
        token_no = session.exec(select(Token.token_no)).one()
    assert token_no is not None
    first = cursor_of(database).number - 5
    Repair(database, held.world.client, token_no, lambda _: None).read_again(first)
    with database.reading() as session, pytest.raises(Unavailable):
        captable.get_token(session, held.token)

    assert milkiyat(held, "reconcile", "--logs").exit_code == 0
    held.assert_exact()


def left_behind(suite: Suite) -> int:
    """Set the token apart, and let its chain go on without it; give its place."""
    place = cursor_of(suite.world.database).number
    with suite.world.database.transaction() as session:
        catching_up.set_apart(session, CHAIN_ID, [suite.token], after=place)
    shuffle(suite, seed=7, blocks=10)
    suite.index()
    return place


@pytest.mark.parametrize("further", [5, None])
def test_read_again__token_is_apart__its_place_does_not_move_over_what_was_not_read(
    held: Suite, further: int | None
) -> None:
    database = held.world.database
    place = left_behind(held)
    with database.reading() as session:
        token_no = session.exec(select(Token.token_no)).one()
    assert token_no is not None
    work = Repair(database, held.world.client, token_no, lambda _: None)

    work.read_again(None if further is None else place + further)

    with database.reading() as session:
        assert session.get_one(Token, token_no).caught_up_to == place
    assert milkiyat(held, "reconcile", "--logs").exit_code == 0
    held.assert_exact()


def test_reconcile__token_is_set_apart_after_they_were_listed__is_caught_up_first(
    held: Suite, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = tokens_of(held.world.database, CHAIN_ID, None)
    left_behind(held)
    monkeypatch.setattr(reconcile_cli, "tokens_of", lambda *_: listed)

    found = milkiyat(held, "reconcile")

    assert found.exit_code == 0, found.output
    held.assert_exact()
