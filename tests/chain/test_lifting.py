"""What ends an alarm of a chain on which the platform has no token."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlmodel import col, select

from chain.node.client import ChainClient
from chain.worker import run_sync
from registry.captable import rounds
from registry.captable.degraded import degrade, lift
from registry.captable.models import ProofRound, SyncCursor, Token
from registry.kernel.clock import now
from tests.chain.nodes import CHAIN_ID
from tests.chain.suite import Suite, count, cursor_of
from tests.chain.test_adoption import adopt, forget, read_all
from tests.chain.test_degraded import alarms
from tests.chain.test_reconciler import reconcile
from tests.chain.test_shared_registries import adopted_all
from tests.chain.test_worker import eventually
from tests.chain.world import CONFIRMATIONS

pytestmark = pytest.mark.chain

ELSEWHERE = 4242
SOME_TURNS = 3.5
"""Seconds in which the sync and the proofs take several turns, whatever they wait between."""


def alarm(suite: Suite) -> None:
    with suite.world.database.transaction() as session:
        degrade(session, CHAIN_ID, "final blocks left the chain")


def is_lifted(suite: Suite) -> bool:
    with suite.world.database.transaction() as session:
        return lift(session, CHAIN_ID)


def next_block(suite: Suite) -> None:
    suite.world.node.mine()
    suite.index()


def test_lift__only_adopted_tokens__waits_for_a_round_that_began_since(suite: Suite) -> None:
    adopted_all(suite)
    reconcile(suite)
    alarm(suite)

    assert not is_lifted(suite)
    next_block(suite)
    assert not is_lifted(suite)
    with suite.world.database.transaction() as session:
        token_no = session.exec(select(Token.token_no)).one()
        rounds.advance(session, token_no or 0, rounds.FIRST, 1, is_last=False)
    assert not is_lifted(suite)
    assert cursor_of(suite.world.database).chain_doubt is not None

    reconcile(suite)

    assert cursor_of(suite.world.database).degraded is None
    assert cursor_of(suite.world.database).chain_doubt is None
    assert alarms(suite.world.database) == ["cap_table_degraded", "cap_table_recovered"]


def test_lift__every_adopted_token_is_still_read__waits_for_a_proof(suite: Suite) -> None:
    forget(suite)
    adopt(suite)
    alarm(suite)
    next_block(suite)

    assert not is_lifted(suite)
    assert cursor_of(suite.world.database).chain_doubt is not None

    read_all(suite)
    reconcile(suite)

    assert cursor_of(suite.world.database).degraded is None


def test_lift__no_token_at_all__waits_until_the_chain_was_looked_at_since(suite: Suite) -> None:
    forget(suite)
    alarm(suite)

    assert not is_lifted(suite)
    assert cursor_of(suite.world.database).chain_doubt is not None

    next_block(suite)

    assert is_lifted(suite)
    assert cursor_of(suite.world.database).chain_doubt is None


def test_lift__no_token__alarm_of_a_clock_that_was_ahead__ends(suite: Suite) -> None:
    forget(suite)
    alarm(suite)
    with suite.world.database.transaction() as session:
        cursor = session.exec(select(SyncCursor)).one()
        cursor.degraded_since = cursor.chain_doubted_since = now() + timedelta(hours=6)
    next_block(suite)

    assert is_lifted(suite)
    assert cursor_of(suite.world.database).chain_doubt is None


class Exchanged(ChainClient):
    """A node that answers as before, but for its chain's id."""

    is_elsewhere = False

    def request(self, method: str, *params: Any) -> Any:
        if method == "eth_chainId" and self.is_elsewhere:
            return hex(ELSEWHERE)
        return super().request(method, *params)


@pytest.mark.parametrize("begin", [adopted_all, forget], ids=["adopted", "no token"])
def test_sync__node_serves_another_chain__is_told_once_and_lifted_once(
    suite: Suite, begin: Callable[[Suite], None]
) -> None:
    database, stop = suite.world.database, threading.Event()
    begin(suite)
    tokens = count(database, Token)
    client = Exchanged(suite.world.node.url, CHAIN_ID)
    sync = threading.Thread(
        target=run_sync,
        args=(database, client, stop),
        kwargs={"finality": CONFIRMATIONS, "is_ours": False},
    )
    sync.start()
    try:
        # At the head, where it proves.
        eventually(lambda: cursor_of(database).finalized_number is not None)
        eventually(
            lambda: count(database, ProofRound, col(ProofRound.ended_at).is_not(None)) == tokens
        )
        client.is_elsewhere = True
        eventually(lambda: cursor_of(database).degraded is not None)
        time.sleep(SOME_TURNS)

        assert alarms(database) == ["cap_table_degraded"]

        client.is_elsewhere = False
        eventually(lambda: cursor_of(database).degraded is None)
    finally:
        stop.set()
        sync.join(30)
    assert alarms(database) == ["cap_table_degraded", "cap_table_recovered"]
