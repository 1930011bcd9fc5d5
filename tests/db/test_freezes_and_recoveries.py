"""What an order freezes, where a recovery, a transfer or a succession moves it meanwhile."""

from __future__ import annotations

import secrets

import pytest

from registry.captable.models import EventKind
from registry.case import execution, order_freeze
from registry.case.layout import TokenUnits
from registry.case.models import Case, CaseKind, CaseState
from registry.case.receiving import barred_wallets
from registry.case.repository import list_acts
from registry.court_order.models import CourtOrderState
from registry.investor import wallets
from registry.offering.buying import require_buyer
from registry.reconciliation import service as reconciliation
from registry.reconciliation.freezes import (
    frozen_addresses,
    frozen_units,
)
from tests import cases as make_case
from tests import court
from tests.db.test_order_freezes import (
    apply,
    cases_of,
    chain,
    confirmed,
    lifted,
    on_party,
    ord_01,
    vacate,
)
from tests.deeds import refusal
from tests.factories import Desk
from tests.ledger import Ledger

__all__ = ["chain"]

pytestmark = pytest.mark.db


def test_recovery__of_a_wallet_under_an_order__takes_the_freeze_along_and_its_end(
    desk: Desk, chain: Ledger
) -> None:
    order = apply(desk, court.on_amount(desk, chain, 100))
    confirmed(desk, chain, order)
    moved = make_case.executing(chain, CaseKind.RECOVERY)
    make_case.carry_out(chain, moved)
    assert moved.counterparty is not None
    chain.freeze_units(moved.counterparty, 100)

    assert order_freeze.list_unfrozen(desk.session) == []
    vacate(desk, order)
    [case] = cases_of(desk, order)
    [undone] = [act for act in list_acts(desk.session, case.id) if act.lift_id]
    assert (undone.wallet, undone.units) == (moved.counterparty, 100)


def halted_recovery(desk: Desk, chain: Ledger) -> Case:
    """Recover the first wallet, of which the chain refuses everything."""
    recovery = make_case.executing(chain, CaseKind.RECOVERY)
    make_case.fail(chain, recovery)
    assert recovery.state == CaseState.INCOMPLETE
    return recovery


def test_clock__recovery_that_stopped_half_way__freezes_the_lost_wallet_once(
    desk: Desk, chain: Ledger
) -> None:
    lost = chain.holders[0].wallet.address
    order = apply(desk, on_party(desk, chain.holders[0].investor.party_id))
    confirmed(desk, chain, order)
    recovery = make_case.executing(chain, CaseKind.RECOVERY)
    assert order_freeze.list_unfrozen(desk.session) == []
    make_case.fail(chain, recovery)

    assert recovery.state == CaseState.INCOMPLETE
    assert order_freeze.list_unfrozen(desk.session) == []
    assert order_freeze.impose(desk.session, order.id) == []
    assert [case.wallet for case in cases_of(desk, order)] == [lost]


def test_clock__recovery_to_a_wallet_that_holds_already__freezes_each_once(
    desk: Desk, chain: Ledger
) -> None:
    """The new wallet is frozen for itself: what would bring the freeze there stands still."""
    holder, other = chain.holders
    lost = holder.wallet.address
    order = apply(desk, court.on_wallet(desk, lost))
    confirmed(desk, chain, order)
    recovery = halted_recovery(desk, chain)
    new = recovery.counterparty
    assert new is not None
    chain.register(new)
    chain.move(other.wallet.address, new, 10)

    assert order_freeze.list_unfrozen(desk.session) == [order.id]
    order_freeze.impose(desk.session, order.id)
    assert order_freeze.list_unfrozen(desk.session) == []
    assert [case.wallet for case in cases_of(desk, order)] == [lost, new]

    make_case.execute(desk, recovery)
    for case in (*cases_of(desk, order), recovery):
        make_case.carry_out(chain, case)
    assert recovery.state == CaseState.EXECUTED
    assert order_freeze.list_unfrozen(desk.session) == []


