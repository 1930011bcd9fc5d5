"""Use cases on offerings: open, close and mint, go live."""

from __future__ import annotations

from uuid import UUID

from sqlmodel import Session, select

from registry.asset import service as assets
from registry.asset.models import AssetState
from registry.journal import service as journal
from registry.kernel.actor import THE_SYSTEM, Actor
from registry.kernel.errors import Conflict
from registry.lifecycle import service as lifecycle
from registry.offering import acceptance, allotting, guards, minting, orders, waiting
from registry.offering.models import Allotment, Offering, OfferingState, Order, OrderState
from registry.offering.terms import OfferTerms
from registry.onboarding import approvals
from registry.operation import service as operations
from registry.operation.models import Operation, OperationKind
from registry.tokenization import service as tokenizations
from registry.tokenization.gate import require_open_gate
from registry.tokenization.models import TokenizationState


def open_offering(
    session: Session, actor: Actor, tokenization_id: UUID, terms: OfferTerms
) -> Offering:
    """Open the sale of a deployed token.

    Raises
    ------
    Invalid
        ``offer_exceeds_declared``, ``offer_terms_invalid``, ``country_unknown``,
        ``offer_countries_wider``, ``offer_document_wrong``.
    RulesRefused
        The gate has closed, the price is not of today (VAL-02), or the compliance terms and the
        sale cannot both be kept.
    NotFound
        There is no such document.
    Conflict
        ``transition_refused``, ``offer_document_not_verified``.
    """
    tokenization = tokenizations.get_tokenization(session, tokenization_id, lock=True)
    tokenizations.fire(session, actor, tokenization, "open_offer", given={"terms": terms})
    countries, has_list = terms.eligible_countries, terms.allotment == Allotment.FIRST_COME
    offering = Offering(
        tokenization_id=tokenization.id,
        offered_units=terms.offered_units,
        minimum_units=terms.minimum_units,
        min_ticket_units=terms.min_ticket_units,
        max_ticket_units=terms.max_ticket_units,
        price_paisa=tokenization.price_paisa,
        opens_at=terms.opens_at,
        closes_at=terms.closes_at,
        eligible_countries=None if countries is None else sorted(set(countries)),
        allotment=terms.allotment,
        cooling_off_hours=terms.cooling_off_hours,
        payment_hours=terms.payment_hours,
        waiting_list_hours=terms.waiting_list_hours if has_list else 0,
        opened_by=actor.subject,
    )
    session.add(offering)
    session.flush()
    acceptance.attach_documents(session, tokenization, offering, terms.document_ids)
    session.flush()
    return offering


def close_and_mint(session: Session, actor: Actor, tokenization_id: UUID) -> list[Operation]:
    """Close the sale and have every declared fraction minted, once.

    Paid orders are minted to their buyers, what is left to the wrapper's own wallet, so that
    supply equals the declared fractions (TOK-02). Unpaid orders are cancelled, paid ones of who
    may not hold any more are to be refunded, and what was asked for beyond what is offered is
    cut. Asked again while the chain mints, what it refused is planned anew.

    Returns
    -------
    list[Operation]
        One mint for each paid order, and one for the rest; asked again, one for each that failed.

    Raises
    ------
    RulesRefused
        The gate has closed, or the wrapper may not hold what is left.
    Conflict
        ``offering_below_minimum``, ``rest_without_holder``, ``cooling_off_running``,
        ``treasury_not_ready``, ``transition_refused``, ``no_mint_failed``.
    """
    tokenization = tokenizations.get_tokenization(session, tokenization_id, lock=True)
    if tokenization.state == TokenizationState.MINTING:
        return minting.mint_again(session, actor, tokenization)
    offering = orders.lock_offering_of(session, tokenization_id)
    paid = _settle_book(session, actor, offering) if offering else []
    given = {"offering": offering}
    tokenizations.fire(session, THE_SYSTEM, tokenization, "close_offer", given=given)
    assert offering is not None, "an OFFERING tokenization has an offering"
    sold = sum(order.units for order in paid)
    offering.state = OfferingState.CLOSED
    session.add(offering)
    approvals.void(session, offering.id)  # whoever agreed to give it up knew of an obstacle
    planned = minting.plan_order_mints(session, actor, tokenization, paid)
    rest = tokenization.declared_fractions - sold
    if rest > 0:
        planned.append(minting.plan_treasury_mint(session, actor, tokenization, rest))
    journal.record(
        session,
        actor,
        "offering_closed",
        "offering",
        offering.id,
        sold_units=str(sold),
        treasury_units=str(rest),
    )
    return planned


def _settle_book(session: Session, actor: Actor, offering: Offering) -> list[Order]:
    """Cancel what is not paid, let go who may not hold, allot the rest, and return what buys.

    Every order is locked first: a payment that is being booked at this moment comes before.
    """
    waiting.close_waiting_list(session, actor, offering)
    book = orders.lock_book(session, offering)
    unpaid = [order for order in book if order.state == OrderState.AWAITING_PAYMENT]
    orders.release_orders(session, actor, offering, unpaid)
    buying = set(session.exec(select(Order.id).where(orders.buys(session, offering))))
    paid = [order for order in book if order.state == OrderState.PAID]
    barred = [order for order in paid if order.id not in buying]
    orders.release_orders(session, actor, offering, barred, act="order_not_mintable")
    paid = [order for order in paid if order.id in buying]
    return allotting.allot_book(session, actor, offering, paid)


def go_live(session: Session, actor: Actor, tokenization_id: UUID) -> Operation:
    """Have the token's transfers opened, once all of it is minted and reconciled.

    Raises
    ------
    RulesRefused
        The gate has closed.
    Conflict
        ``transition_refused``, ``not_reconciled``: supply differs from the declaration, or
        the last reconciliation is missing or found a difference (TOK-02, TOK-03).
    """
    tokenization = tokenizations.get_tokenization(session, tokenization_id, lock=True)
    if tokenization.state != TokenizationState.MINTING:
        raise Conflict(
            "transition_refused",
            f"A tokenization in state {tokenization.state} cannot go live.",
            remedy="Close the offering with /mint first.",
        )
    require_open_gate(session, tokenization)
    lifecycle.ask(session, THE_SYSTEM, guards.MACHINE, tokenization, "mint_confirmed")
    return operations.plan(
        session,
        actor,
        OperationKind.UNPAUSE,
        key=f"go_live:{tokenization.id}",
        subject=("tokenization", tokenization.id),
        params={"tokenization_id": str(tokenization.id)},
    )


def confirm_live(session: Session, tokenization_id: UUID) -> None:
    """Mark the token live once its unpause is final; a repeat changes nothing.

    A token whose asset was suspended meanwhile is paused at once (ENC-02).
    """
    tokenization = tokenizations.get_tokenization(session, tokenization_id, lock=True)
    if tokenization.state != TokenizationState.MINTING:
        return
    given = {"unpaused": True}
    tokenizations.fire(session, THE_SYSTEM, tokenization, "mint_confirmed", given=given)
    asset = assets.get_asset(session, tokenization.asset_id, lock=True)
    if asset.state == AssetState.SUSPENDED:
        # The order came while the unpause was on its way, and found nothing live to pause.
        tokenizations.pause_token(
            session, THE_SYSTEM, tokenization.id, reason="asset suspended before going live"
        )
