"""Use cases of reconciliation: runs open breaks, people close them."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import func
from sqlmodel import Session, col, select

from registry.court_order import lifting
from registry.court_order import service as orders
from registry.court_order.models import CourtOrder, CourtOrderState
from registry.kernel.actor import Actor, Role
from registry.kernel.canonical import record_hash
from registry.kernel.errors import Invalid
from registry.kernel.machine import machine
from registry.kernel.rows import get_row, page_after
from registry.lifecycle import service as lifecycle
from registry.onboarding import approvals
from registry.reconciliation.checks import CHECKS
from registry.reconciliation.freezes import chain_obeys, chain_released
from registry.reconciliation.guards import MACHINE
from registry.reconciliation.models import CLOSED, ReconciliationBreak
from registry.reconciliation.opening import open_breaks, open_or_touch
from registry.reconciliation.views import look_at
from registry.tokenization import service as tokenizations


def run_checks(session: Session, tokenization_id: UUID) -> list[ReconciliationBreak]:
    """Hold the token against everything; return a break for each difference, old or new.

    Raises
    ------
    Conflict
        ``token_not_deployed``.
    Unavailable
        ``sync_not_started``.
    """
    return [item for rule in CHECKS for item, _ in run_rule(session, tokenization_id, rule)]


def run_rule(
    session: Session, tokenization_id: UUID, rule: str
) -> list[tuple[ReconciliationBreak, bool]]:
    """Ask one rule of a token; return a break for each difference, and whether it is new.

    Raises
    ------
    Conflict
        ``token_not_deployed``.
    Unavailable
        ``sync_not_started``.
    """
    # Two runs at once would open one break twice, and one of them would fail.
    tokenizations.get_tokenization(session, tokenization_id, lock=True)
    view = look_at(session, tokenization_id)
    return open_or_touch(session, tokenization_id, CHECKS[rule](session, view))


def compare_registers(session: Session, tokenization_id: UUID) -> None:
    """Open a break for each holder of whom the newest statement says something else (REG-01).

    Holders are read before the token is locked: there may be a million of them.

    Raises
    ------
    Conflict, Unavailable
        As `run_checks`.
    """
    view = look_at(session, tokenization_id)
    open_breaks(session, tokenization_id, CHECKS["REG-01"](session, view))


def investigate_break(session: Session, actor: Actor, break_id: UUID) -> ReconciliationBreak:
    """Take a break on.

    Raises
    ------
    Conflict, Forbidden
        As `lifecycle.service.fire`.
    """
    item = get_break(session, break_id, lock=True)
    lifecycle.fire(session, actor, MACHINE, item, "investigate")
    item.investigated_by = actor.subject
    session.flush()
    return item


def propose_fix(
    session: Session, actor: Actor, break_id: UUID, *, explanation: str, reference: str
) -> ReconciliationBreak:
    """Propose what makes the difference good: a compensating entry.

    Raises
    ------
    Invalid
        ``fix_malformed``.
    Conflict, Forbidden
        As `lifecycle.service.fire`.
    """
    item = get_break(session, break_id, lock=True)
    fix = {"explanation": explanation, "reference": reference}
    lifecycle.fire(
        session, actor, MACHINE, item, "propose_fix", given={"fix": fix}, reference=reference
    )
    item.fix, item.proposed_by = fix, actor.subject
    session.flush()
    return item


def approve_fix(session: Session, actor: Actor, break_id: UUID) -> ReconciliationBreak:
    """Close the break, if a run made now no longer finds it.

    Raises
    ------
    Forbidden
        ``checker_is_maker``.
    Conflict
        ``break_still_found``, ``transition_refused``.
    """
    item = get_break(session, break_id, lock=True)
    view = look_at(session, item.tokenization_id, subject=item.subject)
    still = {found.subject for found in CHECKS[item.rule](session, view)}
    given = {"still_there": item.subject in still}
    lifecycle.fire(
        session, actor, MACHINE, item, "approve_fix", given=given, block=view.block.number
    )
    item.closed_by = actor.subject
    session.flush()
    return item


def reject_fix(
    session: Session, actor: Actor, break_id: UUID, *, reason: str
) -> ReconciliationBreak:
    """Send the fix back to whoever investigates.

    Raises
    ------
    Forbidden
        ``checker_is_maker``.
    Conflict
        ``transition_refused``.
    """
    item = get_break(session, break_id, lock=True)
    lifecycle.fire(session, actor, MACHINE, item, "reject_fix", reason=reason)
    item.fix = None
    session.flush()
    return item


def accept_loss(
    session: Session, actor: Actor, break_id: UUID, *, role: Role, reason: str
) -> ReconciliationBreak:
    """Agree to write the difference off; compliance first, then a registrar's checker decides.

    Raises
    ------
    Invalid
        ``reason_missing``.
    Forbidden
        ``checker_is_maker``, ``approval_not_yours``.
    Conflict
        ``approvals_missing``, ``already_approved``, ``transition_refused``.
    """
    item = get_break(session, break_id, lock=True)
    machine(MACHINE).arrow(item.state, "accept_loss", actor.roles)
    if not reason.strip():
        raise Invalid("reason_missing", "A loss is accepted for a reason.", field="/reason")
    assert item.investigated_by is not None
    missing = approvals.approve(
        session,
        actor,
        subject=("reconciliation_break", item.id),
        role=role,
        maker=item.investigated_by,
        dossier_hash=record_hash({"break": str(item.id), "rule": item.rule, "detail": item.detail}),
        required=approvals.PAIR,
    )
    if not missing:
        lifecycle.fire(
            session, actor, MACHINE, item, "accept_loss", given={"missing": missing}, reason=reason
        )
        item.closed_by = actor.subject
        session.flush()
    return item


def confirm_order(session: Session, order_id: UUID) -> CourtOrder:
    """Put an applied order in force once the projected chain shows it; else say that it waits.

    Raises
    ------
    Conflict
        ``order_not_registered``, ``transition_refused``.
    """
    order = orders.get_order(session, order_id)
    return orders.confirm_order(session, order_id, chain_obeys=chain_obeys(session, order))


def lift_order(session: Session, order_id: UUID) -> CourtOrder:
    """Close a vacated order once the projected chain has released what it froze.

    Raises
    ------
    Conflict
        ``other_order_in_force``, ``order_still_on_chain``, ``transition_refused``.
    """
    order = orders.get_order(session, order_id)
    return lifting.lift_order(session, order_id, chain_released=chain_released(session, order))


def list_obeyed(session: Session) -> list[UUID]:
    """List the applied orders that the projected chain obeys: they are in force."""
    return [
        order.id
        for order in orders.list_binding(session)
        if order.state == CourtOrderState.APPLYING and chain_obeys(session, order)
    ]


def list_released(session: Session) -> list[UUID]:
    """List the vacated orders that the projected chain has let go, and nothing else holds."""
    return [
        order.id
        for order in orders.list_binding(session)
        if order.state == CourtOrderState.LIFTING
        and chain_released(session, order)
        and not orders.is_bound_otherwise(session, order)
    ]


def get_break(session: Session, break_id: UUID, *, lock: bool = False) -> ReconciliationBreak:
    """Return the break.

    Raises
    ------
    NotFound
        There is none of that id.
    """
    return get_row(session, ReconciliationBreak, break_id, kind="break", lock=lock)


def count_open(session: Session) -> dict[str, int]:
    """Return how many breaks are not closed, by rule."""
    rows = session.exec(
        select(ReconciliationBreak.rule, func.count())
        .where(col(ReconciliationBreak.state).not_in(CLOSED))
        .group_by(col(ReconciliationBreak.rule))
    )
    return dict(rows.all())


def list_breaks(
    session: Session,
    *,
    tokenization_id: UUID | None,
    state: str | None,
    after: UUID | None,
    limit: int,
) -> Sequence[ReconciliationBreak]:
    """List breaks in the order in which they were found."""
    query = select(ReconciliationBreak)
    if tokenization_id is not None:
        query = query.where(col(ReconciliationBreak.tokenization_id) == tokenization_id)
    if state is not None:
        query = query.where(col(ReconciliationBreak.state) == state)
    return session.exec(
        page_after(query, col(ReconciliationBreak.id), after=after, limit=limit)
    ).all()
