"""From where on something is looked at by people: data, not code."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

from sqlmodel import Session

from registry.kernel.clock import today
from registry.offering.models import Rail
from registry.policy.models import PolicyName
from registry.policy.service import policy_on


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


def alert_policy(session: Session) -> AlertPolicy:
    """Return today's thresholds: the law's by `registry.policy`, the house's by `policy.json`."""
    day = today()
    house = _house()
    rapid, structuring = house["rapid_in_and_out"], house["structuring"]
    ctr = policy_on(session, PolicyName.CTR, day)
    return AlertPolicy(
        large_share=policy_on(session, PolicyName.LARGE_HOLDER, day).value,
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
