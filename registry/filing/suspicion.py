"""Use cases on suspicions (STR): opened by one officer, filed or put aside by another.

Whom a case is about never sees it, also where they hold a role that reads cases.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlmodel import Session, col, select

from registry.alert import service as alerts
from registry.alert.models import AlertState
from registry.filing.guards import STR
from registry.filing.models import StrCase
from registry.filing.references import require_new_reference
from registry.investor import service as investors
from registry.journal import service as journal
from registry.journal.untold import Untold
from registry.kernel.actor import Actor, Role
from registry.kernel.clock import now
from registry.kernel.errors import Conflict, NotFound
from registry.kernel.rows import get_row, page_after
from registry.lifecycle import service as lifecycle
from registry.party import service as parties

READERS = frozenset({Role.REGULATOR, Role.COMPLIANCE})
"""Who may know of a report of suspicion (AMLA 2010, s. 7); never whom it is about."""

TAKEN_FURTHER = "It is looked into further."
"""Why an alert is escalated with a case: an auditor reads alerts, and of a case nothing."""


def may_read(actor: Actor) -> bool:
    """Tell whether somebody may know of suspicions of others."""
    return not READERS.isdisjoint(actor.roles)


def untold_to(session: Session, person: str, *, may_know: bool) -> Untold:
    """Say what of the journal is not told to somebody.

    Whoever may hold tokens is told there of no case, alert, CTR or hit, whomever it is about: the
    numbers of the journal have no gaps, and one entry alone that is not told would tell them.

    Parameters
    ----------
    may_know
        Their role may know of suspicions of others.
    """
    is_party = investors.find_own_party(session, person) is not None
    return Untold(suspicions=is_party or not may_know, watches=is_party)


def open_str_case(
    session: Session,
    actor: Actor,
    *,
    party_id: UUID,
    indicators: Sequence[str],
    narrative: str,
    alert_ids: Sequence[UUID] = (),
) -> StrCase:
    """Open a case; the alerts that it follows from are escalated with it.

    Raises
    ------
    NotFound
        There is no such party or alert; of themselves, nobody opens one.
    Conflict
        ``alert_of_other_party``, ``transition_refused``.
    """
    if investors.find_own_party(session, actor.person) == party_id:
        raise NotFound("party", party_id)
    parties.get_party(session, party_id)
    case = StrCase(
        party_id=party_id,
        indicators=list(indicators),
        alert_ids=[str(item) for item in alert_ids],
        narrative=narrative,
        maker=actor.subject,
    )
    session.add(case)
    session.flush()
    for alert_id in alert_ids:
        alert = alerts.get_alert(session, actor, alert_id, lock=True)
        if alert.party_id != party_id:
            raise Conflict("alert_of_other_party", f"The alert {alert_id} is about another party.")
        if alert.state != AlertState.ESCALATED:
            alerts.escalate_alert(session, actor, alert_id, reason=TAKEN_FURTHER)
    journal.record(session, actor, "str_case_opened", "str_case", case.id, alerts=len(alert_ids))
    return case


def file_str(session: Session, actor: Actor, case_id: UUID, *, reference: str) -> StrCase:
    """Record that it was reported by goAML, as another person than who opened it.

    Raises
    ------
    NotFound
    Invalid
        ``filing_reference_missing``.
    Forbidden
        ``checker_is_maker``.
    Conflict
        ``filing_reference_reused``, ``transition_refused``.
    """
    require_new_reference(session, StrCase, reference, of=case_id)
    given = {"reference": reference}
    return _decide(session, actor, case_id, "file", given, {"filed_reference": reference})


def close_str(session: Session, actor: Actor, case_id: UUID, *, reason: str) -> StrCase:
    """Put a case aside without a report, as another person than who opened it.

    Raises
    ------
    NotFound
    Invalid
        ``reason_missing``.
    Forbidden
        ``checker_is_maker``.
    Conflict
        ``transition_refused``.
    """
    said = {"reason": reason}
    return _decide(session, actor, case_id, "close", said, said)


def _decide(  # noqa: PLR0917
    session: Session,
    actor: Actor,
    case_id: UUID,
    event: str,
    given: dict[str, Any],
    changes: dict[str, Any],
) -> StrCase:
    case = get_str_case(session, actor, case_id, lock=True)
    lifecycle.change(
        session, actor, STR, case, event,
        given=given,
        changes={"decided_by": actor.subject, "decided_at": now(), **changes},
        **given,
    )  # fmt: skip
    return case


def get_str_case(session: Session, actor: Actor, case_id: UUID, *, lock: bool = False) -> StrCase:
    """Return the case, save to whom it is about.

    Raises
    ------
    NotFound
    """
    case = get_row(session, StrCase, case_id, kind="case", lock=lock)
    if investors.find_own_party(session, actor.person) == case.party_id:
        raise NotFound("case", case_id)
    return case


def list_str_cases(
    session: Session, actor: Actor, *, state: str | None, after: UUID | None, limit: int
) -> Sequence[StrCase]:
    """List cases in the order in which they were opened, save those about the caller."""
    query = select(StrCase)
    if state is not None:
        query = query.where(col(StrCase.state) == state)
    own = investors.find_own_party(session, actor.person)
    if own is not None:
        query = query.where(col(StrCase.party_id) != own)
    return session.exec(page_after(query, col(StrCase.id), after=after, limit=limit)).all()
