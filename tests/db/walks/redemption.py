"""The walk of a redemption: asked for, voted on, approved, frozen, funded, paid."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from registry.kernel.actor import Actor
from registry.kernel.clock import today
from registry.redemption import aborting, paying
from registry.redemption import service as redemptions
from registry.redemption.models import Redemption
from registry.valuation import service as valuations
from tests import redemptions as stages
from tests import sales
from tests.db.beginnings import after
from tests.db.walks.board import Scenario, Walk
from tests.factories import COMPLIANCE, Desk
from tests.redemptions import TREASURY, Redeeming
from tests.sales import Wrapped

_CHAINS: dict[UUID, Redeeming] = {}
YESTERDAY = timedelta(days=-1)


@after(sales.wrapped_apartment)
def requested(desk: Desk, where: Wrapped) -> Redemption:
    made = stages.requested(desk, wrapped=where)
    _CHAINS[made.redemption.id] = made
    return made.redemption


def vote(desk: Desk, redemption: Redemption, *, in_favour: bool = True) -> None:
    holder = _CHAINS[redemption.id].ledger.holders[0]
    redemptions.cast_vote(desk.session, holder.actor, redemption.id, in_favour=in_favour)


@after(requested)
def voted(desk: Desk, redemption: Redemption) -> Redemption:
    vote(desk, redemption)
    return redemption


@after(requested)
def voted_down(desk: Desk, redemption: Redemption) -> Redemption:
    vote(desk, redemption, in_favour=False)
    return redemption


def close_vote(desk: Desk, redemption: Redemption) -> None:
    redemptions.close_vote(desk.session, redemption.id)


def approve(desk: Desk, redemption: Redemption) -> None:
    stages.approve(desk, redemption)


@after(voted)
def approved(desk: Desk, redemption: Redemption) -> Redemption:
    approve(desk, redemption)
    return redemption


def reject(desk: Desk, redemption: Redemption, reason: str = "As voted.") -> None:
    redemptions.reject_redemption(desk.session, COMPLIANCE, redemption.id, reason=reason)


def reject_without_a_reason(desk: Desk, redemption: Redemption) -> None:
    reject(desk, redemption, " ")


def withdraw(desk: Desk, redemption: Redemption, who: Actor | None = None) -> None:
    who = who or _CHAINS[redemption.id].ledger.wrapped.issuer.actor
    redemptions.withdraw_redemption(desk.session, who, redemption.id, reason="Sold otherwise.")


def withdraw_for_another(desk: Desk, redemption: Redemption) -> None:
    withdraw(desk, redemption, COMPLIANCE)


def freeze(desk: Desk, redemption: Redemption) -> None:
    redemptions.freeze_cap_table(desk.session, COMPLIANCE, redemption.id)


def pause_and_freeze(desk: Desk, redemption: Redemption) -> None:
    _CHAINS[redemption.id].ledger.stand_still()
    freeze(desk, redemption)


@after(approved)
def frozen(desk: Desk, redemption: Redemption) -> Redemption:
    pause_and_freeze(desk, redemption)
    return redemption


def fund(desk: Desk, redemption: Redemption) -> None:
    stages.fund(desk, redemption)


@after(frozen)
def funded(desk: Desk, redemption: Redemption) -> Redemption:
    fund(desk, redemption)
    return redemption


def fund_short(desk: Desk, redemption: Redemption) -> None:
    stages.fund(desk, redemption, redemption.price_paisa - 1)


def abort(desk: Desk, redemption: Redemption) -> None:
    aborting.abort_redemption(desk.session, COMPLIANCE, redemption.id)


def abort_for_a_reason(desk: Desk, redemption: Redemption) -> None:
    aborting.abort_redemption(desk.session, COMPLIANCE, redemption.id, reason="It differs.")


def belie_the_record_and_abort(desk: Desk, redemption: Redemption) -> None:
    stages.belie_record(desk, _CHAINS[redemption.id])
    abort_for_a_reason(desk, redemption)


def pass_the_long_stop_and_abort(desk: Desk, redemption: Redemption) -> None:
    redemption.long_stop_on = today() + YESTERDAY
    desk.session.flush()
    abort(desk, redemption)


def pay(desk: Desk, redemption: Redemption) -> None:
    paying.start_paying(desk.session, TREASURY, redemption.id)


@after(funded)
def being_paid(desk: Desk, redemption: Redemption) -> Redemption:
    pay(desk, redemption)
    return redemption


def close(desk: Desk, redemption: Redemption) -> None:
    paying.close_payouts(desk.session, redemption.id)


def pay_all_and_close(desk: Desk, redemption: Redemption) -> None:
    stages.pay_all(desk, redemption)
    close(desk, redemption)


def outdate_the_value_and_approve(desk: Desk, redemption: Redemption) -> None:
    asset = _CHAINS[redemption.id].ledger.wrapped.asset
    accepted = valuations.accepted_valuation(desk.session, asset.id)
    assert accepted is not None
    accepted.basis_date = today() - timedelta(days=91)
    desk.session.flush()
    approve(desk, redemption)


WALK = Walk(
    machine="redemption",
    record=requested,
    scenarios=(
        Scenario(
            source="VALIDATED",
            event="vote",
            prepare=requested,
            play=vote,
            denied=close_vote,
            code="vote_open",
        ),
        Scenario(
            source="VALIDATED",
            event="reject",
            prepare=requested,
            play=reject,
            denied=reject_without_a_reason,
            code="reason_missing",
        ),
        Scenario(
            source="VALIDATED",
            event="withdraw",
            prepare=requested,
            play=withdraw,
            denied=withdraw_for_another,
            code="not_the_maker",
        ),
        Scenario(
            source="VOTED",
            event="approve",
            prepare=voted,
            play=approve,
            denied=outdate_the_value_and_approve,
            code="valuation_stale",
        ),
        Scenario(
            source="VOTED",
            event="reject",
            prepare=voted_down,
            play=reject,
            denied=reject_without_a_reason,
            code="reason_missing",
        ),
        Scenario(
            source="VOTED",
            event="withdraw",
            prepare=voted,
            play=withdraw,
            denied=withdraw_for_another,
            code="not_the_maker",
        ),
        Scenario(
            source="APPROVED",
            event="freeze",
            prepare=approved,
            play=pause_and_freeze,
            denied=freeze,
            code="token_not_paused",
        ),
        Scenario(
            source="RECORD_DATE_FROZEN",
            event="fund",
            prepare=frozen,
            play=fund,
            denied=fund_short,
            code="escrow_short",
        ),
        Scenario(
            source="RECORD_DATE_FROZEN",
            event="abort",
            prepare=frozen,
            play=pass_the_long_stop_and_abort,
            denied=abort,
            code="long_stop_ahead",
        ),
        Scenario(source="FUNDED", event="pay", prepare=funded, play=pay),
        Scenario(
            source="FUNDED",
            event="abort",
            prepare=funded,
            play=belie_the_record_and_abort,
            denied=abort_for_a_reason,
            code="record_block_stands",
        ),
        Scenario(
            source="PAYING",
            event="all_paid",
            prepare=being_paid,
            play=pay_all_and_close,
            denied=close,
            code="payouts_due",
        ),
    ),
    waits={
        (
            "REQUESTED",
            "validate",
        ): "it is validated as it is asked: test_redemption_requests.py",
        ("REQUESTED", "reject"): "nothing stays REQUESTED: asking is validated at once",
        ("VALIDATED", "no_vote_needed"): "asking goes on at once: test_redemption_requests.py",
        ("PAID", "burn"): "the chain has no burn yet; test_redemption_ends.py shows the refusal",
    },
)
