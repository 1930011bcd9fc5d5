"""Delivery versus payment of an order: fractions against rupees on chain, both or neither.

Buyer and seller sign the terms off chain; the settlement key sends them. The register plans it
only for what was ordered: this buyer, so many fractions, at that price, from the wrapper.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlmodel import Session, col, select

from registry.investor import custody, wallets
from registry.investor import service as investors
from registry.investor.models import Wallet, WalletState
from registry.journal import service as journal
from registry.kernel.actor import THE_SYSTEM, Actor
from registry.kernel.clock import now
from registry.kernel.errors import Conflict, Invalid
from registry.kernel.money import Money
from registry.kernel.rows import get_row
from registry.ledger import service as ledger
from registry.ledger.models import Account, EntryKind
from registry.ledger.service import NewEntry, move
from registry.offering import money, orders
from registry.offering.models import Offering, Order, OrderState, Payment, PaymentState
from registry.operation import service as operations
from registry.operation.models import Operation, OperationKind
from registry.passkey import service as passkeys
from registry.payment.rails import ONCHAIN
from registry.reconciliation.payable import require_no_break
from registry.tokenization import service as tokenizations
from registry.tokenization.models import Tokenization, TokenizationState
from registry.wrapper import service as wrappers


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
class SignedTrade:
    """What both parties have signed (`Settlement.Trade`), without the addresses that we know.

    Parameters
    ----------
    seller, buyer : bytes
        20 bytes each.
    price_paisa : int
        For all of the units.
    seller_nonce, buyer_nonce : int
        Any number that the party has not used.
    deadline : int
        Last second, since the epoch, at which it may be settled.
    buyer_signature, permit
        None where the key of the buyer's wallet is in our custody: it signs both. The permit
        also where the buyer has given the allowance by a transaction.
    """

    seller: bytes
    buyer: bytes
    units: int
    price_paisa: int
    seller_nonce: int
    buyer_nonce: int
    deadline: int
    seller_signature: bytes
    buyer_signature: bytes | None
    permit: Permit | None = None


def plan_settlement(
    session: Session, actor: Actor, order_id: UUID, trade: SignedTrade
) -> Operation:
    """Have an order settled on chain; until that has ended, no other money is used for it.

    Raises
    ------
    Conflict
        ``order_not_awaiting_payment``, ``order_partly_paid``, ``token_not_live``,
        ``settlement_terms_differ``, ``settlement_seller_differs``, ``kyc_not_passed``,
        ``wallet_custodial``, ``wallet_not_custodial``, ``wallet_retired``, ``break_open``.
    Invalid
        ``settlement_too_late``.
    """
    order = get_row(session, Order, order_id, kind="order", lock=True)
    if order.state != OrderState.AWAITING_PAYMENT:
        raise Conflict("order_not_awaiting_payment", f"The order is {order.state}.")
    if trade.deadline <= now().timestamp():
        raise Invalid("settlement_too_late", "Its deadline has passed.", field="/deadline")
    _require_nothing_paid(session, order)
    tokenization = _tokenization_of(session, order)
    wallet = session.get_one(Wallet, order.wallet_id)
    signed = (trade.buyer, trade.units, trade.price_paisa)
    if signed != (wallet.address, order.units, order.amount_paisa):
        raise Conflict(
            "settlement_terms_differ",
            f"The order is of {order.units} fractions for {order.amount_paisa} paisa, to the "
            "wallet that it names.",
            remedy="Sign what was ordered.",
        )
    _require_buyers_hand(session, wallet, trade)
    _require_seller(session, tokenization, trade.seller)
    _require_standing(session, order, tokenization)
    operation = operations.plan(
        session,
        actor,
        OperationKind.SETTLE,
        key=f"settle:order:{order.id}",
        subject=("order", order.id),
        params={"tokenization_id": str(tokenization.id), "order_id": str(order.id)} | _said(trade),
    )
    order.state, order.operation_id = OrderState.SETTLING, operation.id
    session.add(order)
    session.flush()
    journal.record(session, actor, "settlement_planned", "order", order.id)
    return operation


def confirm_purchase(
    session: Session, actor: Actor, order_id: UUID, trade: SignedTrade
) -> Operation:
    """Have the caller's own order settled on chain.

    Where the key of their wallet is in our custody, this is what it signs for: so they must have
    signed in a moment ago, and say units and price themselves.

    Raises
    ------
    NotFound
        The order is another's.
    Forbidden
        ``sign_in_not_recent``.
    Conflict, Invalid
        As `plan_settlement`.
    """
    order = orders.get_own_order(session, actor, order_id)
    if trade.buyer_signature is None:
        passkeys.require_fresh(session, actor)
        journal.record(
            session, actor, "custodial_purchase_confirmed", "order", order.id,
            units=str(trade.units), price_paisa=str(trade.price_paisa),
            wallet=f"0x{trade.buyer.hex()}",
        )  # fmt: skip
    return plan_settlement(session, actor, order_id, trade)


def require_settlable(session: Session, operation: Operation) -> None:
    """Refuse, when it is signed, what may not be settled any more.

    Raises
    ------
    Conflict
        ``order_not_settling``, ``token_not_live``, ``kyc_not_passed``, ``settlement_too_late``,
        ``break_open``.
    """
    order = session.get_one(Order, UUID(operation.params["order_id"]))
    if (order.state, order.operation_id) != (OrderState.SETTLING, operation.id):
        raise Conflict("order_not_settling", f"The order is {order.state}.")
    _require_standing(session, order, _tokenization_of(session, order))
    if int(operation.params["deadline"]) <= now().timestamp():
        raise Conflict("settlement_too_late", "The deadline of the trade has passed.")


def confirm_settlement(session: Session, operation: Operation) -> None:
    """Book the payment and mark the order settled, once that is final; a repeat changes nothing.

    The contract has handed the rupees on to the seller in the transaction that took them.
    """
    order_id = UUID(operation.params["order_id"])
    # The sale before its orders, as everywhere (ADR 0047).
    session.exec(
        select(Offering.id)
        .join(Order, col(Order.offering_id) == col(Offering.id))
        .where(col(Order.id) == order_id)
        .with_for_update(of=Offering)
    ).one()
    order = session.get_one(Order, order_id, with_for_update=True)
    if order.state != OrderState.SETTLING or order.operation_id != operation.id:
        return
    order.state = OrderState.SETTLED
    digest = operation.result["digest"]
    paid = Payment(
        rail=ONCHAIN.name,
        rail_reference=digest,
        order_id=order.id,
        order_reference=order.reference,
        state=PaymentState.ALLOCATED,
        amount_paisa=order.amount_paisa,
        received_at=now(),
    )
    session.add_all([order, paid])
    session.flush()
    _book_both_ways(session, order, paid)
    journal.record(session, THE_SYSTEM, "order_settled", "order", order.id, digest=digest)


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
    """Let an order be paid for in another way: nothing has moved on chain."""
    order = session.get_one(Order, UUID(operation.params["order_id"]), with_for_update=True)
    if order.state != OrderState.SETTLING or order.operation_id != operation.id:
        return
    order.operation_id = None
    money.resume_paying(session, order, why=f"settlement:{operation.id}")
    session.flush()
    journal.record(session, THE_SYSTEM, "settlement_failed", "order", order.id)


def _tokenization_of(session: Session, order: Order) -> Tokenization:
    offering = orders.get_offering(session, order.offering_id)
    return tokenizations.get_tokenization(session, offering.tokenization_id)


def _require_nothing_paid(session: Session, order: Order) -> None:
    # The contract takes the whole price.
    standing = money.standing_of(session, order.id)
    if standing.held or standing.owed:
        raise Conflict(
            "order_partly_paid",
            f"{Money(standing.held)} rupees of the price have come by bank, and "
            f"{Money(standing.owed)} are owed.",
            remedy="Pay the rest by bank, or cancel the order and place another.",
        )


def _require_standing(session: Session, order: Order, tokenization: Tokenization) -> None:
    if tokenization.state != TokenizationState.LIVE:
        raise Conflict(
            "token_not_live",
            f"The tokenization is {tokenization.state}.",
            remedy="Only a token that is live can be delivered against payment.",
        )
    require_no_break(session, tokenization)
    if not investors.may_hold(investors.get_investor(session, order.investor_id)):
        raise Conflict("kyc_not_passed", "The buyer's KYC is not in force.")


def _require_buyers_hand(session: Session, wallet: Wallet, trade: SignedTrade) -> None:
    """Refuse a signature that is missing, and one that nobody but us could have made."""
    if trade.buyer_signature is None:
        custody.key_of(session, wallet)
    elif wallet.is_custodial:
        raise Conflict(
            "wallet_custodial",
            "The key of this wallet is in our custody, and signs what you confirm.",
            remedy="Leave `buyer_signature` and `permit` out.",
        )


def _require_seller(session: Session, tokenization: Tokenization, address: bytes) -> None:
    """Let nobody sell but the wrapper, which keeps what nobody bought."""
    wrapper = wrappers.find_wrapper(session, tokenization.asset_id)
    treasury = investors.find_investor_for(session, wrapper.party_id) if wrapper else None
    wallet = wallets.find_wallet(session, address)
    if (
        treasury is None
        or wallet is None
        or wallet.investor_id != treasury.id
        or wallet.state != WalletState.PROVEN
    ):
        raise Conflict(
            "settlement_seller_differs",
            "The seller of an order is the wrapper, by a wallet that it has proven.",
            remedy="Let the wrapper's company sign.",
        )


def _said(trade: SignedTrade) -> dict[str, Any]:
    permit = trade.permit
    return {
        "seller": f"0x{trade.seller.hex()}",
        "buyer": f"0x{trade.buyer.hex()}",
        "units": str(trade.units),
        "price_paisa": str(trade.price_paisa),
        "seller_nonce": str(trade.seller_nonce),
        "buyer_nonce": str(trade.buyer_nonce),
        "deadline": str(trade.deadline),
        "seller_signature": trade.seller_signature.hex(),
        "buyer_signature": trade.buyer_signature.hex() if trade.buyer_signature else None,
        "permit": permit
        and {
            "deadline": str(permit.deadline),
            "v": permit.v,
            "r": permit.r.hex(),
            "s": permit.s.hex(),
        },
    }
