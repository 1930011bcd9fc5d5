"""A sale that cannot be closed any more: two people give it up, and everything paid goes back."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import timedelta

import pytest
from sqlmodel import col, select

from registry.document import service as documents
from registry.document.models import Document
from registry.encumbrance.models import EncumbranceKind, EncumbranceState
from registry.investor.models import KycState
from registry.kernel.actor import Role
from registry.kernel.clock import now
from registry.kernel.errors import Conflict, RegistryError
from registry.ledger import service as ledger
from registry.ledger.models import Account
from registry.offering import acceptance, buying, giving_up, minting, unwinding
from registry.offering import service as offerings
from registry.offering.acceptance import Accepted
from registry.offering.giving_up import GivingUp
from registry.offering.models import Offering, OfferingState, Order, OrderState
from registry.operation.models import Operation, OperationKind, OperationState
from registry.tokenization import service as tokenizations
from registry.tokenization.models import Tokenization, TokenizationState
from tests import deeds, liens, sales
from tests import factories as make
from tests.factories import ACTORS, COMPLIANCE, VERIFIER, Desk
from tests.sales import Wrapped

pytestmark = pytest.mark.db
ON_SHELF = ()

TREASURY = ACTORS[Role.TREASURY]
REASON = "The court has sold the flat"


@dataclass(frozen=True)
class Sold:
    """A sale, and what it sells."""

    wrapped: Wrapped
    sale: Offering


@pytest.fixture(params=[0, 50], ids=["no minimum", "minimum reached"])
def sold(desk: Desk, request: pytest.FixtureRequest) -> Sold:
    wrapped = sales.wrapped_apartment(desk)
    return Sold(wrapped, sales.offering(desk, wrapped, minimum_units=request.param))


def token_of(desk: Desk, sale: Offering) -> Tokenization:
    return tokenizations.get_tokenization(desk.session, sale.tokenization_id)


def paid(desk: Desk, sale: Offering, units: int = 60) -> Order:
    return sales.pay(desk, sales.order(desk, sale, make.buyer(desk), units=units))


def agree(desk: Desk, sale: Offering, role: Role, reason: str = REASON) -> GivingUp:
    return giving_up.agree_to_give_up(
        desk.session, ACTORS[role], sale.tokenization_id, role=role, reason=reason
    )


def give_up(desk: Desk, sale: Offering) -> Tokenization:
    agree(desk, sale, Role.COMPLIANCE)
    return agree(desk, sale, Role.REGISTRAR_CHECKER).tokenization


def refund(desk: Desk, order: Order) -> None:
    unwinding.record_refund(desk.session, TREASURY, order.id, rail_reference=secrets.token_hex(8))


def test_give_up__court_sale_under_a_paid_sale__returns_everything_and_ends_the_token(
    desk: Desk, sold: Sold
) -> None:
    bought, unpaid = paid(desk, sold.sale), sales.order(desk, sold.sale, make.buyer(desk))
    deeds.court_sale(desk, sold.wrapped.asset)
    with pytest.raises(Conflict, match="rules_refused"):
        offerings.close_and_mint(desk.session, COMPLIANCE, sold.sale.tokenization_id)

    assert agree(desk, sold.sale, Role.COMPLIANCE).missing == {Role.REGISTRAR_CHECKER: 1}
    assert token_of(desk, sold.sale).state == TokenizationState.OFFERING
    given_up = agree(desk, sold.sale, Role.REGISTRAR_CHECKER)

    assert not given_up.missing
    assert given_up.tokenization.state == TokenizationState.UNWINDING
    assert sold.sale.state == OfferingState.FAILED
    assert (bought.state, unpaid.state) == (OrderState.REFUND_DUE, OrderState.CANCELLED)
    refund(desk, bought)
    assert token_of(desk, sold.sale).state == TokenizationState.CANCELLED
    assert ledger.balance_of(desk.session, Account.BANK) == 0


def test_give_up__offer_document_revoked__returns_everything(desk: Desk) -> None:
    wrapped = sales.wrapped_apartment(desk)
    risks = make.file_document(desk, wrapped.asset, "RISK_STATEMENT")
    sale = sales.offering(desk, wrapped)
    acceptance.attach_documents(desk.session, token_of(desk, sale), sale, [risks.id])
    bought = accepting(desk, sale, risks)
    documents.revoke_document(desk.session, VERIFIER, risks.id, reason="Found forged")

    assert give_up(desk, sale).state == TokenizationState.UNWINDING

    assert bought.state == OrderState.REFUND_DUE


def accepting(desk: Desk, sale: Offering, paper: Document) -> Order:
    """Have somebody order who accepts the paper of the sale, and pay."""
    who = make.buyer(desk)
    order = buying.place_order(
        desk.session, who.actor, sale.id, units=60, wallet_address=who.wallet.address,
        accepted=[Accepted(paper.id, paper.sha256)],
    )  # fmt: skip
    return sales.pay(desk, order)


@pytest.mark.parametrize("role", [Role.COMPLIANCE, Role.REGISTRAR_CHECKER])
def test_give_up__sale_that_can_be_closed__is_refused(desk: Desk, sold: Sold, role: Role) -> None:
    paid(desk, sold.sale)

    with pytest.raises(Conflict, match="nothing_in_the_way"):
        agree(desk, sold.sale, role)


def test_give_up__gate_open_again_before_the_second__is_refused(desk: Desk, sold: Sold) -> None:
    """As after a stay that was vacated; here the wrapper's KYC ended, and was renewed."""
    paid(desk, sold.sale)
    issuer = sold.wrapped.issuer.investor
    sold.sale.closes_at = now()
    issuer.kyc_state = KycState.REVOKED
    desk.session.flush()
    agree(desk, sold.sale, Role.COMPLIANCE)
    issuer.kyc_state = KycState.APPROVED
    desk.session.flush()

    with pytest.raises(Conflict, match="nothing_in_the_way"):
        agree(desk, sold.sale, Role.REGISTRAR_CHECKER)

    assert token_of(desk, sold.sale).state == TokenizationState.OFFERING


