"""Lost wallets and estates: what moves, to whom, in which order."""

from __future__ import annotations

from dataclasses import replace

import pytest

from registry.case import repository
from registry.case.models import CaseKind, CaseState
from registry.case.receiving import receiving_wallet
from registry.investor import wallets
from registry.investor.models import WalletState
from registry.kernel.clock import now
from registry.operation.models import OperationKind, OperationState
from registry.reconciliation import service as reconciliation
from tests import cases as make_case
from tests import court, ledger
from tests import factories as make
from tests.factories import Desk
from tests.ledger import Ledger

pytestmark = pytest.mark.db
ON_SHELF = (600, 300, 100)


@pytest.fixture
def chain(desk: Desk) -> Ledger:
    """A live token: 600 for the first holder, 300 and 100 for two others."""
    return ledger.live(desk, 600, 300, 100)


# Recovery


def test_recovery__links_recovers_and_retires_in_this_order(desk: Desk, chain: Ledger) -> None:
    case = make_case.executing(chain, CaseKind.RECOVERY)
    assert case.counterparty is not None
    lost, new = chain.holders[0].wallet, wallets.find_wallet(desk.session, case.counterparty)
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
    assert receiving_wallet(desk.session, who.investor.id).id == new.id
    for act in (
        lambda: wallets.challenge_wallet(
            desk.session, who.actor, who.investor.id, address=lost.address, message="Sign."
        ),
        lambda: wallets.open_challenge(desk.session, who.actor, who.investor.id, lost.address),
    ):
        assert make_case.code_of(act) == "wallet_retired"


def test_recovery__to_somebody_elses_wallet__is_refused(chain: Ledger) -> None:
    other = chain.holders[1].wallet.address

    assert make_case.open_refused(chain, CaseKind.RECOVERY, counterparty=other) == "wallet_of_other"


def test_recovery__of_a_wallet_that_holds_nothing__is_refused(desk: Desk, chain: Ledger) -> None:
    who = make.buyer(desk)
    new = make.proven_wallet(desk, who.actor, who.investor.id)

    said = make_case.open_refused(
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


def test_recovery__of_what_a_thief_took_meanwhile__still_retires_the_wallet(
    desk: Desk, chain: Ledger
) -> None:
    case = make_case.approve(desk, make_case.opened(chain, CaseKind.RECOVERY))
    lost = chain.holders[0].wallet
    chain.move(lost.address, chain.holders[1].wallet.address, 600)

    [only] = make_case.execute(desk, case)

    assert only.kind == OperationKind.RETIRE_WALLET
    make_case.carry_out(chain, case)
    assert (lost.state, make_case.state(case)) == (WalletState.RETIRED, CaseState.EXECUTED)


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


def test_lift__of_a_freeze_that_a_recovery_carries_along__is_refused_until_it_has_arrived(
    desk: Desk, chain: Ledger
) -> None:
    frozen = make_case.executing(chain, CaseKind.FREEZE_WALLET)
    make_case.carry_out(chain, frozen)
    make_case.approve(desk, make_case.open_lift(chain, frozen))
    case = make_case.executing(chain, CaseKind.RECOVERY)

    assert make_case.code_of(lambda: make_case.execute(desk, frozen)) == "recovery_under_way"
    make_case.carry_out(chain, case)
    assert case.counterparty is not None
    chain.freeze(case.counterparty)

    assert make_case.code_of(lambda: make_case.execute(desk, frozen)) == "wallet_recovered"
    assert make_case.state(frozen) == CaseState.LIFT_APPROVED


def test_lift__opened_while_a_recovery_stands_still__is_refused(desk: Desk, chain: Ledger) -> None:
    frozen = make_case.executing(chain, CaseKind.FREEZE_UNITS)
    make_case.carry_out(chain, frozen)
    case = make_case.executing(chain, CaseKind.RECOVERY)
    make_case.fail(chain, case)
    # The new wallet has frozen units of its own.
    assert case.counterparty is not None
    chain.register(case.counterparty)
    chain.move(chain.holders[1].wallet.address, case.counterparty, 10)
    chain.freeze_units(case.counterparty, 10)

    assert make_case.code_of(lambda: make_case.open_lift(chain, frozen)) == "recovery_under_way"


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


def test_succession__an_order_binds_a_wallet_of_an_heir__goes_to_a_free_one(
    desk: Desk, chain: Ledger
) -> None:
    heir = make.buyer(desk)
    free = make.proven_wallet(desk, heir.actor, heir.investor.id)
    free.identity = heir.wallet.identity
    court.apply(desk, court.on_wallet(desk, heir.wallet.address))

    case = make_case.opened(chain, CaseKind.SUCCESSION, heirs=make_case.heirs(heir))

    assert [named["wallet"] for named in case.heirs] == [f"0x{free.address.hex()}"]


def test_succession__heir_who_may_not_hold__is_refused(desk: Desk, chain: Ledger) -> None:
    heir = make.buyer(desk)
    heir.investor.kyc_valid_until = now()
    desk.session.flush()
    assert (
        make_case.open_refused(chain, CaseKind.SUCCESSION, heirs=make_case.heirs(heir))
        == "receiver_not_eligible"
    )
    _, stranger = make.enrolled(desk)
    named = make_case.heirs(replace(heir, investor=stranger))
    assert make_case.open_refused(chain, CaseKind.SUCCESSION, heirs=named) == "identity_not_ready"


def test_succession__heirs_wrong__is_refused(desk: Desk, chain: Ledger) -> None:
    dead, one, other = chain.holders
    for heirs, code in (
        (make_case.heirs(dead, one), "heirs_invalid"),
        (make_case.heirs(one, one), "heirs_invalid"),
        (make_case.heirs(one, other, hissa=(1, 0)), "share_not_positive"),
    ):
        assert make_case.open_refused(chain, CaseKind.SUCCESSION, heirs=heirs) == code


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

    assert make_case.code_of(lambda: make_case.execute(desk, case)) == "holdings_changed"


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
    assert make_case.state(case) == CaseState.INCOMPLETE

    [again] = make_case.execute(desk, case)

    assert again.params == refused.params
    make_case.carry_out(chain, case)
    assert make_case.state(case) == CaseState.EXECUTED
    assert [make_case.held(chain, who.wallet.address) for who in others] == [563, 437]
    assert make_case.held(chain, second.address) == 0


def test_succession__with_frozen_units__is_refused(chain: Ledger) -> None:
    chain.freeze_units(chain.holders[0].wallet.address, 1)

    assert make_case.open_refused(chain, CaseKind.SUCCESSION) == "units_frozen"
