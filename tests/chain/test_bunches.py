"""Several batches at once: signed together, handed over together, and each still by itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from sqlmodel import col, select

from chain.errors import RateLimited, RpcRefused, RpcUnavailable
from chain.node.client import ChainClient
from chain.sending.gaps import Gaps
from registry.kernel.actor import THE_SYSTEM
from registry.operation import service as operations
from registry.operation.models import (
    Operation,
    OperationAttempt,
    OperationKind,
    OperationState,
)
from tests.chain.faults import AfterEstimate, LosesSends
from tests.chain.market import FIRST, ISSUER, SECOND, Market
from tests.chain.nodes import CHAIN_ID, Node
from tests.chain.world import World

pytestmark = pytest.mark.chain

CLAIMS = (FIRST, SECOND, ISSUER, FIRST, SECOND, ISSUER)


class CountsRequests(ChainClient):
    """Writes down how many transactions each request held."""

    def __init__(self, node: Node) -> None:
        super().__init__(node.url, CHAIN_ID)
        self.held: list[int] = []

    def send_raws(self, raws: Sequence[bytes]) -> list[RpcRefused | None]:
        self.held.append(len(raws))
        return super().send_raws(raws)


class Gone(ChainClient):
    """Nothing is handed to it any more."""

    def send_raws(self, raws: Sequence[bytes]) -> list[RpcRefused | None]:
        raise ConnectionError(f"{len(raws)} not sent")


class TellsNoPool(ChainClient):
    """A node of a provider: what its pool keeps is nobody's business."""

    def request(self, method: str, *params: Any) -> Any:
        if method.startswith("txpool_"):
            raise RpcRefused(method, -32601, "the method does not exist", None)
        return super().request(method, *params)


@pytest.fixture
def fair(market: Market) -> Market:
    """Claims that are stated once more, two in a transaction; nothing else is planned."""
    market.world.settle()
    with market.world.database.transaction() as session:
        for number, person in enumerate(CLAIMS):
            before = market.find(OperationKind.ADD_CLAIM, person)
            operations.plan(
                session,
                THE_SYSTEM,
                OperationKind.ADD_CLAIM,
                key=f"again {number}",
                subject=("test", number),
                params=dict(before.params),
            )
    return replace(market, world=replace(market.world, batch_rows=2))


def claims(world: World) -> list[Operation]:
    return [row for row in world.operations() if row.subject_kind == "test"]


def carriers(world: World) -> list[tuple[Operation, OperationAttempt]]:
    """List the batches of the claims with their attempts, in the order of nonces."""
    with world.database.reading() as session:
        found = session.exec(
            select(Operation, OperationAttempt)
            .join(OperationAttempt, col(OperationAttempt.operation_id) == col(Operation.id))
            .where(
                col(Operation.kind) == OperationKind.BATCH,
                col(Operation.params)["kind"].astext == OperationKind.ADD_CLAIM,
            )
            .order_by(col(Operation.nonce))
        ).all()
        session.expunge_all()
        return list(found)


def test_bunch__three_batches__take_three_nonces_and_one_request(fair: Market) -> None:
    counting = CountsRequests(fair.world.node)
    assert fair.world.through(counting).sender().send_planned() == len(CLAIMS)

    sent = carriers(fair.world)
    first = sent[0][0].nonce
    assert first is not None
    assert [carrier.nonce for carrier, _ in sent] == [first, first + 1, first + 2]
    assert counting.held == [3]
    assert {carrier.state for carrier, _ in sent} == {OperationState.BROADCAST}

    fair.world.settle()
    assert {row.state for row in claims(fair.world)} == {OperationState.FINAL}
    assert len(carriers(fair.world)) == 3


def test_bunch__one_row_forbidden__is_refused_alone_and_the_others_go(fair: Market) -> None:
    fair.let_kyc_run_out(SECOND)
    fair.world.settle()

    barred = fair.wallet(SECOND).id
    for row in claims(fair.world):
        is_barred = row.params["wallet_id"] == str(barred)
        assert (row.state == OperationState.REFUSED) is is_barred
        assert (row.state == OperationState.FINAL) is not is_barred
    numbers = [carrier.nonce for carrier, _ in carriers(fair.world)]
    assert len(set(numbers)) == len(numbers)


