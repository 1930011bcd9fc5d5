"""What of the journal not everybody is told: suspicions, and alerts (AMLA 2010, s. 7).

Its hashes and numbers are told to every reader, so that nothing can be taken out of it unseen.
"""

from __future__ import annotations

from dataclasses import dataclass

from registry.journal.leaves import Body
from registry.journal.models import LeafKind

CASE, CASE_READINGS = "str_case", ("R-14", "list_str_cases")
ALERT, ALERT_READINGS = "alert", ("list_alerts",)


def _entries(kind: str, readings: tuple[str, ...]) -> str:
    names = ", ".join(f"'{name}'" for name in readings)
    return f"(subject_kind = '{kind}' OR subject_id IN ({names}))"


OF_SUSPICION = _entries(CASE, CASE_READINGS)
"""Entries that tell of a suspicion: what became of a case, who looked at one."""
OF_ALERT = _entries(ALERT, ALERT_READINGS)
"""The same of alerts."""


def tells_of_suspicion(body: Body) -> bool:
    """Tell whether what is sealed speaks of a suspicion; `OF_SUSPICION` says it of acts in SQL."""
    return _speaks_of(body, CASE, CASE_READINGS)


def tells_of_alert(body: Body) -> bool:
    """Tell whether what is sealed speaks of an alert; `OF_ALERT` says it of acts in SQL."""
    return _speaks_of(body, ALERT, ALERT_READINGS)


def _speaks_of(body: Body, kind: str, readings: tuple[str, ...]) -> bool:
    if body["kind"] == LeafKind.FACT:
        return bool(body["table"] == kind)
    return body["subject_kind"] == kind or body["subject_id"] in readings


@dataclass(frozen=True, slots=True)
class Untold:
    """What one reader is not told."""

    suspicions: bool = False
    alerts: bool = False

    def hides(self, body: Body) -> bool:
        return (self.suspicions and tells_of_suspicion(body)) or (
            self.alerts and tells_of_alert(body)
        )


ALL_TOLD = Untold()