def test_give_up__wrapper_may_hold_nothing_before_the_time_is_over__is_refused(
    desk: Desk, sold: Sold
) -> None:
    """It may enrol until then, and the rest may be sold."""
    paid(desk, sold.sale)
    sold.wrapped.issuer.investor.kyc_state = KycState.REVOKED
    sold.sale.closes_at = now() + timedelta(days=21)
    desk.session.flush()

    with pytest.raises(Conflict, match="nothing_in_the_way"):
        agree(desk, sold.sale, Role.COMPLIANCE)

    sold.sale.closes_at = now()
    desk.session.flush()
    assert give_up(desk, sold.sale).state == TokenizationState.UNWINDING


def test_give_up__another_stay_than_the_one_agreed_on__is_agreed_on_anew(
    desk: Desk, sold: Sold
) -> None:
    paid(desk, sold.sale)
    stay = liens.active(desk, sold.wrapped.asset, EncumbranceKind.STAY_ORDER)
    agree(desk, sold.sale, Role.COMPLIANCE)
    stay.state = EncumbranceState.LAPSED
    desk.session.flush()
    liens.active(desk, sold.wrapped.asset, EncumbranceKind.STAY_ORDER)

    with pytest.raises(Conflict, match="approvals_missing"):
        agree(desk, sold.sale, Role.REGISTRAR_CHECKER)

    assert give_up(desk, sold.sale).state == TokenizationState.UNWINDING


