"""Bills of lading behind a token: locked while it lives."""

from __future__ import annotations

from uuid import UUID

from sqlmodel import Session

from registry.asset import service as assets
from registry.bill_of_lading import possession
from registry.bill_of_lading import service as bills
from registry.bill_of_lading.guards import MACHINE
from registry.bill_of_lading.models import BillOfLading
from registry.bill_of_lading.service import NewBill
from registry.kernel.actor import Actor
from registry.lifecycle import service as lifecycle
from registry.tokenization.guards import find_approved, require_no_token


def make_out_bill(session: Session, actor: Actor, asset_id: UUID, new: NewBill) -> BillOfLading:
    """Make out a bill, unless a token stands on the cargo without it.

    Raises
    ------
    Conflict
        ``tokenization_alive``.
    Invalid, Conflict
        As `bill_of_lading.service.make_out_bill`.
    """
    assets.get_asset(session, asset_id, lock=True)
    require_no_token(session, asset_id)
    return bills.make_out_bill(session, actor, asset_id, new)


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
    """Tell whether a token has locked the bill: one with its terms approved."""
    return find_approved(session, bill.asset_id) is not None
