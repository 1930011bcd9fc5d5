"""The platform's own contracts: every step once, whatever dies in between."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor

import pytest

from chain.contracts.platform import STEPS, TREX_VERSION, plan_platform
from chain.node.client import hex_of
from registry.operation.models import (
    OperationState,
)
from tests.chain.faults import Died, Mortal
from tests.chain.nodes import CHAIN_ID
from tests.chain.outcomes import assert_deployed_once
from tests.chain.world import CLAIM_SIGNER, World, address_of, ask

pytestmark = pytest.mark.chain

MOST_LIVES = 300


@pytest.fixture
def planned(empty: World) -> World:
    plan(empty)
    return empty


def plan(world: World) -> None:
    with world.database.transaction() as session:
        plan_platform(session, CHAIN_ID)


def test_deployment__undisturbed__carries_out_every_step_once(planned: World) -> None:
    planned.settle()
    assert_deployed_once(planned)


def test_deployment__done__contracts_know_each_other(platform: World) -> None:
    def say(name: str, function: str, *arguments: object) -> object:
        return ask(platform.client, name, platform.place(name), function, *arguments)

    ours = hex_of(platform.chain.platform.address)
    assert say("IdFactory", "isTokenFactory", platform.place("TREXFactory")) is True
    assert say("TREXImplementationAuthority", "getCurrentVersion") == TREX_VERSION
    assert say("TREXFactory", "getIdFactory") == hex_of(platform.place("IdFactory"))
    for name in ("IdFactory", "TREXFactory", "ClaimIssuer"):
        assert say(name, "owner") == ours
    assert say("ClaimIssuer", "isSigningKey", address_of(CLAIM_SIGNER)) is True
    assert say("ClaimIssuer", "isSigningKey", platform.chain.platform.address) is False


def test_deployment__planned_and_sent_again__changes_nothing(platform: World) -> None:
    plan(platform)
    assert platform.turn(at_start=True) == 0
    assert_deployed_once(platform)


def test_deployment__steps__wait_for_what_they_need(planned: World) -> None:
    planned.turn()
    sent = {
        operation.params["step"]
        for operation in planned.operations()
        if operation.state == OperationState.BROADCAST
    }
    assert sent == {step.name for step in STEPS if not step.needs}


@pytest.mark.parametrize("answered", [False, True], ids=["before the call", "after the call"])
@pytest.mark.parametrize("seed", range(2))
def test_deployment__program_dies_again_and_again__never_deploys_twice(
    planned: World, seed: int, answered: bool
) -> None:
    chance = random.Random(seed)
    deaths = 0
    for _ in range(MOST_LIVES):
        mortal = Mortal(planned.node, chance.randint(0, 9), answered=answered)
        try:
            planned.through(mortal).turn(at_start=True)
        except Died:
            deaths += 1
        if chance.random() < 0.5:
            planned.node.mine()
        if planned.count(OperationState.FINAL) == len(STEPS):
            break

    assert deaths > 5
    assert_deployed_once(planned)


def test_deployment__dies_between_storing_and_sending_each_step__sends_the_stored_bytes(
    planned: World,
) -> None:
    """Sign without sending, forget everything, and go on: for each step in turn."""

    class DiesSending(Mortal):
        def send_raw(self, raw: bytes) -> bytes:
            stored.append(raw)
            raise Died

    stored: list[bytes] = []
    while planned.count(OperationState.FINAL) < len(STEPS):
        if planned.count(OperationState.PLANNED):
            careless = planned.through(DiesSending(planned.node, 10**6, answered=False))
            with pytest.raises(Died):
                careless.sender().send_planned()
        for _ in range(3):
            planned.resend()
            planned.node.mine()
            planned.tracker().follow()

    assert_deployed_once(planned)
    assert len(stored) == len(set(stored)) == len(STEPS)


def test_deployment__two_workers_at_once__share_the_work(planned: World) -> None:
    planned.node.mines_at_once()

    def work() -> None:
        for _ in range(200):
            planned.turn()
            if planned.count(OperationState.MINED, OperationState.FINAL) == len(STEPS):
                return

    with ThreadPoolExecutor(2) as pool:
        for future in [pool.submit(work) for _ in range(2)]:
            future.result(30)
    planned.node.mine()
    planned.settle()

    assert_deployed_once(planned)