def test_clock__recovery_that_took_the_freeze_along__freezes_nothing_anew(
    desk: Desk, chain: Ledger
) -> None:
    order = apply(desk, court.on_wallet(desk, chain.holders[0].wallet.address))
    confirmed(desk, chain, order)
    recovery = make_case.executing(chain, CaseKind.RECOVERY)
    make_case.carry_out(chain, recovery)
    assert recovery.counterparty is not None
    chain.register(recovery.counterparty)
    chain.freeze(recovery.counterparty)

    assert order_freeze.list_unfrozen(desk.session) == []


@pytest.mark.parametrize("scope", ["AMOUNT", "WALLET"])
def test_vacate__while_a_recovery_carries_the_freeze_along__waits_and_frees_the_new_wallet(
    desk: Desk, chain: Ledger, scope: str
) -> None:
    lost = chain.holders[0].wallet.address
    order = apply(
        desk,
        court.on_amount(desk, chain, 100) if scope == "AMOUNT" else court.on_wallet(desk, lost),
    )
    confirmed(desk, chain, order)
    recovery = halted_recovery(desk, chain)
    make_case.execute(desk, recovery)
    new = recovery.counterparty
    assert new is not None

    vacate(desk, order)
    [case] = cases_of(desk, order)
    assert (order.state, case.state) == (CourtOrderState.LIFTING, CaseState.EXECUTED)
    assert order_freeze.list_releasable(desk.session) == []
    assert refusal(lambda: order_freeze.release(desk.session, case.id))[0] == "recovery_under_way"
    assert reconciliation.list_released(desk.session) == [], "the lost wallet is frozen still"

    make_case.carry_out(chain, recovery)
    if scope == "AMOUNT":
        chain.mine({"kind": EventKind.TOKENS_UNFROZEN, "target": lost, "units": 100})
        chain.freeze_units(new, 100)
    else:
        chain.freeze(new)
    assert reconciliation.list_released(desk.session) == [], "so is the new one"
    assert order_freeze.list_releasable(desk.session) == [case.id]
    order_freeze.release(desk.session, case.id)
    make_case.carry_out(chain, case)
    assert make_case.state(case) == CaseState.LIFTED
    assert new not in frozen_addresses(desk.session, chain.token)
    assert frozen_units(desk.session, chain.token) == {}
    assert ord_01(desk, chain) == []
    assert lifted(desk, chain, order).state == CourtOrderState.VACATED
    assert ord_01(desk, chain) == []


def test_execute__recovery_while_a_freeze_is_on_its_way__waits_for_it(
    desk: Desk, chain: Ledger
) -> None:
    recovery = make_case.approve(desk, make_case.opened(chain, CaseKind.RECOVERY))
    order = apply(desk, court.on_wallet(desk, chain.holders[0].wallet.address))
    [case] = cases_of(desk, order)

    said = refusal(lambda: make_case.execute(desk, recovery))
    assert said[0] == "case_acts_under_way"
    make_case.carry_out(chain, case)
    vacate(desk, order)
    said = refusal(lambda: make_case.execute(desk, recovery))
    assert said[0] == "case_acts_under_way", "its end is on its way"
    make_case.carry_out(chain, case)
    make_case.execute(desk, recovery)
    assert recovery.state == CaseState.EXECUTING


def taking(chain: Ledger, units: int) -> Case:
    """Approve a forced transfer of free units of the first holder."""
    tokens = (TokenUnits(chain.tokenization.id, units),)
    return make_case.approve(
        chain.desk, make_case.opened(chain, CaseKind.FORCED_TRANSFER, tokens=tokens)
    )


def test_execute__transfer_of_what_an_order_is_freezing__is_refused(
    desk: Desk, chain: Ledger
) -> None:
    taken = taking(chain, 550)
    order = apply(desk, court.on_amount(desk, chain, 100))
    [freeze] = cases_of(desk, order)

    assert make_case.code_of(lambda: make_case.execute(desk, taken)) == "units_frozen"

    [operation] = make_case.pending(desk, freeze)
    make_case.show(chain, operation)
    assert freeze.state == CaseState.EXECUTING, "it is projected, and not final yet"
    assert make_case.code_of(lambda: make_case.execute(desk, taken)) == "units_frozen"
    make_case.execute(desk, taking(chain, 500))