def test_give_up__revoked_paper_besides_the_stay_agreed_on__is_agreed_on_anew(desk: Desk) -> None:
    wrapped = sales.wrapped_apartment(desk)
    risks = make.file_document(desk, wrapped.asset, "RISK_STATEMENT")
    sale = sales.offering(desk, wrapped)
    acceptance.attach_documents(desk.session, token_of(desk, sale), sale, [risks.id])
    accepting(desk, sale, risks)
    liens.active(desk, wrapped.asset, EncumbranceKind.STAY_ORDER)
    agree(desk, sale, Role.COMPLIANCE)
    documents.revoke_document(desk.session, VERIFIER, risks.id, reason="Found forged")

    with pytest.raises(Conflict, match="approvals_missing"):
        agree(desk, sale, Role.REGISTRAR_CHECKER)


def test_give_up__closed_and_opened_again_since_it_was_agreed_on__is_agreed_on_anew(
    desk: Desk, sold: Sold
) -> None:
    issuer = sold.wrapped.issuer.investor

    def wrapper_is(state: KycState) -> None:
        issuer.kyc_state = state
        desk.session.flush()

    paid(desk, sold.sale)
    sold.sale.closes_at = now()
    wrapper_is(KycState.REVOKED)
    agree(desk, sold.sale, Role.COMPLIANCE)
    wrapper_is(KycState.APPROVED)
    offerings.close_and_mint(desk.session, COMPLIANCE, sold.sale.tokenization_id)
    refuse_mints(desk)
    minting.reopen_sale(desk.session, sold.sale.tokenization_id)
    wrapper_is(KycState.REVOKED)

    with pytest.raises(Conflict, match="approvals_missing"):
        agree(desk, sold.sale, Role.REGISTRAR_CHECKER)


def refuse_mints(desk: Desk) -> None:
    for mint in desk.session.exec(
        select(Operation).where(col(Operation.kind) == OperationKind.MINT)
    ):
        mint.state = OperationState.REFUSED
    desk.session.flush()


def test_give_up__by_one_person_or_the_wrong_one__is_refused(desk: Desk, sold: Sold) -> None:
    paid(desk, sold.sale)
    liens.active(desk, sold.wrapped.asset, EncumbranceKind.STAY_ORDER)

    def refused(role: Role, who: Role, reason: str = REASON) -> str:
        with pytest.raises(RegistryError) as refusal:
            giving_up.agree_to_give_up(
                desk.session, ACTORS[who], sold.sale.tokenization_id, role=role, reason=reason
            )
        return refusal.value.code

    checker, compliance = Role.REGISTRAR_CHECKER, Role.COMPLIANCE
    assert refused(checker, checker) == "approvals_missing"
    assert refused(compliance, checker) == "approval_not_yours"
    assert refused(compliance, compliance, "  ") == "reason_missing"
    assert refused(compliance, Role.TREASURY) == "transition_forbidden"
    agree(desk, sold.sale, compliance)
    assert refused(compliance, compliance) == "already_approved"


def test_unwind__nothing_paid_of_a_sale_without_a_minimum__ends_the_token(desk: Desk) -> None:
    sale = sales.offering(desk, sales.wrapped_apartment(desk))

    token = unwinding.unwind_offering(
        desk.session, COMPLIANCE, sale.tokenization_id, reason="Nobody came"
    )

    assert token.state == TokenizationState.CANCELLED


def test_unwind__every_order_of_a_reopened_sale_given_back__returns_the_money(desk: Desk) -> None:
    sale = sales.offering(desk, sales.wrapped_apartment(desk))
    bought = paid(desk, sale)
    offerings.close_and_mint(desk.session, COMPLIANCE, sale.tokenization_id)
    refuse_mints(desk)
    minting.reopen_sale(desk.session, sale.tokenization_id)
    minting.give_back_order(desk.session, COMPLIANCE, bought.id, reason="KYC ended")

    unwinding.unwind_offering(
        desk.session, COMPLIANCE, sale.tokenization_id, reason="Nobody is left"
    )
    refund(desk, bought)

    assert token_of(desk, sale).state == TokenizationState.CANCELLED
