"""Asking for a redemption: what must fit, who votes, who approves, and who takes it back."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from registry.kernel.actor import Actor
from registry.kernel.clock import today
from registry.operation.models import OperationKind
from registry.redemption import service as redemptions
from registry.redemption.models import (
    Redemption,
    RedemptionKind,
    RedemptionState,
)
from registry.redemption.repository import tally
from registry.tokenization.models import TokenizationState
from tests import factories as make
from tests import ledger
from tests import redemptions as stages
from tests.db.rows import refused_by
from tests.deeds import refusal
from tests.factories import COMPLIANCE, Buyer, Desk
from tests.redemptions import Redeeming

pytestmark = pytest.mark.db
UNVOTED = (RedemptionKind.DELIVERY, RedemptionKind.MATURITY, RedemptionKind.COURT)


def vote(desk: Desk, made: Redeeming, who: Buyer, *, in_favour: bool = True) -> None:
    redemptions.cast_vote(desk.session, who.actor, made.redemption.id, in_favour=in_favour)


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
    [pause] = stages.operations(desk, OperationKind.PAUSE)
    assert pause.subject_id == str(made.ledger.tokenization.id)
