"""What an order freezes on chain by itself, and how that ends with the order."""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import Any

import pytest
from sqlmodel import col, select

from registry.captable.models import EventKind
from registry.case import execution, order_freeze
from registry.case.layout import TokenUnits
from registry.case.models import Case, CaseKind, CaseLift, CaseState
from registry.case.repository import list_acts
from registry.court_order import lifting
from registry.court_order.models import CourtOrder, CourtOrderState, OrderScope
from registry.court_order.service import due_orders, receive_order
from registry.kernel.actor import Role
from registry.kernel.clock import today
from registry.kyc_standing import service as standing
from registry.operation.models import OperationKind
from registry.reconciliation import service as reconciliation
from registry.reconciliation.freezes import (
    frozen_addresses,
    frozen_units,
    order_differences,
)
from registry.reconciliation.views import look_at
from registry.tokenization.models import TokenizationState
from tests import cases as make_case
from tests import court, ledger
from tests import factories as make
from tests.court import REGULATOR, SECOND_COMPLIANCE
from tests.deeds import refusal
from tests.factories import CHECKER, COMPLIANCE, Desk
from tests.kyc import SECOND_OFFICER
from tests.ledger import Ledger

pytestmark = pytest.mark.db
ON_SHELF = (600, 400)


@pytest.fixture
def chain(desk: Desk) -> Ledger:
    return ledger.live(desk, 600, 400)


def apply(desk: Desk, order: CourtOrder) -> CourtOrder:
    court.authenticate(desk, order)
    return order_freeze.apply_order(desk.session, SECOND_COMPLIANCE, order.id)


def vacate(desk: Desk, order: CourtOrder) -> CourtOrder:
    said: dict[str, Any] = {"vacating_sha256": secrets.token_bytes(32)}
    order_freeze.vacate_order(desk.session, COMPLIANCE, order.id, role=Role.COMPLIANCE, **said)
    return order_freeze.vacate_order(
        desk.session, CHECKER, order.id, role=Role.REGISTRAR_CHECKER, **said
    )


def on_party(desk: Desk, party_id: Any) -> CourtOrder:
    return receive_order(
        desk.session, REGULATOR, court.new_order(OrderScope.PARTY, party_id=party_id)
    )


def cases_of(desk: Desk, order: CourtOrder) -> list[Case]:
    query = select(Case).where(col(Case.order_id) == order.id).order_by(col(Case.id))
    return list(desk.session.exec(query).all())


def ord_01(desk: Desk, chain: Ledger) -> list[str]:
    view = look_at(desk.session, chain.tokenization.id)
    return [item.subject for item in order_differences(desk.session, view)]


def confirmed(desk: Desk, chain: Ledger, order: CourtOrder) -> CourtOrder:
    for case in cases_of(desk, order):
        make_case.carry_out(chain, case)
    assert order.id in reconciliation.list_obeyed(desk.session)
    return reconciliation.confirm_order(desk.session, order.id)


def lifted(desk: Desk, chain: Ledger, order: CourtOrder) -> CourtOrder:
    for case in cases_of(desk, order):
        make_case.carry_out(chain, case)
    return reconciliation.lift_order(desk.session, order.id)


def test_apply__order_on_a_wallet__opens_its_case_at_once(desk: Desk, chain: Ledger) -> None:
    wallet = chain.holders[0].wallet.address
    order = apply(desk, court.on_wallet(desk, wallet))

    [case] = cases_of(desk, order)
    assert (case.kind, case.state) == (CaseKind.FREEZE_WALLET, CaseState.EXECUTING)
    assert (case.maker, case.approved_by, case.document_id) == (f"order:{order.id}", None, None)
    assert (case.wallet, case.investor_id) == (wallet, chain.holders[0].investor.id)
    assert order.case_no in case.legal_basis
    [operation] = make_case.planned(desk, OperationKind.CASE_ACT)
    assert operation.params["case_id"] == str(case.id)
    assert reconciliation.list_obeyed(desk.session) == []

    assert confirmed(desk, chain, order).state == CourtOrderState.IN_FORCE
    assert case.state == CaseState.EXECUTED
    assert frozen_addresses(desk.session, chain.token) == {wallet}
    assert ord_01(desk, chain) == []
    assert order_freeze.list_unfrozen(desk.session) == []


