"""Whether an event may happen to a complaint; who may fire it stands in the table."""

from __future__ import annotations

from registry.complaint.models import Complaint
from registry.kernel.errors import Forbidden
from registry.lifecycle.reasons import require_reason
from registry.lifecycle.service import Attempt, guard

MACHINE = "complaint"

Try = Attempt[Complaint]


@guard(MACHINE, "resolve", "reject")
def answers(attempt: Try) -> None:
    """Nobody is left without an answer."""
    require_reason(attempt)


@guard(MACHINE, "investigate", "resolve", "reject")
def is_not_their_own(attempt: Try) -> None:
    """Nobody judges a complaint of their own."""
    own = attempt.given["party_id"]
    if own is not None and own == attempt.record.party_id:
        raise Forbidden("checker_is_maker", "A complaint of one's own is for others (rule APR-01).")
