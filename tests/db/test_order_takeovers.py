"""What an order that ends leaves frozen: other orders that lack units take them over."""

from __future__ import annotations

import pytest

from registry.captable.models import ForcedAct
from registry.case import execution, order_freeze
from registry.case.models import CaseState
from registry.case.repository import list_acts
from registry.court_order import lifting
from registry.court_order.models import CourtOrder, CourtOrderState
from registry.kernel.clock import today
from registry.operation.models import OperationKind, OperationState
from registry.reconciliation import service as reconciliation
from registry.reconciliation.freezes import frozen_units
from registry.reconciliation.models import ReconciliationBreak
from tests import cases as make_case
from tests import court
from tests.db.test_freezes_and_recoveries import recovered
from tests.db.test_order_freezes import (
    apply,
    cases_of,
    chain,
    confirmed,
    let_it_run_out,
    lifted,
    more_than_there_is,
    ord_01,
    vacate,
)
from tests.factories import Desk
from tests.ledger import Ledger

__all__ = ["chain"]

pytestmark = pytest.mark.db


def all_taken(desk: Desk, chain: Ledger, *wanted: int) -> list[CourtOrder]:
    """Apply an order on all 600 of a wallet, and one on each of some amounts that gets nothing."""
    first = apply(desk, court.on_amount(desk, chain, 600, ends_on=today()))
    confirmed(desk, chain, first)
    others = [apply(desk, court.on_amount(desk, chain, units)) for units in wanted]
    assert not any(cases_of(desk, order) for order in others)
    assert reconciliation.list_obeyed(desk.session) == []
    return [first, *others]


def differences(desk: Desk, chain: Ledger) -> list[ReconciliationBreak]:
    return list(reconciliation.run_checks(desk.session, chain.tokenization.id))


def test_vacate__units_that_another_order_lacks__are_taken_over_and_the_rest_is_freed(
    desk: Desk, chain: Ledger
) -> None:
    wallet = chain.holders[0].wallet.address
    first, second = all_taken(desk, chain, 100)

    vacate(desk, first)
    [freeze], [taken] = cases_of(desk, first), cases_of(desk, second)
    assert (freeze.state, taken.state) == (CaseState.LIFTING, CaseState.EXECUTED)
    assert [act.units for act in list_acts(desk.session, taken.id)] == [100]
    [operation] = make_case.pending(desk, freeze)
    [sent] = execution.acts_of(desk.session, operation)
    assert (sent.act, sent.units) == (ForcedAct.UNFREEZE_UNITS, 500)
    assert order_freeze.list_unfrozen(desk.session) == []
    assert ord_01(desk, chain) == []

    assert lifted(desk, chain, first).state == CourtOrderState.VACATED
    assert (make_case.state(freeze), ord_01(desk, chain)) == (CaseState.LIFTED, [])
    assert frozen_units(desk.session, chain.token) == {wallet: 100}
    assert confirmed(desk, chain, second).state == CourtOrderState.IN_FORCE
    assert differences(desk, chain) == []

    vacate(desk, second)
    assert lifted(desk, chain, second).state == CourtOrderState.VACATED
    assert frozen_units(desk.session, chain.token) == {}
    assert differences(desk, chain) == []


def test_vacate__all_is_lacked_by_others__changes_nothing_on_chain(
    desk: Desk, chain: Ledger
) -> None:
    """The older of the others comes first, and has more than there is ordered."""
    wallet = chain.holders[0].wallet.address
    first, second, third = all_taken(desk, chain, 550, 100)

    vacate(desk, first)
    [freeze] = cases_of(desk, first)
    assert freeze.state == CaseState.LIFTED
    assert reconciliation.lift_order(desk.session, first.id).state == CourtOrderState.VACATED
    assert reconciliation.list_obeyed(desk.session) == [second.id]
    reconciliation.confirm_order(desk.session, second.id)
    assert frozen_units(desk.session, chain.token) == {wallet: 600}
    assert ord_01(desk, chain) == []

    vacate(desk, second)
    assert [case.state for case in cases_of(desk, third)] == [CaseState.EXECUTED] * 2
    assert lifted(desk, chain, second).state == CourtOrderState.VACATED
    assert frozen_units(desk.session, chain.token) == {wallet: 100}
    assert confirmed(desk, chain, third).state == CourtOrderState.IN_FORCE
    assert differences(desk, chain) == []


