"""Operations that share a transaction: each happens once, and a bad one is refused alone."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import update
from sqlmodel import col

from chain.contracts.abi import contract
from chain.errors import RpcUnavailable
from chain.node.client import hex_of
from registry.kernel.actor import THE_SYSTEM
from registry.operation import service as operations
from registry.operation.models import Operation, OperationKind, OperationState
from registry.reconciliation import service as reconciliation
from tests.chain.faults import AfterEstimate, AsksLate, Capped, LosesSends
from tests.chain.market import FIRST, HELD, ISSUER, SECOND, Market
from tests.chain.outcomes import assert_each_once
from tests.chain.world import World, address_of, key_of

pytestmark = pytest.mark.chain

ALL_OF = 100


@pytest.fixture
def fair(market: Market) -> Market:
    """A closed sale whose operations may share transactions."""
    return replace(market, world=replace(market.world, batch_rows=ALL_OF))


def of_kind(world: World, kind: OperationKind) -> list[Operation]:
    return [row for row in world.operations() if row.kind == kind]


def freeze(market: Market, person: int) -> None:
    """Freeze a wallet behind the registry's back."""
    data = contract("Token").functions["setAddressFrozen"].encode(address(person), True)
    agent = market.world.place("CaseAgent")
    market.world.node.act_as(agent, market.suite().token, data)


def address(person: int) -> str:
    return hex_of(address_of(key_of(person)))


def registered(market: Market) -> Market:
    """Carry the registrations out, and stop before the mints are sent."""
    market.world.turn()
    market.world.node.mine(2)
    assert market.world.tracker().follow() > 0
    return market


def test_batch__registrations_and_mints__take_one_transaction_each(fair: Market) -> None:
    before = len(fair.world.node.transactions())
    fair.world.settle()

    assert len(fair.world.node.transactions()) - before == 2
    assert_each_once(fair)
    assert fair.suite().on_chain().holders == {
        address_of(key_of(person)): (units, 0) for person, units in HELD.items()
    }
    mints = of_kind(fair.world, OperationKind.MINT)
    (carrier,) = {row.batch_id for row in mints}
    assert carrier is not None
    assert {row.nonce for row in mints} == {None}
    with fair.world.database.reading() as session:
        shown = [operations.list_attempts(session, row) for row in mints]
        assert [attempt.operation_id for (attempt,) in shown] == [carrier] * len(mints)


def test_batch__its_mints__are_each_their_own_instructions(fair: Market) -> None:
    fair.world.settle()
    fair.suite().index()

    with fair.world.database.transaction() as session:
        assert reconciliation.run_checks(session, fair.deal.tokenization_id) == []


def test_batch__people_and_claims__are_as_if_each_came_alone(fair: Market) -> None:
    kinds = (OperationKind.CREATE_IDENTITY, OperationKind.ADD_CLAIM)
    once = {kind: of_kind(fair.world, kind) for kind in kinds}
    before = len(fair.world.node.transactions())
    with fair.world.database.transaction() as session:
        for kind, rows in once.items():
            for row in rows:
                operations.plan(
                    session,
                    THE_SYSTEM,
                    kind,
                    key=f"again {row.id}",
                    subject=("test", row.id),
                    params=dict(row.params),
                )
    fair.world.settle()

    again = [row for row in fair.world.operations() if row.subject_kind == "test"]
    assert {row.state for row in again} == {OperationState.FINAL}
    assert len(fair.world.node.transactions()) - before == len(kinds) + 2
    for kind, rows in once.items():
        repeated = [row.result for row in again if row.kind == kind]
        assert repeated == [row.result for row in rows]


def test_batch__another_worker_has_done_it_meanwhile__is_noticed_and_not_halved(
    fair: Market,
) -> None:
    registered(fair)
    late = AsksLate(fair.world.node, fair.world.settle)

    assert fair.world.through(late).sender().send_planned() == 0

    assert late.estimated == 2, "the call, and once more since nothing is on its way"
    assert_each_once(fair)


def test_batch__another_worker_has_done_a_row_meanwhile__the_others_go_on_together(
    fair: Market,
) -> None:
    registered(fair)
    # The last of them: a half of what is left would not hold both others.
    done = fair.find(OperationKind.MINT, ISSUER)
    others = [each.id for each in of_kind(fair.world, OperationKind.MINT) if each.id != done.id]

    def set_others(state: OperationState) -> None:
        change = update(Operation).where(col(Operation.id).in_(others)).values(state=state)
        with fair.world.database.transaction() as session:
            session.execute(change)

    def mint_one() -> None:
        set_others(OperationState.DROPPED)
        fair.world.settle()
        set_others(OperationState.PLANNED)

    late = AsksLate(fair.world.node, mint_one)

    assert fair.world.through(late).sender().send_planned() == len(others)

    fair.world.settle()
    assert_each_once(fair)
    mints = of_kind(fair.world, OperationKind.MINT)
    (carrier,) = {each.batch_id for each in mints if each.id in others}
    assert carrier is not None


