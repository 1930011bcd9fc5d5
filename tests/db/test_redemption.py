"""Redemptions: who may ask and vote, who is paid what, and what must be gone at the end."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from fractions import Fraction
from typing import Any

import pytest
from sqlmodel import col, select

from registry.asset.models import Asset, AssetState
from registry.captable.models import SyncCursor
from registry.journal.models import JournalEntry
from registry.kernel.actor import Actor, Role
from registry.kernel.clock import today
from registry.kernel.errors import Conflict
from registry.onboarding import service as onboarding
from registry.operation.models import Operation, OperationKind, OperationState
from registry.party.models import Party
from registry.reconciliation import service as reconciliation
from registry.redemption import aborting, burning, paying
from registry.redemption import service as redemptions
from registry.redemption.models import (
    PayoutState,
    Redemption,
    RedemptionKind,
    RedemptionPayout,
    RedemptionState,
)
from registry.redemption.repository import list_payouts, tally
from registry.redemption.service import terms_hash
from registry.title import service as titles
from registry.title.models import Title
from registry.tokenization import service as tokenizations
from registry.tokenization.models import TokenizationState
from registry.tokenization.mutations import cancel_title
from tests import court, deeds, ledger
from tests import factories as make
from tests import redemptions as stages
from tests.db.rows import refused_by
from tests.deeds import refusal
from tests.factories import ACTORS, CHECKER, COMPLIANCE, Buyer, Desk
from tests.redemptions import PRICE_PAISA, TREASURY, Redeeming

pytestmark = pytest.mark.db
ON_SHELF = stages.UNITS

UNVOTED = (RedemptionKind.DELIVERY, RedemptionKind.MATURITY, RedemptionKind.COURT)


def vote(desk: Desk, made: Redeeming, who: Buyer, *, in_favour: bool = True) -> None:
    redemptions.cast_vote(desk.session, who.actor, made.redemption.id, in_favour=in_favour)


def payouts(desk: Desk, made: Redeeming) -> dict[bytes, RedemptionPayout]:
    return {row.address: row for row in list_payouts(desk.session, made.redemption.id)}


def operations(desk: Desk, kind: OperationKind) -> list[Operation]:
    return list(desk.session.exec(select(Operation).where(Operation.kind == kind)))


@pytest.mark.parametrize("kind", list(RedemptionKind))
def test_request__any_kind__is_validated_at_once_and_voted_on_where_it_must(
    desk: Desk, kind: RedemptionKind
) -> None:
    made = stages.requested(desk, kind)

    waits = RedemptionState.VOTED if kind in UNVOTED else RedemptionState.VALIDATED
    assert made.redemption.state == waits
    assert tally(desk.session, made.redemption).supply_units == sum(stages.UNITS)


@pytest.mark.parametrize(
    "changes",
    [
        {"price_paisa": 0},
        {"price_basis": " "},
        {"vote_until": today() + timedelta(days=1)},
        {"vote_until": today() - timedelta(days=1)},
        dict.fromkeys(("vote_until", "record_on", "long_stop_on"), today() + timedelta(days=91)),
        {"long_stop_on": today() - timedelta(days=1)},
    ],
)
def test_request__terms_that_do_not_fit__is_refused(desk: Desk, changes: dict[str, Any]) -> None:
    chain = ledger.live(desk, 1000)

    said = refusal(
        lambda: redemptions.request_redemption(
            desk.session,
            chain.wrapped.issuer.actor,
            chain.tokenization.id,
            stages.terms(**changes),
        )
    )

    assert said == ("redemption_malformed", None)


def test_request__by_a_holder_or_a_second_time__is_refused(desk: Desk) -> None:
    made = stages.requested(desk)
    chain = made.ledger

    def ask(who: Buyer, kind: RedemptionKind = RedemptionKind.SALE) -> tuple[str, str | None]:
        return refusal(
            lambda: redemptions.request_redemption(
                desk.session, who.actor, chain.tokenization.id, stages.terms(kind)
            )
        )

    assert ask(chain.holders[0]) == ("not_the_issuer", None)
    assert ask(chain.wrapped.issuer, RedemptionKind.COURT) == ("not_the_issuer", None)
    assert ask(chain.wrapped.issuer) == ("redemption_exists", None)


def test_database__second_redemption_alive__is_refused(desk: Desk) -> None:
    made = stages.requested(desk)
    again = made.redemption.model_dump(exclude={"id", "recorded_at"})
    made.redemption.state = RedemptionState.REJECTED
    desk.session.add(Redemption(**again))
    desk.session.flush()

    refused_by(
        desk.session,
        "uq_redemption_alive",
        "UPDATE redemption SET state = 'VALIDATED' WHERE id = :id",
        id=made.redemption.id,
    )


@pytest.mark.parametrize(("units", "carried"), [((750, 250), True), ((749, 251), False)])
def test_vote__three_quarters_of_the_supply__carry_it(
    desk: Desk, units: tuple[int, int], carried: bool
) -> None:
    made = stages.requested(desk, units=units)
    vote(desk, made, made.ledger.holders[0])

    assert tally(desk.session, made.redemption).carried is carried
    decided = RedemptionState.VOTED if carried else RedemptionState.VALIDATED
    assert made.redemption.state == decided


@pytest.mark.parametrize(("units", "lost"), [((250, 750), False), ((251, 749), True)])
def test_vote__more_than_a_quarter_against__loses_it_at_once(
    desk: Desk, units: tuple[int, int], lost: bool
) -> None:
    made = stages.requested(desk, units=units)
    vote(desk, made, made.ledger.holders[0], in_favour=False)

    assert tally(desk.session, made.redemption).lost is lost
    decided = RedemptionState.VOTED if lost else RedemptionState.VALIDATED
    assert made.redemption.state == decided
    if lost:
        assert refusal(lambda: stages.approve(desk, made.redemption)) == ("vote_not_carried", None)


def test_vote__a_second_time_or_by_a_stranger__is_refused(desk: Desk) -> None:
    made = stages.requested(desk, units=(500, 500))
    first, second = made.ledger.holders
    vote(desk, made, first)

    assert refusal(lambda: vote(desk, made, first, in_favour=False)) == ("already_voted", None)
    assert refusal(lambda: vote(desk, made, make.buyer(desk))) == ("not_a_holder", None)
    vote(desk, made, second)
    assert refusal(lambda: vote(desk, made, second)) == ("vote_closed", None)


def test_vote__fractions_that_move_later__stand_behind_whoever_held_them(desk: Desk) -> None:
    made = stages.requested(desk, units=(600, 400))
    giver, taker = made.ledger.holders
    made.ledger.move(giver.wallet.address, taker.wallet.address, 600)

    vote(desk, made, taker)
    vote(desk, made, giver)

    assert tally(desk.session, made.redemption).in_favour_units == 1000


def test_close_vote__day_over_and_not_carried__can_only_be_rejected(desk: Desk) -> None:
    made = stages.requested(desk, units=(500, 500))
    vote(desk, made, made.ledger.holders[0])
    made.redemption.vote_until = today() - timedelta(days=1)
    desk.session.flush()

    assert refusal(lambda: vote(desk, made, made.ledger.holders[1])) == ("vote_closed", None)
    redemptions.close_vote(desk.session, made.redemption.id)
    assert refusal(lambda: stages.approve(desk, made.redemption)) == ("vote_not_carried", None)
    redemptions.reject_redemption(desk.session, COMPLIANCE, made.redemption.id, reason="As voted.")
    assert made.redemption.state == RedemptionState.REJECTED


def test_reject__carried__is_refused(desk: Desk) -> None:
    made = stages.requested(desk)
    vote(desk, made, made.ledger.holders[0])

    said = refusal(
        lambda: redemptions.reject_redemption(
            desk.session, COMPLIANCE, made.redemption.id, reason="I would rather not."
        )
    )

    assert said == ("vote_carried", None)
    assert made.redemption.state == RedemptionState.VOTED


@pytest.mark.parametrize("kind", [RedemptionKind.SALE, *UNVOTED])
def test_reject__that_nobody_has_carried__makes_way_for_another(
    desk: Desk, kind: RedemptionKind
) -> None:
    made = stages.requested(desk, kind)

    def reject(reason: str) -> object:
        return redemptions.reject_redemption(
            desk.session, COMPLIANCE, made.redemption.id, reason=reason
        )

    assert refusal(lambda: reject(" ")) == ("reason_missing", None)
    reject("No such asset is for sale.")

    assert made.redemption.state == RedemptionState.REJECTED
    again = redemptions.request_redemption(
        desk.session,
        COMPLIANCE,
        made.redemption.tokenization_id,
        stages.terms(RedemptionKind.COURT),
    )
    assert again.state == RedemptionState.VOTED


@pytest.mark.parametrize("kind", [RedemptionKind.SALE, RedemptionKind.MATURITY])
def test_withdraw__before_it_is_approved__is_for_whoever_asked(
    desk: Desk, kind: RedemptionKind
) -> None:
    made = stages.requested(desk, kind)

    def withdraw(who: Actor, reason: str = "The buyer has gone.") -> object:
        return redemptions.withdraw_redemption(desk.session, who, made.redemption.id, reason=reason)

    issuer = made.ledger.wrapped.issuer.actor
    assert refusal(lambda: withdraw(COMPLIANCE)) == ("not_the_maker", None)
    assert refusal(lambda: withdraw(issuer, " ")) == ("reason_missing", None)
    withdraw(issuer)

    assert made.redemption.state == RedemptionState.ABORTED
    assert made.ledger.tokenization.state == TokenizationState.LIVE


def test_withdraw__carried_or_approved__only_before_the_approval(desk: Desk) -> None:
    made = stages.voted(desk)
    issuer = made.ledger.wrapped.issuer.actor

    def withdraw() -> object:
        return redemptions.withdraw_redemption(
            desk.session, issuer, made.redemption.id, reason="Sold otherwise."
        )

    with desk.session.begin_nested() as attempt:
        stages.approve_first(desk, made.redemption)
        withdraw()
        assert {made.redemption.state} == {RedemptionState.ABORTED}
        attempt.rollback()
    stages.approve(desk, made.redemption)
    assert refusal(withdraw) == ("transition_refused", None)


def test_approve__by_whoever_asked__is_refused(desk: Desk) -> None:
    made = stages.requested(desk, RedemptionKind.COURT)

    said = refusal(lambda: stages.approve_first(desk, made.redemption))

    assert said == ("checker_is_maker", "APR-01")


def test_approve__by_two_people__pauses_the_token(desk: Desk) -> None:
    made = stages.voted(desk)
    assert refusal(lambda: stages.approve_last(desk, made.redemption)) == (
        "approvals_missing",
        None,
    )
    stages.approve(desk, made.redemption)

    assert made.ledger.tokenization.state == TokenizationState.PAUSED
    [pause] = operations(desk, OperationKind.PAUSE)
    assert pause.subject_id == str(made.ledger.tokenization.id)


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


def test_close_payouts__that_do_not_make_the_funds__is_red_01(desk: Desk) -> None:
    made = stages.being_paid(desk)
    stages.pay_all(desk, made.redemption)
    next(iter(payouts(desk, made).values())).amount_paisa -= 1
    desk.session.flush()

    said = refusal(lambda: paying.close_payouts(desk.session, made.redemption.id))

    assert said == ("payouts_do_not_sum", "RED-01")


def test_abort__after_the_long_stop__lets_the_token_live_on(desk: Desk) -> None:
    made = _past_its_long_stop(stages.frozen(desk))
    aborting.abort_redemption(desk.session, COMPLIANCE, made.redemption.id)

    assert made.redemption.state == RedemptionState.ABORTED
    assert made.ledger.tokenization.state == TokenizationState.LIVE
    [unpause] = operations(desk, OperationKind.UNPAUSE)
    assert unpause.subject_id == str(made.ledger.tokenization.id)


def test_abort__asset_suspended_meanwhile__leaves_the_token_paused(desk: Desk) -> None:
    made = _past_its_long_stop(stages.frozen(desk))
    court.apply(desk, court.on_asset(desk, made.ledger.wrapped.asset))
    aborting.abort_redemption(desk.session, COMPLIANCE, made.redemption.id)

    assert made.ledger.tokenization.state == TokenizationState.PAUSED
    assert operations(desk, OperationKind.UNPAUSE) == []


def test_abort__paused_before_by_somebody__leaves_it_to_the_two_who_open(desk: Desk) -> None:
    made = stages.voted(desk)
    chain = made.ledger
    tokenizations.pause_token(desk.session, COMPLIANCE, chain.tokenization.id, reason="Looked into")
    stages.approve(desk, made.redemption)
    stages.freeze(desk, made)
    aborting.abort_redemption(desk.session, COMPLIANCE, _past_its_long_stop(made).redemption.id)

    assert chain.tokenization.state == TokenizationState.PAUSED
    assert operations(desk, OperationKind.UNPAUSE) == []


def test_abort__break_opened_meanwhile__leaves_the_token_paused(desk: Desk) -> None:
    made = _past_its_long_stop(stages.frozen(desk))
    made.ledger.freeze(made.ledger.holders[0].wallet.address)
    reconciliation.run_checks(desk.session, made.ledger.tokenization.id)
    aborting.abort_redemption(desk.session, COMPLIANCE, made.redemption.id)

    assert made.ledger.tokenization.state == TokenizationState.PAUSED
    assert operations(desk, OperationKind.UNPAUSE) == []


def _past_its_long_stop(made: Redeeming) -> Redeeming:
    made.redemption.long_stop_on = today() - timedelta(days=1)
    return made


def test_settle__step_by_step__wants_supply_asset_and_title_gone(desk: Desk) -> None:
    made = stages.paid(desk)
    chain, redemption = made.ledger, made.redemption
    asset = chain.wrapped.asset

    def settle() -> Redemption:
        return paying.settle_redemption(desk.session, redemption.id)

    def end() -> object:
        return paying.end_token(desk.session, redemption.id)

    assert refusal(settle) == ("supply_not_burned", None)
    assert refusal(end) == ("supply_not_as_expected", "TOK-02")
    for who, units in zip(chain.holders, stages.UNITS, strict=True):
        chain.burn(who.wallet.address, units)
    end()
    assert chain.tokenization.state == TokenizationState.BURNED
    assert refusal(settle) == ("asset_not_retired", None)
    title = titles.title_of_asset(desk.session, asset.id)
    with desk.session.begin_nested() as attempt:
        retire(desk, title, asset)
        assert refusal(settle) == ("title_in_wrapper", None)
        attempt.rollback()
    vehicle = desk.session.get_one(Party, chain.wrapped.issuer.investor.party_id)
    deeds.passed(desk, title, deeds.sale(vehicle, make.person(desk), Fraction(1)))
    retire(desk, title, asset)
    settle()

    assert asset.state == AssetState.RETIRED
    assert redemption.state == RedemptionState.SETTLED


def test_end__last_burn_that_may_be_undone__waits_until_it_is_final(desk: Desk) -> None:
    made = stages.paid(desk)
    made.ledger.finalize()
    for who, units in zip(made.ledger.holders, stages.UNITS, strict=True):
        made.ledger.burn(who.wallet.address, units)

    def end() -> None:
        burning.end_burned(desk.session, made.redemption.id)

    assert burning.due_endings(desk.session) == []
    with desk.session.begin_nested() as attempt:
        assert refusal(end) == ("supply_not_as_expected", "TOK-02")
        attempt.rollback()
    made.ledger.finalize()
    assert burning.due_endings(desk.session) == [made.redemption.id]
    end()
    assert made.ledger.tokenization.state == TokenizationState.BURNED


def retire(desk: Desk, title: Title, asset: Asset) -> None:
    cancel_title(desk.session, CHECKER, title.id, order_document_id=None, reason="Sold.")
    onboarding.retire_asset(desk.session, CHECKER, asset.id, reason="Sold.")


Act = Callable[[Desk, Redeeming], object]


@pytest.mark.parametrize(
    ("stage", "act"),
    [
        (stages.voted, lambda desk, made: stages.fund(desk, made.redemption)),
        (stages.frozen, lambda desk, made: stages.approve_first(desk, made.redemption)),
        (stages.funded, lambda desk, made: stages.fund(desk, made.redemption)),
        (stages.requested, lambda desk, made: stages.approve_first(desk, made.redemption)),
    ],
)
def test_redemption__in_another_state__is_refused(
    desk: Desk, stage: Callable[[Desk], Redeeming], act: Act
) -> None:
    made = stage(desk)
    before = made.redemption.state

    assert refusal(lambda: act(desk, made)) == ("transition_refused", None)
    assert made.redemption.state == before


def test_fund__by_compliance__is_forbidden(desk: Desk) -> None:
    made = stages.frozen(desk)

    said = refusal(
        lambda: paying.fund_redemption(
            desk.session,
            ACTORS[Role.COMPLIANCE],
            made.redemption.id,
            escrow_paisa=PRICE_PAISA,
            reference="ESC-1",
        )
    )

    assert said == ("transition_forbidden", None)


def test_freeze__act_of_a_case_on_its_way__waits_for_it(desk: Desk) -> None:
    made = stages.approved(desk)
    made.ledger.stand_still()
    acting = Operation(
        kind=OperationKind.CASE_ACT,
        key="case_act:on its way",
        subject_kind="case",
        subject_id="another",
        requested_by="sql",
        params={"tokenization_id": str(made.ledger.tokenization.id)},
    )
    desk.session.add(acting)
    desk.session.flush()

    with pytest.raises(Conflict, match="case_under_way"), desk.session.begin_nested():
        redemptions.freeze_cap_table(desk.session, COMPLIANCE, made.redemption.id)
    acting.state = OperationState.FINAL
    desk.session.flush()
    redemptions.freeze_cap_table(desk.session, COMPLIANCE, made.redemption.id)
