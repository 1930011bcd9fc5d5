"""Each kind of case, carried out by the agent on a real chain, once, and seen as what it was."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from chain.errors import RpcUnavailable
from chain.node.client import hex_of
from registry.captable.transfers import TransferNature
from registry.case.models import CaseKind, CaseState
from registry.case.repository import chain_id_of
from registry.investor.models import WalletState
from registry.operation.models import OperationKind, OperationState
from tests.chain.bench import NEW_WALLET, Bench
from tests.chain.faults import Died, LosesSends, Mortal
from tests.chain.market import FIRST, HELD, ISSUER, SECOND
from tests.chain.test_title_status import discharge
from tests.chain.world import address_of, ask, key_of

pytestmark = pytest.mark.chain

FIRST_WALLET, SECOND_WALLET, ISSUER_WALLET, NEW = (
    address_of(key_of(person)) for person in (FIRST, SECOND, ISSUER, NEW_WALLET)
)


def on_token(bench: Bench, function: str, *arguments: Any) -> Any:
    suite = bench.market.suite()
    return ask(bench.market.world.client, "Token", suite.token, function, *arguments)


def held(bench: Bench) -> dict[bytes, tuple[int, int]]:
    return bench.market.suite().on_chain().holders


def assert_explained(bench: Bench) -> None:
    """The alarm finds nothing, and the projection is the chain."""
    assert bench.watch() == 0
    assert bench.breaks() == []
    bench.market.suite().assert_exact()


def test_freeze_of_a_wallet__and_its_lift__stop_and_free_it(bench: Bench) -> None:
    case = bench.done(CaseKind.FREEZE_WALLET)

    assert case.state == CaseState.EXECUTED
    assert on_token(bench, "isFrozen", FIRST_WALLET) is True
    assert "ORD-01" not in {rule for rule, _ in bench.differences()}

    bench.open_lift(case.id)
    bench.approve(case.id)
    bench.execute(case.id)
    bench.market.world.settle()

    assert bench.read(case.id).state == CaseState.LIFTED
    assert on_token(bench, "isFrozen", FIRST_WALLET) is False
    assert_explained(bench)


def test_freeze_of_units__and_its_lift__are_of_so_many(bench: Bench) -> None:
    case = bench.done(CaseKind.FREEZE_UNITS)

    assert held(bench)[FIRST_WALLET] == (HELD[FIRST], 100)
    assert "ORD-01" not in {rule for rule, _ in bench.differences()}
    bench.open_lift(case.id)
    bench.approve(case.id)
    bench.execute(case.id)
    bench.market.world.settle()

    assert held(bench)[FIRST_WALLET] == (HELD[FIRST], 0)
    assert_explained(bench)


def test_forced_transfer__moves_units_and_is_called_forced_under_its_case(bench: Bench) -> None:
    case = bench.done(CaseKind.FORCED_TRANSFER)

    assert held(bench)[FIRST_WALLET][0] == HELD[FIRST] - 100
    assert held(bench)[SECOND_WALLET][0] == HELD[SECOND] + 100
    last = bench.transfers(bench.market.suite().token)[-1]
    assert (last.nature, last.case_id, last.units) == (TransferNature.FORCED, case.id, 100)
    assert_explained(bench)


def test_forced_transfer__of_frozen_units__unfreezes_them_and_is_explained(bench: Bench) -> None:
    bench.done(CaseKind.FREEZE_UNITS)
    bench.done(CaseKind.FORCED_TRANSFER, takes_frozen=True, **_units(bench, HELD[FIRST]))

    assert held(bench).keys() == {ISSUER_WALLET, SECOND_WALLET}
    assert_explained(bench)


def test_forced_transfer__of_units_that_are_frozen_while_it_waits__leaves_them_frozen(
    bench: Bench,
) -> None:
    taking = bench.approved(CaseKind.FORCED_TRANSFER, **_units(bench, HELD[FIRST] - 50))
    freeze = bench.approved(CaseKind.FREEZE_UNITS)
    bench.execute(taking)
    bench.execute(freeze)
    bench.market.world.settle()
    bench.index()

    [problem] = bench.problems(taking)
    assert problem is not None
    assert problem["code"] == "units_frozen"
    assert bench.read(taking).state == CaseState.INCOMPLETE
    assert bench.read(freeze).state == CaseState.EXECUTED
    assert held(bench)[FIRST_WALLET] == (HELD[FIRST], 100)
    assert_explained(bench)


def _units(bench: Bench, units: int) -> dict[str, Any]:
    return {"tokens": bench.terms(CaseKind.BURN, units)["tokens"]}


def test_burn__destroys_units(bench: Bench) -> None:
    case = bench.done(CaseKind.BURN)

    assert on_token(bench, "totalSupply") == sum(HELD.values()) - 100
    last = bench.transfers(bench.market.suite().token)[-1]
    assert (last.nature, last.case_id) == (TransferNature.BURNED, case.id)
    assert_explained(bench)
    assert bench.differences() == set()


def test_recovery__links_the_new_wallet_moves_everything_and_retires_the_lost(
    bench: Bench,
) -> None:
    bench.done(CaseKind.FREEZE_UNITS)
    case = bench.done(CaseKind.RECOVERY)

    assert case.state == CaseState.EXECUTED, bench.problems(case.id)
    assert held(bench)[NEW] == (HELD[FIRST], 100)
    assert FIRST_WALLET not in held(bench)
    factory = bench.market.world.place("IdentityFactory")
    lost, new = (
        ask(bench.market.world.client, "IdentityFactory", factory, "linkOf", wallet)
        for wallet in (FIRST_WALLET, NEW)
    )
    assert (lost[0], lost[1]) == (new[0], True)
    assert new[1] is False
    assert bench.market.wallet(FIRST).state == WalletState.RETIRED
    moved = bench.market.wallet(NEW_WALLET)
    assert moved.state == WalletState.PROVEN
    assert moved.identity is not None
    assert hex_of(moved.identity) == lost[0]
    last = bench.transfers(bench.market.suite().token)[-1]
    assert (last.nature, last.case_id) == (TransferNature.RECOVERED, case.id)
    assert_explained(bench)
    assert "ORD-01" not in {rule for rule, _ in bench.differences()}
    assert "TOK-03" not in {rule for rule, _ in bench.differences()}


def test_recovery__of_a_frozen_wallet__is_frozen_there_and_its_lift_frees_it(
    bench: Bench,
) -> None:
    frozen = bench.done(CaseKind.FREEZE_WALLET)
    bench.done(CaseKind.RECOVERY)
    assert on_token(bench, "isFrozen", NEW) is True
    assert_explained(bench)

    bench.open_lift(frozen.id)
    bench.approve(frozen.id)
    bench.execute(frozen.id)
    bench.market.world.settle()

    assert on_token(bench, "isFrozen", NEW) is False


def test_succession__divides_the_estate_in_one_transaction(bench: Bench) -> None:
    case = bench.done(CaseKind.SUCCESSION)

    # A third and two thirds of 400: 133.33 and 266.67.
    assert case.state == CaseState.EXECUTED, bench.problems(case.id)
    assert held(bench) == {
        SECOND_WALLET: (HELD[SECOND] + 133, 0),
        ISSUER_WALLET: (HELD[ISSUER] + 267, 0),
    }
    assert {item.state for item in bench.market.world.operations()} == {OperationState.FINAL}
    assert [number for _, number in bench.acts_on_chain()] == ["1", "2"]
    assert_explained(bench)
    assert bench.differences() == set()


# What the chain refuses


def test_execute__title_halted__shows_why_and_is_executed_again(bench: Bench) -> None:
    case_id = bench.approved(CaseKind.FORCED_TRANSFER)
    bench.market.put_stay_order_in_force()
    bench.market.world.settle()
    bench.execute(case_id)
    bench.market.world.settle()

    assert bench.read(case_id).state == CaseState.INCOMPLETE
    [problem] = bench.problems(case_id)
    assert problem is not None
    assert problem["code"] == "call_would_revert"
    assert "TitleHalted" in problem["detail"]
    assert problem["arguments"]

    discharge(bench.market)
    bench.market.world.settle()
    bench.execute(case_id)
    bench.market.world.settle()
    assert bench.read(case_id).state == CaseState.EXECUTED
    assert held(bench)[SECOND_WALLET][0] == HELD[SECOND] + 100
    assert_explained(bench)


def test_execute__receiver_whose_kyc_ran_out_meanwhile__is_refused_before_it_is_signed(
    bench: Bench,
) -> None:
    case_id = bench.approved(CaseKind.FORCED_TRANSFER)
    bench.execute(case_id)
    bench.market.let_kyc_run_out(SECOND)
    bench.market.world.settle()

    [problem] = bench.problems(case_id)
    assert problem is not None
    assert problem["code"] == "receiver_not_eligible"
    assert bench.read(case_id).state == CaseState.INCOMPLETE
    assert bench.market.world.find(OperationKind.CASE_ACT).nonce is None


# Once


def once(bench: Bench, case_id: UUID) -> None:
    """The case is whole, and the chain shows its only act once."""
    bench.market.world.settle(impatient=True)
    bench.index()
    assert bench.read(case_id).state == CaseState.EXECUTED
    assert bench.acts_on_chain() == [(chain_id_of(case_id).hex(), "1")]
    assert held(bench)[SECOND_WALLET][0] == HELD[SECOND] + 100


@pytest.mark.parametrize("answered", [True, False], ids=["heard", "not heard"])
def test_act__killed_at_every_call__happens_once(bench: Bench, answered: bool) -> None:
    case_id = bench.approved(CaseKind.FORCED_TRANSFER)
    bench.execute(case_id)
    world = bench.market.world
    for calls in range(14):
        try:
            world.through(Mortal(world.node, calls, answered=answered)).turn(at_start=True)
        except Died:
            world.node.mine()
    once(bench, case_id)


@pytest.mark.parametrize("arrives", [True, False], ids=["arrived", "lost"])
def test_act__send_times_out__happens_once(bench: Bench, arrives: bool) -> None:
    case_id = bench.approved(CaseKind.FORCED_TRANSFER)
    bench.execute(case_id)
    world = bench.market.world
    with pytest.raises(RpcUnavailable):
        world.through(LosesSends(world.node, arrives=arrives)).sender().send_planned()
    once(bench, case_id)


def test_act__lost_with_its_block__is_sent_again_and_happens_once(bench: Bench) -> None:
    world = bench.market.world
    before = world.client.head().number
    case = bench.done(CaseKind.FORCED_TRANSFER)

    world.node.roll_back(world.client.head().number - before)
    bench.index()
    assert bench.acts_on_chain() == []

    once(bench, case.id)
    assert_explained(bench)


def test_act__number_carried_out_already__is_refused_by_the_agent(bench: Bench) -> None:
    case = bench.done(CaseKind.FORCED_TRANSFER)
    first = bench.market.world.find(OperationKind.CASE_ACT)
    with bench.market.world.database.engine.begin() as connection:
        # Somebody makes the register forget that it was done.
        connection.exec_driver_sql("UPDATE legal_case SET state = 'EXECUTING'")
    again = bench.market.plan(OperationKind.CASE_ACT, "the same act", **first.params)
    bench.market.world.settle()

    found = next(item for item in bench.market.world.operations() if item.id == again.id)
    assert found.state == OperationState.REFUSED
    assert found.problem is not None
    assert "CaseActAlreadyExecuted" in str(found.problem["detail"])
    assert held(bench)[SECOND_WALLET][0] == HELD[SECOND] + 100
    assert bench.acts_on_chain() == [(chain_id_of(case.id).hex(), "1")]
