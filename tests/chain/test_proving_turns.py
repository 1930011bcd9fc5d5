"""A turn of the proving comes to an end, whatever happens to a token while it is proven."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from sqlmodel import Session, col, select

from chain.errors import ChainError, NoQuorum, RpcInconsistent
from chain.node.answers import Block
from chain.node.client import ChainClient
from chain.proving.reconciler import Reconciler
from chain.sync.catch_up import CatchUp
from registry.captable import catching_up, rounds
from registry.captable.degraded import degrade
from registry.captable.models import ProofRound, Reconciliation, Token
from registry.captable.refusals import refuse
from tests.chain.nodes import CHAIN_ID
from tests.chain.suite import Suite, count, cursor_of
from tests.chain.test_reconciler import drained, held, run

__all__ = ["held"]

pytestmark = pytest.mark.chain

MOST_CALLS = 50


@pytest.fixture
def other(held: Suite) -> Suite:
    """Another token; both were proven, and have changed since."""
    found = held.deploy("second")
    found.register(0, 40)
    held.index()
    drained(Reconciler(held.world.database, held.world.client))
    for each in (held, found):
        each.mint(0, 5)
    held.index()
    return found


class Interrupted(ChainClient):
    """A node at whose first answer something happens beside it."""

    happens: Callable[[], object] = staticmethod(lambda: None)
    calls = 0

    def request(self, method: str, *params: Any) -> Any:
        if method == "eth_call":
            self.calls += 1
            assert self.calls < MOST_CALLS, "the turn does not come to an end"
            if self.calls == 1:
                self.happens()
        return super().request(method, *params)


def refused(session: Session, token: Token) -> None:
    refuse(session, token, "it moved what cannot be", at=token.block_number)


def set_apart(session: Session, token: Token) -> None:
    catching_up.set_apart(session, CHAIN_ID, [token.address], after=token.block_number)


def proven(suite: Suite) -> set[bytes]:
    """Name the tokens that are proven at the newest block."""
    database = suite.world.database
    with database.reading() as session:
        query = (
            select(Token.address)
            .join(Reconciliation, col(Reconciliation.token_no) == col(Token.token_no))
            .where(col(Reconciliation.block_number) == cursor_of(database).number)
        )
        return set(session.exec(query).all())


@pytest.mark.parametrize("happens", [refused, set_apart])
def test_reconcile__token_is_left_out_while_it_is_proven__the_others_are_proven(
    held: Suite, other: Suite, happens: Callable[[Session, Token], None]
) -> None:
    def leave_out() -> None:
        with held.world.database.transaction() as session:
            token = session.exec(select(Token).where(col(Token.address) == held.token)).one()
            happens(session, token)

    client = Interrupted(held.world.node.url, CHAIN_ID)
    client.happens = leave_out

    assert Reconciler(held.world.database, client).reconcile_due()

    assert proven(held) == {other.token}


def test_reconcile__token_is_read_again_while_a_slice_is_proven__counts_for_nothing(
    held: Suite,
) -> None:
    database = held.world.database
    drained(Reconciler(database, held.world.client))
    # Half of a round was swept before.
    run(database, "UPDATE proof_round SET ended_at = NULL, after_holder = 1")

    def read_again() -> None:
        with database.transaction() as session:
            token = session.exec(select(Token).where(col(Token.address) == held.token)).one()
            degrade(session, CHAIN_ID, "it is read again")
            catching_up.begin_again(session, token, after=token.block_number - 1)
        behind = CatchUp(database, held.world.client)
        while behind.advance():
            pass

    client = Interrupted(held.world.node.url, CHAIN_ID)
    client.happens = read_again

    assert not Reconciler(database, client).reconcile_due()

    assert count(database, ProofRound) == 0
    assert cursor_of(database).degraded is not None
    drained(Reconciler(database, held.world.client))
    assert count(database, ProofRound, col(ProofRound.ended_at).is_not(None)) == 1
    assert cursor_of(database).degraded is None


@pytest.mark.parametrize("begins_anew", [False, True])
def test_advance__round_does_not_stand_where_the_slice_begins__notes_nothing(
    held: Suite, begins_anew: bool
) -> None:
    with held.world.database.transaction() as session:
        token_no = session.exec(select(Token.token_no)).one()
        assert token_no is not None
        if begins_anew:
            rounds.advance(session, token_no, rounds.FIRST, 3, is_last=False)

        rounds.advance(session, token_no, 5, 9, is_last=True)

        found = session.get(ProofRound, token_no)
        assert (found and (found.after_holder, found.ended_at)) == (
            (3, None) if begins_anew else None
        )


@pytest.mark.parametrize(
    "fault",
    [
        RpcInconsistent("the node answers nonsense"),
        NoQuorum("nodes_disagree", "The nodes disagree about eth_call of a block: 1 against 2."),
    ],
)
def test_reconcile__nobody_can_be_believed_of_one_token__the_others_are_proven_and_it_is_raised(
    held: Suite, other: Suite, fault: ChainError
) -> None:
    def contradict() -> None:
        raise fault

    client = Interrupted(held.world.node.url, CHAIN_ID)
    client.happens = contradict
    reconciler = Reconciler(held.world.database, client)

    with pytest.raises(type(fault)):
        reconciler.reconcile_due()

    assert proven(held) == {other.token}
    reconciler.reconcile_due()
    assert proven(held) == {held.token, other.token}


class Divided(Interrupted):
    """Nodes that agree on no block any more, once they were asked of a token."""

    def head(self) -> Block:
        if self.calls:
            raise NoQuorum("nodes_disagree", "The nodes disagree about block 9: none has it.")
        return super().head()


def test_reconcile__nodes_do_not_agree_on_the_chain__no_other_token_is_asked_about(
    held: Suite, other: Suite
) -> None:
    def contradict() -> None:
        raise NoQuorum("too_few_nodes", "eth_call of a block: only 1 nodes answered.")

    client = Divided(held.world.node.url, CHAIN_ID)
    client.happens = contradict

    with pytest.raises(NoQuorum, match="disagree about block 9"):
        Reconciler(held.world.database, client).reconcile_due()

    assert client.calls == 1
    assert proven(held) == set()


def test_reconcile__told_to_stop__ends_after_the_proof_under_way(held: Suite, other: Suite) -> None:
    stop = threading.Event()
    client = Interrupted(held.world.node.url, CHAIN_ID)
    client.happens = stop.set

    assert Reconciler(held.world.database, client, stop=stop).reconcile_due() == 1

    assert proven(held) == {held.token} != {other.token}
