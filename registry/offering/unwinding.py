"""A sale that failed, or was given up: every payment goes back, and the token ends."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from uuid import UUID

from sqlmodel import Session, col, select

from registry.investor import service as investors
from registry.investor.models import Wallet
from registry.journal import service as journal
from registry.kernel.actor import THE_SYSTEM, Actor
from registry.kernel.errors import Conflict, Invalid
from registry.kernel.money import Money
from registry.kernel.rows import among, get_row
from registry.ledger import service as ledger
from registry.ledger.models import Account, EntryKind
from registry.ledger.service import NewEntry, move
from registry.lifecycle.reasons import check_reason
from registry.offering import money, orders, rescinding, waiting
from registry.offering.models import Offering, OfferingState, Order, OrderState, Rail, Refund
from registry.offering.transfers import require_new_refund
from registry.reconciliation.payable import require_no_break, require_receiver
from registry.tokenization import service as tokenizations
from registry.tokenization.models import Tokenization, TokenizationState


def unwind_offering(
    session: Session, actor: Actor, tokenization_id: UUID, *, reason: str
) -> Tokenization:
    """End a sale that missed its minimum, or sold nothing; what was paid is to be refunded.

    Orders that nobody paid are cancelled. With nothing paid, the token ends at once.

    Raises
    ------
    Conflict
        ``minimum_reached``, ``transition_refused``.
    Invalid
        ``reason_missing``.
    """
    tokenization = tokenizations.get_tokenization(session, tokenization_id, lock=True)
    offering = orders.lock_offering_of(session, tokenization_id)
    check_reason(reason, "unwind")
    given = {"offering": offering}
    tokenizations.fire(session, THE_SYSTEM, tokenization, "fail_offer", given=given, reason=reason)
    assert offering is not None, "an OFFERING tokenization has an offering"
    release_sale(session, actor, tokenization, offering, reason=reason)
    return tokenization


def release_sale(
    session: Session, actor: Actor, tokenization: Tokenization, offering: Offering, *, reason: str
) -> None:
    """Let every order of a locked sale and its money go, whose token is UNWINDING by now.

    Of a sale that is given up while it is minted, some are settled: the issuer gets nothing for
    them, and what was minted is burned (`registry.offering.rescinding`).
    """
    offering.state = OfferingState.FAILED
    waiting.close_waiting_list(session, actor, offering)
    book = orders.lock_book(session, offering)
    settled = [order for order in book if order.state == OrderState.SETTLED]
    money.rescind_money(session, offering, settled)
    bought = [order for order in book if order.state in (OrderState.PAID, OrderState.MINTING)]
    orders.release_orders(session, actor, offering, settled + bought, act="order_rescinded")
    unpaid = [order for order in book if order.state == OrderState.AWAITING_PAYMENT]
    orders.release_orders(session, actor, offering, unpaid)
    session.flush()
    journal.record(session, actor, "offering_failed", "offering", offering.id, reason=reason)
    _end_if_repaid(session, tokenization, offering)


def record_refund(
    session: Session,
    actor: Actor,
    order_id: UUID,
    *,
    rail_reference: str,
    amount_paisa: int | None = None,
) -> Order:
    """Record that money of an order went back; the last of a failed sale ends the token.

    Parameters
    ----------
    rail_reference
        The bank's own reference of the transfer back; each is recorded once.
    amount_paisa
        Where it was a part of what is due; by default all of it.

    Raises
    ------
    NotFound
        There is no such order.
    Conflict
        ``no_refund_due``, ``refund_exceeds_due``, ``refund_reference_reused``, ``break_open``,
        ``party_under_order``, ``sanctions_hit_stands``: what is due waits.
    Invalid
        ``refund_amount_zero``.
    """
    order = lock_with_token(session, order_id)
    _require_no_break(session, order)
    buyer = investors.get_investor(session, order.investor_id)
    wallet = session.get_one(Wallet, order.wallet_id)
    require_receiver(session, buyer.party_id, wallet.address)
    standing = money.standing_of(session, order.id)
    if not standing.due:
        raise Conflict("no_refund_due", f"The order is {order.state}; nothing is to be refunded.")
    paisa = standing.due if amount_paisa is None else amount_paisa
    if paisa <= 0:
        raise Invalid("refund_amount_zero", "A refund is of something.", field="/amount/amount")
    if paisa > standing.due:
        raise Conflict(
            "refund_exceeds_due",
            f"{Money(paisa)} went back, {Money(standing.due)} rupees are due.",
            remedy="Record what is due; what was sent beyond it, the buyer owes.",
        )
    require_new_refund(session, rail_reference)
    refund = Refund(
        order_id=order.id,
        rail=Rail.BANK_TRANSFER,
        rail_reference=rail_reference,
        amount_paisa=paisa,
        recorded_by=actor.subject,
    )
    session.add(refund)
    ledger.post(session, [NewEntry(
        EntryKind.REFUND, f"refund:{refund.id}", ("order", order.id),
        move(paisa, debit=(Account.REFUND_DUE, order.id), credit=(Account.BANK, None)),
    )])  # fmt: skip
    if order.state == OrderState.REFUND_DUE and paisa == standing.due:
        order.state = OrderState.REFUNDED
    session.add(order)
    session.flush()
    journal.record(
        session, actor, "order_refunded", "order", order.id,
        rail_reference=rail_reference, amount_paisa=str(paisa),
    )  # fmt: skip
    end_if_repaid(session, order)
    return order


def _require_no_break(session: Session, order: Order) -> None:
    offering = orders.get_offering(session, order.offering_id)
    require_no_break(session, tokenizations.get_tokenization(session, offering.tokenization_id))


def lock_with_token(session: Session, order_id: UUID) -> Order:
    """Lock an order whose money moves back, and first its token, which may end with it.

    Raises
    ------
    NotFound
        There is no such order.
    """
    found = get_row(session, Order, order_id, kind="order")
    offering = orders.get_offering(session, found.offering_id)
    tokenizations.get_tokenization(session, offering.tokenization_id, lock=True)
    return get_row(session, Order, order_id, kind="order", lock=True)


def lock_tokens_of(session: Session, order_ids: Collection[UUID]) -> None:
    """Lock the tokens of some orders, always in the order of their ids."""
    if not order_ids:
        return
    tokens = (
        select(Offering.tokenization_id)
        .join(Order, col(Order.offering_id) == col(Offering.id))
        .where(among(col(Order.id), order_ids))
    )
    session.exec(
        select(Tokenization.id)
        .where(col(Tokenization.id).in_(tokens))
        .order_by(col(Tokenization.id))
        .with_for_update()
    ).all()


def unpaid_refunds(session: Session, offering_id: UUID) -> Sequence[Order]:
    """List the orders of a failed sale whose money has not gone back."""
    return session.exec(
        select(Order)
        .where(col(Order.offering_id) == offering_id, col(Order.state) == OrderState.REFUND_DUE)
        .order_by(col(Order.id))
    ).all()


def end_if_repaid(session: Session, order: Order) -> None:
    """End the token of a failed sale, once nothing is to be refunded; its row is locked."""
    offering = orders.get_offering(session, order.offering_id)
    _end_if_repaid(
        session, tokenizations.get_tokenization(session, offering.tokenization_id), offering
    )


def _end_if_repaid(session: Session, tokenization: Tokenization, offering: Offering) -> None:
    if tokenization.state != TokenizationState.UNWINDING:
        return  # the refund of one order, whose sale went on
    if not _is_done(session, tokenization, offering):
        return  # the last burn, once it is final, ends the token by the clock
    given = {"offering": offering}
    tokenizations.fire(session, THE_SYSTEM, tokenization, "refunds_done", given=given)
    tokenizations.close_on_chain(session, THE_SYSTEM, tokenization)


def due_endings(session: Session) -> Sequence[UUID]:
    """List the tokens whose last burn came after the last refund."""
    return [
        row.id
        for row in rescinding.list_unwinding(session)
        if _is_done(session, row, _sale_of(session, row))
    ]


def _is_done(session: Session, tokenization: Tokenization, offering: Offering) -> bool:
    if unpaid_refunds(session, offering.id):
        return False
    return rescinding.is_nothing_left(session, tokenization)


def _sale_of(session: Session, tokenization: Tokenization) -> Offering:
    offering = orders.find_offering_of(session, tokenization.id)
    assert offering is not None, "an UNWINDING tokenization has an offering"
    return offering


def end_unwound(session: Session, tokenization_id: UUID) -> None:
    """End a token whose fractions are burned, and whose buyers have their money."""
    tokenization = tokenizations.get_tokenization(session, tokenization_id, lock=True)
    _end_if_repaid(session, tokenization, _sale_of(session, tokenization))
