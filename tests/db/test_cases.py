"""Cases in the register: what they do, who agrees, and what is done again."""

from __future__ import annotations

import pytest
from sqlmodel import Session

from registry.captable.models import ForcedAct
from registry.case import repository
from registry.case import service as cases
from registry.case.hashing import case_hash
from registry.case.models import Case, CaseKind, CaseState
from registry.court_order.models import CourtOrderState
from registry.kernel.actor import Actor, Role
from registry.operation.models import OperationKind, OperationState
from registry.reconciliation import service as reconciliation
from tests import cases as make_case
from tests import court, ledger
from tests import factories as make
from tests.db.rows import refused_by
from tests.factories import ACTORS, CHECKER, COMPLIANCE, Desk
from tests.ledger import Ledger

pytestmark = pytest.mark.db
ON_SHELF = (600, 300, 100)

ALL_KINDS = list(CaseKind)


@pytest.fixture
def chain(desk: Desk) -> Ledger:
    """A live token: 600 for the first holder, 300 and 100 for two others."""
    return ledger.live(desk, 600, 300, 100)


# What a case does


@pytest.mark.parametrize("kind", ALL_KINDS)
def test_case__of_each_kind__is_carried_out_and_no_break_is_left(
    desk: Desk, chain: Ledger, kind: CaseKind
) -> None:
    if kind == CaseKind.BURN:
        make_case.redeeming(chain)
    case = make_case.executing(chain, kind)
    assert make_case.state(case) == CaseState.EXECUTING

    make_case.carry_out(chain, case)

    assert make_case.state(case) == CaseState.EXECUTED
    assert case.executed_at is not None
    found = reconciliation.run_checks(desk.session, chain.tokenization.id)
    # The ledger of the tests registers nobody anew; the chain tests look at that.
    assert {item.rule for item in found} <= {"TOK-03"}
    assert not [item for item in found if kind != CaseKind.RECOVERY]


def test_open__freeze_of_a_wallet_without_tokens__is_of_every_token_that_it_knows(
    desk: Desk, chain: Ledger
) -> None:
    case = make_case.opened(chain, CaseKind.FREEZE_WALLET, tokens=())

    [act] = repository.list_acts(desk.session, case.id)
    assert (act.act, act.tokenization_id) == (ForcedAct.FREEZE_WALLET, chain.tokenization.id)


def test_open__case__is_known_on_chain_by_its_own_id(desk: Desk, chain: Ledger) -> None:
    case = make_case.opened(chain, CaseKind.FREEZE_UNITS)

    assert repository.chain_id_of(case.id) == bytes(16) + case.id.bytes


def test_freeze__by_a_case__is_what_ord_01_wants_and_its_lift_ends_it(
    desk: Desk, chain: Ledger
) -> None:
    for kind in (CaseKind.FREEZE_WALLET, CaseKind.FREEZE_UNITS):
        case = make_case.executing(chain, kind)
        make_case.carry_out(chain, case)
        assert reconciliation.run_checks(desk.session, chain.tokenization.id) == []

        make_case.open_lift(chain, case)
        make_case.approve(desk, case)
        make_case.execute(desk, case)
        make_case.carry_out(chain, case)

        assert make_case.state(case) == CaseState.LIFTED
        assert case.lifted_at is not None
        assert reconciliation.run_checks(desk.session, chain.tokenization.id) == []
        numbers = [act.number for act in repository.list_acts(desk.session, case.id)]
        assert numbers == [1, 2]
    assert make_case.held(chain, chain.holders[0].wallet.address) == 600


def test_lift__rejected__leaves_the_freeze_and_a_new_one_can_be_opened(
    desk: Desk, chain: Ledger
) -> None:
    case = make_case.executing(chain, CaseKind.FREEZE_UNITS)
    make_case.carry_out(chain, case)
    own = case_hash(desk.session, case)
    make_case.open_lift(chain, case)
    assert case_hash(desk.session, case) != own
    said = make_case.code_of(
        lambda: cases.approve_case(
            desk.session, CHECKER, case.id, role=Role.REGISTRAR_CHECKER, seen_hash=own
        )
    )
    assert said == "case_changed"

    cases.reject_case(desk.session, CHECKER, case.id, reason="The order stands.")
    assert make_case.state(case) == CaseState.EXECUTED
    make_case.open_lift(chain, case)
    assert make_case.state(case) == CaseState.LIFT_OPENED
    assert [act.number for act in repository.acts_in_hand(desk.session, case)] == [3]


