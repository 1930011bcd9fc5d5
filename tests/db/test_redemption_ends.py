"""How a redemption ends: settled, aborted after its long stop, or refused in its state."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from fractions import Fraction

import pytest

from registry.asset.models import Asset, AssetState
from registry.kernel.actor import Role
from registry.kernel.clock import today
from registry.kernel.errors import Conflict
from registry.onboarding import service as onboarding
from registry.operation.models import Operation, OperationKind, OperationState
from registry.party.models import Party
from registry.reconciliation import service as reconciliation
from registry.redemption import aborting, burning, paying
from registry.redemption import service as redemptions
from registry.redemption.models import (
    Redemption,
    RedemptionPayout,
    RedemptionState,
)
from registry.redemption.repository import list_payouts
from registry.title import service as titles
from registry.title.models import Title
from registry.tokenization import service as tokenizations
from registry.tokenization.models import TokenizationState
from registry.tokenization.mutations import cancel_title
from tests import court, deeds
from tests import factories as make
from tests import redemptions as stages
from tests.deeds import refusal
from tests.factories import ACTORS, CHECKER, COMPLIANCE, Desk
from tests.redemptions import PRICE_PAISA, Redeeming

pytestmark = pytest.mark.db


def payouts(desk: Desk, made: Redeeming) -> dict[bytes, RedemptionPayout]:
    return {row.address: row for row in list_payouts(desk.session, made.redemption.id)}


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
    [unpause] = stages.operations(desk, OperationKind.UNPAUSE)
    assert unpause.subject_id == str(made.ledger.tokenization.id)


def test_abort__asset_suspended_meanwhile__leaves_the_token_paused(desk: Desk) -> None:
    made = _past_its_long_stop(stages.frozen(desk))
    court.apply(desk, court.on_asset(desk, made.ledger.wrapped.asset))
    aborting.abort_redemption(desk.session, COMPLIANCE, made.redemption.id)

    assert made.ledger.tokenization.state == TokenizationState.PAUSED
    assert stages.operations(desk, OperationKind.UNPAUSE) == []


def test_abort__paused_before_by_somebody__leaves_it_to_the_two_who_open(desk: Desk) -> None:
    made = stages.voted(desk)
    chain = made.ledger
    tokenizations.pause_token(desk.session, COMPLIANCE, chain.tokenization.id, reason="Looked into")
    stages.approve(desk, made.redemption)
    stages.freeze(desk, made)
    aborting.abort_redemption(desk.session, COMPLIANCE, _past_its_long_stop(made).redemption.id)

    assert chain.tokenization.state == TokenizationState.PAUSED
    assert stages.operations(desk, OperationKind.UNPAUSE) == []


def test_abort__break_opened_meanwhile__leaves_the_token_paused(desk: Desk) -> None:
    made = _past_its_long_stop(stages.frozen(desk))
    made.ledger.freeze(made.ledger.holders[0].wallet.address)
    reconciliation.run_checks(desk.session, made.ledger.tokenization.id)
    aborting.abort_redemption(desk.session, COMPLIANCE, made.redemption.id)

    assert made.ledger.tokenization.state == TokenizationState.PAUSED
    assert stages.operations(desk, OperationKind.UNPAUSE) == []


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
