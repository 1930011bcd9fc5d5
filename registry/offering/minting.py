"""The mints of a closed sale: planned, planned again where the chain refused, or given back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import BigInteger, cast, func, update
from sqlmodel import Session, col, select

from registry.captable import portfolio
from registry.captable import service as captable
from registry.case.receiving import receiving_wallet, replacements_of
from registry.investor import service as investors
from registry.investor import wallets
from registry.investor.models import Investor, Wallet, WalletState
from registry.investor.verified import identity_not_ready
from registry.journal import service as journal
from registry.kernel.actor import THE_SYSTEM, Actor
from registry.kernel.errors import Conflict
from registry.kernel.rows import among, get_row, update_many
from registry.lifecycle.reasons import check_reason
from registry.offering import money, orders, placing
from registry.offering.models import RESERVING, Offering, OfferingState, Order, OrderState
from registry.onboarding import approvals
from registry.operation import service as operations
from registry.operation.models import FAILED, ON_CHAIN, Operation, OperationKind
from registry.reconciliation.payable import require_receiver
from registry.tokenization import service as tokenizations
from registry.tokenization.models import Tokenization, TokenizationState
from registry.tokenization.registration import plan_registrations
from registry.wrapper import service as wrappers


def treasury_key(tokenization_id: UUID) -> str:
    return f"mint:treasury:{tokenization_id}"


def plan_order_mints(
    session: Session, actor: Actor, tokenization: Tokenization, sold: Sequence[Order]
) -> list[Operation]:
    """Have the fractions of paid orders minted to their buyers.

    A buyer who has lost the wallet since, and proven another, gets the fractions there.

    Raises
    ------
    Conflict
        ``identity_not_ready``.
    """
    chosen = wallets.get_wallets(session, {order.wallet_id for order in sold})
    others = replacements_of(session, chosen)
    for order in sold:
        if chosen[order.wallet_id].state == WalletState.PROVEN:
            continue
        if (other := others.get(order.wallet_id)) is None:
            raise identity_not_ready()
        order.wallet_id, chosen[other.id] = other.id, other
    wanted = [
        _Mint(f"mint:order:{order.id}", chosen[order.wallet_id], order.units, ("order", order.id))
        for order in sold
    ]
    mints = _plan_mints(session, actor, tokenization, wanted)
    for order, mint in zip(sold, mints, strict=True):
        order.state, order.operation_id = OrderState.MINTING, mint.id
    update_many(session, sold, ("state", "operation_id", "wallet_id"))
    return mints


def plan_treasury_mint(
    session: Session,
    actor: Actor,
    tokenization: Tokenization,
    units: int,
    *,
    key: str | None = None,
) -> Operation:
    """Have fractions minted to the wrapper, which keeps what nobody bought.

    Parameters
    ----------
    key
        Names the effect; by default, that these are the unsold ones.

    Raises
    ------
    Conflict
        ``treasury_not_ready``.
    """
    holder = _treasury_of(session, tokenization)
    (mint,) = _plan_mints(
        session,
        actor,
        tokenization,
        [
            _Mint(
                key or treasury_key(tokenization.id),
                receiving_wallet(session, holder.id, prefers_own=True),
                units,
                ("tokenization", tokenization.id),
            )
        ],
    )
    return mint


def _treasury_of(session: Session, tokenization: Tokenization) -> Investor:
    wrapper = wrappers.find_wrapper(session, tokenization.asset_id)
    holder = investors.find_investor_for(session, wrapper.party_id) if wrapper else None
    if holder is None:
        raise Conflict(
            "treasury_not_ready",
            "Fractions are unsold, and the wrapper has no wallet to keep them.",
            remedy="Have the wrapper's company enrol, prove a wallet and pass KYC.",
        )
    return holder


def require_treasury(session: Session, tokenization: Tokenization) -> None:
    """Ask whether the wrapper may hold what nobody bought.

    Raises
    ------
    Conflict
        ``treasury_not_ready``, ``identity_not_ready``, ``party_under_order``,
        ``sanctions_hit_stands``.
    """
    holder = _treasury_of(session, tokenization)
    wallet = receiving_wallet(session, holder.id, prefers_own=True)
    if not investors.may_hold(holder):
        raise Conflict(
            "treasury_not_ready",
            "Fractions are unsold, and the wrapper's KYC is not in force.",
            remedy="Have the KYC of the wrapper's company renewed.",
        )
    require_receiver(session, holder.party_id, wallet.address)


@dataclass(frozen=True, slots=True)
class _Mint:
    """One mint that is to be planned: the effect's key, who receives how much, and for what."""

    key: str
    wallet: Wallet
    units: int
    subject: tuple[str, UUID]