def test_signed__transfer_of_what_an_order_is_freezing_since__is_refused(
    desk: Desk, chain: Ledger
) -> None:
    taken = taking(chain, 550)
    make_case.execute(desk, taken)
    [operation] = make_case.pending(desk, taken)
    execution.require_act(desk.session, operation)
    apply(desk, court.on_amount(desk, chain, 100))

    said = make_case.code_of(lambda: execution.require_act(desk.session, operation))
    assert said == "units_frozen"


def test_execute__succession_of_what_an_order_is_freezing__is_refused(
    desk: Desk, chain: Ledger
) -> None:
    estate = make_case.approve(desk, make_case.opened(chain, CaseKind.SUCCESSION))
    apply(desk, court.on_amount(desk, chain, 100))

    assert make_case.code_of(lambda: make_case.execute(desk, estate)) == "units_frozen"
    assert make_case.state(estate) == CaseState.APPROVED


def test_signed__succession_of_what_an_order_is_freezing_since__is_refused(
    desk: Desk, chain: Ledger
) -> None:
    estate = make_case.executing(chain, CaseKind.SUCCESSION)
    [operation] = make_case.pending(desk, estate)
    apply(desk, court.on_amount(desk, chain, 1))

    said = make_case.code_of(lambda: execution.require_act(desk.session, operation))
    assert said == "units_frozen"


def recovered(chain: Ledger, *, wallet: bytes | None = None, frozen_units: int = 0) -> bytes:
    """Recover a wallet, by default the first, as the token does: the lost one is nobody's now."""
    lost = wallet or chain.holders[0].wallet.address
    terms = {} if wallet is None else {"wallet": wallet}
    recovery = make_case.executing(chain, CaseKind.RECOVERY, **terms)
    make_case.carry_out(chain, recovery)
    assert recovery.state == CaseState.EXECUTED
    new = recovery.counterparty
    assert new is not None
    chain.register(new)
    if lost in frozen_addresses(chain.desk.session, chain.token):
        chain.freeze(new)
    if frozen_units:
        chain.mine({"kind": EventKind.TOKENS_UNFROZEN, "target": lost, "units": frozen_units})
        chain.freeze_units(new, frozen_units)
    chain.mine({"kind": EventKind.IDENTITY_REMOVED, "target": lost})
    return new


def test_apply__order_on_a_wallet_that_was_recovered__is_in_force_once_the_new_one_is_frozen(
    desk: Desk, chain: Ledger
) -> None:
    new = recovered(chain)
    order = apply(desk, court.on_wallet(desk, chain.holders[0].wallet.address))
    [case] = cases_of(desk, order)
    assert case.wallet == new
    assert reconciliation.list_obeyed(desk.session) == []
    assert reconciliation.confirm_order(desk.session, order.id).state == CourtOrderState.APPLYING

    make_case.fail(chain, case)
    assert (case.state, order_freeze.list_unfrozen(desk.session)) == (CaseState.INCOMPLETE, [])
    assert reconciliation.list_obeyed(desk.session) == [], "the chain refused it"

    make_case.execute(desk, case)
    assert confirmed(desk, chain, order).state == CourtOrderState.IN_FORCE
    assert ord_01(desk, chain) == []
    chain.freeze(new, frozen=False)
    assert ord_01(desk, chain) == [f"order:{order.id}"]


def test_recovery__of_a_wallet_under_an_order__frees_nothing_that_ord_01_would_not_name(
    desk: Desk, chain: Ledger
) -> None:
    order = apply(desk, court.on_wallet(desk, chain.holders[0].wallet.address))
    confirmed(desk, chain, order)
    new = recovered(chain)
    assert ord_01(desk, chain) == []

    chain.freeze(new, frozen=False)
    assert ord_01(desk, chain) == [f"order:{order.id}"]
    assert order_freeze.list_unfrozen(desk.session) == [order.id]


