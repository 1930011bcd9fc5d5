"""An order on an amount is in force by what is frozen for it, never by what others have frozen."""

from __future__ import annotations

import pytest

from registry.case import order_freeze
from registry.case.layout import TokenUnits
from registry.case.models import Case, CaseKind
from registry.court_order.models import CourtOrderState
from registry.reconciliation import service as reconciliation
from registry.reconciliation.freezes import frozen_units
from tests import cases as make_case
from tests import court
from tests.db.test_order_freezes import apply, cases_of, chain, confirmed, ord_01, vacate
from tests.factories import Desk
from tests.ledger import Ledger

__all__ = ["chain"]

pytestmark = pytest.mark.db


def frozen_by_people(chain: Ledger, units: int) -> Case:
    tokens = (TokenUnits(chain.tokenization.id, units),)
    case = make_case.executing(chain, CaseKind.FREEZE_UNITS, tokens=tokens)
    make_case.carry_out(chain, case)
    return case


def lift(chain: Ledger, case: Case) -> None:
    make_case.open_lift(chain, case)
    make_case.approve(chain.desk, case)
    make_case.execute(chain.desk, case)
    make_case.carry_out(chain, case)


def test_confirm__as_many_units_that_people_froze__waits_for_its_own(
    desk: Desk, chain: Ledger
) -> None:
    wallet = chain.holders[0].wallet.address
    theirs = frozen_by_people(chain, 100)
    order = apply(desk, court.on_amount(desk, chain, 100))
    assert reconciliation.list_obeyed(desk.session) == []
    assert reconciliation.confirm_order(desk.session, order.id).state == CourtOrderState.APPLYING
    assert make_case.code_of(lambda: make_case.open_lift(chain, theirs)) == "order_in_force"

    assert confirmed(desk, chain, order).state == CourtOrderState.IN_FORCE
    assert frozen_units(desk.session, chain.token) == {wallet: 200}
    lift(chain, theirs)
    assert frozen_units(desk.session, chain.token) == {wallet: 100}
    assert ord_01(desk, chain) == []


def test_confirm__all_units_frozen_by_people__is_not_in_force_and_theirs_stay(
    desk: Desk, chain: Ledger
) -> None:
    theirs = frozen_by_people(chain, 600)
    order = apply(desk, court.on_amount(desk, chain, 100))

    assert cases_of(desk, order) == []
    assert reconciliation.list_obeyed(desk.session) == []
    assert make_case.code_of(lambda: make_case.open_lift(chain, theirs)) == "order_in_force"


def test_lift__order_has_less_than_it_wants__is_refused_while_another_lift_is_open(
    desk: Desk, chain: Ledger
) -> None:
    """Both could be lifted at once else: each leaves what the other one has frozen."""
    first, second = (frozen_by_people(chain, 300) for _ in range(2))
    apply(desk, court.on_amount(desk, chain, 100))

    make_case.open_lift(chain, first)
    assert make_case.code_of(lambda: make_case.open_lift(chain, second)) == "order_in_force"
    make_case.approve(desk, first)
    assert make_case.code_of(lambda: make_case.open_lift(chain, second)) == "order_in_force"
    make_case.execute(desk, first)
    assert make_case.code_of(lambda: make_case.open_lift(chain, second)) == "order_in_force"


def test_lift__all_frozen_by_two_cases_of_people__are_lifted_one_after_the_other(
    desk: Desk, chain: Ledger
) -> None:
    wallet = chain.holders[0].wallet.address
    first, second = (frozen_by_people(chain, 300) for _ in range(2))
    order = apply(desk, court.on_amount(desk, chain, 100))
    assert cases_of(desk, order) == []

    lift(chain, first)
    assert make_case.code_of(lambda: make_case.open_lift(chain, second)) == "order_in_force"
    assert order_freeze.list_unfrozen(desk.session) == [order.id]
    order_freeze.impose(desk.session, order.id)
    assert make_case.code_of(lambda: make_case.open_lift(chain, second)) == "order_in_force"
    assert confirmed(desk, chain, order).state == CourtOrderState.IN_FORCE

    lift(chain, second)
    assert frozen_units(desk.session, chain.token) == {wallet: 100}
    assert ord_01(desk, chain) == []


def test_lift__case_of_people_under_the_order__is_refused_though_others_freeze_as_much(
    desk: Desk, chain: Ledger
) -> None:
    first, second = (holder.wallet.address for holder in chain.holders)
    frozen_by_people(chain, 500)
    order = apply(desk, court.on_amount(desk, chain, 300))
    make_case.carry_out(chain, cases_of(desk, order)[0])
    chain.move(second, first, 50)
    tokens = (TokenUnits(chain.tokenization.id, 50),)
    case = make_case.executing(chain, CaseKind.FREEZE_UNITS, tokens=tokens, order_id=order.id)
    make_case.carry_out(chain, case)

    assert make_case.code_of(lambda: make_case.open_lift(chain, case)) == "order_in_force"


def test_ord_01__own_units_and_those_of_people_of_which_some_were_taken__obeys_still(
    desk: Desk, chain: Ledger
) -> None:
    wallet = chain.holders[0].wallet.address
    frozen_by_people(chain, 100)
    order = apply(desk, court.on_amount(desk, chain, 300))
    confirmed(desk, chain, order)
    chain.mine({"kind": 4, "target": wallet, "units": 100})
    assert ord_01(desk, chain) == []

    chain.mine({"kind": 4, "target": wallet, "units": 1})
    assert ord_01(desk, chain) == [f"order:{order.id}"]


def test_ord_01__while_an_older_order_is_lifted__obeys_throughout(
    desk: Desk, chain: Ledger
) -> None:
    first, second = (apply(desk, court.on_amount(desk, chain, units)) for units in (100, 50))
    for order in (first, second):
        confirmed(desk, chain, order)

    vacate(desk, first)
    assert ord_01(desk, chain) == []
    [case] = cases_of(desk, first)
    make_case.carry_out(chain, case)
    assert first.state == CourtOrderState.LIFTING
    assert ord_01(desk, chain) == [], "the chain has let go what was the first one's"
    assert reconciliation.lift_order(desk.session, first.id).state == CourtOrderState.VACATED
    assert order_freeze.list_unfrozen(desk.session) == []
