"""Use cases on readings: reported by one registrar, confirmed by another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from uuid import UUID

from sqlmodel import Session, col, select

from registry.asset import service as assets
from registry.asset.models import AssetClass
from registry.journal import service as journal
from registry.kernel.actor import THE_SYSTEM, Actor
from registry.kernel.clock import now, today
from registry.kernel.errors import Conflict, Invalid
from registry.kernel.rows import get_row, page_after
from registry.lifecycle import service as lifecycle
from registry.production.guards import MACHINE
from registry.production.models import EnergyReading, ReadingState

ENERGY = (
    AssetClass.ENERGY_GENERATION,
    AssetClass.ENERGY_MINING_SITE,
    AssetClass.ENERGY_MINING_FLEET,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewReading:
    """A month of a site; see `models.EnergyReading`."""

    month: date
    energy_mwh: Decimal
    curtailed_mwh: Decimal
    uptime_percent: Decimal
    payout_paisa: int
    holders_paisa: int
    statement_sha256: bytes
    hashrate_phs: Decimal | None = None
    mined_sats: int | None = None


def report_reading(
    session: Session, actor: Actor, asset_id: UUID, new: NewReading
) -> EnergyReading:
    """Report a month that is over; a correction is reported as the month was.

    Raises
    ------
    NotFound
        There is no such asset.
    Invalid
        ``reading_month_malformed``, ``reading_share_too_large``.
    Conflict
        ``reading_not_of_energy``, ``reading_reported``.
    """
    # Two reports of one month at once: the second one waits, and finds the first.
    asset = assets.get_asset(session, asset_id, lock=True)
    if asset.asset_class not in ENERGY:
        raise Conflict("reading_not_of_energy", f"A {asset.asset_class} produces no energy.")
    if new.month.day != 1 or (new.month.year, new.month.month) >= (today().year, today().month):
        raise Invalid(
            "reading_month_malformed",
            "A month is named by its first day, and has ended.",
            field="/month",
        )
    if new.holders_paisa > new.payout_paisa:
        raise Invalid(
            "reading_share_too_large",
            "The holders' share is a part of what was paid.",
            field="/holders_share",
        )
    if _find(session, asset_id, new.month, ReadingState.REPORTED) is not None:
        raise Conflict(
            "reading_reported",
            "A reading of this month waits for its confirmation.",
            remedy="Have it confirmed or rejected first.",
        )
    reading = EnergyReading(
        asset_id=asset_id,
        **{name: getattr(new, name) for name in NewReading.__dataclass_fields__},
        maker=actor.subject,
    )
    session.add(reading)
    session.flush()
    journal.record(
        session, actor, "energy_reading_reported", "energy_reading", reading.id,
        asset_id=str(asset_id), month=str(new.month),
        statement_sha256=new.statement_sha256.hex(),
    )  # fmt: skip
    return reading


def confirm_reading(session: Session, actor: Actor, reading_id: UUID) -> EnergyReading:
    """Confirm a reading; it takes the place of the one that was confirmed before.

    Raises
    ------
    NotFound
    Forbidden
        ``checker_is_maker``.
    Conflict
        ``transition_refused``.
    """
    reading = get_reading(session, reading_id, lock=True)
    lifecycle.ask(session, actor, MACHINE, reading, "confirm")
    before = _find(session, reading.asset_id, reading.month, ReadingState.CONFIRMED)
    if before is not None:
        lifecycle.fire(session, THE_SYSTEM, MACHINE, before, "supersede", by=str(reading.id))
    said = {"checker": actor.subject, "decided_at": now()}
    lifecycle.change(session, actor, MACHINE, reading, "confirm", changes=said)
    return reading


def reject_reading(
    session: Session, actor: Actor, reading_id: UUID, *, reason: str
) -> EnergyReading:
    """Refuse a reading.

    Raises
    ------
    NotFound
    Invalid
        ``reason_missing``.
    Forbidden
        ``checker_is_maker``.
    Conflict
        ``transition_refused``.
    """
    reading = get_reading(session, reading_id, lock=True)
    lifecycle.change(
        session, actor, MACHINE, reading, "reject",
        given={"reason": reason},
        changes={"checker": actor.subject, "decided_at": now(), "reason": reason},
        reason=reason,
    )  # fmt: skip
    return reading


def _find(
    session: Session, asset_id: UUID, month: date, state: ReadingState
) -> EnergyReading | None:
    return session.exec(
        select(EnergyReading)
        .where(
            col(EnergyReading.asset_id) == asset_id,
            col(EnergyReading.month) == month,
            col(EnergyReading.state) == state,
        )
        .with_for_update()
    ).first()


def get_reading(session: Session, reading_id: UUID, *, lock: bool = False) -> EnergyReading:
    """Return the reading.

    Raises
    ------
    NotFound
    """
    return get_row(session, EnergyReading, reading_id, kind="reading", lock=lock)


def list_readings(
    session: Session, asset_id: UUID, *, after: UUID | None, limit: int
) -> Sequence[EnergyReading]:
    """List the readings of a site in the order in which they were reported."""
    assets.get_asset(session, asset_id)
    query = select(EnergyReading).where(col(EnergyReading.asset_id) == asset_id)
    return session.exec(page_after(query, col(EnergyReading.id), after=after, limit=limit)).all()
