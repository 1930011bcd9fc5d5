"""What of the journal not everybody is told: suspicions, alerts, filings, hits (AMLA 2010, s. 7).

Its hashes and numbers are told to every reader, so that nothing can be taken out of it unseen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from registry.journal.leaves import Body
from registry.journal.models import LeafKind

CASES, CASE_READINGS = ("str_case",), ("R-14", "list_str_cases")
WATCHES = ("alert", "ctr_filing", "sanctions_hit")
WATCH_READINGS = ("list_alerts", "R-13", "list_ctr_filings", "R-15", "list_sanctions_hits")


def _entries(kinds: Sequence[str], readings: Sequence[str]) -> str:
    return f"(subject_kind IN ({_listed(kinds)}) OR subject_id IN ({_listed(readings)}))"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)


OF_SUSPICION = _entries(CASES, CASE_READINGS)
"""Entries that tell of a suspicion: what became of a case, who looked at one."""
OF_WATCH = _entries(WATCHES, WATCH_READINGS)
"""The same of alerts, of reports of currency transactions (CTR), and of hits on a list."""


def tells_of_suspicion(body: Body) -> bool:
    """Tell whether what is sealed speaks of a suspicion; `OF_SUSPICION` says it of acts in SQL."""
    return _speaks_of(body, CASES, CASE_READINGS)


def tells_of_watch(body: Body) -> bool:
    """Tell whether what is sealed speaks of an alert, a CTR or a hit; `OF_WATCH` says it in SQL."""
    return _speaks_of(body, WATCHES, WATCH_READINGS)


def _speaks_of(body: Body, kinds: Sequence[str], readings: Sequence[str]) -> bool:
    if body["kind"] == LeafKind.FACT:
        return body["table"] in kinds
    return body["subject_kind"] in kinds or body["subject_id"] in readings


@dataclass(frozen=True, slots=True)
class Untold:
    """What one reader is not told."""

    suspicions: bool = False
    watches: bool = False

    def hides(self, body: Body) -> bool:
        return (self.suspicions and tells_of_suspicion(body)) or (
            self.watches and tells_of_watch(body)
        )


ALL_TOLD = Untold()
