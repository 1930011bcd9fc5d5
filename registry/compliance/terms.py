"""The compliance of a token as people agree on it: which rules, with which figures.

Pure values. What each rule takes is what `contracts/compliance` takes (ADR 0025); the supply cap
is not among them, since it is always the declared fractions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self

from registry.kernel.errors import Invalid
from registry.party.rules import check_country, country_number

DAY_S = 86_400
PAKISTAN_OFFSET_S = 5 * 3600
LARGEST_OFFSET_S = 14 * 3600
MAX_HOLDERS = 2**32 - 1
MAX_UNITS = 2**63 - 1
MAX_LOCKUP_DAYS = 3650
"""`LockupModule.MAX_LOCK_SECONDS`."""
MAX_COUNTRIES = 250


@dataclass(frozen=True, slots=True, kw_only=True)
class TradingHours:
    """When holders may transfer within a week, by a clock at a fixed offset from UTC.

    Parameters
    ----------
    start_s, end_s : int
        First second, and first second that is too late, since local midnight.
    weekdays : tuple[int, ...]
        1 is Monday, 7 is Sunday (ISO 8601).
    utc_offset_s : int
        How far the local clock is ahead of UTC; Pakistan keeps no summer time.
    """

    start_s: int
    end_s: int
    weekdays: tuple[int, ...]
    utc_offset_s: int = PAKISTAN_OFFSET_S

    def __post_init__(self) -> None:
        object.__setattr__(self, "weekdays", tuple(sorted(set(self.weekdays))))

    @property
    def weekday_bits(self) -> int:
        """One bit for each day, the lowest for Monday."""
        return sum(1 << (day - 1) for day in self.weekdays)

    def is_open_at(self, timestamp: int) -> bool:
        local = timestamp + self.utc_offset_s
        # The epoch began on a Thursday.
        weekday = (local // DAY_S + 3) % 7 + 1
        return weekday in self.weekdays and self.start_s <= local % DAY_S < self.end_s


@dataclass(frozen=True, slots=True, kw_only=True)
class ComplianceTerms:
    """The rules of one token; what is None does not restrict.

    Parameters
    ----------
    allowed_countries : tuple[str, ...]
        ISO 3166-1 alpha-2 codes of the countries whose residents may receive.
    max_units_per_holder : int | None
        Units that one identity may hold in all of its wallets.
    max_holders : int | None
        Identities that may hold at one time.
    lockup_days : int | None
        Days from each mint for which its units cannot be transferred.
    lockup_until : datetime | None
        Until then nothing at all can be transferred.
    opens_at, closes_at : datetime | None
        Between them holders may transfer; whole seconds.
    hours : TradingHours | None
        Within a week.
    """

    allowed_countries: tuple[str, ...] = ("PK",)
    max_units_per_holder: int | None = None
    max_holders: int | None = None
    lockup_days: int | None = None
    lockup_until: datetime | None = None
    opens_at: datetime | None = None
    closes_at: datetime | None = None
    hours: TradingHours | None = None

    def __post_init__(self) -> None:
        # The same terms are the same value, and so have the same hash.
        object.__setattr__(self, "allowed_countries", tuple(sorted(set(self.allowed_countries))))
        for name in ("lockup_until", "opens_at", "closes_at"):
            moment: datetime | None = getattr(self, name)
            if moment is not None:
                object.__setattr__(self, name, moment.astimezone(UTC))

    @property
    def country_numbers(self) -> tuple[int, ...]:
        """The countries as the chain keeps them (ISO 3166-1 numeric)."""
        return tuple(country_number(alpha2) for alpha2 in self.allowed_countries)

    @property
    def transfers_from(self) -> datetime | None:
        """When transfers begin: the window's opening, or the end of a fixed lock-up if later."""
        return max((at for at in (self.opens_at, self.lockup_until) if at), default=None)

    @property
    def has_window(self) -> bool:
        return bool(self.transfers_from or self.closes_at or self.hours)

    @property
    def lockup_s(self) -> int:
        return (self.lockup_days or 0) * DAY_S

    def is_open_at(self, timestamp: int) -> bool:
        """Tell whether holders may transfer in a block of this time, in seconds."""
        opens, closes = self.transfers_from, self.closes_at
        if opens is not None and timestamp < opens.timestamp():
            return False
        if closes is not None and timestamp >= closes.timestamp():
            return False
        return self.hours is None or self.hours.is_open_at(timestamp)

    def record(self) -> dict[str, Any]:
        """Give the terms as they are stored and hashed."""
        hours = self.hours
        return {
            "allowed_countries": list(self.allowed_countries),
            "max_units_per_holder": _text(self.max_units_per_holder),
            "max_holders": _text(self.max_holders),
            "lockup_days": _text(self.lockup_days),
            "lockup_until": _written(self.lockup_until),
            "opens_at": _written(self.opens_at),
            "closes_at": _written(self.closes_at),
            "hours": None
            if hours is None
            else {
                "start_s": hours.start_s,
                "end_s": hours.end_s,
                "weekdays": list(hours.weekdays),
                "utc_offset_s": hours.utc_offset_s,
            },
        }

    @classmethod
    def of_record(cls, record: Mapping[str, Any]) -> Self:
        """Read what `record` gave."""
        hours = record["hours"]
        return cls(
            allowed_countries=tuple(record["allowed_countries"]),
            max_units_per_holder=_number(record["max_units_per_holder"]),
            max_holders=_number(record["max_holders"]),
            lockup_days=_number(record["lockup_days"]),
            lockup_until=_moment(record["lockup_until"]),
            opens_at=_moment(record["opens_at"]),
            closes_at=_moment(record["closes_at"]),
            hours=None
            if hours is None
            else TradingHours(**(hours | {"weekdays": tuple(hours["weekdays"])})),
        )