def _plan_mints(
    session: Session, actor: Actor, tokenization: Tokenization, mints: Sequence[_Mint]
) -> list[Operation]:
    receivers = {mint.wallet.id: mint.wallet for mint in mints}
    # A recovery registers the new wallet itself; the token registers nobody twice.
    ready = portfolio.registered_among(
        session, tokenization, [wallet.address for wallet in receivers.values()]
    )
    registered = plan_registrations(
        session,
        actor,
        tokenization,
        [wallet for wallet in receivers.values() if wallet.address not in ready],
    )
    planned = operations.plan_all(
        session,
        actor,
        [
            operations.NewOperation(
                OperationKind.MINT,
                mint.key,
                mint.subject,
                {
                    "tokenization_id": str(tokenization.id),
                    "wallet_id": str(mint.wallet.id),
                    "units": str(mint.units),
                },
                [registered[mint.wallet.id].id] if mint.wallet.id in registered else [],
            )
            for mint in mints
        ],
    )
    return [planned[mint.key] for mint in mints]


def settle_orders(session: Session, order_ids: Sequence[UUID]) -> None:
    """Mark orders settled once their mints are final; a repeat changes nothing."""
    sales = session.exec(select(Order.offering_id).where(among(col(Order.id), order_ids))).all()
    session.exec(
        select(Offering.id)
        .where(among(col(Offering.id), set(sales)))
        .order_by(col(Offering.id))
        .with_for_update()
    ).all()
    rows = session.exec(
        select(Order.id, Order.offering_id, Order.amount_paisa)
        .where(among(col(Order.id), order_ids), col(Order.state) == OrderState.MINTING)
        .order_by(col(Order.id))
        .with_for_update()
    ).all()
    minted = [order_id for order_id, _, _ in rows]
    session.execute(
        update(Order).where(among(col(Order.id), minted)).values(state=OrderState.SETTLED)
    )
    money.settle_money(session, rows)
    journal.record_each(session, THE_SYSTEM, "order_settled", "order", minted)


def mint_again(session: Session, actor: Actor, tokenization: Tokenization) -> list[Operation]:
    """Plan anew each mint of a closed sale that the chain or the register refused.

    Whose money the bank took back meanwhile gets nothing before it has come again.

    Raises
    ------
    Conflict
        ``no_mint_failed``, ``mint_unpaid``, ``treasury_not_ready``, ``identity_not_ready``.
    """
    offering = _closed_offering(session, tokenization)
    failed = failed_orders(session, offering)
    standings = money.standings_of(session, [order.id for order in failed])
    unpaid = [order for order in failed if standings[order.id].owed]
    paid = [order for order in failed if not standings[order.id].owed]
    planned = plan_order_mints(session, actor, tokenization, paid)
    room = _room_for_rests(session, tokenization) - sum(order.units for order in unpaid)
    for rest in failed_rests(session, tokenization):
        units = min(int(rest.params["units"]), room)
        if units > 0:
            planned.append(plan_treasury_mint(session, actor, tokenization, units, key=rest.key))
            room -= units
    if not planned and unpaid:
        raise Conflict(
            "mint_unpaid",
            f"The bank took back what {len(unpaid)} buyers had paid whose mints failed.",
            remedy="Wait until they pay again, or give their orders back at /give_back.",
        )
    if not planned:
        raise Conflict(
            "no_mint_failed",
            "Every mint of this sale is done or on its way.",
            remedy="Look at the operations of its orders.",
        )
    journal.record(
        session, actor, "mints_planned_again", "offering", offering.id, mints=str(len(planned))
    )
    return planned


def give_back_order(session: Session, actor: Actor, order_id: UUID, *, reason: str) -> Order:
    """Give up the mint of an order that was refused: its fractions go to the wrapper.

    The buyer's money is to be refunded. Without this, one buyer whose KYC has ended would keep
    the token from going live for ever. Where every mint was refused and the sale is open again,
    it sells the fractions itself; the clock offers them to who waits.

    Raises
    ------
    Conflict
        ``mint_not_failed``, ``treasury_not_ready``, ``given_back_without_holder``.
    Invalid
        ``reason_missing``.
    """
    found = get_row(session, Order, order_id, kind="order")
    offering = orders.get_offering(session, found.offering_id)
    tokenization = tokenizations.get_tokenization(session, offering.tokenization_id, lock=True)
    offering = orders.get_offering(session, found.offering_id, lock=True)
    order = get_row(session, Order, order_id, kind="order", lock=True)
    if not _is_refused(session, order):
        raise Conflict(
            "mint_not_failed",
            f"The order is {order.state}, and its mint has not failed.",
            remedy="Only what the chain refused is given back.",
        )
    check_reason(reason, "give_back")
    if order.state == OrderState.MINTING:
        placing.require_given_back_fits(session, tokenization, offering, order)
        key = f"mint:given_back:{order.id}"
        plan_treasury_mint(session, actor, tokenization, order.units, key=key)
    offering.reserved_units -= order.units
    session.add(offering)
    money.release_money(session, [order])
    session.flush()
    journal.record(session, actor, "order_given_back", "order", order.id, reason=reason)
    return order


