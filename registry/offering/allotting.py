"""The close of an oversubscribed sale: who gets how much, and what goes back, to the paisa."""

from __future__ import annotations

from collections.abc import Sequence

from sqlmodel import Session

from registry.journal import service as journal
from registry.kernel.actor import Actor
from registry.kernel.allotment import allot_subscriptions
from registry.kernel.clock import now
from registry.kernel.rows import update_many
from registry.offering import buying, money, orders
from registry.offering.models import Offering, Order


def allot_book(
    session: Session, actor: Actor, offering: Offering, paid: Sequence[Order]
) -> list[Order]:
    """Divide what is offered among the paid orders of a locked offering, once.

    Each gets its exact part by the largest remainders; equal ones in the order of the orders.
    Whose part is less than the smallest ticket gets nothing, the smallest first.

    Parameters
    ----------
    paid
        All of them, locked, in the order in which they were placed.

    Returns
    -------
    list[Order]
        Those that buy anything.
    """
    if not buying.takes_subscriptions(offering):
        return list(paid)
    asked = [order.units for order in paid]
    parts = parts_of(offering, asked)
    allotted = list(zip(paid, parts, strict=True))
    dropped = [order for order, part in allotted if not part]
    for order in dropped:
        order.allotted_units = 0
    update_many(session, dropped, ("allotted_units",))
    orders.release_orders(session, actor, offering, dropped, act="order_not_allotted")
    kept = [(order, part) for order, part in allotted if part]
    money.cut_orders(session, offering, kept)
    # Only now: until it is set, the database lets more be reserved than is offered.
    offering.allotted_at = now()
    session.add(offering)
    session.flush()
    journal.record(
        session, actor, "offering_allotted", "offering", offering.id,
        offered_units=str(offering.offered_units), subscribed_units=str(sum(asked)),
        allotted_units=str(sum(parts)), orders=str(len(paid)), dropped=str(len(dropped)),
    )  # fmt: skip
    return [order for order, _ in kept]


def parts_of(offering: Offering, asked: Sequence[int]) -> Sequence[int]:
    """Return what each paid order of a sale buys if it closes now.

    Parameters
    ----------
    asked
        Fractions of each, in the order in which they were placed.
    """
    if not buying.takes_subscriptions(offering):
        return asked
    return allot_subscriptions(offering.offered_units, asked, offering.min_ticket_units)
