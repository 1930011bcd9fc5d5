"""Who is paid: the record of a token's holders, what is funded, and each payout."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from sqlmodel import col, select

from registry.captable.models import SyncCursor
from registry.journal.models import JournalEntry
from registry.kernel.errors import Conflict
from registry.redemption import aborting, paying
from registry.redemption import service as redemptions
from registry.redemption.models import (
    PayoutState,
    Redemption,
    RedemptionKind,
    RedemptionPayout,
    RedemptionState,
)
from registry.redemption.repository import list_payouts
from registry.redemption.service import terms_hash
from registry.tokenization.models import TokenizationState
from tests import court, ledger
from tests import redemptions as stages
from tests.deeds import refusal
from tests.factories import COMPLIANCE, Desk
from tests.redemptions import PRICE_PAISA, TREASURY, Redeeming

pytestmark = pytest.mark.db


def payouts(desk: Desk, made: Redeeming) -> dict[bytes, RedemptionPayout]:
    return {row.address: row for row in list_payouts(desk.session, made.redemption.id)}


def test_freeze__cap_table__is_who_held_what_at_the_record_block(desk: Desk) -> None:
    made = stages.frozen(desk)

    held = {row.address: int(row.units) for row in payouts(desk, made).values()}
    holders = made.ledger.holders
    assert held == dict(zip((who.wallet.address for who in holders), stages.UNITS, strict=True))
    assert made.redemption.cap_table_hash is not None
    assert made.ledger.tokenization.state == TokenizationState.REDEEMING


def test_freeze__pause_that_is_not_final_or_was_undone__is_no_record(desk: Desk) -> None:
    """A reorg may bring a transfer before the pause, while no block that has it is final."""
    made = stages.approved(desk)
    made.ledger.finalize()
    first, second, _ = (who.wallet.address for who in made.ledger.holders)

    def freeze() -> Redemption:
        return redemptions.freeze_cap_table(desk.session, COMPLIANCE, made.redemption.id)

    def wait() -> None:
        with pytest.raises(Conflict, match="token_not_paused"), desk.session.begin_nested():
            freeze()

    made.ledger.pause()
    wait()
    made.ledger.finalize()
    made.ledger.unpause()
    made.ledger.move(first, second, 50)
    made.ledger.pause()
    wait()
    made.ledger.finalize()
    made.ledger.move(first, second, 50)  # a forced act moves what is paused
    wait()
    made.ledger.finalize()
    record_block = desk.session.get_one(SyncCursor, made.ledger.chain_id).number
    made.ledger.freeze(first)
    freeze()

    assert made.redemption.record_block == record_block
    assert {row.address: int(row.units) for row in payouts(desk, made).values()}[first] == 650


def test_pay__record_block_that_says_otherwise_now__is_refused(desk: Desk) -> None:
    made = stages.funded(desk)
    stages.belie_record(desk, made)

    def pay() -> Redemption:
        return paying.start_paying(desk.session, TREASURY, made.redemption.id)

    assert refusal(pay) == ("record_block_differs", None)
    assert made.redemption.state == RedemptionState.FUNDED


def test_fund__record_block_that_says_otherwise_now__is_refused(desk: Desk) -> None:
    made = stages.frozen(desk)
    stages.belie_record(desk, made)

    assert refusal(lambda: stages.fund(desk, made.redemption)) == ("record_block_differs", None)
    assert made.redemption.state == RedemptionState.RECORD_DATE_FROZEN


def test_abort__funded_and_its_record_block_differs__gives_the_escrow_back(desk: Desk) -> None:
    made = stages.funded(desk)
    redemption = made.redemption

    def abort(reason: str = "It would pay others.") -> Redemption:
        return aborting.abort_redemption(desk.session, COMPLIANCE, redemption.id, reason=reason)

    assert refusal(abort) == ("record_block_stands", None)
    stages.belie_record(desk, made)
    assert refusal(lambda: abort(" ")) == ("reason_missing", None)
    assert redemption.state == RedemptionState.FUNDED
    abort()

    assert (redemption.state, redemption.funded_paisa) == (RedemptionState.ABORTED, 0)
    assert {payout.amount_paisa for payout in payouts(desk, made).values()} == {0}
    assert made.ledger.tokenization.state == TokenizationState.LIVE
    [entry] = desk.session.exec(
        select(JournalEntry).where(col(JournalEntry.act) == "redemption_abort")
    ).all()
    assert entry.facts["escrow_refund_paisa"] == str(stages.PRICE_PAISA)
    assert entry.facts["escrow_reference"] == "ESC-1"
    again = redemptions.request_redemption(
        desk.session, made.ledger.wrapped.issuer.actor, made.ledger.tokenization.id, stages.terms()
    )
    assert again.state == RedemptionState.VALIDATED


def test_fund__price_that_does_not_divide__is_allotted_to_the_last_paisa(desk: Desk) -> None:
    made = stages.funded(desk, units=(751, 150, 99), price_paisa=1_000_001)

    amounts = {row.units: row.amount_paisa for row in payouts(desk, made).values()}
    assert sum(amounts.values()) == made.redemption.funded_paisa == 1_000_001
    for units, paisa in amounts.items():
        assert abs(paisa - Fraction(1_000_001 * int(units), 1000)) < 1


def test_fund__costs__are_voted_on_with_the_price_and_not_allotted(desk: Desk) -> None:
    made = stages.frozen(desk, units=(751, 150, 99), price_paisa=1_000_001, costs_paisa=33_334)
    redemption = made.redemption
    before = terms_hash(redemption)
    redemption.costs_paisa = 33_335
    assert terms_hash(redemption) != before, "the approvals are of these costs"
    redemption.costs_paisa = 33_334

    net = 1_000_001 - 33_334
    short = refusal(lambda: stages.fund(desk, redemption, net - 1))
    assert short == ("escrow_short", "RED-01")
    stages.fund(desk, redemption, net)
    amounts = {row.units: row.amount_paisa for row in payouts(desk, made).values()}
    assert sum(amounts.values()) == redemption.funded_paisa == net
    for units, paisa in amounts.items():
        assert abs(paisa - Fraction(net * int(units), 1000)) < 1


@pytest.mark.parametrize(
    ("kind", "price_paisa", "costs_paisa"),
    [
        (RedemptionKind.SALE, 100, 100),
        (RedemptionKind.MATURITY, 100, 101),
        (RedemptionKind.DELIVERY, 0, 1),
    ],
)
def test_request__costs_that_leave_nothing__are_refused(
    desk: Desk, kind: RedemptionKind, price_paisa: int, costs_paisa: int
) -> None:
    said: dict[str, Any] = {"price_paisa": price_paisa, "costs_paisa": costs_paisa}
    refused = refusal(lambda: stages.requested(desk, kind, **said))
    assert refused == ("redemption_malformed", None)


def test_fund__one_paisa_short_or_unnamed__is_refused(desk: Desk) -> None:
    made = stages.frozen(desk)

    def fund(paisa: int, reference: str) -> tuple[str, str | None]:
        return refusal(
            lambda: paying.fund_redemption(
                desk.session,
                TREASURY,
                made.redemption.id,
                escrow_paisa=paisa,
                reference=reference,
            )
        )

    assert fund(PRICE_PAISA - 1, "ESC-1") == ("escrow_short", "RED-01")
    assert fund(PRICE_PAISA, " ") == ("escrow_unnamed", None)
    assert {row.amount_paisa for row in payouts(desk, made).values()} == {0}


def test_pay__holders_under_an_order_or_unknown__are_held_and_sum_with_the_paid(
    desk: Desk,
) -> None:
    chain = ledger.live(desk, 600, 200, 100, 100)
    free, bound, frozen, stranger = (who.wallet for who in chain.holders)
    court.apply(desk, court.on_wallet(desk, bound.address))
    chain.freeze_units(frozen.address, 1)
    made = stages.freeze(desk, stages.maturing(desk, chain))
    payout = payouts(desk, made)[stranger.address]
    payout.party_id = None
    stages.fund(desk, made.redemption)
    paying.start_paying(desk.session, TREASURY, made.redemption.id)

    found = payouts(desk, made)
    assert {where: row.reason for where, row in found.items() if row.state == PayoutState.HELD} == {
        bound.address: "an order binds the holder",
        frozen.address: "fractions are frozen on chain",
        stranger.address: "nobody has proven the address",
    }
    paying.record_payout(desk.session, TREASURY, found[free.address].id, rail_reference="R-1")
    paying.close_payouts(desk.session, made.redemption.id)
    assert made.redemption.state == RedemptionState.PAID
    assert sum(row.amount_paisa for row in found.values()) == PRICE_PAISA


def test_pay__reference_of_another_transfer__is_refused(desk: Desk) -> None:
    made = stages.being_paid(desk)
    first, second, *_ = payouts(desk, made).values()
    paying.record_payout(desk.session, TREASURY, first.id, rail_reference="R-1")

    def pay() -> object:
        return paying.record_payout(desk.session, TREASURY, second.id, rail_reference="R-1")

    assert refusal(pay) == ("payout_reference_reused", None)
    assert second.state == PayoutState.DUE


def test_pay__cap_table_that_differs_from_the_chain__is_not_paid_by_until_proven(
    desk: Desk,
) -> None:
    made = stages.funded(desk)

    def start() -> object:
        return paying.start_paying(desk.session, TREASURY, made.redemption.id)

    ledger.differ(desk, made.ledger)
    assert refusal(start) == ("cap_table_differs", "TOK-08")
    ledger.prove(desk, made.ledger)
    start()

    payout = payouts(desk, made)[made.ledger.holders[0].wallet.address]

    def pay() -> object:
        return paying.record_payout(desk.session, TREASURY, payout.id, rail_reference="R-1")

    ledger.differ(desk, made.ledger)
    assert refusal(pay) == ("cap_table_differs", "TOK-08")
    assert {payout.state} == {PayoutState.DUE}
    ledger.prove(desk, made.ledger)
    pay()
    assert payout.state == PayoutState.PAID


def test_freeze__cap_table_that_differs_from_the_chain__is_no_record(desk: Desk) -> None:
    made = stages.approved(desk)
    made.ledger.pause()
    ledger.differ(desk, made.ledger)

    def freeze() -> object:
        return redemptions.freeze_cap_table(desk.session, COMPLIANCE, made.redemption.id)

    assert refusal(freeze) == ("cap_table_differs", "TOK-08")


def test_payout__order_that_comes_meanwhile__is_not_paid(desk: Desk) -> None:
    made = stages.being_paid(desk)
    who = made.ledger.holders[0]
    payout = payouts(desk, made)[who.wallet.address]
    court.apply(desk, court.on_wallet(desk, who.wallet.address))

    def pay() -> object:
        return paying.record_payout(desk.session, TREASURY, payout.id, rail_reference="R-1")

    assert refusal(pay) == ("party_under_order", None)
    assert refusal(lambda: paying.hold_payout(desk.session, TREASURY, payout.id, reason=" ")) == (
        "reason_missing",
        None,
    )
    paying.hold_payout(desk.session, TREASURY, payout.id, reason="Order of the court")
    assert refusal(pay) == ("payout_held_by_person", None)
    again = refusal(lambda: paying.hold_payout(desk.session, TREASURY, payout.id, reason="Twice"))
    assert again == ("payout_settled", None)


def test_payout__before_paying_or_twice__is_refused(desk: Desk) -> None:
    made = stages.funded(desk)
    payout = payouts(desk, made)[made.ledger.holders[0].wallet.address]

    def pay() -> object:
        return paying.record_payout(desk.session, TREASURY, payout.id, rail_reference="R-1")

    assert refusal(pay) == ("redemption_not_paying", None)
    paying.start_paying(desk.session, TREASURY, made.redemption.id)
    pay()
    assert refusal(pay) == ("payout_settled", None)
