"""Nothing is paid by a cap table that is not to be relied on."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlmodel import Session

from registry.captable import degraded
from registry.captable.models import ProofRound, SyncCursor
from registry.captable.supply import is_gone
from registry.kernel.clock import now
from registry.kernel.errors import Conflict, Unavailable
from registry.reconciliation.proofs import require_proven
from registry.redemption import paying
from registry.redemption import service as redemptions
from registry.redemption.models import PayoutState
from registry.redemption.repository import list_payouts
from tests import ledger
from tests import redemptions as stages
from tests.factories import COMPLIANCE, Desk
from tests.ledger import Ledger
from tests.redemptions import TREASURY, UNITS

pytestmark = pytest.mark.db


def lose_final_blocks(session: Session, chain: Ledger) -> None:
    """Take two blocks back of which the newest was final, as the indexer would tell it."""
    cursor = session.get_one(SyncCursor, chain.chain_id)
    cursor.finalized_number, cursor.finalized_hash = cursor.number, cursor.hash
    session.add(cursor)
    ancestor = chain.block(cursor.number - 2)
    degraded.note_taken_back(session, chain.chain_id, cursor, ancestor, is_reset=False)


def find_difference(desk: Desk, chain: Ledger) -> None:
    """Raise the alarm of a difference, as the reconciler does."""
    ledger.differ(desk, chain)
    differing = degraded.list_differing(desk.session, chain.chain_id, foreign=False)
    reason = degraded.difference_of(differing)
    degraded.degrade(desk.session, chain.chain_id, reason, is_of_chain=False)


def sweep(desk: Desk, chain: Ledger) -> None:
    """End a round of the sweep over the token, without a proof of its own."""
    token_no = chain.token.token_no
    assert token_no is not None
    desk.session.merge(ProofRound(token_no=token_no, begun_at=now(), ended_at=now()))
    desk.session.flush()


def prove_everything(desk: Desk, chain: Ledger) -> None:
    """Prove the token as a whole, as the sweep would, which lifts the alarm."""
    ledger.prove(desk, chain)
    sweep(desk, chain)
    assert degraded.lift(desk.session, chain.chain_id)


def refused(act: Callable[[], object]) -> str:
    with pytest.raises(Unavailable) as refusal:
        act()
    return refusal.value.code


def test_pay__final_blocks_left_the_chain__is_stopped_until_all_is_proven(desk: Desk) -> None:
    made = stages.funded(desk)

    def start() -> object:
        return paying.start_paying(desk.session, TREASURY, made.redemption.id)

    lose_final_blocks(desk.session, made.ledger)
    assert refused(start) == "cap_table_degraded"
    ledger.prove(desk, made.ledger)
    assert not degraded.lift(desk.session, made.ledger.chain_id)
    assert refused(start) == "cap_table_degraded"
    prove_everything(desk, made.ledger)
    start()

    payout = list_payouts(desk.session, made.redemption.id)[0]

    def pay() -> object:
        return paying.record_payout(desk.session, TREASURY, payout.id, rail_reference="R-1")

    lose_final_blocks(desk.session, made.ledger)
    assert refused(pay) == "cap_table_degraded"
    assert {payout.state} == {PayoutState.DUE}
    prove_everything(desk, made.ledger)
    pay()
    desk.session.refresh(payout)
    assert {payout.state} == {PayoutState.PAID}


def test_freeze__final_blocks_left_the_chain__is_no_record(desk: Desk) -> None:
    made = stages.approved(desk)
    made.ledger.pause()
    lose_final_blocks(desk.session, made.ledger)

    def freeze() -> object:
        return redemptions.freeze_cap_table(desk.session, COMPLIANCE, made.redemption.id)

    assert refused(freeze) == "cap_table_degraded"


def test_pay__token_is_read_again__is_stopped_and_the_alarm_stays(desk: Desk) -> None:
    made = stages.funded(desk)
    lose_final_blocks(desk.session, made.ledger)
    ledger.prove(desk, made.ledger)
    token = made.ledger.token
    token.caught_up_to = 1
    desk.session.add(token)
    desk.session.flush()

    assert not degraded.lift(desk.session, made.ledger.chain_id)
    with pytest.raises(Unavailable, match="token_catching_up"):
        paying.start_paying(desk.session, TREASURY, made.redemption.id)


def test_pay__another_token_differs__goes_on_and_that_one_is_stopped(desk: Desk) -> None:
    made = stages.funded(desk)
    other = ledger.live_beside(made.ledger, *UNITS)

    find_difference(desk, other)

    cursor = desk.session.get_one(SyncCursor, made.ledger.chain_id)
    assert other.address.hex() in (cursor.degraded or "")
    paying.start_paying(desk.session, TREASURY, made.redemption.id)
    payout = list_payouts(desk.session, made.redemption.id)[0]
    paying.record_payout(desk.session, TREASURY, payout.id, rail_reference="R-1")
    assert payout.state == PayoutState.PAID
    with pytest.raises(Conflict, match="cap_table_differs"):
        require_proven(desk.session, other.tokenization)


def test_pay__another_differs_while_the_chain_is_in_doubt__waits_for_the_chain_only(
    desk: Desk,
) -> None:
    made = stages.funded(desk)
    other = ledger.live_beside(made.ledger, *UNITS)

    def start() -> object:
        return paying.start_paying(desk.session, TREASURY, made.redemption.id)

    lose_final_blocks(desk.session, made.ledger)
    find_difference(desk, other)
    assert refused(start) == "cap_table_degraded"
    ledger.prove(desk, made.ledger)
    sweep(desk, made.ledger)
    assert not degraded.lift(desk.session, made.ledger.chain_id)
    assert refused(start) == "cap_table_degraded"
    sweep(desk, other)

    # The alarm stays, for the other one; it is all that does.
    assert not degraded.lift(desk.session, made.ledger.chain_id)
    start()
    with pytest.raises(Conflict, match="cap_table_differs"):
        require_proven(desk.session, other.tokenization)


def test_pay__the_same_fault_of_the_chain_again_while_another_differs__is_stopped_again(
    desk: Desk,
) -> None:
    made = stages.funded(desk)
    other = ledger.live_beside(made.ledger, *UNITS)
    ledger.differ(desk, other)
    for chain in (made.ledger, other):
        sweep(desk, chain)
    ledger.prove(desk, made.ledger)
    why = "the node serves chain 5 instead of 1"
    degraded.degrade(desk.session, made.ledger.chain_id, why)
    for chain in (made.ledger, other):
        sweep(desk, chain)
    assert not degraded.lift(desk.session, made.ledger.chain_id)
    require_proven(desk.session, made.ledger.tokenization)

    degraded.degrade(desk.session, made.ledger.chain_id, why)

    with pytest.raises(Unavailable, match="cap_table_degraded"):
        require_proven(desk.session, made.ledger.tokenization)


def test_pay__token_was_read_again_for_its_sum__waits_until_it_is_proven_as_a_whole(
    desk: Desk,
) -> None:
    made = stages.funded(desk)
    ledger.prove(desk, made.ledger)
    token = made.ledger.token
    token.doubted_since = now()
    desk.session.add(token)
    why = "holders have 1 unit more than the supply; it is read again"
    degraded.degrade(desk.session, made.ledger.chain_id, why, is_of_chain=False)
    other = ledger.live_beside(made.ledger, *UNITS)

    # Its newest proof is from before.
    with pytest.raises(Unavailable, match="cap_table_degraded"):
        require_proven(desk.session, made.ledger.tokenization)
    require_proven(desk.session, other.tokenization)
    sweep(desk, made.ledger)
    assert not degraded.lift(desk.session, made.ledger.chain_id)
    require_proven(desk.session, made.ledger.tokenization)


def test_gone__another_token_differs__is_gone_all_the_same(desk: Desk) -> None:
    chain = ledger.live(desk, *UNITS)
    other = ledger.live_beside(chain, *UNITS)
    for holder, units in zip(chain.holders, UNITS, strict=True):
        chain.burn(holder.wallet.address, units)
    chain.finalize()
    find_difference(desk, other)

    assert is_gone(desk.session, chain.token)
    ledger.differ(desk, chain)
    assert not is_gone(desk.session, chain.token)
    ledger.prove(desk, chain)
    degraded.degrade(desk.session, chain.chain_id, "blocks that were final left the chain")
    assert not is_gone(desk.session, chain.token)
