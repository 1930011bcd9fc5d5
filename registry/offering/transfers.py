"""Transfers that left the bank, each recorded once: one cannot have paid two people."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from sqlalchemy import BigInteger, String, column, func, literal, or_, select, table, union_all
from sqlmodel import Session

from registry.kernel.errors import Conflict
from registry.kernel.rows import among

PAID_OUT = ("refund", "proceeds_payout", "redemption_payout")
"""Tables that say what a transfer has paid, each with its `rail_reference` and `amount_paisa`.

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


def sent_by(session: Session, rail_references: Collection[str]) -> Mapping[str, int]:
    """Return what was recorded as sent by these references, in paisa."""
    recorded = (
        select(column("rail_reference", String), column("amount_paisa", BigInteger))
        .select_from(table(name))
        .where(among(column("rail_reference", String), rail_references))
        for name in PAID_OUT
    )
    return {row.rail_reference: row.amount_paisa for row in session.execute(union_all(*recorded))}


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
