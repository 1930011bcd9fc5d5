"""Several agents share the work: each with nonces of its own, each operation once."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import pytest
from coincurve import PrivateKey
from sqlmodel import col, select

from chain.errors import SignerRefused, SignerUnavailable
from chain.node.client import hex_of
from chain.sending.pool import MAX_IN_FLIGHT
from chain.sending.roles import plan_grants
from chain.sending.sender import Sender
from chain.signing.digest import DigestSigner, address_of_point
from chain.signing.envelope import Signature
from chain.signing.policies import SignerRole
from registry.operation import service as operations
from registry.operation.models import (
    Operation,
    OperationKind,
    OperationState,
    SignerWatch,
)
from tests import sales
from tests.chain.market import FIRST, Market
from tests.chain.outcomes import assert_each_once
from tests.chain.world import World, ask

pytestmark = pytest.mark.chain

AGENTS = 3
SHARED = {OperationKind.REGISTER_IDENTITY, OperationKind.MINT}


@dataclass
class Key(DigestSigner):
    """A key that signs, or has a bad day.

    Parameters
    ----------
    trouble
        Raised by every signature while it is set.
    """

    number: int
    trouble: Exception | None = None
    signed: int = 0

    def __post_init__(self) -> None:
        self._key = PrivateKey(bytes([self.number + 1]) * 32)

    @property
    def address(self) -> bytes:
        return address_of_point(self._key.public_key.format(compressed=False))

    def _sign_digest(self, digest: bytes) -> Signature:
        if self.trouble is not None:
            raise self.trouble
        self.signed += 1
        raw = self._key.sign_recoverable(digest, hasher=None)
        return Signature(
            int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:64], "big"), raw[64]
        )


def pooled(market: Market, *, grant: bool = True) -> tuple[Market, list[Key]]:
    """Give the same market with a pool of agents, funded and known to the contracts."""
    keys = [Key(100 + number) for number in range(AGENTS)]
    world = replace(market.world, chain=replace(market.world.chain, agents=tuple(keys)))
    for key in keys:
        world.node.fund(key.address)
    if grant:
        plan(world)
        # The deployer alone: the agents send nothing before they may.
        while (
            world.count(OperationState.BROADCAST, OperationState.MINED)
            or world.sender().send_planned()
        ):
            world.node.mine()
            world.tracker().follow()
    return replace(market, world=world), keys


def plan(world: World) -> None:
    with world.database.transaction() as session:
        plan_grants(session, world.chain)


def shared(world: World) -> list[Operation]:
    return [each for each in world.operations() if each.kind in SHARED]


def assert_all_once(market: Market) -> None:
    market.world.settle(impatient=True)
    assert {each.state for each in market.world.operations()} == {OperationState.FINAL}
    assert market.suite().on_chain().supply == sales.FRACTIONS
    assert not [each for each in market.world.operations() if each.waits_for is not None]


def test_grants__carried_out_once__and_the_contracts_know_every_agent(market: Market) -> None:
    market, keys = pooled(market)
    world = market.world
    before = len(world.operations())
    plan(world)

    assert len(world.operations()) == before
    for key in keys:
        for contract in ("RegistrationDesk", "IdentityFactory"):
            place = world.place(contract)
            assert ask(world.client, contract, place, "isOperator", hex_of(key.address)) is True


def test_pool__before_its_grants_are_mined__sends_nothing_and_refuses_nothing(
    market: Market,
) -> None:
    market, keys = pooled(market, grant=False)
    world = market.world
    for _ in range(2):
        world.turn()
        world.node.mine()
    assert {each.state for each in shared(world)} == {OperationState.PLANNED}
    assert sum(key.signed for key in keys) == 0

    plan(world)
    assert_all_once(market)
    assert {each.signer for each in shared(world)} == {key.address for key in keys}


def test_pool__ready_operations__are_shared_evenly(market: Market) -> None:
    market, keys = pooled(market)
    world = market.world
    world.turn()

    sent = [each for each in shared(world) if each.state == OperationState.BROADCAST]
    assert {each.kind for each in sent} == {OperationKind.REGISTER_IDENTITY}
    assert Counter(each.signer for each in sent) == {key.address: 1 for key in keys}
    assert {each.nonce for each in sent} == {0}, "each key counts for itself"
    assert_all_once(market)


def test_pool__what_depends__is_sent_only_when_that_is_mined_whoever_sent_it(
    market: Market,
) -> None:
    market, _ = pooled(market)
    world = market.world
    for _ in range(4):
        world.turn()
    mints = [each for each in shared(world) if each.kind == OperationKind.MINT]
    assert {each.state for each in mints} == {OperationState.PLANNED}
    assert_all_once(market)


@pytest.mark.parametrize(
    "trouble",
    [
        SignerUnavailable("aws-kms:key answers ThrottlingException."),
        SignerRefused("aws-kms:key answers AccessDeniedException."),
    ],
    ids=["throttled", "denied"],
)
def test_pool__one_key_cannot_sign__the_others_do_its_work(
    market: Market, trouble: Exception
) -> None:
    market, keys = pooled(market)
    broken, *others = keys
    broken.trouble = trouble

    assert_all_once(market)

    assert {each.signer for each in shared(market.world)} == {key.address for key in others}
    watch = watch_of(market.world, broken)
    assert watch.resting_until is not None
    assert watch.reason in {"signer_unavailable", "signer_refused"}
    assert market.world.client.nonce(broken.address) == 0


def test_pool__no_key_can_sign__everything_waits_and_goes_on(market: Market) -> None:
    market, keys = pooled(market)
    world = market.world
    for key in keys:
        key.trouble = SignerUnavailable("aws-kms:key answers ThrottlingException.")
    for _ in range(3):
        world.turn()
        world.node.mine()
    waiting = [each for each in shared(world) if each.kind == OperationKind.REGISTER_IDENTITY]
    assert {each.state for each in waiting} == {OperationState.PLANNED}
    for operation in waiting:
        assert operation.problem is None
        assert operation.waits_for is not None
        assert operation.waits_for["code"] == "signer_unavailable"
        assert "Throttling" in operation.waits_for["detail"]

    for key in keys:
        key.trouble = None
    assert_all_once(market)


def test_pool__one_key_has_no_money__the_others_do_its_work(market: Market) -> None:
    market, keys = pooled(market)
    poor, *others = keys
    market.world.node.rpc("anvil_setBalance", hex_of(poor.address), "0x0")

    assert_all_once(market)

    assert {each.signer for each in shared(market.world)} == {key.address for key in others}
    assert watch_of(market.world, poor).reason == "signer_out_of_funds"


def test_pool__two_workers_at_once__each_once(market: Market) -> None:
    market, _ = pooled(market)
    world = market.world
    world.node.mines_at_once()

    def work() -> None:
        for _ in range(60):
            world.turn()
            if world.count(OperationState.PLANNED) == 0:
                return

    with ThreadPoolExecutor(2) as threads:
        for future in [threads.submit(work) for _ in range(2)]:
            future.result(120)
    world.node.mine()
    assert_all_once(market)
    sent = Counter(
        (each.signer, each.nonce) for each in world.operations() if each.nonce is not None
    )
    assert set(sent.values()) == {1}


def test_pool__more_than_one_key_may_have_in_flight__goes_to_the_next(minted: Market) -> None:
    market, keys = pooled(minted)
    wallet = market.wallet(FIRST)
    # To open an identity that stands already is no error, however often.
    opening = {"wallet_id": str(wallet.id), "wallet": hex_of(wallet.address)}
    for number in range(MAX_IN_FLIGHT + 8):
        market.plan(OperationKind.CREATE_IDENTITY, f"identity {number}", (), **opening)

    market.world.turn()

    counts = Counter(
        each.signer for each in market.world.operations() if each.state == OperationState.BROADCAST
    )
    assert sorted(counts.values()) == [24, 24, 24]
    assert set(counts) == {key.address for key in keys}


def test_claim_key__cannot_sign__the_claim_waits_and_no_agent_rests(market: Market) -> None:
    world = market.world
    trouble = SignerUnavailable("gcp-kms:key answers 429 RESOURCE_EXHAUSTED.")
    broken = replace(world.chain, claim_signer=Key(99, trouble=trouble))
    before = market.find(OperationKind.ADD_CLAIM, FIRST)
    claim = market.plan(OperationKind.ADD_CLAIM, "one more claim", **before.params)
    ours = replace(world, chain=broken)
    ours.settle()

    (waiting,) = [each for each in world.operations() if each.id == claim.id]
    assert waiting.state == OperationState.PLANNED
    assert waiting.waits_for is not None
    assert waiting.waits_for["code"] == "signer_unavailable"
    with world.database.reading() as session:
        resting = session.exec(
            select(SignerWatch).where(col(SignerWatch.resting_until).is_not(None))
        ).all()
    assert resting == []
    assert_all_once(market)


def test_roles__of_keys__are_told(market: Market) -> None:
    market, keys = pooled(market, grant=False)
    chain = market.world.chain
    assert chain.roles(chain.platform) == [SignerRole.DEPLOYER, SignerRole.SETTLEMENT]
    assert [chain.roles(key) for key in keys] == [[SignerRole.AGENT]] * AGENTS
    assert len(chain.senders) == AGENTS + 2


def watch_of(world: World, key: Any) -> SignerWatch:
    with world.database.reading() as session:
        found = session.get_one(SignerWatch, (world.chain.chain_id, key.address))
        session.expunge_all()
        return found


def test_pool__a_reorg_drops_both__what_depends_on_another_keys_waits_for_it(
    market: Market,
) -> None:
    market, keys = pooled(market)
    world = market.world
    before = world.client.head().number
    world.turn()
    register = market.find(OperationKind.REGISTER_IDENTITY, FIRST)
    [busy] = [key for key in keys if key.address == register.signer]
    busy.trouble = SignerUnavailable("its hardware is away")
    world.settle()
    busy.trouble = None
    mint = market.find(OperationKind.MINT, FIRST)
    assert mint.signer not in {None, register.signer}
    world.node.roll_back(world.client.head().number - before)
    world.node.drop_pool()
    world.node.mine()

    senders = {key.address: Sender(world.database, world.chain, key) for key in keys}
    for sender in senders.values():
        sender.take_back_vanished()
    assert mint.signer is not None
    senders[mint.signer].resend_forgotten()
    assert not is_known(world, mint)
    senders[busy.address].resend_forgotten()
    assert is_known(world, register)
    world.settle(impatient=True)

    assert_each_once(market)


def is_known(world: World, operation: Operation) -> bool:
    """Tell whether the node has heard of what was signed for an operation."""
    with world.database.reading() as session:
        attempts = operations.list_attempts(session, operation)
        hashes = [hex_of(attempt.tx_hash) for attempt in attempts]
    return any(world.node.rpc("eth_getTransactionByHash", each) for each in hashes)
