"""What our transactions carried out, told by themselves: batches, and what is bound to them."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

import pytest
from sqlalchemy import text

from chain.contracts.abi import contract
from chain.proving import carried
from registry.operation import planned
from registry.operation.models import OperationKind, OperationState
from tests.chain.bench import Bench
from tests.chain.dealing import Dealing
from tests.chain.faults import AfterEstimate
from tests.chain.market import FIRST, SECOND, Market
from tests.chain.nodes import CHAIN_ID
from tests.chain.test_adoption import Unindexed
from tests.chain.test_alarm import Asked, make_agent, person
from tests.chain.test_batches import ALL_OF, address, freeze, of_kind, registered

pytestmark = pytest.mark.chain

MINT = "(SELECT min(id::text)::uuid FROM operation WHERE kind = 'mint')"
OTHER = "(SELECT min(id::text)::uuid FROM operation WHERE kind = 'batch')"


@pytest.fixture
def fair(market: Market) -> Market:
    """A closed sale whose operations may share transactions."""
    return replace(market, world=replace(market.world, batch_rows=ALL_OF))


def faults(market: Market) -> list[str]:
    with market.world.database.reading() as session:
        return [*planned.altered(session), *carried.astray(session)]


def missing(market: Market) -> list[str]:
    return list(carried.missing(market.world.database, market.world.client))


def forget(market: Market, operation_id: UUID) -> None:
    """Take away every transaction of an operation, past all triggers."""
    with market.world.database.engine.begin() as connection:
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        gone = text("DELETE FROM operation_attempt WHERE operation_id = :id")
        assert connection.execute(gone, {"id": operation_id}).rowcount > 0


@pytest.mark.parametrize(
    ("statement", "sentence"),
    [
        (f"UPDATE operation SET batch_id = NULL WHERE id = {MINT}", "is not bound to"),
        (f"UPDATE operation SET batch_id = {OTHER} WHERE id = {MINT}", "is bound to"),
        (
            "UPDATE operation SET requested_by = 'an officer' WHERE kind = 'batch'",
            "is not what the journal says was planned",
        ),
    ],
    ids=["let go", "bound to another", "batch of another"],
)
def test_batch__changed_by_hand__is_named(fair: Market, statement: str, sentence: str) -> None:
    fair.world.settle()
    fair.suite().index()
    assert faults(fair) == []
    assert missing(fair) == []

    with fair.world.database.engine.begin() as connection:
        assert connection.execute(text(statement)).rowcount > 0

    assert sentence in "; ".join(faults(fair))


@pytest.mark.parametrize("at_once", [carried.AT_ONCE, 1], ids=["one page", "a page for each log"])
def test_batch__forgotten_with_its_transaction__is_found_on_chain(
    fair: Market, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(carried, "AT_ONCE", at_once)
    fair.world.settle()
    fair.suite().index()
    (batch_id,) = {row.batch_id for row in of_kind(fair.world, OperationKind.MINT)}
    assert batch_id is not None

    forget(fair, batch_id)

    (found,) = missing(fair)
    assert found.endswith(f"is gone: that transaction carried out operation {batch_id}")


def test_missing__id_of_ours_copied_by_another_key__is_no_transaction_of_ours(bench: Bench) -> None:
    minted = of_kind(bench.market.world, OperationKind.MINT)[0]
    stranger = person(bench, 6)
    make_agent(bench, stranger.address)
    frozen = contract("Token").functions["setAddressFrozen"].encode(address(FIRST), True)

    sent = stranger.send(bench.market.suite().token, frozen + minted.id.bytes)
    bench.market.world.node.mined(sent)
    bench.index()

    assert missing(bench.market) == []


def test_missing__transfer_of_a_holder__is_not_asked_for(bench: Bench) -> None:
    minted = of_kind(bench.market.world, OperationKind.MINT)[0]
    bench.market.open()
    bench.index()
    client = Asked(bench.market.world.node.url, CHAIN_ID)
    assert list(carried.missing(bench.market.world.database, client)) == []
    before, client.asked = client.asked, 0

    moved = contract("Token").functions["transfer"].encode(address(SECOND), 10)
    sent = person(bench, FIRST).send(bench.market.suite().token, moved + minted.id.bytes)
    bench.market.world.node.mined(sent)
    bench.index()

    assert list(carried.missing(bench.market.world.database, client)) == []
    assert client.asked == before


def test_missing__settlement_forgotten__is_found_on_chain(
    minted: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(carried, "AT_ONCE", 1)
    dealing = Dealing.begin(minted)
    operation = dealing.plan(dealing.agreed())
    dealing.world.settle()
    dealing.index()
    assert missing(dealing.market) == []

    forget(dealing.market, operation.id)

    (found,) = missing(dealing.market)
    assert found.endswith(f"is gone: that transaction carried out operation {operation.id}")


def test_missing__node_has_not_kept_them__says_how_many(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(carried, "AT_ONCE", 1)
    client = Unindexed(bench.market.world.node.url, CHAIN_ID)
    client.keeps_blocks = False
    mint = of_kind(bench.market.world, OperationKind.MINT)[0]
    assert list(carried.missing(bench.market.world.database, client)) == []

    forget(bench.market, mint.id)

    (found,) = carried.missing(bench.market.world.database, client)
    assert "does not have, 1 were not looked at: the node has not kept them" in found


def test_batch__reverted_and_sent_in_parts__is_as_it_was_planned(fair: Market) -> None:
    registered(fair)
    racing = AfterEstimate(fair.world.node, lambda: freeze(fair, FIRST))
    fair.world.through(racing).sender().send_planned()
    fair.world.settle()
    assert any(row.state == OperationState.REVERTED for row in fair.world.operations())
    fair.suite().index()

    assert faults(fair) == []
    assert missing(fair) == []
