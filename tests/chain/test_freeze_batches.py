"""Freezes of one token that share a transaction: each its own case, operation and result."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from chain.contracts.abi import contract
from chain.errors import RpcUnavailable
from chain.node.client import hex_of
from registry.case.layout import TokenUnits
from registry.case.models import CaseKind, CaseState
from registry.case.repository import chain_id_of
from registry.operation.models import Operation, OperationKind, OperationState
from tests.chain.bench import Bench
from tests.chain.faults import Died, LosesSends, Mortal
from tests.chain.market import FIRST, HELD, ISSUER, SECOND, Market
from tests.chain.world import World, address_of, key_of

pytestmark = pytest.mark.chain

FIRST_WALLET, SECOND_WALLET, ISSUER_WALLET = (
    address_of(key_of(person)) for person in (FIRST, SECOND, ISSUER)
)
WALLETS = (FIRST_WALLET, SECOND_WALLET, ISSUER_WALLET)


@pytest.fixture
def bench(minted: Market) -> Bench:
    found = Bench(replace(minted, world=replace(minted.world, batch_rows=100)))
    found.index()
    return found


def of_units(bench: Bench, wallet: bytes, units: int) -> dict[str, Any]:
    token = bench.market.deal.tokenization_id
    return {"wallet": wallet, "tokens": (TokenUnits(token, units),)}


def freezes(bench: Bench, units: int = 10) -> list[UUID]:
    """Have units of every holder frozen, each by a case of its own; nothing is sent yet."""
    cases = [
        bench.approved(CaseKind.FREEZE_UNITS, **of_units(bench, wallet, units))
        for wallet in WALLETS
    ]
    for case_id in cases:
        bench.execute(case_id)
    return cases


def lift(bench: Bench, cases: Sequence[UUID]) -> None:
    for case_id in cases:
        bench.open_lift(case_id)
        bench.approve(case_id)
        bench.execute(case_id)


def frozen(bench: Bench) -> dict[bytes, int]:
    return {wallet: units for wallet, (_, units) in bench.market.suite().on_chain().holders.items()}


def acts(world: World) -> list[Operation]:
    return [each for each in world.operations() if each.kind == OperationKind.CASE_ACT]


def assert_explained(bench: Bench, cases: Sequence[UUID]) -> None:
    """Each act is on chain once, under its own case, and the register explains every log."""
    bench.market.world.settle(impatient=True)
    assert bench.watch() == 0
    assert bench.breaks() == []
    bench.market.suite().assert_exact()
    shown = bench.acts_on_chain()
    assert len(shown) == len(set(shown))
    assert {case for case, _ in shown} == {chain_id_of(case_id).hex() for case_id in cases}


def test_freezes_of_units__of_several_cases__share_a_transaction_and_so_do_their_lifts(
    bench: Bench,
) -> None:
    world = bench.market.world
    before = len(world.node.transactions())
    cases = freezes(bench)
    world.settle()

    assert len(world.node.transactions()) - before == 1
    assert len({each.batch_id for each in acts(world)}) == 1
    assert {each.state for each in acts(world)} == {OperationState.FINAL}
    assert {bench.read(each).state for each in cases} == {CaseState.EXECUTED}
    assert frozen(bench) == dict.fromkeys(WALLETS, 10)

    bench.index()
    lift(bench, cases)
    world.settle()
    assert len(world.node.transactions()) - before == 2
    assert {bench.read(each).state for each in cases} == {CaseState.LIFTED}
    assert frozen(bench) == dict.fromkeys(WALLETS, 0)
    assert_explained(bench, cases)
    assert "ORD-01" not in {rule for rule, _ in bench.differences()}


def test_freezes_of_wallets__of_several_cases__share_a_transaction(bench: Bench) -> None:
    world = bench.market.world
    before = len(world.node.transactions())
    cases = [bench.approved(CaseKind.FREEZE_WALLET, wallet=wallet) for wallet in WALLETS]
    for case_id in cases:
        bench.execute(case_id)
    world.settle()
    assert len(world.node.transactions()) - before == 1
    assert {bench.read(each).state for each in cases} == {CaseState.EXECUTED}
    assert_explained(bench, cases)


def test_batch__one_row_cannot_be__is_refused_alone(bench: Bench) -> None:
    world = bench.market.world
    good = freezes(bench)
    # Its units are gone by another way before the batch is sent.
    bad = bench.approved(CaseKind.FREEZE_UNITS, **of_units(bench, SECOND_WALLET, HELD[SECOND] - 10))
    bench.execute(bad)
    agent, token = world.place("CaseAgent"), bench.market.suite().token
    data = contract("Token").functions["freezePartialTokens"].encode(hex_of(SECOND_WALLET), 5)
    world.node.act_as(agent, token, data)
    world.settle()

    assert {bench.read(each).state for each in good} == {CaseState.EXECUTED}
    assert bench.read(bad).state == CaseState.INCOMPLETE
    [problem] = bench.problems(bad)
    assert problem is not None
    assert problem["code"] == "call_would_revert"
    assert "exceeds available balance" in str(problem["detail"])
    assert [each.state for each in acts(world)].count(OperationState.REFUSED) == 1
    shown = bench_shown(bench)
    assert sorted(shown) == sorted((chain_id_of(each).hex(), "1") for each in good)


def bench_shown(bench: Bench) -> list[tuple[str, str]]:
    bench.index()
    return bench.acts_on_chain()


def test_batch__case_no_longer_approved__its_row_stays_out(bench: Bench) -> None:
    world = bench.market.world
    cases = freezes(bench)
    with world.database.engine.begin() as connection:
        connection.exec_driver_sql(
            "UPDATE legal_case SET state = 'WITHDRAWN' WHERE id = %s", (cases[0],)
        )
    world.settle()
    by_case = {each.params["case_id"]: each for each in acts(world)}
    refused = by_case[str(cases[0])]
    assert refused.state == OperationState.REFUSED
    assert refused.problem is not None
    assert refused.problem["code"] == "case_not_executing"
    assert {bench.read(each).state for each in cases[1:]} == {CaseState.EXECUTED}
    assert frozen(bench)[FIRST_WALLET] == 0


def test_acts_on_one_token__freeze_after_a_forced_transfer__keep_their_order(bench: Bench) -> None:
    """The last freeze needs units that only the transfer before it brings."""
    world = bench.market.world
    first = bench.approved(CaseKind.FREEZE_UNITS, **of_units(bench, FIRST_WALLET, 10))
    moved = bench.approved(CaseKind.FORCED_TRANSFER)
    all_of_it = HELD[SECOND] + 100
    last = bench.approved(CaseKind.FREEZE_UNITS, **of_units(bench, SECOND_WALLET, HELD[SECOND]))
    for case_id in (first, moved, last):
        bench.execute(case_id)
    world.settle()
    nonces = [each.nonce for each in acts(world)]
    assert None not in nonces, "no two of them stand next to each other"
    assert nonces == sorted(each for each in nonces if each is not None)
    assert frozen(bench)[SECOND_WALLET] == HELD[SECOND]
    assert bench.market.suite().on_chain().holders[SECOND_WALLET][0] == all_of_it
    assert_explained(bench, (first, moved, last))


@pytest.mark.parametrize("answered", [True, False], ids=["heard", "not heard"])
def test_batch__killed_at_every_call__each_act_happens_once(bench: Bench, answered: bool) -> None:
    world = bench.market.world
    cases = freezes(bench)
    for calls in range(14):
        try:
            world.through(Mortal(world.node, calls, answered=answered)).turn(at_start=True)
        except Died:
            world.node.mine()
    world.settle(impatient=True)
    assert frozen(bench) == dict.fromkeys(WALLETS, 10)
    assert {bench.read(each).state for each in cases} == {CaseState.EXECUTED}
    assert_explained(bench, cases)


def test_batch__send_times_out__each_act_happens_once(bench: Bench) -> None:
    world = bench.market.world
    cases = freezes(bench)
    with pytest.raises(RpcUnavailable):
        world.through(LosesSends(world.node, arrives=True)).sender().send_planned()
    world.settle(impatient=True)
    assert frozen(bench) == dict.fromkeys(WALLETS, 10)
    assert_explained(bench, cases)
