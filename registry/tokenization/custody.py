"""What a token locks when its terms are approved: the receipts and bills of its asset.

An asset without a paper has nothing to lock: its dossier alone, with its verified papers, stands
behind the token. From then on none is opened or issued until that token has ended
(`registry.tokenization.guards`). One whose papers have all ended does not get here: the rules
refuse it (EWR-01, EBL-01).
"""

from __future__ import annotations

from uuid import UUID

from sqlmodel import Session

from registry.bill_of_lading import service as bills
from registry.bill_of_lading.guards import MACHINE as BILL
from registry.bill_of_lading.models import ENDED as BILL_ENDED
from registry.kernel.actor import Actor
from registry.lifecycle import service as lifecycle
from registry.receipt import service as receipts
from registry.receipt.guards import MACHINE as RECEIPT
from registry.wrapper import service as wrappers


def lock(session: Session, actor: Actor, asset_id: UUID) -> None:
    """Lock what lies behind the token, as `lock_goods` and `lock_cargo`."""
    lock_goods(session, actor, asset_id)
    lock_cargo(session, actor, asset_id)


def lock_goods(session: Session, actor: Actor, asset_id: UUID) -> None:
    """Lock every receipt of the asset for its token, when its terms are approved.

    Raises
    ------
    Conflict
        ``receipt_not_in_wrapper`` (WRP-01), ``quantity_not_free`` (EWR-01),
        ``receipt_term_over`` (EWR-03), ``transition_refused``: one is pledged, or not issued.
    """
    wrapper = wrappers.find_wrapper(session, asset_id)
    for row in receipts.live_receipts(session, asset_id):
        receipt = receipts.get_receipt(session, row.id, lock=True)
        kg = receipt.free_kg
        given = {"wrapper": wrapper.party_id if wrapper else None, "kg": kg}
        lifecycle.fire(session, actor, RECEIPT, receipt, "lock_for_token", given=given, kg=str(kg))
        receipt.tokenized_kg = kg
    session.flush()


def lock_cargo(session: Session, actor: Actor, asset_id: UUID) -> None:
    """Lock the bill of the asset for its token, when its terms are approved.

    Raises
    ------
    Conflict
        ``bill_not_in_wrapper`` (WRP-01), ``offer_pending``, ``transition_refused``: the bill is
        not issued yet, or being surrendered.
    """
    wrapper = wrappers.find_wrapper(session, asset_id)
    given = {"wrapper": wrapper.party_id if wrapper else None}
    for row in bills.list_bills(session, asset_id):
        if row.state not in BILL_ENDED:
            bill = bills.get_bill(session, row.id, lock=True)
            lifecycle.fire(session, actor, BILL, bill, "lock_for_token", given=given)
