"""Time, in one place. Instants are UTC; legal dates are those of the register's seat."""

from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

SEAT = ZoneInfo("Asia/Karachi")


def now() -> datetime:
    return datetime.now(UTC)


def today() -> date:
    """Return the date on which a document filed now is dated (Pakistan Standard Time)."""
    return day_of(now())


def day_of(moment: datetime) -> date:
    """Return the date of an instant at the register's seat."""
    return moment.astimezone(SEAT).date()


def written(moment: datetime) -> str:
    """Write an instant as people at the register's seat do: 1 December 2026, 14:00 PKT."""
    return f"{moment.astimezone(SEAT):%-d %B %Y, %H:%M %Z}"
