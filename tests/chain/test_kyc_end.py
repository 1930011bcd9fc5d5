"""The end of a KYC on a real chain: claim revoked, wallet frozen, and freed by the renewal."""

from __future__ import annotations

from typing import Any

import pytest

from chain.node.client import hex_of
from registry.case import kyc_freeze
from registry.investor.models import Investor
from registry.kernel.actor import Actor, Role
from registry.kyc_standing import service as standing
from registry.operation.models import OperationKind, OperationState
from registry.sweep.service import sweep
from tests import kyc
from tests.chain.bench import Bench
from tests.chain.market import FIRST
from tests.chain.world import address_of, ask, key_of

pytestmark = pytest.mark.chain

WALLET = address_of(key_of(FIRST))


def on_token(bench: Bench, function: str, *arguments: Any) -> Any:
    suite = bench.market.suite()
    return ask(bench.market.world.client, "Token", suite.token, function, *arguments)


def is_verified(bench: Bench) -> Any:
    client, suite = bench.market.world.client, bench.market.suite()
    return ask(client, "IdentityRegistry", suite.registry, "isVerified", hex_of(WALLET))


def settle(bench: Bench) -> None:
    bench.market.world.settle()
    bench.index()


def test_revoked__then_renewed_in_one_second__waits_and_is_free_in_the_next(bench: Bench) -> None:
    market, node = bench.market, bench.market.world.node
    wallet = market.wallet(FIRST)
    assert is_verified(bench) is True
    node.rpc("anvil_setBlockTimestampInterval", 0)
    with market.world.database.transaction() as session:
        standing.revoke_kyc(session, kyc.SECOND_OFFICER, wallet.investor_id, reason="He lied.")
    settle(bench)

    revocation = market.find(OperationKind.REVOKE_CLAIM, FIRST)
    assert revocation.state == OperationState.FINAL, revocation.problem
    assert is_verified(bench) is False
    assert on_token(bench, "isFrozen", WALLET) is True
    assert bench.watch() == 0

    with market.world.database.transaction() as session:
        investor = session.get_one(Investor, wallet.investor_id)
        who = Actor(investor.subject, frozenset({Role.INVESTOR}))
        kyc.passed(market.desk(session), who, investor)
    for _ in range(3):
        market.world.turn()
        node.mine()

    renewal = market.find(OperationKind.ADD_CLAIM, FIRST)
    assert renewal.state == OperationState.PLANNED
    assert renewal.waits_for is not None
    assert renewal.waits_for["code"] == "chain_clock_too_early"

    node.rpc("anvil_removeBlockTimestampInterval")
    node.rpc("evm_increaseTime", 1)
    node.mine()
    settle(bench)

    assert is_verified(bench) is True
    assert on_token(bench, "isFrozen", WALLET) is False
    with market.world.database.reading() as session:
        assert list(kyc_freeze.list_releasable(session)) == []
    assert sweep(market.world.database)["kyc_freeze"] == 0
