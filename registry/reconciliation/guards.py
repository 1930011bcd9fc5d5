"""Whether an event may happen to a break; who may fire it stands in the table."""

from __future__ import annotations

from registry.kernel.errors import Conflict, Invalid
from registry.lifecycle.reasons import require_other_person
from registry.lifecycle.service import Attempt, guard
from registry.reconciliation.models import ReconciliationBreak

MACHINE = "reconciliation_break"

Try = Attempt[ReconciliationBreak]


@guard(MACHINE, "propose_fix")
def fix_is_an_entry_of_its_own(attempt: Try) -> None:
    """A compensating entry that the register or the chain has, never an edit of what was."""
    fix = attempt.given["fix"]
    if not str(fix.get("explanation") or "").strip():
        raise Invalid("fix_malformed", "A fix says what happened and what makes it good.")
    if not str(fix.get("reference") or "").strip():
        raise Invalid(
            "fix_malformed",
            "A fix names its compensating entry: operation, statement or case.",
        )


@guard(MACHINE, "approve_fix", "reject_fix")
def somebody_else_decides(attempt: Try) -> None:
    require_other_person(attempt, attempt.record.proposed_by)


@guard(MACHINE, "approve_fix")
def next_run_is_clean(attempt: Try) -> None:
    if attempt.given["still_there"]:
        raise Conflict(
            "break_still_found",
            f"The newest run still finds it (rule {attempt.record.rule}).",
            rule=attempt.record.rule,
        )


@guard(MACHINE, "accept_loss")
def two_people_accept(attempt: Try) -> None:
    if attempt.given["missing"]:
        raise Conflict("approvals_missing", "Compliance and a registrar's checker accept together.")
