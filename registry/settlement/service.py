"""Delivery versus payment of an order: fractions against rupees on chain, both or neither.

Buyer and seller sign the order's terms off chain (`registry.settlement.trades`); the settlement key
sends them. Whoever has both signatures may send them too: so what the chain shows of a trade is
believed, not that our own transaction succeeded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlmodel import Session, col, select

from registry.captable.portfolio import is_registered
from registry.captable.trades import mined_at, settled_for_good
from registry.investor import custody
from registry.investor import service as investors
from registry.investor.models import Wallet
from registry.journal import service as journal
from registry.kernel.actor import THE_SYSTEM, Actor
from registry.kernel.clock import now
from registry.kernel.errors import Conflict
from registry.ledger import service as ledger
from registry.ledger.models import Account, EntryKind
from registry.ledger.service import NewEntry, move
from registry.offering import buying, money, orders, secondary
from registry.offering.models import Order, OrderState, Payment, PaymentState
from registry.operation import service as operations
from registry.operation.models import Operation, OperationKind
from registry.passkey import service as passkeys
from registry.payment.rails import ONCHAIN
from registry.settlement import trades
from registry.settlement.trades import Terms
from registry.tokenization import service as tokenizations
from registry.tokenization.models import Tokenization
from registry.tokenization.registration import plan_registration

UNSETTLED = (OrderState.AWAITING_PAYMENT, OrderState.SETTLING)


@dataclass(frozen=True, slots=True)
class Permit:
    """The buyer's ERC-2612 permit for the Settlement contract, over the price.

    Parameters
    ----------
    deadline : int
        Last second, since the epoch, at which it may be used.
    """

    deadline: int
    v: int
    r: bytes
    s: bytes


@dataclass(frozen=True, slots=True)
class Agreed:
    """What the buyer agrees to, and their hand on it.

    Parameters
    ----------
    price_paisa : int
        For all of the units.
    signature, permit
        None where the key of the buyer's wallet is in our custody: it signs both. The permit
        also where the buyer has given the allowance by a transaction.
    """

    units: int
    price_paisa: int
    signature: bytes | None = None
    permit: Permit | None = None


def confirm_purchase(session: Session, actor: Actor, order_id: UUID, agreed: Agreed) -> Operation:
    """Have the caller's own order settled on chain.

    Where the key of their wallet is in our custody, this is what it signs for: so they must have
    signed in a moment ago, and say units and price themselves.

    Raises
    ------
    NotFound
        The order is another's.
    Forbidden
        ``sign_in_not_recent``, ``kyc_not_passed``.
    Conflict
        As `plan_settlement`.
    """
    order = orders.get_own_order(session, actor, order_id)
    trades.require_on_chain(order)
    if agreed.signature is None:
        passkeys.require_fresh(session, actor)
        journal.record(
            session, actor, "custodial_purchase_confirmed", "order", order.id,
            units=str(agreed.units), price_paisa=str(agreed.price_paisa),
        )  # fmt: skip
    return plan_settlement(session, actor, order_id, agreed)


def plan_settlement(session: Session, actor: Actor, order_id: UUID, agreed: Agreed) -> Operation:
    """Have an order that both parties have signed settled on chain.

    A buyer who holds none of the token yet is registered for it before.

    Raises
    ------
    Conflict
        ``order_not_awaiting_payment``, ``settlement_too_late``, ``trade_not_signed``,
        ``settlement_terms_differ``, ``wallet_custodial``, ``wallet_not_custodial``,
        ``purchase_under_way``, and what `require_settlable` says.
    Forbidden
        ``kyc_not_passed``.
    """
    [order] = orders.lock_orders(session, [order_id])
    trades.require_unpaid(order)
    if order.trade_digest is None:
        raise Conflict(
            "trade_not_signed",
            "The seller has not signed this order yet.",
            remedy="Wait for it: you are told by a trade.signed event.",
        )
    if (agreed.units, agreed.price_paisa) != (order.units, order.amount_paisa):
        raise Conflict(
            "settlement_terms_differ",
            f"The order is of {order.units} fractions for {order.amount_paisa} paisa.",
            remedy="Agree to what was ordered, or let the order lapse.",
        )
    # Locked: of two orders of a wallet, confirmed at one moment, the second sees the first.
    wallet = session.get_one(Wallet, order.wallet_id, with_for_update=True)
    _require_buyers_hand(session, wallet, agreed)
    _require_none_under_way(session, order)
    tokenization = _require_standing(session, order)
    known = is_registered(session, tokenization, wallet.address)
    operation = operations.plan(
        session,
        actor,
        OperationKind.SETTLE,
        key=f"settle:order:{order.id}",
        subject=("order", order.id),
        params={"tokenization_id": str(tokenization.id), "order_id": str(order.id)}
        | _said(trades.terms_of(session, order), order, agreed),
        after=[] if known else [plan_registration(session, actor, tokenization, wallet)],
    )
    order.state, order.operation_id = OrderState.SETTLING, operation.id
    session.add(order)
    session.flush()
    journal.record(session, actor, "settlement_planned", "order", order.id)
    return operation


def require_settlable(session: Session, operation: Operation) -> None:
    """Refuse, when it is signed, what may not be settled any more.

    Raises
    ------
    Conflict
        ``order_not_settling``, ``settlement_too_late``, ``token_not_live``, ``break_open``,
        ``asset_not_registered``, ``seller_not_ready``, ``party_under_order``,
        ``dealing_on_hold``, ``wallet_not_proven``.
    Forbidden
        ``kyc_not_passed``.
    """
    order = session.get_one(Order, UUID(operation.params["order_id"]))
    if (order.state, order.operation_id) != (OrderState.SETTLING, operation.id):
        raise Conflict("order_not_settling", f"The order is {order.state}.")
    trades.require_in_time(order)
    _require_standing(session, order)


def confirm_settlement(session: Session, operation: Operation) -> None:
    """Complete the order once our transaction is final; a repeat changes nothing."""
    order_id = UUID(operation.params["order_id"])
    _complete(session, order_id, bytes.fromhex(operation.result["digest"].removeprefix("0x")))


def due_trades(session: Session) -> Sequence[UUID]:
    """List the orders whose trade is final on chain, whoever sent it, and that do not show it."""
    signed = session.exec(
        select(Order.id, Order.trade_digest).where(
            col(Order.trade_digest).is_not(None), col(Order.state).in_(UNSETTLED)
        )
    ).all()
    settled = settled_for_good(session, [digest for _, digest in signed if digest])
    return [order_id for order_id, digest in signed if digest in settled]


def confirm_trade(session: Session, order_id: UUID) -> None:
    """Complete an order whose trade the chain shows; a repeat changes nothing.

    Raises
    ------
    Conflict
        ``trade_not_settled``.
    """
    digest = session.get_one(Order, order_id).trade_digest
    if digest is None or not settled_for_good(session, [digest]):
        raise Conflict("trade_not_settled", "The chain does not show this trade.")
    _complete(session, order_id, digest)


def _complete(session: Session, order_id: UUID, digest: bytes) -> None:
    """Book the payment of an order whose trade is final, and mark it settled, once.

    The contract has handed the rupees on to the seller in the transaction that took them.
    """
    # The sale before its orders, as everywhere (ADR 0047).
    sale = session.get_one(Order, order_id).offering_id
    orders.get_offering(session, sale, lock=True)
    [order] = orders.lock_orders(session, [order_id])
    if order.state not in UNSETTLED:
        return
    order.state = OrderState.SETTLED
    paid = Payment(
        rail=ONCHAIN.name,
        rail_reference=f"0x{digest.hex()}",
        order_id=order.id,
        order_reference=order.reference,
        state=PaymentState.ALLOCATED,
        amount_paisa=order.amount_paisa,
        # The day of its block counts, whenever it became final (reports of a day's payments).
        received_at=mined_at(session, digest) or now(),
    )
    session.add_all([order, paid])
    session.flush()
    _book_both_ways(session, order, paid)
    told = {"digest": paid.rail_reference}
    journal.record(session, THE_SYSTEM, "order_settled", "order", order.id, **told)


def _book_both_ways(session: Session, order: Order, paid: Payment) -> None:
    paisa, proceeds = paid.amount_paisa, (Account.SALE_PROCEEDS, order.offering_id)
    came = move(paisa, debit=(ONCHAIN.account, None), credit=(Account.ORDER, order.id))
    ledger.post(
        session, [NewEntry(EntryKind.RECEIPT, f"receipt:{paid.id}", ("order", order.id), came)]
    )
    money.settle_money(session, [(order.id, order.offering_id, paisa)])
    went = ONCHAIN.pay_out(paisa, debit=proceeds)
    subject = ("offering", order.offering_id)
    key = f"payout:{paid.rail_reference}"
    ledger.post(session, [NewEntry(EntryKind.PAYOUT, key, subject, went)])


def fail_settlement(session: Session, operation: Operation) -> None:
    """Let an order wait for its money again: our transaction moved nothing.

    Another may have carried the same trade out; then `due_trades` finds it before the order lapses.
    """
    order = session.get_one(Order, UUID(operation.params["order_id"]), with_for_update=True)
    if order.state != OrderState.SETTLING or order.operation_id != operation.id:
        return
    order.state, order.operation_id = OrderState.AWAITING_PAYMENT, None
    session.add(order)
    session.flush()
    journal.record(session, THE_SYSTEM, "settlement_failed", "order", order.id)


def _require_standing(session: Session, order: Order) -> Tokenization:
    """Ask of token, seller and buyer what was asked when it was ordered."""
    offering = orders.get_offering(session, order.offering_id)
    tokenization = tokenizations.get_tokenization(session, offering.tokenization_id)
    secondary.require_selling(session, offering, tokenization)
    investor = investors.get_investor(session, order.investor_id)
    buying.require_buyer(session, investor, session.get_one(Wallet, order.wallet_id))
    return tokenization


def _require_none_under_way(session: Session, order: Order) -> None:
    """Settle one order of a wallet at a time: their permits have numbers that follow (ERC-2612)."""
    other = session.exec(
        select(Order.id).where(
            col(Order.wallet_id) == order.wallet_id, col(Order.state) == OrderState.SETTLING
        )
    ).first()
    if other is not None:
        raise Conflict(
            "purchase_under_way",
            "Another order of this wallet is being settled.",
            remedy=f"Wait until /v1/orders/{other} is; then read /trade again and sign.",
        )


def _require_buyers_hand(session: Session, wallet: Wallet, agreed: Agreed) -> None:
    """Refuse a signature that is missing, and one that nobody but us could have made."""
    if agreed.signature is None:
        custody.key_of(session, wallet)
    elif wallet.is_custodial:
        raise Conflict(
            "wallet_custodial",
            "The key of this wallet is in our custody, and signs what you confirm.",
            remedy="Leave `buyer_signature` and `permit` out.",
        )


def _said(terms: Terms, order: Order, agreed: Agreed) -> dict[str, Any]:
    assert order.seller_signature is not None, "it was asked before"
    permit = agreed.permit
    return {
        "seller": f"0x{terms.seller.hex()}",
        "buyer": f"0x{terms.buyer.hex()}",
        "units": str(terms.units),
        "price_paisa": str(terms.price_paisa),
        "seller_nonce": str(terms.nonce),
        "buyer_nonce": str(terms.nonce),
        "deadline": str(terms.deadline),
        "seller_signature": order.seller_signature.hex(),
        "buyer_signature": agreed.signature.hex() if agreed.signature else None,
        "permit": permit
        and {
            "deadline": str(permit.deadline),
            "v": permit.v,
            "r": permit.r.hex(),
            "s": permit.s.hex(),
        },
    }
