"""The days that a statement covers, at the register's seat."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from datetime import time as clock_time

from registry.kernel.clock import SEAT, now, today
from registry.kernel.errors import Invalid

LONGEST_DAYS = 366
_MONTH = re.compile(r"([0-9]{4})-([0-9]{2})")
_DAYS = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})--([0-9]{4}-[0-9]{2}-[0-9]{2})")
_FIRST_YEAR = 2000
_DECEMBER = 12


@dataclass(frozen=True, slots=True)
class Period:
    """Days from `first` to `last`, both within."""

    first: date
    last: date

    @property
    def begins_at(self) -> datetime:
        return datetime.combine(self.first, clock_time(), SEAT)

    @property
    def ends_at(self) -> datetime:
        """The moment after it; of what is not over yet, now."""
        after = datetime.combine(self.last + timedelta(days=1), clock_time(), SEAT)
        return min(after, now())

    @property
    def is_over(self) -> bool:
        return self.last < today()

    def __str__(self) -> str:
        return f"{self.first}--{self.last}"


def month_of(day: date) -> Period:
    """Return the whole month of a day."""
    first = day.replace(day=1)
    if first.month == _DECEMBER:
        after = first.replace(year=first.year + 1, month=1)
    else:
        after = first.replace(month=first.month + 1)
    return Period(first, after - timedelta(days=1))


def read_period(written: str) -> Period:
    """Read ``2026-11``, or ``2026-01-01--2026-03-31`` (an interval of ISO 8601).

    Raises
    ------
    Invalid
        ``statement_period_malformed``, ``statement_too_long``, ``statement_in_future``.
    """
    try:
        period = _read(written)
    except ValueError:
        period = None
    if period is None or period.last < period.first or period.first.year < _FIRST_YEAR:
        raise Invalid(
            "statement_period_malformed",
            f"{written[:40]!r} is neither a month nor two days.",
            field="/path/period",
            remedy='Write "2026-11" or "2026-01-01--2026-03-31".',
        )
    if (period.last - period.first).days >= LONGEST_DAYS:
        raise Invalid(
            "statement_too_long",
            f"A statement covers {LONGEST_DAYS} days at most.",
            field="/path/period",
            remedy="Ask for the parts.",
        )
    if period.first > today():
        raise Invalid("statement_in_future", "The period has not begun.", field="/path/period")
    return period


def _read(written: str) -> Period | None:
    if (month := _MONTH.fullmatch(written)) is not None:
        return month_of(date(int(month[1]), int(month[2]), 1))
    if (days := _DAYS.fullmatch(written)) is not None:
        return Period(date.fromisoformat(days[1]), date.fromisoformat(days[2]))
    return None


def months_since(moment: datetime) -> list[Period]:
    """List the months from the one of a moment to this one, the newest first."""
    month, first = month_of(today()), month_of(moment.astimezone(SEAT).date()).first
    found = []
    while month.first >= first:
        found.append(month)
        month = month_of(month.first - timedelta(days=1))
    return found
