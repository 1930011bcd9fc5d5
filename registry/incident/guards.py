"""Whether an event may happen to an incident; who may fire it stands in the table."""

from __future__ import annotations

from registry.incident.models import Incident
from registry.kernel.clock import now
from registry.kernel.errors import Invalid
from registry.lifecycle.reasons import require_other_person, require_reason
from registry.lifecycle.service import Attempt, guard

MACHINE = "incident"

Try = Attempt[Incident]


@guard(MACHINE, "contain")
def ends_after_it_began(attempt: Try) -> None:
    if not attempt.record.began_at <= attempt.given["ended_at"] <= now():
        raise Invalid(
            "incident_times_malformed",
            "It ends after it began, and not in the future.",
            field="/ended_at",
        )


@guard(MACHINE, "close")
def somebody_else_says_the_cause(attempt: Try) -> None:
    require_other_person(attempt, attempt.record.maker)
    require_reason(attempt)
