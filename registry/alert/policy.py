"""From where on something is looked at by people: data, not code."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

from sqlmodel import Session

from registry.kernel.clock import day_of, now
from registry.offering.models import Rail
from registry.policy.models import PolicyName
from registry.policy.service import Policy, PolicyHistory, history_of


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertPolicy:
    """The thresholds of the rules.

    Parameters
    ----------
    large_share
        Of the declared fractions: whoever comes to have as much, or no longer has it.
    rapid_window
        How soon after it was bought a holding is left for that to be rapid.
    rapid_least_share
        Of the declared fractions: a holding that never was as large is not looked at.
    rapid_left_share
        Of the most that was held: whoever keeps no more of it has left.
    limit_paisa
        From here on a payment is reported by itself (CTR); below, it counts here.
    structuring_window
        In which payments are added up.
    least_payments
        So many payments at least: one alone is nothing.
    rails
        Whose payments count: as for the CTR, which the payments are kept below.
    least_score
        Of a hit of the sanctions screening.
    """

    large_share: Fraction
    rapid_window: timedelta
    rapid_least_share: Fraction
    rapid_left_share: Fraction
    limit_paisa: int
    structuring_window: timedelta
    least_payments: int
    rails: tuple[Rail, ...]
    least_score: int


@dataclass(frozen=True, slots=True)
class AlertPolicies:
    """The thresholds of each day: a new one says nothing of what happened before it held."""

    large_holder: PolicyHistory
    ctr: PolicyHistory
    known: dict[date, AlertPolicy] = field(default_factory=dict)

    def at(self, moment: datetime) -> AlertPolicy:
        """Return what held when something happened; what holds now, of what is dated later."""
        day = day_of(min(moment, now()))
        if day not in self.known:
            self.known[day] = _policy_of(self.large_holder.on(day).value, self.ctr.on(day))
        return self.known[day]

    @property
    def least_large_share(self) -> Fraction:
        """The lowest that ever held: whoever never had as much has crossed none."""
        return self.large_holder.least

    @property
    def of_hits(self) -> str:
        """What decides of which hits there is an alert; it is not dated, and so is today's."""
        return str(self.at(now()).least_score)

    @property
    def of_payments(self) -> str:
        """What decides on payments, as a hash; the limit may be set for days that are over, too."""
        policy = self.at(now())
        limits = [(str(each.valid_from), str(each.value)) for each in self.ctr.changes]
        window = policy.structuring_window.total_seconds()
        said = [window, policy.least_payments, policy.rails, str(self.ctr.original.value), limits]
        return hashlib.sha256(json.dumps(said).encode()).hexdigest()[:16]


def alert_policies(session: Session) -> AlertPolicies:
    """Read the thresholds: the law's by `registry.policy`, the house's by `policy.json`."""
    return AlertPolicies(
        history_of(session, PolicyName.LARGE_HOLDER), history_of(session, PolicyName.CTR)
    )


def _policy_of(large_share: Fraction, ctr: Policy) -> AlertPolicy:
    house = _house()
    rapid, structuring = house["rapid_in_and_out"], house["structuring"]
    return AlertPolicy(
        large_share=large_share,
        rapid_window=timedelta(days=rapid["days"]),
        rapid_least_share=Fraction(rapid["least_share"]),
        rapid_left_share=Fraction(rapid["left_share"]),
        limit_paisa=int(ctr.value),
        structuring_window=timedelta(hours=structuring["window_hours"]),
        least_payments=structuring["least_payments"],
        rails=tuple(Rail(name) for name in ctr.rails),
        least_score=house["sanctioned_name"]["least_score"],
    )


@cache
def _house() -> dict[str, Any]:
    table: dict[str, Any] = json.loads(Path(__file__).with_name("policy.json").read_text("utf-8"))
    return table
