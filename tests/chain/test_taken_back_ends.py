"""What had failed, and is taken back by a reorg, ends once more: whoever waits for that is told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import pytest

from chain.node.client import hex_of
from chain.sending.remedies import cancel_sent
from registry.case.models import Case, CaseKind, CaseState
from registry.kernel.actor import THE_SYSTEM
from registry.operation import service as operations
from registry.operation.models import Operation, OperationKind, OperationState
from registry.tokenization.models import TokenizationState
from tests.chain.bench import Bench
from tests.chain.faults import AfterEstimate
from tests.chain.market import propose
from tests.chain.test_dropped import roll_back_to
from tests.chain.test_reverted import REVERT, now_of, tokenization
from tests.chain.world import World

pytestmark = pytest.mark.chain


def reverts(world: World, name: str) -> None:
    """Send what is planned, and let its contract revert once it was estimated."""
    contract = hex_of(world.place(name))
    code = world.client.code(world.place(name))
    breaks = AfterEstimate(world.node, lambda: world.node.rpc("anvil_setCode", contract, REVERT))
    assert world.through(breaks).sender().send_planned() == 1
    world.settle()
    world.node.rpc("anvil_setCode", contract, hex_of(code))


def is_dropped(world: World, act: Operation) -> None:
    reverts(world, "CaseAgent")
    assert now_of(world, act).state == OperationState.REVERTED


def is_cancelled(world: World, act: Operation) -> None:
    assert world.sender().send_planned() == 1
    cancel_sent(world.database, world.chain, THE_SYSTEM, act.id, reason="It was a mistake.")
    world.settle()
    assert now_of(world, act).state == OperationState.REPLACED


def lose_blocks(world: World, height: int, name: str) -> None:
    """Take blocks back, and leave the contract as it is: there it would do what it did not do."""
    code = world.client.code(world.place(name))
    roll_back_to(world, height)
    world.node.rpc("anvil_setCode", hex_of(world.place(name)), hex_of(code))


def failed_act(
    bench: Bench, fails: Callable[[World, Operation], None] = is_dropped
) -> tuple[UUID, Operation, int]:
    """Execute a case whose only act fails; give both, and the height before."""
    world = bench.market.world
    case_id = bench.approved(CaseKind.FREEZE_WALLET)
    [act] = bench.execute(case_id)
    height = world.client.head().number
    fails(world, act)
    return case_id, act, height


def as_if_another_act_were_on_its_way(bench: Bench, case_id: UUID) -> None:
    """Have the case not followed to its end yet."""
    with bench.market.world.database.transaction() as session:
        session.get_one(Case, case_id).state = CaseState.EXECUTING


@pytest.mark.parametrize(
    ("fails", "ends"),
    [(is_dropped, OperationState.DROPPED), (is_cancelled, OperationState.REPLACED)],
)
def test_act_of_a_case__taken_back_while_others_are_on_their_way__ends_the_case(
    bench: Bench, fails: Callable[[World, Operation], None], ends: OperationState
) -> None:
    world = bench.market.world
    case_id, act, height = failed_act(bench, fails)
    assert bench.read(case_id).state == CaseState.INCOMPLETE
    as_if_another_act_were_on_its_way(bench, case_id)

    lose_blocks(world, height, "CaseAgent")
    world.settle(impatient=True)

    assert now_of(world, act).state == ends
    assert bench.read(case_id).state == CaseState.INCOMPLETE
    bench.execute(case_id)
    world.settle()
    assert bench.read(case_id).state == CaseState.EXECUTED


def test_act_of_a_case__reverts_in_the_other_branch_as_well__ends_the_case(bench: Bench) -> None:
    world = bench.market.world
    case_id, act, height = failed_act(bench)
    with world.database.reading() as session:
        raw = operations.list_attempts(session, act)[0].raw
    as_if_another_act_were_on_its_way(bench, case_id)

    lose_blocks(world, height, "CaseAgent")
    world.node.rpc("anvil_setCode", hex_of(world.place("CaseAgent")), REVERT)
    world.client.send_raw(raw)
    world.node.mine(2)
    world.turn()

    assert now_of(world, act).state == OperationState.REVERTED
    assert bench.read(case_id).state == CaseState.INCOMPLETE


def test_act_of_a_case__taken_back_and_planned_anew__the_case_follows_the_new_one(
    bench: Bench,
) -> None:
    world = bench.market.world
    case_id, act, height = failed_act(bench)
    lose_blocks(world, height, "CaseAgent")
    world.resend(at_start=True)
    assert now_of(world, act).state == OperationState.BROADCAST

    [anew] = bench.execute(case_id)
    world.settle(impatient=True)

    assert anew.id != act.id
    assert now_of(world, act).state == OperationState.DROPPED
    assert now_of(world, anew).state == OperationState.FINAL
    assert bench.read(case_id).state == CaseState.EXECUTED


def test_deployment__taken_back_and_asked_for_again__is_another_one(
    platform: World, tmp_path: Path
) -> None:
    world = platform
    proposal = propose(world, tmp_path / "documents")
    height = world.client.head().number
    first = proposal.deploy(world)
    assert first.kind == OperationKind.DEPLOY_SUITE
    reverts(world, "TREXFactory")
    assert tokenization(world, first).state == TokenizationState.APPROVED
    lose_blocks(world, height, "TREXFactory")
    world.resend(at_start=True)
    assert now_of(world, first).state == OperationState.BROADCAST

    second = proposal.deploy(world)
    world.settle(impatient=True)

    assert second.id != first.id
    assert now_of(world, first).state == OperationState.DROPPED
    assert now_of(world, second).state == OperationState.FINAL
    assert tokenization(world, second).state == TokenizationState.DEPLOYED
