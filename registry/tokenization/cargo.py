"""Bills of lading behind a token: locked while it lives."""

from __future__ import annotations

from uuid import UUID

from sqlmodel import Session

from registry.bill_of_lading import possession
from registry.bill_of_lading import service as bills
from registry.bill_of_lading.guards import MACHINE
from registry.bill_of_lading.models import BillOfLading
from registry.kernel.actor import Actor
from registry.lifecycle import service as lifecycle
from registry.tokenization.guards import find_alive


def unlock_bill(session: Session, actor: Actor, bill_id: UUID) -> BillOfLading:
    """Let the bill go after the token has ended.

    Raises
    ------
    Conflict
        ``tokenization_alive``, ``transition_refused``.
    Forbidden
        ``transition_forbidden``.
    """
    bill = bills.get_bill(session, bill_id, lock=True)
    given = {"live_tokenization": is_tokenized(session, bill)}
    lifecycle.fire(session, actor, MACHINE, bill, "unlock", given=given)
    return bill


def refuse_surrender(session: Session, actor: Actor, bill_id: UUID, *, reason: str) -> BillOfLading:
    """Refuse a surrender, as the carrier; a bill whose token lives is locked again.

    Raises
    ------
    Forbidden, Invalid, Conflict
        As `bill_of_lading.possession.refuse_surrender`.
    """
    alive = is_tokenized(session, bills.get_bill(session, bill_id))
    return possession.refuse_surrender(
        session, actor, bill_id, reason=reason, live_tokenization=alive
    )


def is_tokenized(session: Session, bill: BillOfLading) -> bool:
    return find_alive(session, bill.asset_id) is not None
