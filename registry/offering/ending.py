"""The end of a sale's time: stopped by compliance, then closed or failed by the clock."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, String, cast, exists, or_
from sqlmodel import Session, col, select

from registry.investor import wallets
from registry.investor.models import Investor
from registry.journal import service as journal
from registry.kernel.actor import THE_SYSTEM, Actor
from registry.kernel.clock import now
from registry.kernel.errors import Conflict
from registry.kyc import models as kyc
from registry.lifecycle.reasons import check_reason
from registry.offering import buying, guards, orders, service, unwinding, waiting
from registry.offering.models import (
    UNDER_WAY,
    Offering,
    OfferingKind,
    OfferingState,
    Order,
    OrderState,
)
from registry.operation.models import Operation, OperationKind
from registry.sanctions.hits import UNDECIDED, listed_among
from registry.tokenization import service as tokenizations
from registry.tokenization.models import ENDED, Tokenization, TokenizationState

REVIEW_GRACE = timedelta(days=7)
"""So long after a sale's time the clock waits for KYC reviews that decide whether orders buy."""


def stop_offering(session: Session, actor: Actor, offering_id: UUID, *, reason: str) -> Offering:
    """Take no more orders; the clock closes the sale once nobody can pay or withdraw any more.

    Raises
    ------
    Conflict
        ``offering_closed``, ``offering_time_over``.
    Invalid
        ``reason_missing``.
    """
    offering = orders.get_offering(session, offering_id, lock=True)
    check_reason(reason, "stop")
    if offering.state != OfferingState.OPEN:
        raise Conflict("offering_closed", "The offering is closed.")
    moment = now()
    buying.require_in_time(offering, moment)
    if offering.opens_at is not None and offering.opens_at >= moment:
        offering.opens_at = None  # it never takes any
    offering.closes_at = moment
    session.add(offering)
    session.flush()
    journal.record(session, actor, "offering_stopped", "offering", offering.id, reason=reason)
    return offering


def due_endings(session: Session) -> Sequence[UUID]:
    """List the sales whose time is over, and in which nobody has time to pay or to withdraw.

    One that was closed since, and opened again because every mint was refused, is left to people:
    they give its orders back, mint or unwind it. The clock would close it again every minute.

    While the KYC of who has paid is being reviewed, or officers look whether a list names them,
    people end the sale, or the clock at the end of the grace: that decides whether the order buys,
    and perhaps whether the sale fails.
    """
    moment = now()
    waits = _is_reviewed() & (col(Offering.closes_at) > moment - REVIEW_GRACE)
    still_decides = exists().where(
        col(Order.offering_id) == col(Offering.id),
        or_(
            (col(Order.state) == OrderState.AWAITING_PAYMENT) & (col(Order.pay_until) > moment),
            (col(Order.state) == OrderState.PAID) & (col(Order.withdrawable_until) > moment),
        ),
    )
    due = session.exec(
        select(Offering)
        .join(Tokenization, col(Tokenization.id) == col(Offering.tokenization_id))
        .where(
            col(Offering.state) == OfferingState.OPEN,
            col(Offering.kind) == OfferingKind.PRIMARY,
            col(Offering.closes_at) <= moment,
            col(Tokenization.state) == TokenizationState.OFFERING,
            ~still_decides,
            ~_is_tried(),
            ~waits,
        )
        .order_by(col(Offering.id))
    ).all()
    return [sale.id for sale in due if not _is_looked_at(session, sale, moment)]


def _is_looked_at(session: Session, offering: Offering, moment: datetime) -> bool:
    """Tell whether nobody has decided yet if a list names somebody who has paid."""
    assert offering.closes_at is not None, "its time is over"
    if offering.closes_at <= moment - REVIEW_GRACE:
        return False
    payers = (
        select(Investor.party_id)
        .join(Order, col(Order.investor_id) == col(Investor.id))
        .where(col(Order.offering_id) == offering.id, col(Order.state) == OrderState.PAID)
    )
    return bool(listed_among(session, session.exec(payers).all(), states=UNDECIDED))


def _is_reviewed() -> ColumnElement[bool]:
    """Tell of a sale whether officers review who has paid and may not hold.

    A draft holds nobody up: whoever opened it need never hand it in.
    """
    review = exists().where(
        col(kyc.KycReview.investor_id) == col(Order.investor_id),
        col(kyc.KycReview.state).in_(kyc.HANDED_IN),
    )
    return exists().where(
        col(Order.offering_id) == col(Offering.id),
        col(Order.state) == OrderState.PAID,
        ~wallets.may_receive(col(Order.investor_id)),
        review,
    )


def _is_tried() -> ColumnElement[bool]:
    """Tell of a sale and its token whether mints of it were planned since its time is over."""
    tried = (col(Operation.kind) == OperationKind.MINT) & (
        col(Operation.recorded_at) >= col(Offering.closes_at)
    )
    of_an_order = (col(Order.offering_id) == col(Offering.id)) & (
        col(Operation.id) == col(Order.operation_id)
    )
    of_the_rest = col(Operation.subject_id) == cast(col(Tokenization.id), String)
    return or_(exists().where(tried, of_an_order), exists().where(tried, of_the_rest))


def due_secondary(session: Session) -> Sequence[UUID]:
    """List the wrappers' sales whose time, or whose token, is over, and of which nothing is due."""
    under_way = exists().where(
        col(Order.offering_id) == col(Offering.id), col(Order.state).in_(UNDER_WAY)
    )
    return session.exec(
        select(Offering.id)
        .join(Tokenization, col(Tokenization.id) == col(Offering.tokenization_id))
        .where(
            col(Offering.state) == OfferingState.OPEN,
            col(Offering.kind) == OfferingKind.SECONDARY,
            (col(Offering.closes_at) <= now()) | col(Tokenization.state).in_(ENDED),
            ~under_way,
        )
        .order_by(col(Offering.id))
    ).all()


def end_secondary(session: Session, offering_id: UUID) -> None:
    """Close a wrapper's sale; each of its orders is settled or has lapsed.

    Raises
    ------
    Conflict
        ``offering_not_over``.
    """
    offering = orders.get_offering(session, offering_id, lock=True)
    if offering_id not in due_secondary(session):
        raise Conflict("offering_not_over", "The time of the offering is not over.")
    waiting.close_waiting_list(session, THE_SYSTEM, offering)
    offering.state = OfferingState.CLOSED
    session.add(offering)
    session.flush()
    journal.record(
        session, THE_SYSTEM, "secondary_sale_closed", "offering", offering.id,
        sold_units=str(offering.reserved_units),
    )  # fmt: skip


def end_offering(session: Session, offering_id: UUID) -> None:
    """Close a sale whose time is over and have it minted, or give it up below its minimum.

    Raises
    ------
    RulesRefused, Conflict
        As `service.close_and_mint`; a person looks into it.
    """
    offering = orders.get_offering(session, offering_id)
    # What closes a sale locks in this order: the token, the offering, its orders.
    tokenizations.get_tokenization(session, offering.tokenization_id, lock=True)
    offering = orders.get_offering(session, offering_id, lock=True)
    if offering_id not in due_endings(session):
        raise Conflict("offering_not_over", "The time of the offering is not over.")
    if guards.sold_units(session, offering) < offering.minimum_units:
        unwinding.unwind_offering(
            session,
            THE_SYSTEM,
            offering.tokenization_id,
            reason="The time of the sale is over, and its minimum is not reached.",
        )
    else:
        service.close_and_mint(session, THE_SYSTEM, offering.tokenization_id)
