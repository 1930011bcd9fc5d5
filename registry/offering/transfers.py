"""Transfers that left the bank, each recorded once: one cannot have paid two people."""

from __future__ import annotations

from sqlalchemy import column, func, literal, or_, select, table
from sqlmodel import Session

from registry.kernel.errors import Conflict

PAID_OUT = ("refund", "proceeds_payout", "redemption_payout")
"""Tables that say what a transfer has paid, each with its `rail_reference`.

By name: two of them are of contexts above this one, and all of their writers ask here.
"""


def require_new_refund(session: Session, rail_reference: str) -> None:
    """Refuse to have money go back by a transfer that was recorded before.

    Raises
    ------
    Conflict
        ``refund_reference_reused``.
    """
    if _is_recorded(session, rail_reference):
        raise Conflict(
            "refund_reference_reused", "This bank reference was recorded as another transfer."
        )


def require_new_payout(session: Session, rail_reference: str) -> None:
    """Refuse to pay an issuer or a holder by a transfer that was recorded before.

    Raises
    ------
    Conflict
        ``payout_reference_reused``.
    """
    if _is_recorded(session, rail_reference):
        raise Conflict(
            "payout_reference_reused", "This bank reference was recorded as another transfer."
        )


def _is_recorded(session: Session, rail_reference: str) -> bool:
    # No constraint spans the tables: of two that record it at one moment, the second waits here.
    turn = func.hashtext(f"transfer:{rail_reference}")
    session.execute(select(func.pg_advisory_xact_lock(turn)))
    known = (
        select(literal(1))
        .select_from(table(name))
        .where(column("rail_reference") == rail_reference)
        .exists()
        for name in PAID_OUT
    )
    return bool(session.scalar(select(or_(*known))))
