"""What the end of a KYC does on chain: the claim revoked, wallets frozen, and freed by renewal."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlmodel import col, select

from chain.operations import EFFECTS
from registry.case import execution, kyc_freeze
from registry.case.hashing import case_hash
from registry.case.models import Case, CaseKind, CaseState
from registry.case.repository import list_acts, read_recoveries
from registry.investor.models import KycState
from registry.kernel.clock import now
from registry.kernel.errors import Conflict
from registry.kyc import repository
from registry.kyc_standing import service as standing
from registry.operation.models import OperationKind
from registry.reconciliation.freezes import frozen_addresses, frozen_by_cases
from tests import cases as make_case
from tests import kyc, ledger
from tests.factories import Buyer, Desk
from tests.kyc import SECOND_OFFICER
from tests.ledger import Ledger

pytestmark = pytest.mark.db
ON_SHELF = (600, 400)


@pytest.fixture
def chain(desk: Desk) -> Ledger:
    return ledger.live(desk, 600, 400)


def state_of(case: Case) -> CaseState:
    return case.state


def let_lapse(desk: Desk, holder: Buyer) -> None:
    review = repository.find_approved(desk.session, holder.investor.id)
    assert review is not None
    review.valid_until = holder.investor.kyc_valid_until = now() - timedelta(seconds=1)
    desk.session.flush()
    assert holder.investor.id in repository.list_run_out(desk.session)
    standing.lapse_kyc(desk.session, holder.investor.id)


def renew(desk: Desk, holder: Buyer) -> None:
    kyc.passed(desk, holder.actor, holder.investor)


def kyc_cases(desk: Desk) -> list[Case]:
    return list(
        desk.session.exec(
            select(Case).where(col(Case.kyc_review_id).is_not(None)).order_by(col(Case.id))
        ).all()
    )


def test_lapse__of_a_holder__freezes_what_they_hold_and_revokes_the_claim(
    desk: Desk, chain: Ledger
) -> None:
    holder = chain.holders[0]

    let_lapse(desk, holder)

    assert holder.investor.kyc_state == KycState.LAPSED
    [revocation] = make_case.planned(desk, OperationKind.REVOKE_CLAIM)
    assert revocation.params == {"wallet_id": str(holder.wallet.id), "topic": 1}
    [case] = kyc_cases(desk)
    assert (case.state, case.kind) == (CaseState.EXECUTING, CaseKind.FREEZE_WALLET)
    assert (case.wallet, case.approved_by) == (holder.wallet.address, None)
    make_case.carry_out(chain, case)
    assert state_of(case) == CaseState.EXECUTED
    assert frozen_addresses(desk.session, chain.token) == {holder.wallet.address}
    recoveries = read_recoveries(desk.session)
    frozen, _ = frozen_by_cases(desk.session, chain.tokenization.id, recoveries)
    assert frozen == {holder.wallet.address}


def test_lapse__again_or_by_another_round__adds_nothing(desk: Desk, chain: Ledger) -> None:
    holder = chain.holders[0]
    let_lapse(desk, holder)

    with pytest.raises(Conflict, match="kyc_not_in_force"):
        standing.lapse_kyc(desk.session, holder.investor.id)
    assert standing.freeze_rest(desk.session, holder.investor.id) == []

    assert len(kyc_cases(desk)) == 1
    assert repository.list_run_out(desk.session) == []
    assert kyc_freeze.list_unfrozen(desk.session) == []


def test_freeze_rest__units_that_came_after_the_end__are_frozen_too(
    desk: Desk, chain: Ledger
) -> None:
    holder = chain.holders[0]
    chain.burn(holder.wallet.address, 600)
    standing.revoke_kyc(desk.session, SECOND_OFFICER, holder.investor.id, reason="Lied")
    assert kyc_cases(desk) == []

    chain.mint(holder.wallet.address, 600)
    assert kyc_freeze.list_unfrozen(desk.session) == [holder.investor.id]
    standing.freeze_rest(desk.session, holder.investor.id)

    [case] = kyc_cases(desk)
    assert case.wallet == holder.wallet.address
    assert kyc_freeze.list_unfrozen(desk.session) == []


def test_renewal__after_a_lapse__releases_its_own_freeze_alone(desk: Desk, chain: Ledger) -> None:
    holder, other = chain.holders[:2]
    for each in (holder, other):
        let_lapse(desk, each)
    first, second = kyc_cases(desk)
    for case in (first, second):
        make_case.carry_out(chain, case)

    renew(desk, holder)

    mine = first if first.wallet == holder.wallet.address else second
    theirs = second if mine is first else first
    assert (mine.state, theirs.state) == (CaseState.LIFTING, CaseState.EXECUTED)
    make_case.carry_out(chain, mine)
    assert mine.state == CaseState.LIFTED
    assert frozen_addresses(desk.session, chain.token) == {other.wallet.address}


def test_renewal__while_another_case_freezes__leaves_that_freeze(desk: Desk, chain: Ledger) -> None:
    holder = chain.holders[0]
    standing_case = make_case.approve(desk, make_case.opened(chain, CaseKind.FREEZE_WALLET))
    make_case.execute(desk, standing_case)
    make_case.carry_out(chain, standing_case)
    assert standing_case.wallet == holder.wallet.address
    let_lapse(desk, holder)
    [case] = kyc_cases(desk)
    make_case.carry_out(chain, case)

    with pytest.raises(Conflict, match="kyc_holds_freeze"):
        make_case.open_lift(chain, standing_case)
    renew(desk, holder)

    assert state_of(case) == CaseState.LIFTED
    assert [act.act for act in list_acts(desk.session, case.id)] == ["FREEZE_WALLET"]
    assert frozen_addresses(desk.session, chain.token) == {holder.wallet.address}
    make_case.open_lift(chain, standing_case)


def test_renewal__before_the_freeze_is_final__is_released_by_the_sweep(
    desk: Desk, chain: Ledger
) -> None:
    holder = chain.holders[0]
    let_lapse(desk, holder)
    [case] = kyc_cases(desk)

    renew(desk, holder)
    assert state_of(case) == CaseState.EXECUTING
    assert kyc_freeze.list_releasable(desk.session) == []
    make_case.carry_out(chain, case)

    assert list(kyc_freeze.list_releasable(desk.session)) == [case.id]
    kyc_freeze.release(desk.session, case.id)
    assert state_of(case) == CaseState.LIFTING


def test_act__whose_ground_has_gone__is_refused_when_it_is_signed(
    desk: Desk, chain: Ledger
) -> None:
    holder = chain.holders[0]
    let_lapse(desk, holder)
    [freeze] = [
        item
        for item in make_case.planned(desk, OperationKind.CASE_ACT)
        if item.params["case_id"] == str(kyc_cases(desk)[0].id)
    ]
    [revocation] = make_case.planned(desk, OperationKind.REVOKE_CLAIM)
    EFFECTS[OperationKind.REVOKE_CLAIM].check(desk.session, revocation)
    execution.require_act(desk.session, freeze)

    renew(desk, holder)

    with pytest.raises(Conflict, match="kyc_in_force"):
        execution.require_act(desk.session, freeze)
    with pytest.raises(Conflict, match="kyc_in_force"):
        EFFECTS[OperationKind.REVOKE_CLAIM].check(desk.session, revocation)


def test_freeze__refused_by_the_chain__is_executed_again_without_an_approval(
    desk: Desk, chain: Ledger
) -> None:
    holder = chain.holders[0]
    let_lapse(desk, holder)
    [case] = kyc_cases(desk)
    make_case.fail(chain, case)
    assert state_of(case) == CaseState.INCOMPLETE

    cases_before = case_hash(desk.session, case)
    execution.execute_case(desk.session, SECOND_OFFICER, case.id)
    assert state_of(case) == CaseState.EXECUTING
    assert case_hash(desk.session, case) == cases_before
    make_case.carry_out(chain, case)
    assert state_of(case) == CaseState.EXECUTED
    with pytest.raises(Conflict, match="kyc_holds_freeze"):
        make_case.open_lift(chain, case)


def test_lapse__while_a_recovery_stands_still__freezes_the_lost_wallet_once(
    desk: Desk, chain: Ledger
) -> None:
    holder = chain.holders[0]
    recovery = make_case.executing(chain, CaseKind.RECOVERY)
    make_case.fail(chain, recovery)
    let_lapse(desk, holder)

    assert kyc_freeze.list_unfrozen(desk.session) == []
    assert standing.freeze_rest(desk.session, holder.investor.id) == []
    assert [case.wallet for case in kyc_cases(desk)] == [holder.wallet.address]