def test_lift__of_what_was_taken_meanwhile__frees_what_is_frozen_still(
    desk: Desk, chain: Ledger
) -> None:
    holder, other = (who.wallet.address for who in chain.holders[:2])
    case = make_case.executing(chain, CaseKind.FREEZE_UNITS)
    make_case.carry_out(chain, case)
    chain.mine(
        {"kind": 4, "target": holder, "units": 60},
        {"kind": 1, "source": holder, "target": other, "units": 560, "extra": {"forced": True}},
    )

    make_case.open_lift(chain, case)

    [act] = repository.acts_in_hand(desk.session, case)
    assert (act.act, act.units) == (ForcedAct.UNFREEZE_UNITS, 40)


@pytest.mark.parametrize("kind", [CaseKind.FORCED_TRANSFER, CaseKind.RECOVERY, CaseKind.SUCCESSION])
def test_lift__of_what_is_no_freeze__is_refused(desk: Desk, chain: Ledger, kind: CaseKind) -> None:
    case = make_case.executing(chain, kind)
    make_case.carry_out(chain, case)

    assert make_case.code_of(lambda: make_case.open_lift(chain, case)) == "case_not_liftable"


def test_order__on_an_amount_that_a_case_freezes__is_obeyed_counted_once_and_released(
    desk: Desk, chain: Ledger
) -> None:
    order = court.apply(desk, court.on_amount(desk, chain, 100))
    case = make_case.executing(chain, CaseKind.FREEZE_UNITS, order_id=order.id)
    make_case.carry_out(chain, case)
    reconciliation.confirm_order(desk.session, order.id)
    assert order.state == CourtOrderState.IN_FORCE
    assert reconciliation.run_checks(desk.session, chain.tokenization.id) == []
    chain.freeze_units(chain.holders[0].wallet.address, 1)
    rules = {item.rule for item in reconciliation.run_checks(desk.session, chain.tokenization.id)}
    assert "ORD-01" in rules, "order and case want the same units, not each its own"
    chain.mine({"kind": 4, "target": chain.holders[0].wallet.address, "units": 1})

    assert make_case.code_of(lambda: make_case.open_lift(chain, case)) == "order_in_force"
    court.vacate(desk, order)
    assert make_case.code_of(lambda: reconciliation.lift_order(desk.session, order.id)) == (
        "order_still_on_chain"
    )
    make_case.open_lift(chain, case)
    make_case.approve(desk, case)
    make_case.execute(desk, case)
    make_case.carry_out(chain, case)

    assert reconciliation.lift_order(desk.session, order.id).state == CourtOrderState.VACATED


def test_order__released__where_a_case_of_its_own_goes_on_freezing(
    desk: Desk, chain: Ledger
) -> None:
    holder = chain.holders[0].wallet.address
    case = make_case.executing(chain, CaseKind.FREEZE_WALLET)
    make_case.carry_out(chain, case)
    order = court.in_force(desk, court.on_wallet(desk, holder))
    court.vacate(desk, order)

    assert reconciliation.lift_order(desk.session, order.id).state == CourtOrderState.VACATED
    assert reconciliation.run_checks(desk.session, chain.tokenization.id) == []


# Four eyes


@pytest.mark.parametrize(
    ("who", "role", "code"),
    [
        (Actor(COMPLIANCE.subject, frozenset({Role.REGISTRAR_CHECKER})), Role.REGISTRAR_CHECKER,
         "checker_is_maker"),
        (COMPLIANCE, Role.COMPLIANCE, "checker_is_maker"),
        (CHECKER, Role.COMPLIANCE, "approval_not_yours"),
        (ACTORS[Role.REGISTRAR_MAKER], Role.REGISTRAR_MAKER, "transition_forbidden"),
        (make.actor(Role.REGISTRAR_CHECKER, Role.AUDITOR), Role.AUDITOR, "approval_not_needed"),
    ],
)  # fmt: skip
def test_approve__by_somebody_who_may_not__is_refused(
    desk: Desk, chain: Ledger, who: Actor, role: Role, code: str
) -> None:
    case = make_case.opened(chain, CaseKind.FREEZE_UNITS)

    assert make_case.code_of(lambda: make_case.approve(desk, case, who, role)) == code
    assert make_case.state(case) == CaseState.OPENED


def test_approve__by_another_of_compliance__is_enough(desk: Desk, chain: Ledger) -> None:
    case = make_case.opened(chain, CaseKind.FREEZE_UNITS)

    make_case.approve(desk, case, court.SECOND_COMPLIANCE, Role.COMPLIANCE)

    assert (case.state, case.approved_by) == (
        CaseState.APPROVED,
        court.SECOND_COMPLIANCE.subject,
    )


