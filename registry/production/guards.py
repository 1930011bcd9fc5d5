"""Whether an event may happen to a reading; who may fire it stands in the table."""

from __future__ import annotations

from registry.lifecycle.reasons import require_other_person, require_reason
from registry.lifecycle.service import Attempt, guard
from registry.production.models import EnergyReading

MACHINE = "energy_reading"

Try = Attempt[EnergyReading]


@guard(MACHINE, "confirm", "reject")
def somebody_else_decides(attempt: Try) -> None:
    require_other_person(attempt, attempt.record.maker)


@guard(MACHINE, "reject")
def says_why(attempt: Try) -> None:
    require_reason(attempt)