def test_apply__order_on_a_party__freezes_each_of_its_wallets(desk: Desk, chain: Ledger) -> None:
    holder = chain.holders[0]
    second = make.proven_wallet(desk, holder.actor, holder.investor.id)
    chain.register(second.address)
    order = apply(desk, on_party(desk, holder.investor.party_id))

    assert {case.wallet for case in cases_of(desk, order)} == {
        holder.wallet.address, second.address,
    }  # fmt: skip
    confirmed(desk, chain, order)
    assert frozen_addresses(desk.session, chain.token) == {holder.wallet.address, second.address}


def test_clock__wallet_registered_later__is_frozen_too(desk: Desk, chain: Ledger) -> None:
    holder = chain.holders[0]
    order = apply(desk, on_party(desk, holder.investor.party_id))
    confirmed(desk, chain, order)
    late = make.proven_wallet(desk, holder.actor, holder.investor.id)
    chain.register(late.address)
    assert ord_01(desk, chain) == [f"order:{order.id}"]

    assert order_freeze.list_unfrozen(desk.session) == [order.id]
    order_freeze.impose(desk.session, order.id)
    assert order_freeze.impose(desk.session, order.id) == []

    [_, case] = cases_of(desk, order)
    make_case.carry_out(chain, case)
    assert case.wallet == late.address
    assert ord_01(desk, chain) == []


def test_apply__order_on_an_amount__freezes_what_is_free_and_the_rest_later(
    desk: Desk, chain: Ledger
) -> None:
    first, second = (holder.wallet.address for holder in chain.holders)
    order = apply(desk, court.on_amount(desk, chain, 700))
    [case] = cases_of(desk, order)
    [act] = list_acts(desk.session, case.id)
    assert act.units == 600
    assert order_freeze.impose(desk.session, order.id) == []
    make_case.carry_out(chain, case)
    assert reconciliation.list_obeyed(desk.session) == []

    chain.move(second, first, 250)
    assert order_freeze.list_unfrozen(desk.session) == [order.id]
    order_freeze.impose(desk.session, order.id)
    assert confirmed(desk, chain, order).state == CourtOrderState.IN_FORCE
    assert frozen_units(desk.session, chain.token) == {first: 700}
    assert ord_01(desk, chain) == []


def test_vacate__order_on_a_wallet__frees_it_at_once(desk: Desk, chain: Ledger) -> None:
    order = apply(desk, court.on_wallet(desk, chain.holders[0].wallet.address))
    confirmed(desk, chain, order)

    vacate(desk, order)
    [case] = cases_of(desk, order)
    assert (order.state, case.state) == (CourtOrderState.LIFTING, CaseState.LIFTING)
    assert reconciliation.list_released(desk.session) == []
    assert lifted(desk, chain, order).state == CourtOrderState.VACATED

    assert case.state == CaseState.LIFTED
    lift = desk.session.exec(select(CaseLift).where(col(CaseLift.case_id) == case.id)).one()
    assert (lift.order_id, lift.document_id, lift.maker) == (order.id, None, f"order:{order.id}")
    assert frozen_addresses(desk.session, chain.token) == set()
    assert ord_01(desk, chain) == []


def test_vacate__units_of_two_orders__frees_only_its_own(desk: Desk, chain: Ledger) -> None:
    wallet = chain.holders[0].wallet.address
    first = apply(desk, court.on_amount(desk, chain, 100))
    confirmed(desk, chain, first)
    second = apply(desk, court.on_amount(desk, chain, 50))
    confirmed(desk, chain, second)
    assert frozen_units(desk.session, chain.token) == {wallet: 150}

    vacate(desk, first)
    assert lifted(desk, chain, first).state == CourtOrderState.VACATED

    assert frozen_units(desk.session, chain.token) == {wallet: 50}
    assert ord_01(desk, chain) == []
    assert second.state == CourtOrderState.IN_FORCE


def test_vacate__units_that_were_taken_meanwhile__frees_nobody_elses(
    desk: Desk, chain: Ledger
) -> None:
    """Of 600 the first order has 500, the second 100; a forced transfer took 300 of the frozen."""
    wallet = chain.holders[0].wallet.address
    first = apply(desk, court.on_amount(desk, chain, 500))
    confirmed(desk, chain, first)
    second = apply(desk, court.on_amount(desk, chain, 100))
    confirmed(desk, chain, second)
    taking = make_case.executing(
        chain, CaseKind.FORCED_TRANSFER,
        tokens=(TokenUnits(chain.tokenization.id, 300),), takes_frozen=True,
    )  # fmt: skip
    make_case.carry_out(chain, taking)
    chain.mine({"kind": EventKind.TOKENS_UNFROZEN, "target": wallet, "units": 300})
    assert frozen_units(desk.session, chain.token) == {wallet: 300}

    vacate(desk, first)
    for case in cases_of(desk, first):
        make_case.carry_out(chain, case)

    assert frozen_units(desk.session, chain.token) == {wallet: 100}
    assert second.state == CourtOrderState.IN_FORCE