def test_bunch__another_worker_has_one_of_the_batches__the_others_are_sent(fair: Market) -> None:
    taken = claims(fair.world)[2:4]

    def take() -> None:
        with fair.world.database.transaction() as session:
            for row in taken:
                session.get_one(Operation, row.id).state = OperationState.DROPPED

    meanwhile = AfterEstimate(fair.world.node, take)
    assert fair.world.through(meanwhile).sender().send_planned() == len(CLAIMS) - len(taken)

    fair.world.settle()
    ended = {row.id: row.state for row in claims(fair.world)}
    assert [ended[row.id] for row in taken] == [OperationState.DROPPED] * len(taken)
    assert list(ended.values()).count(OperationState.FINAL) == len(CLAIMS) - len(taken)


def test_bunch__one_row_that_nobody_can_read__holds_nothing_else_up(fair: Market) -> None:
    broken = claims(fair.world)[2]
    with fair.world.database.transaction() as session:
        session.get_one(Operation, broken.id).params = {"wallet_id": "nobody's"}
    assert fair.world.sender().send_planned() == len(CLAIMS) - 2

    states = [row.state for row in claims(fair.world)]
    assert states.count(OperationState.PLANNED) == 2, "it and the one beside it"


@pytest.mark.parametrize("arrives", [True, False], ids=["arrived", "lost"])
def test_bunch__answer_is_lost__goes_on_with_the_same_bytes(fair: Market, arrives: bool) -> None:
    with pytest.raises(RpcUnavailable):
        fair.world.through(LosesSends(fair.world.node, arrives=arrives)).sender().send_planned()
    signed = [attempt.tx_hash for _, attempt in carriers(fair.world)]
    assert len(signed) == 3
    assert fair.world.node.pool_size() == len(signed) * arrives

    fair.world.settle(impatient=True)

    assert [attempt.tx_hash for _, attempt in carriers(fair.world)] == signed
    assert {row.state for row in claims(fair.world)} == {OperationState.FINAL}


def test_bunch__node_that_fails_at_the_third__gets_the_first_two(fair: Market) -> None:
    class Tired(CountsRequests):
        asked = 0

        def estimate_gas(
            self, to: bytes | None, data: bytes, *, sender: bytes, once: bool = False
        ) -> int:
            self.asked += 1
            if self.asked > 2:
                raise RateLimited("too many requests per second", 1.0)
            return super().estimate_gas(to, data, sender=sender, once=once)

    tired = Tired(fair.world.node)
    with pytest.raises(RateLimited):
        fair.world.through(tired).sender().send_planned()

    states = [row.state for row in claims(fair.world)]
    assert states.count(OperationState.PLANNED) == 2
    assert tired.held == [1, 1]


def test_bunch__a_pool_that_is_not_told__gets_one_after_the_other(fair: Market) -> None:
    counting = CountsRequests(fair.world.node)
    sender = fair.world.through(counting).sender()
    sender.together = 1
    assert sender.send_planned() == len(CLAIMS)
    assert counting.held == [1, 1, 1]


def test_gaps__of_a_node_that_tells_no_pool__are_not_sure(fair: Market) -> None:
    chain = fair.world.chain
    assert Gaps(fair.world.database, chain).require_none() is True

    silent = fair.world.through(TellsNoPool(fair.world.node.url, CHAIN_ID)).chain
    assert Gaps(fair.world.database, silent).require_none() is False


def test_bunch__signed_and_never_sent__is_handed_over_as_it_is(fair: Market) -> None:
    gone = Gone(fair.world.node.url, CHAIN_ID)
    with pytest.raises(ConnectionError):
        fair.world.through(gone).sender().send_planned()
    signed = [attempt.tx_hash for _, attempt in carriers(fair.world)]
    assert len(signed) == 3

    counting = CountsRequests(fair.world.node)
    fair.world.through(counting).turn(at_start=True)
    assert counting.held == [3]
    fair.world.settle()

    assert [attempt.tx_hash for _, attempt in carriers(fair.world)] == signed
    assert {row.state for row in claims(fair.world)} == {OperationState.FINAL}