def test_order__on_a_wallet_that_was_recovered_twice__follows_it_to_where_its_units_are(
    desk: Desk, chain: Ledger
) -> None:
    order = apply(desk, court.on_wallet(desk, chain.holders[0].wallet.address))
    confirmed(desk, chain, order)
    second = recovered(chain)
    halted = make_case.executing(chain, CaseKind.RECOVERY, wallet=second)
    make_case.fail(chain, halted)
    assert order_freeze.list_unfrozen(desk.session) == [], "the first recovery froze the second"
    assert ord_01(desk, chain) == []

    chain.freeze(second, frozen=False)
    assert ord_01(desk, chain) == [f"order:{order.id}"]
    assert order_freeze.list_unfrozen(desk.session) == [order.id]
    order_freeze.impose(desk.session, order.id)
    for case in cases_of(desk, order):
        make_case.carry_out(chain, case)
    assert ord_01(desk, chain) == []

    make_case.execute(desk, halted)
    make_case.carry_out(chain, halted)
    third = halted.counterparty
    assert third is not None
    chain.register(third)
    chain.mine({"kind": EventKind.IDENTITY_REMOVED, "target": second})
    assert ord_01(desk, chain) == [f"order:{order.id}"]
    chain.freeze(third)
    assert ord_01(desk, chain) == []


def test_deal__in_the_new_wallet_of_one_that_an_order_names__is_refused(
    desk: Desk, chain: Ledger
) -> None:
    holder = chain.holders[0]
    new = wallets.find_wallet(desk.session, recovered(chain))
    assert new is not None
    new.identity = secrets.token_bytes(20)
    desk.session.flush()
    require_buyer(desk.session, holder.investor, new)
    assert barred_wallets(desk.session, {new.id}) == set()

    apply(desk, court.on_wallet(desk, holder.wallet.address))
    said = refusal(lambda: require_buyer(desk.session, holder.investor, new))
    assert said == ("party_under_order", None)
    assert barred_wallets(desk.session, {new.id, chain.holders[1].wallet.id}) == {new.id}


def test_amounts__of_a_wallet_and_of_the_one_that_it_became__add_up(
    desk: Desk, chain: Ledger
) -> None:
    """The first order has all the 600 that there are; the second one has to wait for its own."""
    first = apply(desk, court.on_amount(desk, chain, 600))
    confirmed(desk, chain, first)
    new = recovered(chain, frozen_units=600)
    second = apply(desk, court.on_amount(desk, chain, 50, wallet=new))
    assert cases_of(desk, second) == []
    assert reconciliation.list_obeyed(desk.session) == []
    assert reconciliation.confirm_order(desk.session, second.id).state == CourtOrderState.APPLYING

    chain.move(chain.holders[1].wallet.address, new, 50)
    assert order_freeze.list_unfrozen(desk.session) == [second.id]
    order_freeze.impose(desk.session, second.id)
    assert confirmed(desk, chain, second).state == CourtOrderState.IN_FORCE
    vacate(desk, first)
    assert reconciliation.list_released(desk.session) == []
    assert lifted(desk, chain, first).state == CourtOrderState.VACATED
    assert frozen_units(desk.session, chain.token) == {new: 50}
    assert ord_01(desk, chain) == []


def test_vacate__amount_of_a_wallet_that_became_another__leaves_what_that_one_owes(
    desk: Desk, chain: Ledger
) -> None:
    first = apply(desk, court.on_amount(desk, chain, 100))
    confirmed(desk, chain, first)
    new = recovered(chain, frozen_units=100)
    second = apply(desk, court.on_amount(desk, chain, 50, wallet=new))
    confirmed(desk, chain, second)

    vacate(desk, first)
    assert lifted(desk, chain, first).state == CourtOrderState.VACATED
    assert frozen_units(desk.session, chain.token) == {new: 50}
    assert ord_01(desk, chain) == []


def test_amount__while_a_recovery_has_it_on_its_way__stands_where_it_is(
    desk: Desk, chain: Ledger
) -> None:
    order = apply(desk, court.on_amount(desk, chain, 100))
    confirmed(desk, chain, order)
    halted_recovery(desk, chain)
    assert ord_01(desk, chain) == []

    lost = chain.holders[0].wallet.address
    chain.mine({"kind": EventKind.TOKENS_UNFROZEN, "target": lost, "units": 1})
    assert ord_01(desk, chain) == [f"order:{order.id}"]
