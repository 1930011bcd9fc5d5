"""Whether an event may happen to a filing; who may fire it stands in the table."""

from __future__ import annotations

from typing import Any

from registry.kernel.errors import Conflict, Invalid
from registry.lifecycle.reasons import require_other_person, require_reason
from registry.lifecycle.service import Attempt, guard

CTR, STR = "ctr_filing", "str_case"

Try = Attempt[Any]


@guard(CTR, "file")
@guard(STR, "file")
def somebody_else_files_it_by_a_reference(attempt: Try) -> None:
    require_other_person(attempt, attempt.record.maker)
    if not str(attempt.given.get("reference") or "").strip():
        raise Invalid(
            "filing_reference_missing",
            "What is filed has the reference that the FMU gave it.",
            field="/reference",
        )


@guard(CTR, "file")
def what_it_names_was_paid(attempt: Try) -> None:
    """Between the two officers the bank may take money back, or it turns out to be another's."""
    if not set(attempt.record.payment_ids) <= attempt.given["paid"]:
        raise Conflict(
            "ctr_payments_changed",
            "A payment of this report was taken back, or is not of this party any more.",
            remedy="Withdraw it, and prepare one of that day anew.",
        )


@guard(CTR, "withdraw")
def says_why(attempt: Try) -> None:
    require_reason(attempt)


@guard(STR, "close")
def somebody_else_says_why_not(attempt: Try) -> None:
    """A suspicion is not put aside by one person alone."""
    require_other_person(attempt, attempt.record.maker)
    require_reason(attempt)
