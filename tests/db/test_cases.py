"""Cases in the register: what is refused before anything is signed, and what the acts are."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
from sqlmodel import Session

from registry.captable.models import ForcedAct
from registry.case import repository
from registry.case import service as cases
from registry.case.hashing import case_hash
from registry.case.layout import TokenUnits
from registry.case.models import Case, CaseKind, CaseState
from registry.court_order.models import OrderState
from registry.investor import service as investors
from registry.investor.models import WalletState
from registry.kernel.actor import Actor, Role
from registry.kernel.clock import now
from registry.kernel.errors import NotFound
from registry.operation.models import OperationKind, OperationState
from registry.reconciliation import service as reconciliation
from registry.tokenization.models import TokenizationState
from tests import cases as make_case
from tests import court, ledger
from tests import factories as make
from tests.db.rows import refused_by
from tests.deeds import refusal
from tests.factories import ACTORS, CHECKER, COMPLIANCE, Desk
from tests.ledger import Ledger

pytestmark = pytest.mark.db

ALL_KINDS = list(CaseKind)


@pytest.fixture
def chain(desk: Desk) -> Ledger:
    """A live token: 600 for the first holder, 300 and 100 for two others."""
    return ledger.live(desk, 600, 300, 100)


def code_of(act: Callable[[], object]) -> str:
    return refusal(act)[0]


def open_refused(chain: Ledger, kind: CaseKind, **changes: Any) -> str:
    return code_of(lambda: make_case.opened(chain, kind, **changes))


def state(case: Case) -> CaseState:
    return case.state


def redeeming(chain: Ledger) -> None:
    chain.tokenization.state = TokenizationState.REDEEMING
    chain.desk.session.flush()


# What a case does


@pytest.mark.parametrize("kind", ALL_KINDS)
def test_case__of_each_kind__is_carried_out_and_no_break_is_left(
    desk: Desk, chain: Ledger, kind: CaseKind
) -> None:
    if kind == CaseKind.BURN:
        redeeming(chain)
    case = make_case.executing(chain, kind)
    assert state(case) == CaseState.EXECUTING

    make_case.carry_out(chain, case)

    assert state(case) == CaseState.EXECUTED
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

        assert state(case) == CaseState.LIFTED
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
    said = code_of(
        lambda: cases.approve_case(
            desk.session, CHECKER, case.id, role=Role.REGISTRAR_CHECKER, seen_hash=own
        )
    )
    assert said == "case_changed"

    cases.reject_case(desk.session, CHECKER, case.id, reason="The order stands.")
    assert state(case) == CaseState.EXECUTED
    make_case.open_lift(chain, case)
    assert state(case) == CaseState.LIFT_OPENED
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

    assert code_of(lambda: make_case.open_lift(chain, case)) == "case_not_liftable"


def test_order__on_an_amount_that_a_case_freezes__is_obeyed_counted_once_and_released(
    desk: Desk, chain: Ledger
) -> None:
    order = court.apply(desk, court.on_amount(desk, chain, 100))
    case = make_case.executing(chain, CaseKind.FREEZE_UNITS, order_id=order.id)
    make_case.carry_out(chain, case)
    reconciliation.confirm_order(desk.session, order.id)
    assert order.state == OrderState.IN_FORCE
    assert reconciliation.run_checks(desk.session, chain.tokenization.id) == []
    chain.freeze_units(chain.holders[0].wallet.address, 1)
    rules = {item.rule for item in reconciliation.run_checks(desk.session, chain.tokenization.id)}
    assert "ORD-01" in rules, "order and case want the same units, not each its own"
    chain.mine({"kind": 4, "target": chain.holders[0].wallet.address, "units": 1})

    assert code_of(lambda: make_case.open_lift(chain, case)) == "order_in_force"
    court.vacate(desk, order)
    assert code_of(lambda: reconciliation.lift_order(desk.session, order.id)) == (
        "order_still_on_chain"
    )
    make_case.open_lift(chain, case)
    make_case.approve(desk, case)
    make_case.execute(desk, case)
    make_case.carry_out(chain, case)

    assert reconciliation.lift_order(desk.session, order.id).state == OrderState.VACATED


def test_order__released__where_a_case_of_its_own_goes_on_freezing(
    desk: Desk, chain: Ledger
) -> None:
    holder = chain.holders[0].wallet.address
    case = make_case.executing(chain, CaseKind.FREEZE_WALLET)
    make_case.carry_out(chain, case)
    order = court.in_force(desk, court.on_wallet(desk, holder))
    court.vacate(desk, order)

    assert reconciliation.lift_order(desk.session, order.id).state == OrderState.VACATED
    assert reconciliation.run_checks(desk.session, chain.tokenization.id) == []


# What is refused before anything is planned


BAD_SHAPES: list[tuple[CaseKind, dict[str, Any], str]] = [
    (CaseKind.FREEZE_WALLET, {"wallet": None}, "case_malformed"),
    (CaseKind.FREEZE_WALLET, {"wallet": bytes(20)}, "case_malformed"),
    (CaseKind.FREEZE_WALLET, {"wallet": b"\x01" * 19}, "case_malformed"),
    (CaseKind.FREEZE_WALLET, {"counterparty": b"\x01" * 20}, "case_malformed"),
    (CaseKind.FREEZE_UNITS, {"tokens": ()}, "case_tokens_malformed"),
    (CaseKind.FREEZE_UNITS, {"takes_frozen": True}, "case_malformed"),
    (CaseKind.FORCED_TRANSFER, {"counterparty": None}, "case_malformed"),
    (CaseKind.RECOVERY, {"counterparty": None}, "case_malformed"),
    (CaseKind.RECOVERY, {"tokens": (TokenUnits(uuid4()),)}, "case_malformed"),
    (CaseKind.SUCCESSION, {"heirs": ()}, "case_malformed"),
    (CaseKind.SUCCESSION, {"wallet": b"\x01" * 20}, "case_malformed"),
    (CaseKind.SUCCESSION, {"tokens": (TokenUnits(uuid4()),)}, "case_malformed"),
]


@pytest.mark.parametrize(("kind", "changes", "code"), BAD_SHAPES)
def test_open__without_what_its_kind_needs__is_refused(
    chain: Ledger, kind: CaseKind, changes: dict[str, Any], code: str
) -> None:
    assert open_refused(chain, kind, **changes) == code


def test_open__tokens_twice_without_units_or_with_none_to_spare__is_refused(
    chain: Ledger,
) -> None:
    token = chain.tokenization.id
    for tokens, code in (
        ((TokenUnits(token),), "case_tokens_malformed"),
        ((TokenUnits(token, 0),), "case_tokens_malformed"),
        ((TokenUnits(token, 1), TokenUnits(token, 2)), "case_tokens_malformed"),
        ((TokenUnits(token, 601),), "units_not_free"),
    ):
        assert open_refused(chain, CaseKind.FREEZE_UNITS, tokens=tokens) == code
    chain.freeze_units(chain.holders[0].wallet.address, 550)
    assert open_refused(chain, CaseKind.FREEZE_UNITS) == "units_not_free"


def test_open__more_than_the_wallet_holds__is_refused(chain: Ledger) -> None:
    for kind in (CaseKind.FORCED_TRANSFER, CaseKind.BURN):
        if kind == CaseKind.BURN:
            redeeming(chain)
        tokens = (TokenUnits(chain.tokenization.id, 601),)
        assert open_refused(chain, kind, tokens=tokens) == "units_not_held"


def test_open__frozen_units__are_taken_only_where_the_case_says_so(chain: Ledger) -> None:
    chain.freeze_units(chain.holders[0].wallet.address, 550)

    assert open_refused(chain, CaseKind.FORCED_TRANSFER) == "units_frozen"
    case = make_case.opened(chain, CaseKind.FORCED_TRANSFER, takes_frozen=True)
    assert case.takes_frozen


def test_open__burn_of_a_live_token__is_refused_by_tok_02(chain: Ledger) -> None:
    said = refusal(lambda: make_case.opened(chain, CaseKind.BURN))

    assert said == ("token_not_redeeming", "TOK-02")


def test_open__wallet_that_nobody_knows__is_refused(chain: Ledger) -> None:
    stranger = secrets.token_bytes(20)

    assert open_refused(chain, CaseKind.FREEZE_WALLET, wallet=stranger) == "wallet_unknown"


def test_open__stranger_who_holds__can_be_frozen(chain: Ledger) -> None:
    stranger = secrets.token_bytes(20)
    chain.move(chain.holders[0].wallet.address, stranger, 5)

    case = make_case.opened(chain, CaseKind.FREEZE_WALLET, wallet=stranger)
    assert case.investor_id is None


def test_open__receiver_who_may_not_receive__is_refused_with_the_reason(
    desk: Desk, chain: Ledger
) -> None:
    who, investor = make.enrolled(desk)
    proven = make.proven_wallet(desk, who, investor.id)
    lapsed = make.buyer(desk)
    lapsed.investor.kyc_valid_until = now()
    unlinked = make.buyer(desk)
    unlinked.wallet.identity = None
    lost = make.buyer(desk)
    investors.retire_wallet(desk.session, lost.wallet.id)
    desk.session.flush()
    for address in (
        secrets.token_bytes(20),
        proven.address,
        lapsed.wallet.address,
        unlinked.wallet.address,
        lost.wallet.address,
    ):
        said = open_refused(chain, CaseKind.FORCED_TRANSFER, counterparty=address)
        assert said == "receiver_not_eligible"


def test_open__paper_of_other_bytes_or_of_another_asset__is_refused(
    desk: Desk, chain: Ledger
) -> None:
    other = make.open_apartment(desk)
    elsewhere = make.file_document(desk, other, "COURT_ORDER")

    said = open_refused(chain, CaseKind.FREEZE_UNITS, document_sha256=bytes(32))
    assert said == "case_paper_differs"
    said = open_refused(
        chain,
        CaseKind.FREEZE_UNITS,
        document_id=elsewhere.id,
        document_sha256=elsewhere.sha256,
    )
    assert said == "source_of_other_asset"
    with pytest.raises(NotFound):
        make_case.opened(chain, CaseKind.FREEZE_UNITS, document_id=uuid4())


def test_open__order_that_binds_nobody__is_refused(desk: Desk, chain: Ledger) -> None:
    order = court.on_wallet(desk, chain.holders[0].wallet.address)
    assert open_refused(chain, CaseKind.FREEZE_WALLET, order_id=order.id) == "order_not_in_force"

    court.apply(desk, order)
    case = make_case.opened(chain, CaseKind.FREEZE_WALLET, order_id=order.id)
    assert case.order_id == order.id


def test_open__second_freeze_of_one_wallet__is_refused(desk: Desk, chain: Ledger) -> None:
    case = make_case.executing(chain, CaseKind.FREEZE_WALLET)
    make_case.carry_out(chain, case)

    assert open_refused(chain, CaseKind.FREEZE_WALLET) == "wallet_frozen"


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

    assert code_of(lambda: make_case.approve(desk, case, who, role)) == code
    assert state(case) == CaseState.OPENED


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
    said = code_of(
        lambda: cases.approve_case(
            desk.session, CHECKER, case.id, role=Role.REGISTRAR_CHECKER, seen_hash=seen
        )
    )
    assert said == "case_changed"

    paper = make.file_document(desk, chain.wrapped.asset, "COURT_ORDER", verified=False)
    unread = make_case.opened(
        chain, CaseKind.FREEZE_UNITS, document_id=paper.id, document_sha256=paper.sha256
    )
    assert code_of(lambda: make_case.approve(desk, unread)) == "source_not_verified"


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

    assert code_of(lambda: make_case.execute(desk, case)) == "units_not_held"
    assert state(case) == CaseState.APPROVED
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
    assert state(case) == CaseState.INCOMPLETE
    said = code_of(lambda: cases.withdraw_case(desk.session, COMPLIANCE, case.id, reason="Enough."))
    assert said == "acts_happened"

    [again] = make_case.execute(desk, case)

    assert again.params == refused.params
    assert again.key == f"case_act:{case.id}:{refused.params['numbers'][0]}"
    make_case.end(desk, again, OperationState.FINAL)
    make_case.tell(desk, case)
    assert state(case) == CaseState.EXECUTED


def test_execute__again__believes_the_chain_that_shows_the_act(desk: Desk) -> None:
    chain = ledger.live(desk, 600)
    case = make_case.executing(chain, CaseKind.FREEZE_UNITS)
    [operation] = make_case.pending(desk, case)
    make_case.show(chain, operation)

    make_case.fail(chain, case)

    assert state(case) == CaseState.EXECUTED, "its own event is on chain"


def test_withdraw__after_the_chain_refused_everything__is_possible(desk: Desk) -> None:
    chain = ledger.live(desk, 600)
    case = make_case.executing(chain, CaseKind.FREEZE_UNITS)
    make_case.fail(chain, case)

    cases.withdraw_case(desk.session, COMPLIANCE, case.id, reason="The order was vacated.")

    assert state(case) == CaseState.WITHDRAWN


# Recovery


def test_recovery__links_recovers_and_retires_in_this_order(desk: Desk, chain: Ledger) -> None:
    case = make_case.executing(chain, CaseKind.RECOVERY)
    assert case.counterparty is not None
    lost, new = chain.holders[0].wallet, investors.find_wallet(desk.session, case.counterparty)
    [recover] = make_case.planned(desk, OperationKind.CASE_ACT)
    [retire] = make_case.planned(desk, OperationKind.RETIRE_WALLET)
    assert new is not None
    assert recover.params["act"] == "RECOVERY"

    make_case.carry_out(chain, case)

    assert (lost.state, new.state) == (WalletState.RETIRED, WalletState.PROVEN)
    assert (retire.state, case.state) == (OperationState.FINAL, CaseState.EXECUTED)
    assert make_case.held(chain, new.address) == 600
    who = chain.holders[0]
    new.identity = lost.identity
    assert investors.verified_wallet(desk.session, who.investor.id).id == new.id
    for act in (
        lambda: investors.challenge_wallet(
            desk.session, who.actor, who.investor.id, address=lost.address, challenge="Sign."
        ),
        lambda: investors.open_challenge(desk.session, who.actor, who.investor.id, lost.address),
    ):
        assert code_of(act) == "wallet_retired"


def test_recovery__to_somebody_elses_wallet__is_refused(chain: Ledger) -> None:
    other = chain.holders[1].wallet.address

    assert open_refused(chain, CaseKind.RECOVERY, counterparty=other) == "wallet_of_other"


def test_recovery__of_a_wallet_that_holds_nothing__is_refused(desk: Desk, chain: Ledger) -> None:
    who = make.buyer(desk)
    new = make.proven_wallet(desk, who.actor, who.investor.id)

    said = open_refused(
        chain, CaseKind.RECOVERY, wallet=who.wallet.address, counterparty=new.address
    )
    assert said == "nothing_held"


def test_recovery__takes_what_the_wallet_was_given_since(desk: Desk, chain: Ledger) -> None:
    case = make_case.approve(desk, make_case.opened(chain, CaseKind.RECOVERY))
    other = ledger.live(desk, 500)
    lost = chain.holders[0].wallet.address
    other.register(lost)
    other.move(other.holders[0].wallet.address, lost, 7)

    make_case.execute(desk, case)

    recovered = make_case.planned(desk, OperationKind.CASE_ACT)
    tokens = {item.params["tokenization_id"] for item in recovered}
    assert tokens == {str(chain.tokenization.id), str(other.tokenization.id)}


def test_recovery__of_a_frozen_wallet__takes_the_freeze_along(desk: Desk, chain: Ledger) -> None:
    frozen = make_case.executing(chain, CaseKind.FREEZE_WALLET)
    make_case.carry_out(chain, frozen)
    case = make_case.executing(chain, CaseKind.RECOVERY)
    make_case.carry_out(chain, case)
    assert case.counterparty is not None
    chain.freeze(case.counterparty)

    found = reconciliation.run_checks(desk.session, chain.tokenization.id)
    assert "ORD-01" not in {item.rule for item in found}
    make_case.open_lift(chain, frozen)
    [act] = repository.acts_in_hand(desk.session, frozen)
    assert act.wallet == case.counterparty


# Succession


def test_succession__divides_every_unit_of_every_wallet(desk: Desk, chain: Ledger) -> None:
    dead, *others = chain.holders
    second = make.proven_wallet(desk, dead.actor, dead.investor.id)
    chain.register(second.address)
    chain.move(dead.wallet.address, second.address, 201)
    case = make_case.opened(
        chain, CaseKind.SUCCESSION, heirs=make_case.heirs(*others, hissa=(7, 9))
    )

    acts = repository.list_acts(desk.session, case.id)

    # 7/16 and 9/16 of 600 are 262.5 and 337.5: the remainders are equal, the first takes it.
    got = {who.wallet.address: 0 for who in others}
    left = {dead.wallet.address: 0, second.address: 0}
    for act in acts:
        assert act.counterparty is not None
        got[act.counterparty] += int(act.units or 0)
        left[act.wallet] += int(act.units or 0)
    assert list(got.values()) == [263, 337]
    assert left == {dead.wallet.address: 399, second.address: 201}
    make_case.approve(desk, case)
    assert len(make_case.execute(desk, case)) == 2, "one transaction for each wallet"


def test_succession__heir_who_may_not_hold__is_refused(desk: Desk, chain: Ledger) -> None:
    heir = make.buyer(desk)
    heir.investor.kyc_valid_until = now()
    desk.session.flush()
    assert (
        open_refused(chain, CaseKind.SUCCESSION, heirs=make_case.heirs(heir))
        == "receiver_not_eligible"
    )
    _, stranger = make.enrolled(desk)
    named = make_case.heirs(replace(heir, investor=stranger))
    assert open_refused(chain, CaseKind.SUCCESSION, heirs=named) == "identity_not_ready"


def test_succession__heirs_wrong__is_refused(desk: Desk, chain: Ledger) -> None:
    dead, one, other = chain.holders
    for heirs, code in (
        (make_case.heirs(dead, one), "heirs_invalid"),
        (make_case.heirs(one, one), "heirs_invalid"),
        (make_case.heirs(one, other, hissa=(1, 0)), "share_not_positive"),
    ):
        assert open_refused(chain, CaseKind.SUCCESSION, heirs=heirs) == code


def test_succession__heir_of_no_token_yet__is_registered_first(desk: Desk, chain: Ledger) -> None:
    heir = make.buyer(desk)
    case = make_case.approve(
        desk, make_case.opened(chain, CaseKind.SUCCESSION, heirs=make_case.heirs(heir))
    )

    make_case.execute(desk, case)

    [registered] = [
        item
        for item in make_case.planned(desk, OperationKind.REGISTER_IDENTITY)
        if item.params["wallet_id"] == str(heir.wallet.id)
    ]
    assert registered.params["country"] == 586


def test_succession__estate_that_changed__is_refused_at_its_execution(
    desk: Desk, chain: Ledger
) -> None:
    case = make_case.approve(desk, make_case.opened(chain, CaseKind.SUCCESSION))
    one, other = (who.wallet.address for who in chain.holders[:2])
    chain.move(other, one, 1)

    assert code_of(lambda: make_case.execute(desk, case)) == "holdings_changed"


def test_succession__half_done__goes_on_with_the_other_wallet(desk: Desk, chain: Ledger) -> None:
    dead, *others = chain.holders
    second = make.proven_wallet(desk, dead.actor, dead.investor.id)
    chain.register(second.address)
    chain.move(dead.wallet.address, second.address, 201)
    case = make_case.executing(
        chain, CaseKind.SUCCESSION, heirs=make_case.heirs(*others, hissa=(7, 9))
    )
    done, refused = make_case.pending(desk, case)
    make_case.end(desk, done, OperationState.FINAL)
    make_case.show(chain, done)
    make_case.end(desk, refused, OperationState.REFUSED)
    make_case.tell(desk, case)
    assert state(case) == CaseState.INCOMPLETE

    [again] = make_case.execute(desk, case)

    assert again.params == refused.params
    make_case.carry_out(chain, case)
    assert state(case) == CaseState.EXECUTED
    assert [make_case.held(chain, who.wallet.address) for who in others] == [563, 437]
    assert make_case.held(chain, second.address) == 0


def test_succession__with_frozen_units__is_refused(chain: Ledger) -> None:
    chain.freeze_units(chain.holders[0].wallet.address, 1)

    assert open_refused(chain, CaseKind.SUCCESSION) == "units_frozen"


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