def test_approve__what_is_not_what_was_read_or_not_verified__is_refused(
    desk: Desk, chain: Ledger
) -> None:
    case = make_case.opened(chain, CaseKind.FREEZE_UNITS)
    seen = case_hash(desk.session, case)
    case.reason = "Another one"
    desk.session.flush()
    said = make_case.code_of(
        lambda: cases.approve_case(
            desk.session, CHECKER, case.id, role=Role.REGISTRAR_CHECKER, seen_hash=seen
        )
    )
    assert said == "case_changed"

    paper = make.file_document(desk, chain.wrapped.asset, "COURT_ORDER", verified=False)
    unread = make_case.opened(
        chain, CaseKind.FREEZE_UNITS, document_id=paper.id, document_sha256=paper.sha256
    )
    assert make_case.code_of(lambda: make_case.approve(desk, unread)) == "source_not_verified"


def test_database__approval_by_the_maker__is_refused(desk: Desk, chain: Ledger) -> None:
    case = make_case.opened(chain, CaseKind.FREEZE_UNITS)

    refused_by(
        desk.session,
        "ck_legal_case_four_eyes",
        "UPDATE legal_case SET approved_by = maker WHERE id = :id",
        id=case.id,
    )


def test_execute__what_can_no_longer_be_done__is_refused(desk: Desk, chain: Ledger) -> None:
    case = make_case.approve(desk, make_case.opened(chain, CaseKind.FORCED_TRANSFER))
    holder, other = (who.wallet.address for who in chain.holders[:2])
    chain.move(holder, other, 501)

    assert make_case.code_of(lambda: make_case.execute(desk, case)) == "units_not_held"
    assert make_case.state(case) == CaseState.APPROVED
    assert make_case.planned(desk, OperationKind.CASE_ACT) == []


# Again, after a refusal of the chain


def frozen_for_two_tokens(desk: Desk) -> Case:
    """Approve the freeze of one wallet for two tokens."""
    first, second = ledger.live(desk, 600), ledger.live(desk, 500)
    holder = first.holders[0].wallet.address
    second.register(holder)
    case = make_case.opened(first, CaseKind.FREEZE_WALLET, tokens=())
    return make_case.approve(desk, case)


def test_execute__again__plans_only_what_did_not_happen(desk: Desk) -> None:
    case = frozen_for_two_tokens(desk)
    done, refused = make_case.execute(desk, case)
    make_case.end(desk, done, OperationState.FINAL)
    refused.problem = {"code": "call_would_revert", "detail": "TitleHalted."}
    make_case.end(desk, refused, OperationState.REFUSED)
    make_case.tell(desk, case)
    assert make_case.state(case) == CaseState.INCOMPLETE
    said = make_case.code_of(
        lambda: cases.withdraw_case(desk.session, COMPLIANCE, case.id, reason="Enough.")
    )
    assert said == "acts_happened"

    [again] = make_case.execute(desk, case)

    assert again.params == refused.params
    assert again.key == f"case_act:{case.id}:{refused.params['numbers'][0]}"
    make_case.end(desk, again, OperationState.FINAL)
    make_case.tell(desk, case)
    assert make_case.state(case) == CaseState.EXECUTED


def test_execute__again__believes_the_chain_that_shows_the_act(desk: Desk) -> None:
    chain = ledger.live(desk, 600)
    case = make_case.executing(chain, CaseKind.FREEZE_UNITS)
    [operation] = make_case.pending(desk, case)
    make_case.show(chain, operation)

    make_case.fail(chain, case)

    assert make_case.state(case) == CaseState.EXECUTED, "its own event is on chain"


def test_withdraw__after_the_chain_refused_everything__is_possible(desk: Desk) -> None:
    chain = ledger.live(desk, 600)
    case = make_case.executing(chain, CaseKind.FREEZE_UNITS)
    make_case.fail(chain, case)

    cases.withdraw_case(desk.session, COMPLIANCE, case.id, reason="The order was vacated.")

    assert make_case.state(case) == CaseState.WITHDRAWN


def test_database__number_of_a_case_twice__is_refused(session: Session, chain: Ledger) -> None:
    case = make_case.opened(chain, CaseKind.FREEZE_UNITS)

    refused_by(
        session,
        "uq_case_act_number",
        "INSERT INTO case_act (id, recorded_at, case_id, number, act, tokenization_id, wallet)"
        " SELECT gen_random_uuid(), now(), case_id, number, act, tokenization_id, wallet"
        " FROM case_act WHERE case_id = :id",
        id=case.id,
    )
