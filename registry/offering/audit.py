"""Holding orders against their money, entries against their sides, sales against their orders.

Not what was sealed, but what must be true whoever wrote it: a row that was changed before rows of
money were sealed is found here, and so is a fault of our own (ADR 0045).
"""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import text
from sqlmodel import Session, col, select

from registry.kernel.rows import in_pages
from registry.offering.models import RESERVING, Order
from registry.offering.money import fault_of, standings_of

CHUNK = 2000

_ONE_SIDED = text(
    "SELECT e.id, coalesce(sum(p.amount_paisa), 0) AS paisa FROM ledger_entry AS e"
    " LEFT JOIN ledger_posting AS p ON p.entry_id = e.id"
    " GROUP BY e.id HAVING coalesce(sum(p.amount_paisa), 0) <> 0 OR count(p.id) = 0 ORDER BY e.id"
)

# It is no part of the hash of an offering: whoever wants to sell more than there is counts anew.
_MISCOUNTED = text(
    "SELECT s.id, s.reserved_units, coalesce(sum(o.units), 0) AS units FROM offering AS s"
    " LEFT JOIN purchase_order AS o ON o.offering_id = s.id AND o.state = ANY (:reserving)"
    " GROUP BY s.id HAVING s.reserved_units <> coalesce(sum(o.units), 0) ORDER BY s.id"
)


def faults(session: Session) -> Iterator[str]:
    """Give a sentence for each order whose money is not what its state says.

    And for each entry that does not balance, and each sale that counts its orders wrongly.
    """
    for orders in in_pages(session, select(Order), col(Order.id), size=CHUNK):
        standings = standings_of(session, [order.id for order in orders])
        for order in orders:
            fault = fault_of(order, standings[order.id])
            if fault is not None:
                yield f"Row {order.id} of purchase_order and its money differ: {fault}"
    for entry_id, paisa in session.connection().execute(_ONE_SIDED):
        yield f"Row {entry_id} of ledger_entry: it has no postings, or they sum to {paisa} paisa"
    reserving = {"reserving": list(RESERVING)}
    for sale_id, counted, units in session.connection().execute(_MISCOUNTED, reserving):
        yield (
            f"Row {sale_id} of offering: it counts {counted} reserved fractions, and its orders"
            f" hold {units}"
        )