def _closed_offering(session: Session, tokenization: Tokenization) -> Offering:
    offering = orders.find_offering_of(session, tokenization.id)
    assert offering is not None, "a MINTING tokenization has an offering"
    return offering


def failed_orders(session: Session, offering: Offering) -> Sequence[Order]:
    """List the orders whose last mint failed, and that were not given back."""
    return session.exec(
        select(Order)
        .join(Operation, col(Operation.id) == col(Order.operation_id))
        .where(
            col(Order.offering_id) == offering.id,
            col(Order.state) == OrderState.MINTING,
            col(Operation.state).in_(FAILED),
        )
        .order_by(col(Order.id))
    ).all()


def _is_refused(session: Session, order: Order) -> bool:
    """Tell whether the last mint of a locked order that waits for it has failed."""
    if order.operation_id is None or order.state not in {OrderState.MINTING, OrderState.PAID}:
        return False
    return session.get_one(Operation, order.operation_id).state in FAILED


def failed_rests(session: Session, tokenization: Tokenization) -> Sequence[Operation]:
    """List the mints to the wrapper that failed, and that nothing was planned in the place of."""
    return session.exec(
        select(Operation)
        .where(
            col(Operation.subject_kind) == "tokenization",
            col(Operation.subject_id) == str(tokenization.id),
            col(Operation.kind) == OperationKind.MINT,
            col(Operation.state).in_(FAILED),
            col(Operation.key).not_like("%#%"),
        )
        .order_by(col(Operation.id))
    ).all()


def _room_for_rests(session: Session, tokenization: Tokenization) -> int:
    """Count the declared fractions that no mint has made, or is on its way to make.

    Once the failed mints of orders are planned again, every order that waits has one on its way,
    but those whose buyers owe.
    Rests of an earlier close may be about fractions that were sold since.
    """
    under_way = session.scalar(
        select(
            func.coalesce(func.sum(cast(col(Operation.params)["units"].as_string(), BigInteger)), 0)
        ).where(
            col(Operation.kind) == OperationKind.MINT,
            col(Operation.params)["tokenization_id"].as_string() == str(tokenization.id),
            col(Operation.state).not_in(FAILED),
            # Of one that had failed only the nonce is on its way (`chain.sending.resender`).
            col(Operation.problem).is_(None) | col(Operation.state).in_(ON_CHAIN),
        )
    )
    return tokenization.declared_fractions - int(under_way or 0)


def due_failures(session: Session) -> Sequence[UUID]:
    """List the tokenizations whose every mint has failed: nothing was sold after all."""
    rows = session.exec(
        select(Tokenization).where(col(Tokenization.state) == TokenizationState.MINTING)
    ).all()
    return [row.id for row in rows if is_nothing_minted(session, row)]


def is_nothing_minted(session: Session, tokenization: Tokenization) -> bool:
    """Tell whether no mint is done or on its way, and the chain shows no fraction."""
    assert tokenization.token_address is not None, "a MINTING token is deployed"
    token = captable.find_token(session, tokenization.token_address)
    if token is not None and token.supply_units:
        return False
    # Of 10,000 mints only the answer is fetched.
    return bool(
        session.scalar(
            select(func.bool_and(col(Operation.state).in_(FAILED))).where(
                col(Operation.kind) == OperationKind.MINT,
                col(Operation.params)["tokenization_id"].as_string() == str(tokenization.id),
            )
        )
    )


def reopen_sale(session: Session, tokenization_id: UUID) -> Tokenization:
    """Take a sale back of which nothing could be minted: it is open again, and paid for.

    What orders hold is counted anew: one that was given back meanwhile holds nothing, and its
    fractions, which the wrapper did not get either, are on sale with the others.

    Raises
    ------
    Conflict
        ``something_minted``, ``transition_refused``.
    """
    tokenization = tokenizations.get_tokenization(session, tokenization_id, lock=True)
    tokenizations.fire(session, THE_SYSTEM, tokenization, "mint_failed")
    # The token is locked; what closes and reopens a sale locks the offering next, then its orders.
    offering = orders.get_offering(session, _closed_offering(session, tokenization).id, lock=True)
    offering.state = OfferingState.OPEN
    approvals.void(session, offering.id)
    # The next close counts what is left anew: what this one planned is never asked for again.
    operations.give_up_keys(session, failed_rests(session, tokenization))
    book = orders.lock_book(session, offering)
    for order in book:
        if order.state == OrderState.MINTING:
            money.resume_paying(session, order, why=f"reopen:{order.operation_id}")
    offering.reserved_units = sum(order.units for order in book if order.state in RESERVING)
    session.add(offering)
    session.flush()
    return tokenization