def check_compliance_terms(terms: ComplianceTerms, *, field: str = "/compliance") -> None:
    """Refuse figures that no module could be given; what is only unwise is for the lint.

    Raises
    ------
    Invalid
        ``country_unknown``, ``compliance_terms_invalid``.
    """
    for alpha2 in terms.allowed_countries:
        check_country(alpha2, field=f"{field}/allowed_countries")
    for name, limit in (
        ("max_units_per_holder", MAX_UNITS),
        ("max_holders", MAX_HOLDERS),
        ("lockup_days", MAX_LOCKUP_DAYS),
    ):
        value = getattr(terms, name)
        if value is not None and not 0 < value <= limit:
            raise _invalid(f"{name} is {value}, not from 1 to {limit}.", f"{field}/{name}")
    for name in ("lockup_until", "opens_at", "closes_at"):
        moment: datetime | None = getattr(terms, name)
        if moment is not None and (moment.microsecond or moment.timestamp() <= 0):
            raise _invalid(f"{name} is no whole second after 1970.", f"{field}/{name}")
    if terms.hours is not None:
        _check_hours(terms.hours, f"{field}/hours")


def _check_hours(hours: TradingHours, field: str) -> None:
    within = 0 <= hours.start_s <= DAY_S and 0 <= hours.end_s <= DAY_S
    if not within or not all(1 <= day <= 7 for day in hours.weekdays):  # noqa: PLR2004
        raise _invalid("Hours lie within one day, and weekdays are 1 to 7.", field)
    if abs(hours.utc_offset_s) > LARGEST_OFFSET_S:
        raise _invalid("No clock is more than 14 hours from UTC.", field)


def _invalid(detail: str, field: str) -> Invalid:
    return Invalid("compliance_terms_invalid", detail, field=field)


def _text(number: int | None) -> str | None:
    return None if number is None else str(number)


def _number(text: str | None) -> int | None:
    return None if text is None else int(text)


def _written(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