def test_vacate__wallet_that_another_order_wants__stays_frozen_until_that_one_ends(
    desk: Desk, chain: Ledger
) -> None:
    holder = chain.holders[0]
    first = apply(desk, court.on_wallet(desk, holder.wallet.address))
    confirmed(desk, chain, first)
    second = apply(desk, on_party(desk, holder.investor.party_id))
    assert cases_of(desk, second) == []
    assert reconciliation.confirm_order(desk.session, second.id).state == CourtOrderState.IN_FORCE

    vacate(desk, first)
    [case] = cases_of(desk, first)
    assert case.state == CaseState.EXECUTED
    assert refusal(lambda: order_freeze.release(desk.session, case.id)) == ("order_in_force", None)
    assert reconciliation.lift_order(desk.session, first.id).state == CourtOrderState.VACATED
    assert frozen_addresses(desk.session, chain.token) == {holder.wallet.address}
    assert ord_01(desk, chain) == []

    vacate(desk, second)
    assert order_freeze.list_releasable(desk.session) == [case.id]
    order_freeze.release(desk.session, case.id)
    make_case.carry_out(chain, case)
    assert frozen_addresses(desk.session, chain.token) == set()
    assert reconciliation.lift_order(desk.session, second.id).state == CourtOrderState.VACATED


def test_vacate__wallet_of_a_holder_whose_kyc_ended__stays_frozen_by_kyc(
    desk: Desk, chain: Ledger
) -> None:
    holder = chain.holders[0]
    order = apply(desk, court.on_wallet(desk, holder.wallet.address))
    confirmed(desk, chain, order)
    standing.revoke_kyc(desk.session, SECOND_OFFICER, holder.investor.id, reason="Lied")
    by_kyc = desk.session.exec(select(Case).where(col(Case.kyc_review_id).is_not(None))).one()
    make_case.carry_out(chain, by_kyc)

    vacate(desk, order)

    [case] = cases_of(desk, order)
    assert (case.state, by_kyc.state) == (CaseState.LIFTED, CaseState.EXECUTED)
    assert frozen_addresses(desk.session, chain.token) == {holder.wallet.address}
    assert ord_01(desk, chain) == []


def test_expiry__of_an_order__frees_what_it_froze_and_else_is_a_break(
    desk: Desk, chain: Ledger
) -> None:
    wallet = chain.holders[0].wallet.address
    order = apply(desk, court.on_wallet(desk, wallet, ends_on=today()))
    confirmed(desk, chain, order)
    order.issued_on = order.ends_on = today() - timedelta(days=1)
    desk.session.flush()
    lifting.expire_order(desk.session, order.id)
    [case] = cases_of(desk, order)
    assert ord_01(desk, chain) == [f"0x{wallet.hex()}"], "a freeze that no order wants"

    assert order_freeze.list_releasable(desk.session) == [case.id]
    order_freeze.release(desk.session, case.id)
    assert ord_01(desk, chain) == [], "it is on its way"
    make_case.carry_out(chain, case)
    assert frozen_addresses(desk.session, chain.token) == set()
    assert ord_01(desk, chain) == []


def more_than_there_is(desk: Desk, chain: Ledger, **said: Any) -> tuple[CourtOrder, Case]:
    """Apply an order on 700 of the 600 that the wallet has: 600 are frozen."""
    order = apply(desk, court.on_amount(desk, chain, 700, **said))
    [case] = cases_of(desk, order)
    make_case.carry_out(chain, case)
    assert frozen_units(desk.session, chain.token) == {chain.holders[0].wallet.address: 600}
    assert (order.state, reconciliation.list_obeyed(desk.session)) == ("APPLYING", [])
    return order, case


def let_it_run_out(desk: Desk, order: CourtOrder) -> None:
    order.issued_on = order.ends_on = today() - timedelta(days=1)
    desk.session.flush()


