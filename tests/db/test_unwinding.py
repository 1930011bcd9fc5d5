"""A sale that missed its minimum: who gets what back, and when the token ends."""

from __future__ import annotations

import secrets

import pytest
from sqlmodel import select

from registry.document.store import DocumentStore
from registry.kernel import migrate
from registry.kernel.actor import Role
from registry.kernel.db import Database
from registry.kernel.errors import Conflict, Invalid
from registry.kernel.vault import Vault
from registry.offering import audit, orders, unwinding
from registry.offering.models import Offering, OfferingState, Order, OrderState, Refund
from registry.operation.models import Operation, OperationKind
from registry.tokenization import service as tokenizations
from registry.tokenization.models import Tokenization, TokenizationState
from tests import factories as make
from tests import sales
from tests.factories import ACTORS, COMPLIANCE, Desk

pytestmark = pytest.mark.db
ON_SHELF = ()

TREASURY = ACTORS[Role.TREASURY]
MINIMUM = 50


@pytest.fixture
def sale(desk: Desk) -> Offering:
    return sales.offering(desk, sales.wrapped_apartment(desk), minimum_units=MINIMUM)


def token_of(desk: Desk, sale: Offering) -> Tokenization:
    return tokenizations.get_tokenization(desk.session, sale.tokenization_id)


def unwind(desk: Desk, sale: Offering) -> Tokenization:
    return unwinding.unwind_offering(
        desk.session, COMPLIANCE, sale.tokenization_id, reason="Too few buyers"
    )


def paid(desk: Desk, sale: Offering, units: int) -> Order:
    return sales.pay(desk, sales.order(desk, sale, make.buyer(desk), units=units))


def refund(desk: Desk, order: Order, reference: str | None = None) -> Order:
    return unwinding.record_refund(
        desk.session, TREASURY, order.id, rail_reference=reference or secrets.token_hex(8)
    )


def test_unwind__paid_and_unpaid_orders__are_due_and_cancelled(desk: Desk, sale: Offering) -> None:
    first = paid(desk, sale, 20)
    second = sales.order(desk, sale, make.buyer(desk), units=29)

    token = unwind(desk, sale)

    assert token.state == TokenizationState.UNWINDING
    assert (first.state, second.state) == (OrderState.REFUND_DUE, OrderState.CANCELLED)
    assert sale.state == OfferingState.FAILED
    with pytest.raises(Conflict, match="offering_closed"):
        sales.order(desk, sale, make.buyer(desk))
    assert sales.pay(desk, second).state == OrderState.REFUND_DUE


def test_unwind__last_refund__ends_the_token_and_closes_its_contracts(
    desk: Desk, sale: Offering
) -> None:
    bought = [paid(desk, sale, 20), paid(desk, sale, 29)]
    unwind(desk, sale)

    refund(desk, bought[0])
    assert token_of(desk, sale).state == TokenizationState.UNWINDING
    refund(desk, bought[1])

    assert token_of(desk, sale).state == TokenizationState.CANCELLED
    kinds = [row.kind for row in desk.session.exec(select(Operation)).all()]
    assert kinds.count(OperationKind.CLOSE_SUITE) == 1
    assert OperationKind.MINT not in kinds
    given = sum(row.amount_paisa for row in desk.session.exec(select(Refund)).all())
    assert given == sum(order.amount_paisa for order in bought)


def test_unwind__nothing_paid__ends_at_once(desk: Desk, sale: Offering) -> None:
    assert unwind(desk, sale).state == TokenizationState.CANCELLED


def test_unwind__minimum_reached__is_refused(desk: Desk, sale: Offering) -> None:
    paid(desk, sale, MINIMUM)
    with pytest.raises(Conflict, match="minimum_reached"):
        unwind(desk, sale)


def test_refund__twice__is_recorded_once(desk: Desk, sale: Offering) -> None:
    bought = [paid(desk, sale, 20), paid(desk, sale, 20)]
    unwind(desk, sale)
    refund(desk, bought[0], "BACK-1")

    with pytest.raises(Conflict, match="no_refund_due"):
        refund(desk, bought[0], "BACK-2")
    with pytest.raises(Conflict, match="refund_reference_reused"):
        refund(desk, bought[1], "BACK-1")


def test_refund__of_a_sale_that_goes_on__is_refused(desk: Desk, sale: Offering) -> None:
    with pytest.raises(Conflict, match="no_refund_due"):
        refund(desk, paid(desk, sale, 20))


def test_cancel__of_a_deployed_token__closes_its_contracts(desk: Desk) -> None:
    token = sales.deployed(desk, sales.wrapped_apartment(desk))

    tokenizations.cancel_tokenization(desk.session, COMPLIANCE, token.id, reason="No longer wanted")

    assert token.state == TokenizationState.CANCELLED
    kinds = [row.kind for row in desk.session.exec(select(Operation)).all()]
    assert OperationKind.CLOSE_SUITE in kinds
    assert orders.find_offering_of(desk.session, token.id) is None


def test_cancel__blank_reason__is_refused(desk: Desk) -> None:
    token = sales.deployed(desk, sales.wrapped_apartment(desk))

    with pytest.raises(Invalid, match="reason_missing"):
        tokenizations.cancel_tokenization(desk.session, COMPLIANCE, token.id, reason="   ")

    assert token.state == TokenizationState.DEPLOYED


def test_unwind__blank_reason__is_refused(desk: Desk, sale: Offering) -> None:
    with pytest.raises(Invalid, match="reason_missing"):
        unwinding.unwind_offering(desk.session, COMPLIANCE, sale.tokenization_id, reason="   ")

    assert sale.state == OfferingState.OPEN


def test_upgrade__sale_that_failed_before__counts_what_its_orders_hold(
    fresh_database: Database, vault: Vault, store: DocumentStore
) -> None:
    with fresh_database.transaction() as session:
        desk = Desk(session, vault, store)
        failed = sales.offering(desk, sales.wrapped_apartment(desk), minimum_units=MINIMUM)
        paid(desk, failed, 20)
        unwind(desk, failed)
        assert list(audit.faults(session)) == []
        session.get_one(Offering, failed.id).reserved_units = 20
    migrate.downgrade(fresh_database, "0070")

    migrate.upgrade(fresh_database)

    with fresh_database.transaction() as session:
        assert session.get_one(Offering, failed.id).reserved_units == 0
        assert list(audit.faults(session)) == []
