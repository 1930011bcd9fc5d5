"""What our transactions carried out, told by themselves: batches, and what is bound to them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import text

from chain.proving import carried
from registry.operation import planned
from registry.operation.models import OperationKind, OperationState
from tests.chain.faults import AfterEstimate
from tests.chain.market import FIRST, Market
from tests.chain.test_batches import ALL_OF, freeze, of_kind, registered

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
    assert list(carried.missing(fair.world.database, fair.world.client)) == []

    with fair.world.database.engine.begin() as connection:
        assert connection.execute(text(statement)).rowcount > 0

    assert sentence in "; ".join(faults(fair))


def test_batch__forgotten_with_its_transaction__is_found_on_chain(fair: Market) -> None:
    fair.world.settle()
    fair.suite().index()
    (batch_id,) = {row.batch_id for row in of_kind(fair.world, OperationKind.MINT)}

    with fair.world.database.engine.begin() as connection:
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        given = {"id": batch_id}
        connection.execute(text("DELETE FROM operation_attempt WHERE operation_id = :id"), given)

    (found,) = carried.missing(fair.world.database, fair.world.client)
    assert found.endswith(f"is gone: that transaction carried out operation {batch_id}")


def test_batch__reverted_and_sent_in_parts__is_as_it_was_planned(fair: Market) -> None:
    registered(fair)
    racing = AfterEstimate(fair.world.node, lambda: freeze(fair, FIRST))
    fair.world.through(racing).sender().send_planned()
    fair.world.settle()
    assert any(row.state == OperationState.REVERTED for row in fair.world.operations())
    fair.suite().index()

    assert faults(fair) == []
    assert list(carried.missing(fair.world.database, fair.world.client)) == []