def test_vacate__more_than_the_wallet_has__frees_all_and_freezes_nothing_that_comes(
    desk: Desk, chain: Ledger
) -> None:
    first, second = (holder.wallet.address for holder in chain.holders)
    order, case = more_than_there_is(desk, chain)

    vacate(desk, order)
    chain.move(second, first, 250)
    assert (order.state, case.state) == (CourtOrderState.LIFTING, CaseState.LIFTING)
    assert order_freeze.list_unfrozen(desk.session) == []
    assert lifted(desk, chain, order).state == CourtOrderState.VACATED

    assert frozen_units(desk.session, chain.token) == {}
    assert ord_01(desk, chain) == []


def test_expiry__more_than_the_wallet_has__frees_all_and_freezes_nothing_that_comes(
    desk: Desk, chain: Ledger
) -> None:
    first, second = (holder.wallet.address for holder in chain.holders)
    order, case = more_than_there_is(desk, chain, ends_on=today())
    assert due_orders(desk.session) == []
    let_it_run_out(desk, order)

    assert due_orders(desk.session) == [order.id]
    lifting.expire_order(desk.session, order.id)
    chain.move(second, first, 250)
    assert (order.state, due_orders(desk.session)) == (CourtOrderState.EXPIRED, [])
    assert order_freeze.list_unfrozen(desk.session) == []
    assert order_freeze.list_releasable(desk.session) == [case.id]
    order_freeze.release(desk.session, case.id)
    make_case.carry_out(chain, case)

    assert frozen_units(desk.session, chain.token) == {}
    assert ord_01(desk, chain) == []


def test_vacate__freeze_on_its_way__waits_for_it_and_frees_it_then(
    desk: Desk, chain: Ledger
) -> None:
    order = apply(desk, court.on_wallet(desk, chain.holders[0].wallet.address))
    [case] = cases_of(desk, order)

    vacate(desk, order)
    assert (order.state, case.state) == (CourtOrderState.LIFTING, CaseState.EXECUTING)
    assert reconciliation.list_released(desk.session) == [], "the chain may freeze it still"
    make_case.carry_out(chain, case)
    assert order_freeze.list_releasable(desk.session) == [case.id]
    order_freeze.release(desk.session, case.id)

    assert lifted(desk, chain, order).state == CourtOrderState.VACATED
    assert frozen_addresses(desk.session, chain.token) == set()
    assert ord_01(desk, chain) == []


def test_vacate__freeze_that_nobody_has_signed__is_not_signed_any_more(
    desk: Desk, chain: Ledger
) -> None:
    order = apply(desk, court.on_wallet(desk, chain.holders[0].wallet.address))
    [case] = cases_of(desk, order)
    [operation] = make_case.pending(desk, case)

    vacate(desk, order)
    said = refusal(lambda: execution.require_act(desk.session, operation))
    assert said == ("order_not_in_force", None)
    make_case.fail(chain, case)
    assert case.state == CaseState.INCOMPLETE
    order_freeze.release(desk.session, case.id)

    assert make_case.state(case) == CaseState.LIFTED
    assert reconciliation.lift_order(desk.session, order.id).state == CourtOrderState.VACATED


def test_expiry__freeze_on_its_way__is_no_break_and_is_freed_then(
    desk: Desk, chain: Ledger
) -> None:
    wallet = chain.holders[0].wallet.address
    order = apply(desk, court.on_wallet(desk, wallet, ends_on=today()))
    [case] = cases_of(desk, order)
    let_it_run_out(desk, order)
    lifting.expire_order(desk.session, order.id)

    chain.freeze(wallet)
    assert case.state == CaseState.EXECUTING
    assert ord_01(desk, chain) == [], "the chain shows it, its receipt is not final yet"
    make_case.carry_out(chain, case)
    assert order_freeze.list_releasable(desk.session) == [case.id]
    order_freeze.release(desk.session, case.id)
    make_case.carry_out(chain, case)
    assert frozen_addresses(desk.session, chain.token) == set()


def varied(desk: Desk, chain: Ledger, **said: Any) -> tuple[CourtOrder, Case]:
    """Vary an order in force, on a hundred fractions; nobody has applied it again."""
    order = apply(desk, court.on_amount(desk, chain, 100))
    confirmed(desk, chain, order)
    new: dict[str, Any] = {"document_sha256": b"n" * 32, "amount_units": 130} | said
    lifting.vary_order(desk.session, COMPLIANCE, order.id, **new)
    [case] = cases_of(desk, order)
    return order, case


def test_vacate__varied_and_not_applied_again__frees_what_it_froze(
    desk: Desk, chain: Ledger
) -> None:
    order, case = varied(desk, chain)

    vacate(desk, order)
    assert (order.state, case.state) == (CourtOrderState.LIFTING, CaseState.LIFTING)
    assert lifted(desk, chain, order).state == CourtOrderState.VACATED
    assert frozen_units(desk.session, chain.token) == {}
    assert ord_01(desk, chain) == []


