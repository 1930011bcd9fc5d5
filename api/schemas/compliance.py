"""Compliance terms over HTTP, and what lint, dry run and what-if find."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints

from api.schemas.common import Body, Country, DatedInstant, Read, Units
from registry.compliance.lint import LintFacts, Sale, errors
from registry.compliance.terms import (
    MAX_COUNTRIES,
    MAX_HOLDERS,
    MAX_LOCKUP_DAYS,
    ComplianceTerms,
    TradingHours,
)
from registry.kernel.clock import now
from registry.kernel.whole import NO_FLAG
from registry.rulebook.service import RuleResult

PositiveUnits = Annotated[str, StringConstraints(pattern=r"^[1-9][0-9]{0,17}$")]
"""Whole fractions above zero, as a string."""

ClockTime = Annotated[
    str,
    StringConstraints(pattern=r"^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$"),
    Field(examples=["09:30"]),
]
"""A time of day, to the minute; 24:00 is the end of the day."""


class Weekday(StrEnum):
    MON = "MON"
    TUE = "TUE"
    WED = "WED"
    THU = "THU"
    FRI = "FRI"
    SAT = "SAT"
    SUN = "SUN"


_DAYS = list(Weekday)


class TradingHoursBody(Body):
    """Hours of a week in which holders may transfer, by a clock at a fixed offset from UTC."""

    opens: ClockTime
    closes: ClockTime
    weekdays: Annotated[list[Weekday], Field(max_length=7)] = Field(
        default_factory=lambda: _DAYS[:5]
    )
    utc_offset_minutes: Annotated[int, Field(ge=-840, le=840), NO_FLAG] = 300

    def hours(self) -> TradingHours:
        return TradingHours(
            start_s=_seconds(self.opens),
            end_s=_seconds(self.closes),
            weekdays=tuple(_DAYS.index(day) + 1 for day in self.weekdays),
            utc_offset_s=self.utc_offset_minutes * 60,
        )

    @classmethod
    def of(cls, hours: TradingHours) -> Self:
        return cls(
            opens=_clock(hours.start_s),
            closes=_clock(hours.end_s),
            weekdays=[_DAYS[day - 1] for day in hours.weekdays],
            utc_offset_minutes=hours.utc_offset_s // 60,
        )


def _seconds(clock: str) -> int:
    hour, minute = map(int, clock.split(":"))
    return hour * 3600 + minute * 60


def _clock(seconds: int) -> str:
    return f"{seconds // 3600:02}:{seconds % 3600 // 60:02}"


class TransferWindowBody(Body):
    """When holders may transfer; mints do not mind."""

    opens_at: DatedInstant | None = None
    closes_at: DatedInstant | None = None
    hours: TradingHoursBody | None = None


class LockupBody(Body):
    """Minted units cannot be transferred: for some days from their mint, or until a moment."""

    days: Annotated[int, Field(ge=1, le=MAX_LOCKUP_DAYS), NO_FLAG] | None = None
    until: DatedInstant | None = None


class ComplianceBody(Body):
    """The rules of a token; the supply is always capped at the declared fractions."""

    allowed_countries: Annotated[
        list[Country],
        Field(max_length=MAX_COUNTRIES, description="ISO 3166-1 alpha-2; residents may receive"),
    ] = Field(default_factory=lambda: ["PK"])
    max_units_per_holder: PositiveUnits | None = None
    max_holders: Annotated[int, Field(ge=1, le=MAX_HOLDERS), NO_FLAG] | None = None
    lockup: LockupBody | None = None
    transfer_window: TransferWindowBody | None = None

    def terms(self) -> ComplianceTerms:
        window, lockup = self.transfer_window, self.lockup
        most = self.max_units_per_holder
        return ComplianceTerms(
            allowed_countries=tuple(self.allowed_countries),
            max_units_per_holder=int(most) if most is not None else None,
            max_holders=self.max_holders,
            lockup_days=lockup.days if lockup else None,
            lockup_until=lockup.until if lockup else None,
            opens_at=window.opens_at if window else None,
            closes_at=window.closes_at if window else None,
            hours=window.hours.hours() if window and window.hours else None,
        )

    @classmethod
    def of(cls, terms: ComplianceTerms) -> Self:
        said = terms.record()
        window = {name: said[name] for name in ("opens_at", "closes_at")}
        hours = TradingHoursBody.of(terms.hours) if terms.hours else None
        lockup = {"days": terms.lockup_days, "until": said["lockup_until"]}
        return cls.model_validate(
            {
                "allowed_countries": said["allowed_countries"],
                "max_units_per_holder": said["max_units_per_holder"],
                "max_holders": terms.max_holders,
                "lockup": lockup if any(lockup.values()) else None,
                "transfer_window": window | {"hours": hours}
                if any(window.values()) or hours
                else None,
            }
        )


class SaleBody(Body):
    """The terms of a first sale, as far as they are known."""

    offered_units: Units
    minimum_units: Units = "0"
    min_ticket_units: PositiveUnits = "1"


class ComplianceLint(Body):
    """Terms that somebody thinks of; nothing is recorded."""

    declared_fractions: PositiveUnits
    compliance: ComplianceBody = ComplianceBody()
    maturity: date | None = None
    wrapper_country: Country | None = None
    sale: SaleBody | None = None

    def facts(self) -> LintFacts:
        sale = self.sale
        return LintFacts(
            declared_units=int(self.declared_fractions),
            moment=now(),
            maturity=self.maturity,
            wrapper_country=self.wrapper_country,
            sale=Sale(
                offered_units=int(sale.offered_units),
                minimum_units=int(sale.minimum_units),
                min_ticket_units=int(sale.min_ticket_units),
            )
            if sale
            else None,
        )


class FindingRead(Read):
    """One finding of the lint; an ERROR refuses the deployment, or the opening of the sale."""

    id: str
    severity: Literal["ERROR", "WARNING", "NOTICE"]
    message: str
    message_ur: str
    remedy: str
    detail: str | None

    @classmethod
    def of(cls, finding: RuleResult) -> Self:
        rule = finding.rule
        return cls.model_validate(
            {
                "id": rule.id,
                "severity": finding.severity,
                "message": rule.message,
                "message_ur": rule.message_ur,
                "remedy": rule.remedy,
                "detail": finding.detail,
            }
        )


class LintRead(Read):
    """What the lint finds in compliance terms."""

    deployable: bool
    findings: list[FindingRead]

    @classmethod
    def of(cls, findings: Sequence[RuleResult]) -> Self:
        return cls(
            deployable=not errors(findings),
            findings=[FindingRead.of(finding) for finding in findings],
        )
