"""Use case: order. Who may buy of a sale, how much, and when; what is left is counted once."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlmodel import Session

from registry.case.bound import require_unbound
from registry.investor import service as investors
from registry.investor import wallets
from registry.investor.models import Investor, Wallet, WalletState
from registry.journal import service as journal
from registry.kernel.actor import Actor
from registry.kernel.clock import now, written
from registry.kernel.errors import Conflict, Forbidden, Invalid
from registry.offering import acceptance, limits, orders, secondary
from registry.offering.acceptance import Accepted
from registry.offering.models import (
    Allotment,
    Offering,
    OfferingKind,
    OfferingState,
    Order,
    Rail,
)
from registry.offering.references import new_reference
from registry.sanctions.hits import listed_among
from registry.tokenization import service as tokenizations
from registry.tokenization.models import Tokenization

MAX_SUBSCRIBED_UNITS = 2**63 - 1
"""What the database can count."""


def place_order(
    session: Session,
    actor: Actor,
    offering_id: UUID,
    *,
    units: int,
    wallet_address: bytes,
    accepted: Collection[Accepted] = (),
) -> Order:
    """Reserve fractions for the caller.

    The offering's row is locked, so that of two buyers of the last fraction one is refused.

    Parameters
    ----------
    units
        Whole fractions, more than 0.
    wallet_address
        20 bytes; a proven wallet of the caller.
    accepted
        The papers of the sale, each by the hash that the caller has read.

    Raises
    ------
    Forbidden
        ``kyc_not_passed``.
    Conflict
        What `require_on_sale` says; ``order_exceeds_offer``, ``wallet_not_proven``,
        ``party_under_order``, ``dealing_on_hold``, ``seller_is_buyer``, and what
        `limits.require_within` and `acceptance.require_accepted` say.
    Invalid
        ``order_below_ticket``, ``document_not_of_offering``.
    """
    buyer = require_own_buyer(session, actor, wallet_address)
    offering = orders.get_offering(session, offering_id, lock=True)
    tokenization = require_on_sale(session, offering)
    require_ticket(offering, units)
    _require_left(offering, units)
    book = limits.read_book(session, tokenization, offering, [buyer.investor.id])
    limits.require_within(book, buyer.investor.id, units)
    acceptance.require_accepted(session, offering, accepted)
    order = reserve(session, actor, offering, buyer, units)
    acceptance.record_acceptance(
        session, actor, offering, buyer.investor, accepted, order_id=order.id
    )
    return order


@dataclass(frozen=True, slots=True)
class Buyer:
    """An investor, and where the fractions go."""

    investor: Investor
    wallet: Wallet


def require_own_buyer(session: Session, actor: Actor, wallet_address: bytes) -> Buyer:
    """Ask that the caller may buy at all, to a wallet of their own.

    Raises
    ------
    Forbidden, Conflict
        As `require_buyer`.
    """
    investor = investors.find_investor_of(session, actor.subject)
    wallet = wallets.find_wallet(session, wallet_address)
    return require_buyer(session, investor, wallet)


def require_buyer(session: Session, investor: Investor | None, wallet: Wallet | None) -> Buyer:
    """Ask that somebody may buy at all, whatever is sold.

    Raises
    ------
    Forbidden
        ``kyc_not_passed``.
    Conflict
        ``wallet_not_proven``, ``party_under_order``, ``dealing_on_hold``.
    """
    buyer = require_ready(investor, wallet)
    require_unbound(session, buyer.investor.party_id, buyer.wallet.address)
    if listed_among(session, [buyer.investor.party_id]):
        # A buyer is not told that a list may name them (no tipping-off, AMLA 2010 s.7).
        raise on_hold()
    return buyer


def require_ready(investor: Investor | None, wallet: Wallet | None) -> Buyer:
    """Ask that somebody may hold, and where; no more than these rows say.

    Raises
    ------
    Forbidden
        ``kyc_not_passed``.
    Conflict
        ``wallet_not_proven``.
    """
    if investor is None or not investors.may_hold(investor):
        raise Forbidden(
            "kyc_not_passed",
            "Only an investor whose KYC is passed and in force can buy.",
            remedy="Enrol at /v1/investors, prove a wallet, and wait for the decision.",
        )
    if (
        wallet is None
        or wallet.investor_id != investor.id
        or wallet.state != WalletState.PROVEN
        or wallet.identity is None
    ):
        raise Conflict(
            "wallet_not_proven",
            "The wallet is not proven to be yours, or has no identity on chain yet.",
            remedy="Sign its challenge at /v1/investors/{id}/wallets and wait for the identity.",
        )
    return Buyer(investor, wallet)


def on_hold() -> Conflict:
    """Give the refusal that says no more than that the office looks first."""
    return Conflict(
        "dealing_on_hold",
        "The office has to look at this purchase before it goes on.",
        remedy="Ask the office, or try again later.",
    )


def require_on_sale(session: Session, offering: Offering) -> Tokenization:
    """Ask that a locked offering takes orders at this moment, and return what it sells.

    Raises
    ------
    Conflict
        ``offering_closed``, ``offering_not_open_yet``, ``offering_time_over``,
        ``asset_not_registered``, ``offer_document_revoked``; of a secondary sale also
        ``token_not_live``, ``break_open``, ``seller_not_ready``, ``party_under_order``.
    """
    if offering.state != OfferingState.OPEN:
        raise Conflict("offering_closed", "The offering is closed.")
    moment = now()
    if offering.opens_at is not None and moment < offering.opens_at:
        raise Conflict(
            "offering_not_open_yet",
            f"Orders are taken from {written(offering.opens_at)}.",
            values={"opens": written(offering.opens_at)},
            remedy="Order then.",
        )
    require_in_time(offering, moment)
    tokenization = tokenizations.get_tokenization(session, offering.tokenization_id)
    if offering.kind == OfferingKind.SECONDARY:
        secondary.require_selling(session, offering, tokenization)
    else:
        secondary.require_registered(session, tokenization)
    acceptance.require_no_document_revoked(session, offering)
    return tokenization


def require_in_time(offering: Offering, moment: datetime) -> None:
    """Ask that the order book is not closed.

    Raises
    ------
    Conflict
        ``offering_time_over``.
    """
    if orders.is_time_over(offering, moment):
        assert offering.closes_at is not None, "only then its time can be over"
        raise Conflict(
            "offering_time_over",
            f"Orders were taken until {written(offering.closes_at)}.",
            values={"closes": written(offering.closes_at)},
            remedy="An order that was placed before can still be paid for until the sale closes.",
        )


def require_ticket(offering: Offering, units: int) -> None:
    """Refuse an order below the smallest.

    Raises
    ------
    Invalid
        ``order_below_ticket``.
    """
    if units < offering.min_ticket_units:
        raise Invalid(
            "order_below_ticket",
            f"The smallest order is {offering.min_ticket_units} fractions.",
            values={"least": offering.min_ticket_units},
            field="/units",
        )


def _require_left(offering: Offering, units: int) -> None:
    if takes_subscriptions(offering):
        # More than is offered may be asked for, but by nobody alone.
        most = min(offering.offered_units, MAX_SUBSCRIBED_UNITS - offering.reserved_units)
        if units > most:
            raise exceeds_offer(units, most, "offered in all")
        return
    left = offering.offered_units - offering.reserved_units
    if units > left:
        may_wait = bool(offering.waiting_list_hours)
        raise exceeds_offer(units, left, f"left of {offering.offered_units}", may_wait=may_wait)


def exceeds_offer(units: int, most: int, what: str, *, may_wait: bool = False) -> Conflict:
    """Give the refusal of more fractions than there are.

    Parameters
    ----------
    what
        What the most are.
    may_wait
        Whether the sale has a waiting list.
    """
    remedy = f"Order at most {most}." if most else "The offering is fully subscribed."
    if may_wait:
        remedy += " You may wait for more at /v1/offerings/{id}/waiting_list."
    return Conflict(
        "order_exceeds_offer",
        f"{units} fractions are ordered, {most} are {what}.",
        values={"units": units, "left": most},
        remedy=remedy,
    )


def takes_subscriptions(offering: Offering) -> bool:
    """Tell whether more may be ordered than there is, to be allotted at the close."""
    return offering.allotment == Allotment.PRO_RATA and offering.allotted_at is None


def reserve(
    session: Session,
    actor: Actor,
    offering: Offering,
    buyer: Buyer,
    units: int,
    *,
    waiting_entry_id: UUID | None = None,
) -> Order:
    """Make an order of a locked offering; whether it may be made, others have asked.

    Parameters
    ----------
    waiting_entry_id
        Where it is offered to who waited: their time to pay is that of the waiting list.
    """
    moment = now()
    is_offered = waiting_entry_id is not None
    pay_hours = offering.waiting_list_hours if is_offered else offering.payment_hours
    free_hours = offering.cooling_off_hours
    offering.reserved_units += units
    order = Order(
        recorded_at=moment,
        offering_id=offering.id,
        investor_id=buyer.investor.id,
        wallet_id=buyer.wallet.id,
        units=units,
        subscribed_units=units,
        amount_paisa=units * offering.price_paisa,
        reference=new_reference(),
        pay_until=moment + timedelta(hours=pay_hours) if pay_hours else None,
        withdrawable_until=moment + timedelta(hours=free_hours) if free_hours else None,
        waiting_entry_id=waiting_entry_id,
        rail=Rail.ONCHAIN_RUPEE if offering.kind == OfferingKind.SECONDARY else Rail.BANK_TRANSFER,
    )
    session.add_all([offering, order])
    session.flush()
    if offering.kind == OfferingKind.SECONDARY:
        secondary.tell_seller(session, offering, order)
    journal.record(
        session,
        actor,
        "order_offered" if is_offered else "order_placed",
        "order",
        order.id,
        offering_id=str(offering.id),
        units=str(units),
        amount_paisa=str(order.amount_paisa),
    )
    return order
