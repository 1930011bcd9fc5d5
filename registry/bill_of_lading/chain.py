"""The endorsement chain of a bill, and the containers that no two live bills share (EBL-01)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

from sqlalchemy import func
from sqlalchemy.orm import aliased
from sqlmodel import Session, col, select

from registry.asset.models import Asset
from registry.bill_of_lading.models import (
    ENDED,
    UNISSUED,
    Action,
    BillEndorsement,
    BillEquipment,
    BillOfLading,
)
from registry.kernel.actor import Actor
from registry.rulebook.facts import Finding


def append(
    session: Session,
    actor: Actor,
    bill: BillOfLading,
    action: Action,
    *,
    from_party: UUID | None = None,
    to_party: UUID | None = None,
    reason: str | None = None,
) -> None:
    """Add one entry to the chain in force; the bill's row is locked, so nobody else does."""
    last = session.exec(
        select(func.max(BillEndorsement.seq)).where(
            col(BillEndorsement.bill_id) == bill.id,
            col(BillEndorsement.chain_no) == bill.chain_no,
        )
    ).one()
    session.add(
        BillEndorsement(
            bill_id=bill.id,
            chain_no=bill.chain_no,
            seq=(last or 0) + 1,
            action=action,
            actor=actor.subject,
            from_party_id=from_party,
            to_party_id=to_party,
            reference=bill.reference,
            reason=reason,
        )
    )
    session.flush()


def list_endorsements(session: Session, bill_id: UUID) -> Sequence[BillEndorsement]:
    """List every entry of every chain of a bill, in order."""
    return session.exec(
        select(BillEndorsement)
        .where(col(BillEndorsement.bill_id) == bill_id)
        .order_by(col(BillEndorsement.chain_no), col(BillEndorsement.seq))
    ).all()


def is_begun(session: Session, bill: BillOfLading, chain_no: int) -> bool:
    return any(entry.chain_no == chain_no for entry in list_endorsements(session, bill.id))


def last_action(session: Session, bill: BillOfLading) -> Action | None:
    """Return the newest entry of the chain in force."""
    entries = list_endorsements(session, bill.id)
    return entries[-1].action if entries and entries[-1].chain_no == bill.chain_no else None


def list_equipment(session: Session, bill_id: UUID) -> list[str]:
    """List the containers under a bill."""
    rows = session.exec(
        select(BillEquipment.equipment)
        .where(col(BillEquipment.bill_id) == bill_id)
        .order_by(col(BillEquipment.equipment))
    )
    return list(rows.all())


# Made once: an alias of a table takes longer to make than the database to answer.
_MINE, _THEIRS = aliased(BillEquipment), aliased(BillEquipment)


def find_rivals(session: Session, bill: BillOfLading) -> list[str]:
    """List the bill's containers that are under another live bill on the same voyage."""
    rows = session.exec(
        select(_MINE.equipment)
        .join(
            _THEIRS,
            (col(_THEIRS.equipment) == col(_MINE.equipment))
            & (col(_THEIRS.voyage) == col(_MINE.voyage)),
        )
        .where(col(_MINE.bill_id) == bill.id, col(_THEIRS.bill_id) != bill.id, col(_THEIRS.live))
        .order_by(col(_MINE.equipment))
    )
    return list(rows.all())


def findings(session: Session, asset: Asset) -> Mapping[str, Finding]:
    """Say what the asset's bills have against it (EBL-01).

    An asset whose bill is not issued yet is judged by its own fields alone; one whose bill has
    ended is not.
    """
    rows = session.exec(select(BillOfLading).where(col(BillOfLading.asset_id) == asset.id)).all()
    bills = [bill for bill in rows if bill.state not in ENDED]
    issued = [bill for bill in bills if bill.state not in UNISSUED]
    if not issued and any(bill.state not in UNISSUED for bill in rows):
        return {"EBL-01": Finding("The bill has ended: the cargo is delivered, or on paper.")}
    if len(issued) > 1:
        return {"EBL-01": Finding(f"{len(issued)} bills of this cargo are live.")}
    for bill in bills:
        rivals = find_rivals(session, bill)
        if rivals:
            return {"EBL-01": Finding(f"Under another live bill: {', '.join(rivals)}.")}
    return {}