def test_expiry__varied_and_not_applied_again__frees_what_it_froze(
    desk: Desk, chain: Ledger
) -> None:
    order, case = varied(desk, chain, ends_on=today())
    assert due_orders(desk.session) == []
    let_it_run_out(desk, order)
    said = refusal(lambda: order_freeze.apply_order(desk.session, SECOND_COMPLIANCE, order.id))
    assert said == ("order_over", None)

    assert due_orders(desk.session) == [order.id]
    lifting.expire_order(desk.session, order.id)
    assert order.state == CourtOrderState.EXPIRED
    assert order_freeze.list_releasable(desk.session) == [case.id]
    order_freeze.release(desk.session, case.id)
    make_case.carry_out(chain, case)
    assert frozen_units(desk.session, chain.token) == {}
    assert ord_01(desk, chain) == []


def test_release__while_the_order_commands__is_refused(desk: Desk, chain: Ledger) -> None:
    order = apply(desk, court.on_wallet(desk, chain.holders[0].wallet.address))
    confirmed(desk, chain, order)
    [case] = cases_of(desk, order)

    assert refusal(lambda: order_freeze.release(desk.session, case.id)) == ("order_in_force", None)
    assert refusal(lambda: make_case.open_lift(chain, case)) == ("order_in_force", None)


def test_impose__order_that_is_not_applied__is_refused(desk: Desk, chain: Ledger) -> None:
    order = court.authenticate(desk, court.on_wallet(desk, chain.holders[0].wallet.address))

    said = refusal(lambda: order_freeze.impose(desk.session, order.id))
    assert said == ("order_not_in_force", None)
    assert order_freeze.list_unfrozen(desk.session) == []


def test_apply__wallet_that_people_froze_already__opens_no_second_case(
    desk: Desk, chain: Ledger
) -> None:
    standing_case = make_case.executing(chain, CaseKind.FREEZE_WALLET)
    make_case.carry_out(chain, standing_case)
    order = apply(desk, court.on_wallet(desk, chain.holders[0].wallet.address))

    assert cases_of(desk, order) == []
    assert reconciliation.confirm_order(desk.session, order.id).state == CourtOrderState.IN_FORCE
    assert refusal(lambda: make_case.open_lift(chain, standing_case)) == ("order_in_force", None)


def test_apply__holder_of_a_token_that_has_ended__is_in_force_without_it(
    desk: Desk, chain: Ledger
) -> None:
    chain.tokenization.state = TokenizationState.BURNED
    desk.session.flush()
    order = apply(desk, court.on_wallet(desk, chain.holders[0].wallet.address))

    assert cases_of(desk, order) == []
    assert reconciliation.list_obeyed(desk.session) == [order.id]


def test_freeze__that_the_chain_refused__is_executed_again_by_people(
    desk: Desk, chain: Ledger
) -> None:
    order = apply(desk, court.on_wallet(desk, chain.holders[0].wallet.address))
    [case] = cases_of(desk, order)
    make_case.fail(chain, case)
    assert case.state == CaseState.INCOMPLETE
    assert order_freeze.list_unfrozen(desk.session) == []

    make_case.execute(desk, case)
    assert confirmed(desk, chain, order).state == CourtOrderState.IN_FORCE


def test_vary__amount_made_larger__freezes_the_difference_once_it_is_applied_again(
    desk: Desk, chain: Ledger
) -> None:
    order = apply(desk, court.on_amount(desk, chain, 100))
    confirmed(desk, chain, order)
    more: dict[str, Any] = {"document_sha256": b"n" * 32}
    said = refusal(
        lambda: lifting.vary_order(desk.session, COMPLIANCE, order.id, amount_units=99, **more)
    )
    assert said == ("order_amount_smaller", None)

    lifting.vary_order(desk.session, COMPLIANCE, order.id, amount_units=130, **more)
    assert order_freeze.list_unfrozen(desk.session) == [], "nobody has applied it yet"
    order_freeze.apply_order(desk.session, SECOND_COMPLIANCE, order.id)
    confirmed(desk, chain, order)
    assert frozen_units(desk.session, chain.token) == {chain.holders[0].wallet.address: 130}

    vacate(desk, order)
    assert lifted(desk, chain, order).state == CourtOrderState.VACATED
    assert frozen_units(desk.session, chain.token) == {}