def test_batch__one_row_would_revert__is_refused_alone(fair: Market) -> None:
    registered(fair)
    freeze(fair, FIRST)

    fair.world.settle()

    states = {person: fair.find(OperationKind.MINT, person).state for person in HELD}
    assert states == {
        ISSUER: OperationState.FINAL,
        FIRST: OperationState.REFUSED,
        SECOND: OperationState.FINAL,
    }
    refused = fair.find(OperationKind.MINT, FIRST)
    assert refused.problem is not None
    assert "MintToFrozenWallet" in refused.problem["detail"]
    assert fair.suite().on_chain().supply == HELD[ISSUER] + HELD[SECOND]


def test_batch__reverted_on_chain__its_rows_go_again_in_smaller_ones(fair: Market) -> None:
    registered(fair)
    racing = AfterEstimate(fair.world.node, lambda: freeze(fair, FIRST))
    assert fair.world.through(racing).sender().send_planned() == len(HELD)
    (batch,) = {row.batch_id for row in of_kind(fair.world, OperationKind.MINT)}

    fair.world.settle()

    found = {row.id: row for row in fair.world.operations()}
    assert batch is not None
    assert found[batch].state == OperationState.REVERTED
    assert "MintToFrozenWallet" in (found[batch].problem or {})["detail"]
    assert fair.find(OperationKind.MINT, FIRST).state == OperationState.REFUSED
    assert fair.suite().on_chain().supply == HELD[ISSUER] + HELD[SECOND]
    assert {row.batch_limit for row in of_kind(fair.world, OperationKind.MINT)} == {1}


def test_batch__register_forbids_one_row__the_others_go_together(fair: Market) -> None:
    registered(fair)
    fair.let_kyc_run_out(FIRST)

    fair.world.settle()

    refused = fair.find(OperationKind.MINT, FIRST)
    assert refused.problem is not None
    assert refused.problem["code"] == "kyc_not_passed"
    others = [fair.find(OperationKind.MINT, person) for person in (ISSUER, SECOND)]
    assert {row.state for row in others} == {OperationState.FINAL}
    assert len({row.batch_id for row in others}) == 1


@pytest.mark.parametrize("arrives", [True, False], ids=["arrived", "lost"])
def test_batch__broken_off_at_the_send__happens_once(fair: Market, arrives: bool) -> None:
    registered(fair)
    broken = LosesSends(fair.world.node, arrives=arrives)
    with pytest.raises(RpcUnavailable):
        fair.world.through(broken).sender().send_planned()
    assert {row.state for row in of_kind(fair.world, OperationKind.MINT)} == {OperationState.SIGNED}

    assert_each_once(fair)


def test_batch__too_big_for_a_block__is_sent_in_parts(fair: Market) -> None:
    registered(fair)
    # Half of it holds one mint, not three.
    fair.world.node.rpc("evm_setBlockGasLimit", hex(1_000_000))
    fair.world.node.mine()

    fair.world.settle()

    assert_each_once(fair)
    assert len({row.batch_id for row in of_kind(fair.world, OperationKind.MINT)}) > 1


def test_batch__more_gas_than_the_node_lets_a_call_take__is_sent_in_parts(fair: Market) -> None:
    registered(fair)

    assert fair.world.through(Capped(fair.world.node)).sender().send_planned() == len(HELD)

    assert_each_once(fair)
    assert len({row.batch_id for row in of_kind(fair.world, OperationKind.MINT)}) > 1


def test_batch__blocks_lost_after_it_was_final__the_same_bytes_go_again(fair: Market) -> None:
    before = fair.world.client.head().number
    fair.world.settle()
    sent = set(fair.world.node.transactions())
    fair.world.node.roll_back(fair.world.client.head().number - before)

    fair.world.turn()
    rows = of_kind(fair.world, OperationKind.MINT) + of_kind(
        fair.world, OperationKind.REGISTER_IDENTITY
    )
    assert {row.state for row in rows} == {OperationState.BROADCAST}

    assert_each_once(fair)
    assert set(fair.world.node.transactions()) == sent


def test_batch__reverted_and_its_block_lost__can_never_happen_any_more(fair: Market) -> None:
    registered(fair)
    before = fair.world.client.head().number
    racing = AfterEstimate(fair.world.node, lambda: freeze(fair, FIRST))
    fair.world.through(racing).sender().send_planned()
    fair.world.node.mine(2)
    fair.world.tracker().follow()
    (reverted,) = (row for row in fair.world.operations() if row.state == OperationState.REVERTED)
    # Without the freeze the same bytes would succeed now.
    fair.world.node.roll_back(fair.world.client.head().number - before)

    fair.world.settle(impatient=True)

    assert {row.state for row in of_kind(fair.world, OperationKind.MINT)} == {OperationState.FINAL}
    assert fair.suite().on_chain().supply == sum(HELD.values())
    with fair.world.database.reading() as session:
        last = operations.list_attempts(session, reverted)[-1]
    (receipt,) = fair.world.client.receipts([last.tx_hash])
    assert receipt is not None
    assert (receipt.succeeded, receipt.logs) == (True, ())
