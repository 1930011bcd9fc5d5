"""Money goes to nobody whom an order binds, a list may name, or whose wallet is frozen."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import timedelta

import pytest

from registry.captable.models import EventKind
from registry.case.models import CaseKind
from registry.investor.models import Investor, KycState
from registry.kernel.actor import Actor, Role
from registry.kernel.clock import now
from registry.offering import minting, unwinding
from registry.offering.models import Order, OrderState
from registry.offering.money import standing_of
from registry.party import service as parties
from registry.payment import payouts
from registry.payment.models import ProceedsPayout, ProceedsPayoutState
from registry.reconciliation import service as reconciliation
from registry.redemption import paying
from registry.redemption.models import PayoutState, RedemptionPayout
from registry.redemption.repository import list_payouts
from registry.sanctions import lists
from registry.sanctions.screening import screen_party
from tests import cases as make_case
from tests import court, ledger, sales
from tests import factories as make
from tests import redemptions as stages
from tests.deeds import refusal
from tests.factories import COMPLIANCE, Desk
from tests.redemptions import TREASURY, Redeeming
from tests.sanctioned import Entry, file_of, listed

pytestmark = pytest.mark.db

COLLEAGUE = Actor("the-other-treasury", frozenset({Role.TREASURY}))


def payout_of(desk: Desk, made: Redeeming, holder: int = 0) -> RedemptionPayout:
    address = made.ledger.holders[holder].wallet.address
    return next(each for each in list_payouts(desk.session, made.redemption.id)
                if each.address == address)  # fmt: skip


def on_a_list(desk: Desk, made: Redeeming) -> None:
    payout_of(desk, made).party_id = listed(desk, made.ledger.holders[0].investor)


def kyc_run_out(desk: Desk, made: Redeeming) -> None:
    made.ledger.holders[0].investor.kyc_valid_until = now() - timedelta(days=1)


def kyc_revoked(desk: Desk, made: Redeeming) -> None:
    made.ledger.holders[0].investor.kyc_state = KycState.REVOKED


def frozen(desk: Desk, made: Redeeming) -> None:
    made.ledger.freeze(made.ledger.holders[0].wallet.address)


def order_on_some(desk: Desk, made: Redeeming) -> None:
    court.apply(desk, court.on_amount(desk, made.ledger, 10))


@pytest.mark.parametrize(
    ("happens", "code"),
    [
        (kyc_run_out, "kyc_not_passed"),
        (kyc_revoked, "kyc_not_passed"),
        (frozen, "payee_frozen"),
        (order_on_some, "party_under_order"),
        (on_a_list, "sanctions_hit_stands"),
    ],
)
def test_payout__of_whom_nothing_may_go_to__waits(
    desk: Desk, happens: Callable[[Desk, Redeeming], None], code: str
) -> None:
    made = stages.being_paid(desk)
    payout = payout_of(desk, made)
    happens(desk, made)
    desk.session.flush()

    def pay() -> object:
        return paying.record_payout(desk.session, TREASURY, payout.id, rail_reference="R-1")

    assert refusal(pay) == (code, None)
    assert payout.state == PayoutState.DUE
    other = payout_of(desk, made, 1)
    paying.record_payout(desk.session, TREASURY, other.id, rail_reference="R-2")
    assert other.state == PayoutState.PAID
    paying.hold_payout(desk.session, TREASURY, payout.id, reason="Ordered")


def test_payout__kyc_renewed__is_paid(desk: Desk) -> None:
    made = stages.being_paid(desk)
    payout = payout_of(desk, made)
    kyc_run_out(desk, made)
    desk.session.flush()
    made.ledger.holders[0].investor.kyc_valid_until = now() + timedelta(days=300)
    desk.session.flush()
    paying.record_payout(desk.session, TREASURY, payout.id, rail_reference="R-1")
    assert payout.state == PayoutState.PAID


def test_start_paying__order_on_some_fractions__holds_that_holder_at_once(desk: Desk) -> None:
    made = stages.funded(desk)
    order_on_some(desk, made)
    paying.start_paying(desk.session, TREASURY, made.redemption.id)
    assert payout_of(desk, made).state == PayoutState.HELD
    assert payout_of(desk, made, 1).state == PayoutState.DUE


def test_held__order_vacated_after_the_token_has_ended__is_paid_once(desk: Desk) -> None:
    """Its wallet stays frozen on the chain of a token whose contracts nobody can act on."""
    made = stages.funded(desk)
    held_for = made.ledger.holders[0].wallet.address
    made.ledger.freeze(held_for)
    order = court.in_force(desk, court.on_wallet(desk, held_for))
    paying.start_paying(desk.session, TREASURY, made.redemption.id)
    payout = payout_of(desk, made)
    for number in (1, 2):
        paying.record_payout(
            desk.session, TREASURY, payout_of(desk, made, number).id, rail_reference=f"R-{number}"
        )
    paying.close_payouts(desk.session, made.redemption.id)
    for who, units in zip(made.ledger.holders, stages.UNITS, strict=True):
        made.ledger.burn(who.wallet.address, units)
    paying.end_token(desk.session, made.redemption.id)

    def pay() -> RedemptionPayout:
        return paying.record_payout(desk.session, TREASURY, payout.id, rail_reference="R-3")

    assert refusal(pay) == ("party_under_order", None)
    court.vacate(desk, order)
    reconciliation.lift_order(desk.session, order.id)
    assert refusal(
        lambda: paying.record_payout(desk.session, TREASURY, payout.id, rail_reference="R-2")
    ) == ("payout_reference_reused", None)
    assert {payout.state} == {PayoutState.HELD}
    pay()
    assert payout.state == PayoutState.PAID
    assert refusal(pay) == ("payout_settled", None)


def test_held__address_that_somebody_proves_later__is_paid_to_them(desk: Desk) -> None:
    chain = ledger.live(desk, 600, 400)
    stranger = secrets.token_bytes(20)
    chain.register(stranger)
    chain.move(chain.holders[0].wallet.address, stranger, 600)
    made = stages.freeze(desk, stages.maturing(desk, chain))
    stages.fund(desk, made.redemption)
    paying.start_paying(desk.session, TREASURY, made.redemption.id)
    [payout] = list_payouts(desk.session, made.redemption.id, state=PayoutState.HELD)

    def pay() -> RedemptionPayout:
        return paying.record_payout(desk.session, TREASURY, payout.id, rail_reference="R-1")

    assert refusal(pay) == ("payee_unknown", None)
    who = chain.holders[0]
    make.proven_wallet(desk, who.actor, who.investor.id, address=stranger)
    pay()
    assert (payout.state, payout.party_id) == (PayoutState.PAID, who.investor.party_id)


def test_frozen_fractions__of_the_record_block__count_as_they_stand_now(desk: Desk) -> None:
    made = stages.approved(desk)
    first, second, _ = (who.wallet.address for who in made.ledger.holders)
    made.ledger.freeze_units(first, 10)
    made.ledger.freeze_units(second, 10)
    stages.freeze(desk, made)
    stages.fund(desk, made.redemption)
    unfreeze(made, first)
    paying.start_paying(desk.session, TREASURY, made.redemption.id)
    assert payout_of(desk, made).state == PayoutState.DUE
    held = payout_of(desk, made, 1)
    assert {held.state} == {PayoutState.HELD}

    def pay() -> RedemptionPayout:
        return paying.record_payout(desk.session, TREASURY, held.id, rail_reference="R-1")

    assert refusal(pay) == ("payee_frozen", None)
    unfreeze(made, second)
    pay()
    assert held.state == PayoutState.PAID


def unfreeze(made: Redeeming, address: bytes, units: int = 10) -> None:
    made.ledger.mine({"kind": EventKind.TOKENS_UNFROZEN, "target": address, "units": units})


def test_frozen_fractions__by_a_case_that_stands__are_not_paid_for_once_burned(
    desk: Desk,
) -> None:
    chain = ledger.live(desk, *stages.UNITS)
    make_case.carry_out(chain, make_case.executing(chain, CaseKind.FREEZE_UNITS))
    made = stages.freeze(desk, stages.maturing(desk, chain))
    stages.fund(desk, made.redemption)
    paying.start_paying(desk.session, TREASURY, made.redemption.id)
    payout = payout_of(desk, made)
    assert payout.state == PayoutState.HELD
    unfreeze(made, payout.address, 100)
    made.ledger.burn(payout.address, int(payout.units))

    def pay() -> RedemptionPayout:
        return paying.record_payout(desk.session, TREASURY, payout.id, rail_reference="R-1")

    assert refusal(pay) == ("payee_frozen", None)


def overpaid(desk: Desk) -> tuple[make.Buyer, Order]:
    """Have an order to which more was paid than it costs."""
    sale = sales.offering(desk, sales.wrapped_apartment(desk))
    buyer = make.buyer(desk)
    order = sales.order(desk, sale, buyer, units=100)
    sales.pay_in(desk.session, order, order.amount_paisa + 700)
    return buyer, order


def refund(desk: Desk, order: Order) -> object:
    return unwinding.record_refund(desk.session, TREASURY, order.id, rail_reference="back-1")


def test_refund__to_whom_an_order_binds__waits_until_it_is_vacated(desk: Desk) -> None:
    buyer, order = overpaid(desk)
    bound = court.in_force(desk, court.on_wallet(desk, buyer.wallet.address))
    assert refusal(lambda: refund(desk, order)) == ("party_under_order", None)
    assert standing_of(desk.session, order.id).due == 700

    court.vacate(desk, bound)
    reconciliation.lift_order(desk.session, bound.id)
    refund(desk, order)
    assert standing_of(desk.session, order.id).due == 0


def test_refund__to_whom_a_list_may_name__waits(desk: Desk) -> None:
    buyer, order = overpaid(desk)
    listed(desk, buyer.investor)
    assert refusal(lambda: refund(desk, order)) == ("sanctions_hit_stands", None)
    assert standing_of(desk.session, order.id).due == 700


def proceeds(desk: Desk) -> tuple[Investor, ProceedsPayout]:
    """Sell a fraction, and propose to pay the issuer what it brought."""
    wrapped = sales.wrapped_apartment(desk)
    sale = sales.offering(desk, wrapped)
    order = sales.order(desk, sale, make.buyer(desk))
    sales.pay(desk, order)
    order.state = OrderState.MINTING
    desk.session.flush()
    minting.settle_orders(desk.session, [order.id])
    sales.let_live(desk, sale)
    payout = payouts.propose_payout(desk.session, TREASURY, sale.id, amount_paisa=1)
    return wrapped.issuer.investor, payout


def issuer_under_order(desk: Desk, issuer: Investor) -> None:
    court.apply(desk, court.on_party(desk, issuer.party_id))


def issuer_on_a_list(desk: Desk, issuer: Investor) -> None:
    name = parties.get_party(desk.session, issuer.party_id).name or ""
    content = file_of([Entry("XXe.077", name, is_entity=True)])
    lists.import_list(desk.session, COMPLIANCE, content)
    assert screen_party(desk.session, desk.vault, issuer.party_id)


def issuer_revoked(desk: Desk, issuer: Investor) -> None:
    issuer.kyc_state = KycState.REVOKED


def issuer_run_out(desk: Desk, issuer: Investor) -> None:
    issuer.kyc_valid_until = now() - timedelta(days=1)


@pytest.mark.parametrize(
    ("happens", "code"),
    [
        (issuer_under_order, "party_under_order"),
        (issuer_on_a_list, "sanctions_hit_stands"),
        (issuer_revoked, "kyc_not_passed"),
        (issuer_run_out, "kyc_not_passed"),
    ],
)
def test_proceeds__of_an_issuer_to_whom_nothing_may_go__wait(
    desk: Desk, happens: Callable[[Desk, Investor], None], code: str
) -> None:
    issuer, payout = proceeds(desk)
    happens(desk, issuer)
    desk.session.flush()

    def pay() -> object:
        return payouts.confirm_payout(desk.session, COLLEAGUE, payout.id, rail_reference="OUT-1")

    assert refusal(pay) == (code, None)
    assert payout.state == ProceedsPayoutState.PROPOSED


@pytest.mark.parametrize("state", [KycState.PENDING, KycState.REJECTED])
def test_proceeds__enrolment_that_was_never_passed__holds_nothing_up(
    desk: Desk, state: KycState
) -> None:
    """Anybody who is an issuer may enrol for another's wrapper; nobody has judged that they are."""
    issuer, payout = proceeds(desk)
    issuer.kyc_state = state
    desk.session.flush()
    payouts.confirm_payout(desk.session, COLLEAGUE, payout.id, rail_reference="OUT-1")
    assert payout.state == ProceedsPayoutState.PAID


def test_proceeds__an_order_on_somebody_else__are_paid(desk: Desk) -> None:
    _, payout = proceeds(desk)
    court.apply(desk, court.on_party(desk, make.company(desk).id))
    court.apply(desk, court.on_wallet(desk, make.buyer(desk).wallet.address))
    payouts.confirm_payout(desk.session, COLLEAGUE, payout.id, rail_reference="OUT-1")
    assert payout.state == ProceedsPayoutState.PAID
