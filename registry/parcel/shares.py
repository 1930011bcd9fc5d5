"""Shares of units in the ground below their building: never more than the whole (PAR-04)."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from uuid import UUID

from sqlalchemy import text
from sqlmodel import Session, col, select

from registry.parcel.models import UndividedShare
from registry.rulebook.facts import Finding

# The same lock as the constraint's own at COMMIT: whoever holds it has the last word on the parent.
_HOLD_PARENT = text("SELECT pg_advisory_xact_lock(hashtextextended(:parent, 4))")


def parents_of(keys: Sequence[str]) -> list[str]:
    """Name what the units stand on: their natural keys without the unit."""
    return sorted({key.rpartition("|")[0] for key in keys})


def restate(session: Session, asset_id: UUID, keys: Sequence[str], part: Fraction | None) -> None:
    """Record the share that the dossier states; one that stays the same is as live as it was."""
    wanted = parents_of(keys) if part is not None else []
    known = {share.parent_key: share for share in list_of_asset(session, asset_id)}
    for parent in known.keys() - set(wanted):
        session.delete(known[parent])
    for parent in wanted:
        assert part is not None
        share = known.get(parent)
        if share is not None and fraction_of(share) == part:
            continue
        share = share or UndividedShare(
            asset_id=asset_id, parent_key=parent, numerator=1, denominator=1
        )
        share.numerator, share.denominator, share.live = part.numerator, part.denominator, False
        session.add(share)
    session.flush()


def take(session: Session, asset_id: UUID) -> None:
    """Make live every share of the asset for which its parent still has room.

    Two units that want the last part of one parent at the same moment meet in its lock.
    """
    for share in list_of_asset(session, asset_id):
        session.connection().execute(_HOLD_PARENT, {"parent": share.parent_key})
        share.live = _sum_of_others(session, share) + fraction_of(share) <= 1
        session.flush()


def release(session: Session, asset_id: UUID) -> None:
    """Let the shares go: the asset is rejected, withdrawn or retired."""
    for share in list_of_asset(session, asset_id):
        share.live = False
    session.flush()


def findings(session: Session, asset_id: UUID) -> dict[str, Finding]:
    """Say whose shares pass the whole of their parent (PAR-04)."""
    said = []
    for share in list_of_asset(session, asset_id):
        others = _sum_of_others(session, share)
        if others + fraction_of(share) > 1:
            said.append(
                f"{fraction_of(share)} is claimed of {share.parent_key}, of which others "
                f"hold {others}"
            )
    return {"PAR-04": Finding(f"{'; '.join(said)}.")} if said else {}


def fraction_of(share: UndividedShare) -> Fraction:
    return Fraction(share.numerator, share.denominator)


def list_of_asset(session: Session, asset_id: UUID) -> Sequence[UndividedShare]:
    """List the shares that an asset has, or claims."""
    return session.exec(
        select(UndividedShare)
        .where(col(UndividedShare.asset_id) == asset_id)
        .order_by(col(UndividedShare.parent_key))
    ).all()


def _sum_of_others(session: Session, share: UndividedShare) -> Fraction:
    rows = session.exec(
        select(UndividedShare.numerator, UndividedShare.denominator).where(
            col(UndividedShare.parent_key) == share.parent_key,
            col(UndividedShare.asset_id) != share.asset_id,
            col(UndividedShare.live),
        )
    )
    return sum((Fraction(numerator, denominator) for numerator, denominator in rows), Fraction(0))