@pytest.mark.parametrize("lacked", [100, 620])
def test_vacate__frozen_by_several_cases__leaves_no_more_than_is_lacked(
    desk: Desk, chain: Ledger, lacked: int
) -> None:
    first, second = (holder.wallet.address for holder in chain.holders)
    order, _ = more_than_there_is(desk, chain)
    chain.move(second, first, 50)
    order_freeze.impose(desk.session, order.id)
    make_case.carry_out(chain, cases_of(desk, order)[1])
    later = apply(desk, court.on_amount(desk, chain, lacked))

    vacate(desk, order)
    assert {case.state for case in cases_of(desk, later)} == {CaseState.EXECUTED}
    assert lifted(desk, chain, order).state == CourtOrderState.VACATED
    assert frozen_units(desk.session, chain.token) == {first: lacked}
    assert confirmed(desk, chain, later).state == CourtOrderState.IN_FORCE
    assert differences(desk, chain) == []


def test_vacate__frozen_by_another_attempt_than_the_operation__is_taken_over_once_final(
    desk: Desk, chain: Ledger
) -> None:
    wallet = chain.holders[0].wallet.address
    first, second, third = all_taken(desk, chain, 100, 50)
    [operation] = make_case.planned(desk, OperationKind.CASE_ACT)
    make_case.end(desk, operation, OperationState.REPLACED)
    vacate(desk, first)
    assert cases_of(desk, second) == [], "a reorg could still take the block"

    chain.finalize()
    [case] = cases_of(desk, first)
    assert order_freeze.list_releasable(desk.session) == [case.id]
    order_freeze.release(desk.session, case.id)
    assert [item.state for item in cases_of(desk, second)] == [CaseState.EXECUTED]
    assert ord_01(desk, chain) == []
    assert lifted(desk, chain, first).state == CourtOrderState.VACATED
    assert confirmed(desk, chain, second).state == CourtOrderState.IN_FORCE

    make_case.end(desk, operation, OperationState.BROADCAST)
    vacate(desk, second)
    assert lifted(desk, chain, second).state == CourtOrderState.VACATED
    assert frozen_units(desk.session, chain.token) == {wallet: 50}
    assert confirmed(desk, chain, third).state == CourtOrderState.IN_FORCE
    assert differences(desk, chain) == []


def test_expiry__units_that_another_order_lacks__are_taken_over_by_the_clock(
    desk: Desk, chain: Ledger
) -> None:
    wallet = chain.holders[0].wallet.address
    first, second = all_taken(desk, chain, 100)
    let_it_run_out(desk, first)
    lifting.expire_order(desk.session, first.id)

    [case] = cases_of(desk, first)
    assert order_freeze.list_releasable(desk.session) == [case.id]
    order_freeze.release(desk.session, case.id)
    assert ord_01(desk, chain) == []
    make_case.carry_out(chain, case)
    assert frozen_units(desk.session, chain.token) == {wallet: 100}
    assert confirmed(desk, chain, second).state == CourtOrderState.IN_FORCE
    assert differences(desk, chain) == []


def test_vacate__wallet_that_became_another__leaves_it_what_is_lacked_there(
    desk: Desk, chain: Ledger
) -> None:
    first = apply(desk, court.on_amount(desk, chain, 600))
    confirmed(desk, chain, first)
    new = recovered(chain, frozen_units=600)
    second = apply(desk, court.on_amount(desk, chain, 50, wallet=new))

    vacate(desk, first)
    assert [case.wallet for case in cases_of(desk, second)] == [new]
    assert lifted(desk, chain, first).state == CourtOrderState.VACATED
    assert frozen_units(desk.session, chain.token) == {new: 50}
    assert confirmed(desk, chain, second).state == CourtOrderState.IN_FORCE
    assert ord_01(desk, chain) == []


def test_units_taken_over__by_a_log_under_their_new_case__are_explained_to_nobody(
    desk: Desk, chain: Ledger
) -> None:
    """The act stands in both cases, and is sent by neither."""
    first, second = all_taken(desk, chain, 100)
    vacate(desk, first)
    lifted(desk, chain, first)
    assert differences(desk, chain) == []

    [taken] = cases_of(desk, second)
    [act] = list_acts(desk.session, taken.id)
    chain.mine(*(
        event | {"tx_hash": b"f" * 32}
        for event in [make_case.logged(chain, act), *make_case.effects(chain, act)]
    ))  # fmt: skip
    assert "TOK-07" in {item.rule for item in differences(desk, chain)}
