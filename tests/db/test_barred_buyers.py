"""Paid orders of who may not hold any more: they reach no minimum, and nobody is cut for them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlmodel import col, select

from chain.operations.token_calls import Mint
from registry.investor import service as investors
from registry.investor import wallets
from registry.investor.models import KycState
from registry.kernel.clock import now
from registry.kernel.errors import Conflict
from registry.kyc.models import KycReview, ReviewState
from registry.offering import ending, minting, orders, unwinding
from registry.offering import service as offerings
from registry.offering.models import Allotment, Offering, OfferingState, Order, OrderState
from registry.offering.money import fault_of, standing_of
from registry.offering.secondary import seller_of
from registry.operation.models import Operation
from registry.sanctions import hits
from registry.sanctions.models import SanctionsHit, Verdict
from registry.tokenization import service as tokenizations
from tests import court, sales
from tests import factories as make
from tests.deeds import refusal
from tests.factories import COMPLIANCE, Buyer, Desk
from tests.sanctioned import listed

pytestmark = pytest.mark.db
ON_SHELF = ()


def kyc_run_out(desk: Desk, buyer: Buyer) -> None:
    buyer.investor.kyc_valid_until = now() - timedelta(days=1)
    desk.session.flush()


def kyc_revoked(desk: Desk, buyer: Buyer) -> None:
    buyer.investor.kyc_state = KycState.REVOKED
    desk.session.flush()


def wallet_lost(desk: Desk, buyer: Buyer) -> None:
    wallets.retire_wallet(desk.session, buyer.wallet.id)


def bound(desk: Desk, buyer: Buyer) -> None:
    court.apply(desk, court.on_party(desk, buyer.investor.party_id))


def bound_wallet(desk: Desk, buyer: Buyer) -> None:
    court.apply(desk, court.on_wallet(desk, buyer.wallet.address))


def on_a_list(desk: Desk, buyer: Buyer) -> None:
    listed(desk, buyer.investor)


def cleared(desk: Desk, buyer: Buyer) -> None:
    [hit] = desk.session.exec(
        select(SanctionsHit).where(col(SanctionsHit.party_id) == buyer.investor.party_id)
    )
    officers = COMPLIANCE, court.SECOND_COMPLIANCE
    hits.recommend_hit(
        desk.session, officers[0], hit.id, verdict=Verdict.FALSE_POSITIVE, reason="Another name"
    )
    hits.confirm_hit(desk.session, officers[1], hit.id, reason="Another name")


barred = pytest.mark.parametrize(
    "bar", [kyc_run_out, kyc_revoked, wallet_lost, bound, bound_wallet]
)
Bar = Callable[[Desk, Buyer], None]


def paid(desk: Desk, sale: Offering, buyer: Buyer, units: int) -> Order:
    return sales.pay(desk, sales.order(desk, sale, buyer, units=units))


def close(desk: Desk, sale: Offering) -> list[Operation]:
    return offerings.close_and_mint(desk.session, COMPLIANCE, sale.tokenization_id)


def offering(desk: Desk, **terms: object) -> Offering:
    return sales.offering(desk, sales.wrapped_apartment(desk), **terms)


def units_of(planned: list[Operation]) -> dict[str, int]:
    return {mint.subject_id: int(mint.params["units"]) for mint in planned}


@barred
def test_close__minimum_reached_only_with_who_may_not_hold__is_refused(
    desk: Desk, bar: Bar
) -> None:
    sale = offering(desk, minimum_units=400)
    ends, stays = make.buyer(desk), make.buyer(desk)
    paid(desk, sale, stays, 300)
    paid(desk, sale, ends, 100)
    bar(desk, ends)

    with pytest.raises(Conflict, match="offering_below_minimum"):
        close(desk, sale)


@barred
def test_end__minimum_reached_only_with_who_may_not_hold__returns_everything(
    desk: Desk, bar: Bar
) -> None:
    sale = offering(desk, minimum_units=400)
    ends, stays = make.buyer(desk), make.buyer(desk)
    bought = [paid(desk, sale, stays, 300), paid(desk, sale, ends, 100)]
    bar(desk, ends)
    sale.closes_at = now()
    desk.session.flush()

    ending.end_offering(desk.session, sale.id)

    assert sale.state == OfferingState.FAILED
    assert {order.state for order in bought} == {OrderState.REFUND_DUE}


@pytest.mark.parametrize("minimum", [400, 300], ids=["fails without it", "closes without it"])
def test_end__review_open_of_who_has_paid__waits_for_it(desk: Desk, minimum: int) -> None:
    sale = offering(desk, minimum_units=minimum)
    renews, stays = make.buyer(desk), make.buyer(desk)
    bought = [paid(desk, sale, stays, 300), paid(desk, sale, renews, 100)]
    kyc_run_out(desk, renews)
    review_open(desk, renews)
    sale.closes_at = now()
    desk.session.flush()

    assert ending.due_endings(desk.session) == []
    with pytest.raises(Conflict, match="offering_not_over"):
        ending.end_offering(desk.session, sale.id)

    renews.investor.kyc_valid_until = now() + timedelta(days=365)
    desk.session.flush()
    ending.end_offering(desk.session, sale.id)
    assert {order.state for order in bought} == {OrderState.MINTING}


def test_end__review_open_for_longer_than_the_grace__goes_on_without_it(desk: Desk) -> None:
    sale = offering(desk, minimum_units=300)
    renews = make.buyer(desk)
    bought = [paid(desk, sale, make.buyer(desk), 300), paid(desk, sale, renews, 100)]
    kyc_run_out(desk, renews)
    review_open(desk, renews)
    sale.closes_at = now() - ending.REVIEW_GRACE
    desk.session.flush()

    ending.end_offering(desk.session, sale.id)

    assert [order.state for order in bought] == [OrderState.MINTING, OrderState.REFUND_DUE]


def test_end__draft_that_nobody_handed_in__waits_for_nothing(desk: Desk) -> None:
    sale = offering(desk, minimum_units=300)
    renews = make.buyer(desk)
    bought = [paid(desk, sale, make.buyer(desk), 300), paid(desk, sale, renews, 100)]
    kyc_run_out(desk, renews)
    subject = renews.investor.subject
    desk.session.add(KycReview(investor_id=renews.investor.id, opened_by=subject))
    sale.closes_at = now()
    desk.session.flush()

    ending.end_offering(desk.session, sale.id)

    assert [order.state for order in bought] == [OrderState.MINTING, OrderState.REFUND_DUE]


def test_end__review_open_of_who_has_not_paid__waits_for_nothing(desk: Desk) -> None:
    sale = offering(desk, minimum_units=300)
    renews = make.buyer(desk)
    paid(desk, sale, make.buyer(desk), 300)
    sales.order(desk, sale, renews, units=100).pay_until = now()
    kyc_run_out(desk, renews)
    review_open(desk, renews)
    sale.closes_at = now()
    desk.session.flush()

    assert ending.due_endings(desk.session) == [sale.id]


def review_open(desk: Desk, buyer: Buyer) -> None:
    review = KycReview(
        investor_id=buyer.investor.id,
        state=ReviewState.SUBMITTED,
        opened_by=buyer.investor.subject,
        submitted_at=now(),
    )
    desk.session.add(review)
    desk.session.flush()


def test_unwind__minimum_reached_only_with_who_may_not_hold__is_done(desk: Desk) -> None:
    sale = offering(desk, minimum_units=400)
    ends = make.buyer(desk)
    order = paid(desk, sale, ends, 400)
    kyc_run_out(desk, ends)

    unwinding.unwind_offering(desk.session, COMPLIANCE, sale.tokenization_id, reason="Too few")

    assert order.state == OrderState.REFUND_DUE


@barred
def test_close__some_may_not_hold__mints_to_the_others_and_is_to_refund_them(
    desk: Desk, bar: Bar
) -> None:
    sale = offering(desk, minimum_units=300)
    ends, stays = make.buyer(desk), make.buyer(desk)
    kept, let_go = paid(desk, sale, stays, 300), paid(desk, sale, ends, 100)
    bar(desk, ends)

    planned = units_of(close(desk, sale))

    assert (kept.state, let_go.state) == (OrderState.MINTING, OrderState.REFUND_DUE)
    rest = sales.FRACTIONS - 300
    assert planned == {str(kept.id): 300, str(sale.tokenization_id): rest}
    standing = standing_of(desk.session, let_go.id)
    assert (standing.due, fault_of(let_go, standing)) == (let_go.amount_paisa, None)
    assert sale.reserved_units == 300


@barred
def test_close__oversubscribed_by_who_may_not_hold__cuts_nobody_for_them(
    desk: Desk, bar: Bar
) -> None:
    sale = offering(desk, offered_units=100, allotment=Allotment.PRO_RATA)
    ends, stays = make.buyer(desk), make.buyer(desk)
    let_go, kept = paid(desk, sale, ends, 100), paid(desk, sale, stays, 100)
    bar(desk, ends)

    close(desk, sale)

    assert (kept.state, kept.units) == (OrderState.MINTING, 100)
    assert standing_of(desk.session, kept.id).due == 0
    assert let_go.state == OrderState.REFUND_DUE
    assert standing_of(desk.session, let_go.id).due == let_go.amount_paisa


def test_close__wallet_lost_and_another_proven__mints_there(desk: Desk) -> None:
    sale, buyer = offering(desk, minimum_units=100), make.buyer(desk)
    order = paid(desk, sale, buyer, 100)
    new = make.proven_wallet(desk, buyer.actor, buyer.investor.id)
    new.identity = buyer.wallet.identity
    wallet_lost(desk, buyer)

    planned = close(desk, sale)

    assert order.state == OrderState.MINTING
    assert planned[0].params["wallet_id"] == str(new.id) == str(order.wallet_id)


@pytest.mark.parametrize("bound_others", [0, 1, 2])
@pytest.mark.parametrize("is_bound", [False, True], ids=["", "the_lost_one_is_bound"])
def test_close__wallet_lost_and_orders_bind_some__mints_to_the_oldest_that_is_free(
    desk: Desk, *, is_bound: bool, bound_others: int
) -> None:
    sale, buyer = offering(desk, minimum_units=100), make.buyer(desk)
    paid(desk, sale, make.buyer(desk), 100)
    order = paid(desk, sale, buyer, 100)
    others = [make.proven_wallet(desk, buyer.actor, buyer.investor.id) for _ in range(2)]
    for other in others:
        other.identity = buyer.wallet.identity
    wallet_lost(desk, buyer)
    binding = [buyer.wallet] * is_bound + others[:bound_others]
    for wallet in binding:
        court.apply(desk, court.on_wallet(desk, wallet.address))

    mints = close(desk, sale)

    assert not Mint().refusals(desk.session, mints)
    if bound_others < len(others):
        assert order.state == OrderState.MINTING
        assert order.wallet_id == others[bound_others].id
    else:
        assert order.state == OrderState.REFUND_DUE


@pytest.mark.parametrize("is_custodial", [False, True])
def test_close__an_order_binds_a_wallet_of_the_wrapper__mints_the_rest_to_a_free_one(
    desk: Desk, *, is_custodial: bool
) -> None:
    wrapped = sales.wrapped_apartment(desk)
    sale, holder = sales.offering(desk, wrapped), wrapped.issuer
    free = make.proven_wallet(desk, holder.actor, holder.investor.id)
    free.identity = holder.wallet.identity
    if is_custodial:
        free.is_custodial, free.challenge = True, None
    paid(desk, sale, make.buyer(desk), 300)
    bound_wallet(desk, holder)

    [_, rest] = close(desk, sale)

    assert rest.params["wallet_id"] == str(free.id)
    token = tokenizations.get_tokenization(desk.session, sale.tokenization_id)
    minting.require_treasury(desk.session, token)
    court.apply(desk, court.on_wallet(desk, free.address))
    code, _ = refusal(lambda: minting.require_treasury(desk.session, token))
    assert code == "party_under_order"


@pytest.mark.parametrize("bar", [on_a_list, bound, bound_wallet])
def test_order__of_whom_a_list_may_name_or_an_order_binds__is_refused(desk: Desk, bar: Bar) -> None:
    sale, buyer = offering(desk), make.buyer(desk)
    bar(desk, buyer)

    with pytest.raises(Conflict) as refused:
        sales.order(desk, sale, buyer)

    told = refused.value
    assert told.code == ("dealing_on_hold" if bar is on_a_list else "party_under_order")
    # No tipping-off: neither the list nor the hit is named.
    assert not {"hit", "list", "sanction"} & set(str(told).lower().split())


def test_close__one_on_a_list__mints_to_the_others_and_is_to_refund_them(desk: Desk) -> None:
    sale = offering(desk, minimum_units=300)
    ends, stays = make.buyer(desk), make.buyer(desk)
    kept, let_go = paid(desk, sale, stays, 300), paid(desk, sale, ends, 100)
    on_a_list(desk, ends)

    close(desk, sale)

    assert (kept.state, let_go.state) == (OrderState.MINTING, OrderState.REFUND_DUE)


def test_end__nobody_has_decided_whether_a_list_names_a_buyer__waits_for_it(desk: Desk) -> None:
    sale = offering(desk, minimum_units=400)
    named = make.buyer(desk)
    bought = [paid(desk, sale, make.buyer(desk), 300), paid(desk, sale, named, 100)]
    on_a_list(desk, named)
    sale.closes_at = now()
    desk.session.flush()
    assert ending.due_endings(desk.session) == []

    cleared(desk, named)
    ending.end_offering(desk.session, sale.id)

    assert {order.state for order in bought} == {OrderState.MINTING}


def test_end__nobody_decides_within_the_grace__goes_on_without_whom_a_list_may_name(
    desk: Desk,
) -> None:
    sale, named = offering(desk, minimum_units=300), make.buyer(desk)
    bought = [paid(desk, sale, make.buyer(desk), 300), paid(desk, sale, named, 100)]
    on_a_list(desk, named)
    sale.closes_at = now() - ending.REVIEW_GRACE
    desk.session.flush()

    ending.end_offering(desk.session, sale.id)

    assert [order.state for order in bought] == [OrderState.MINTING, OrderState.REFUND_DUE]


@pytest.mark.parametrize("bar", [on_a_list, bound, bound_wallet])
def test_mint__to_whom_a_list_may_name_or_an_order_binds__is_refused(desk: Desk, bar: Bar) -> None:
    sale, named = offering(desk), make.buyer(desk)
    paid(desk, sale, make.buyer(desk), 300)
    paid(desk, sale, named, 100)
    mints = close(desk, sale)
    bar(desk, named)

    refused = Mint().refusals(desk.session, mints)

    assert {key: each.code for key, each in refused.items()} == {mints[1].id: "dealing_on_hold"}
    if bar is on_a_list:
        cleared(desk, named)
        assert not Mint().refusals(desk.session, mints)


def test_offered__a_list_may_name_the_wrapper__buyers_are_told_no_more_than_that_it_rests(
    desk: Desk,
) -> None:
    ordered = sales.on_chain(desk, make.buyer(desk))
    sale = orders.get_offering(desk.session, ordered.offering_id)
    seller = investors.get_investor(desk.session, seller_of(desk.session, sale).investor_id)
    listed(desk, seller)

    code, _ = refusal(lambda: sales.order(desk, sale, make.buyer(desk)))

    assert code == "seller_not_ready"
