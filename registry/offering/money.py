"""What is held for an order: read from the ledger, moved within it, and held against its state."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass
from datetime import timedelta
from typing import Self
from uuid import UUID

from sqlalchemy import update
from sqlmodel import Session, col

from registry.kernel.clock import now
from registry.kernel.rows import among, update_many
from registry.ledger import service as ledger
from registry.ledger.models import Account, EntryKind
from registry.ledger.service import Moved, NewEntry, Posting, move
from registry.offering.models import Offering, Order, OrderState

ENDED = (OrderState.CANCELLED, OrderState.REFUND_DUE, OrderState.REFUNDED)
"""States of an order that buys nothing any more."""


@dataclass(frozen=True, slots=True)
class Standing:
    """An order's money, in paisa.

    Parameters
    ----------
    held
        For the buyer, until the fractions are theirs.
    due
        To be sent back.
    owed
        By the buyer: the bank took back what had been used.
    settled
        Handed on to the issuer's account.
    refunded
        Sent back.
    """

    held: int = 0
    due: int = 0
    owed: int = 0
    settled: int = 0
    refunded: int = 0

    @classmethod
    def of(cls, moved: Moved) -> Self:
        sums = dict.fromkeys(Account, 0)
        for (_, account), paisa in moved.items():
            sums[account] += paisa
        return cls(
            held=-sums[Account.ORDER],
            due=-sums[Account.REFUND_DUE],
            owed=sums[Account.RECEIVABLE],
            settled=-sums[Account.SALE_PROCEEDS],
            refunded=-moved.get((EntryKind.REFUND, Account.BANK), 0),
        )

    @property
    def kept(self) -> int:
        """What came in and has not gone back, whoever it belongs to now."""
        return self.held + self.due + self.settled - self.owed

    def paid_of(self, amount_paisa: int) -> int:
        """What of the price is there."""
        return min(amount_paisa, self.held + self.settled)


def standings_of(session: Session, order_ids: Iterable[UUID]) -> Mapping[UUID, Standing]:
    """Return how orders stand, in one statement however many."""
    wanted = list(order_ids)
    moved = ledger.moved_about(session, wanted) if wanted else {}
    return {order_id: Standing.of(moved.get(order_id, {})) for order_id in wanted}


def standing_of(session: Session, order_id: UUID) -> Standing:
    return standings_of(session, [order_id])[order_id]


def ended_state(standing: Standing) -> OrderState:
    """Tell what an order that buys nothing any more is called."""
    if standing.due:
        return OrderState.REFUND_DUE
    return OrderState.REFUNDED if standing.refunded else OrderState.CANCELLED


def release_money(session: Session, released: Sequence[Order]) -> None:
    """End locked orders: what is held for them is to go back, less what their buyers owe."""
    standings = standings_of(session, [order.id for order in released])
    entries = []
    for order in released:
        standing = standings[order.id]
        offset = min(standing.held, standing.owed)
        back = standing.held - offset
        entries.append(_of_order(EntryKind.RELEASE, "release", order.id, (
            *move(offset, debit=(Account.ORDER, order.id), credit=(Account.RECEIVABLE, order.id)),
            *move(back, debit=(Account.ORDER, order.id), credit=(Account.REFUND_DUE, order.id)),
        )))  # fmt: skip
        after = Standing(due=standing.due + back, refunded=standing.refunded)
        order.state = ended_state(after)
    update_many(session, released, ("state",))
    ledger.post(session, entries)


def rescind_money(session: Session, offering: Offering, settled: Sequence[Order]) -> None:
    """Hold again for locked, settled orders what was handed on to the account of their sale.

    What of it was paid out to the issuer before, the issuer owes: its account stands so.
    """
    standings = standings_of(session, [order.id for order in settled])
    ledger.post(
        session,
        [
            _of_order(
                EntryKind.RESCISSION,
                "rescission",
                order.id,
                move(
                    standings[order.id].settled,
                    debit=(Account.SALE_PROCEEDS, offering.id),
                    credit=(Account.ORDER, order.id),
                ),
            )
            for order in settled
        ],
    )


def cut_orders(session: Session, offering: Offering, allotted: Iterable[tuple[Order, int]]) -> None:
    """Have locked, paid orders buy what they were allotted; the difference is to go back.

    Parameters
    ----------
    allotted
        Order and fractions of each: above 0, and at most what was asked for.
    """
    entries, cut = [], []
    for order, units in allotted:
        price = units * offering.price_paisa
        back = order.amount_paisa - price
        offering.reserved_units -= order.units - units
        order.allotted_units = order.units = units
        order.amount_paisa = price
        sides = move(back, debit=(Account.ORDER, order.id), credit=(Account.REFUND_DUE, order.id))
        entries.append(_of_order(EntryKind.ALLOTMENT, "allotment", order.id, sides))
        cut.append(order)
    update_many(session, cut, ("units", "allotted_units", "amount_paisa"))
    session.add(offering)
    ledger.post(session, entries)


def settle_money(session: Session, settled: Collection[tuple[UUID, UUID, int]]) -> None:
    """Hand what is held for orders on to the accounts of their locked sales.

    Parameters
    ----------
    settled
        Order, offering and price of each.
    """
    session.execute(
        update(Offering)
        .where(among(col(Offering.id), {sale for _, sale, _ in settled}))
        .values(last_sold_at=now())
    )
    ledger.post(
        session,
        [
            _of_order(
                EntryKind.SETTLEMENT,
                "settlement",
                order_id,
                move(
                    paisa,
                    debit=(Account.ORDER, order_id),
                    credit=(Account.SALE_PROCEEDS, offering_id),
                ),
            )
            for order_id, offering_id, paisa in settled
        ],
    )


def resume_paying(session: Session, order: Order, *, why: str) -> None:
    """Let a locked order wait for money again, with what is there already.

    What was to go back is held for it, and what its buyer owes is taken from what is held.

    Parameters
    ----------
    why
        Names the occasion, once for each.
    """
    standing = standing_of(session, order.id)
    offset = min(standing.held, standing.owed)
    reused = min(standing.due, order.amount_paisa - standing.held + offset)
    ledger.post(session, [_of_order(EntryKind.REUSE, f"reuse:{why}", order.id, (
        *move(offset, debit=(Account.ORDER, order.id), credit=(Account.RECEIVABLE, order.id)),
        *move(reused, debit=(Account.REFUND_DUE, order.id), credit=(Account.ORDER, order.id)),
    ))])  # fmt: skip
    held = standing.held - offset + reused
    paid = held == order.amount_paisa
    order.state = OrderState.PAID if paid else OrderState.AWAITING_PAYMENT
    if not paid:
        renew_time_to_pay(session, order)
    session.add(order)


def renew_time_to_pay(session: Session, order: Order) -> None:
    """Give a locked order that was paid, and waits for money again, as long to pay as at first.

    Else the clock could end it within a minute, and count it against its buyer. It is given once
    for each order: nobody keeps a sale open by paying and taking back. `pay_until` itself says
    whether it was, for none has longer than its hours when it is placed.
    """
    with session.no_autoflush:  # the trigger that tells of the new state tells until when, too
        offering = session.get_one(Offering, order.offering_id)
    hours = offering.waiting_list_hours if order.waiting_entry_id else offering.payment_hours
    if not hours or order.pay_until is None:
        return
    length = timedelta(hours=hours)
    if order.pay_until <= order.recorded_at + length:
        order.pay_until = max(order.pay_until, now() + length)


def _of_order(
    kind: EntryKind, effect: str, order_id: UUID, postings: tuple[Posting, ...]
) -> NewEntry:
    return NewEntry(kind, f"{effect}:{order_id}", ("order", order_id), postings)


def fault_of(order: Order, standing: Standing) -> str | None:
    """Hold an order's state against its money; None where they agree.

    Money that was lost or made is a matter of the ledger, whose entries sum to nothing.
    """
    price, state = order.amount_paisa, order.state
    minted_for = state in (OrderState.PAID, OrderState.MINTING)
    waits = state == OrderState.AWAITING_PAYMENT
    unused = standing.due or standing.held >= price or (standing.owed and standing.held)
    faults = {
        "an account stands on the wrong side": min(astuple(standing)) < 0,
        "the buyer owes, and is to be refunded": standing.owed and standing.due,
        "what is there was not used for it": waits and unused,
        f"{standing.held} paisa are held for an order that is {state}": not waits
        and standing.held != (price if minted_for else 0),
        f"{standing.settled} paisa were handed on of an order that is {state}": standing.settled
        != (price if state == OrderState.SETTLED else 0),
        "a paid order owes": state == OrderState.PAID and standing.owed,
        "its end is called otherwise": state in ENDED and ended_state(standing) != state,
    }
    return next((fault for fault, found in faults.items() if found), None)
