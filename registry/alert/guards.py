"""Whether an event may happen to an alert; who may fire it stands in the table."""

from __future__ import annotations

from registry.alert.models import Alert
from registry.lifecycle.reasons import require_other_person, require_reason
from registry.lifecycle.service import Attempt, guard

MACHINE = "alert"

Try = Attempt[Alert]


@guard(MACHINE, "review", "return", "dismiss", "escalate")
def says_why(attempt: Try) -> None:
    require_reason(attempt)


@guard(MACHINE, "return", "dismiss")
def somebody_else_decides(attempt: Try) -> None:
    """Nothing is dismissed by one person alone (APR-01)."""
    require_other_person(attempt, attempt.record.reviewed_by)
