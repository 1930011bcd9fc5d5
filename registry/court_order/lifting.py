"""Use cases by which an order changes or ends: varied, vacated, lifted, expired."""

from __future__ import annotations

from datetime import date
from uuid import UUID

from sqlmodel import Session

from registry.court_order.commands import the_order
from registry.court_order.guards import MACHINE, require_applied
from registry.court_order.models import CourtOrder
from registry.court_order.service import decision_hash, get_order, require_end
from registry.document import service as documents
from registry.encumbrance import service as encumbrances
from registry.encumbrance.models import EncumbranceState
from registry.kernel.actor import THE_SYSTEM, Actor, Role
from registry.kernel.clock import now, today
from registry.kernel.errors import Conflict, Invalid
from registry.kernel.machine import machine
from registry.lifecycle import service as lifecycle
from registry.onboarding import approvals
from registry.tokenization import liens


def vary_order(
    session: Session,
    actor: Actor,
    order_id: UUID,
    *,
    document_sha256: bytes,
    amount_units: int | None = None,
    ends_on: date | None = None,
) -> CourtOrder:
    """Record that a new order changes this one; it is applied again, by somebody else.

    Meanwhile what it put on the title stays there.

    Raises
    ------
    Invalid
        ``order_paper_unchanged``, ``order_scope_malformed``, ``order_dates_malformed``: also
        where the new last day is over, since nobody could apply the order again.
    Conflict
        ``order_amount_smaller``, ``transition_refused``.
    """
    order = get_order(session, order_id, lock=True)
    if (amount_units is None) != (order.amount_units is None) or amount_units == 0:
        raise Invalid(
            "order_scope_malformed",
            "An order on an amount, and no other, states a new amount above zero.",
            field="/amount_units",
        )
    require_end(order.issued_on, ends_on)
    _require_days_left(ends_on)
    if amount_units is not None and amount_units < int(order.amount_units or 0):
        raise Conflict(
            "order_amount_smaller",
            f"The order has {order.amount_units} fractions frozen; it is not varied to fewer.",
            remedy="Receive and apply the new order as one of its own, then vacate this one.",
        )
    before = {"document_sha256": order.document_sha256.hex(), "ends_on": str(order.ends_on)}
    given = {"document_sha256": document_sha256}
    lifecycle.fire(session, actor, MACHINE, order, "vary", given=given, before=before)
    order.document_sha256, order.amount_units, order.ends_on = (
        document_sha256,
        amount_units,
        ends_on,
    )
    order.authenticated_by = actor.subject
    session.flush()
    return order


def _require_days_left(ends_on: date | None) -> None:
    if ends_on is not None and ends_on < today():
        raise Invalid(
            "order_dates_malformed",
            "An order is not varied to end on a day that is over.",
            field="/ends_on",
            remedy="Have the order vacated by the new one.",
        )


def vacate_order(
    session: Session,
    actor: Actor,
    order_id: UUID,
    *,
    role: Role,
    vacating_sha256: bytes,
    vacating_document_id: UUID | None = None,
) -> CourtOrder:
    """Agree that the order is vacated; compliance first, then a registrar's checker decides.

    Parameters
    ----------
    vacating_document_id
        The vacating order under the asset, for the scope ASSET: its encumbrance is discharged.

    Raises
    ------
    Forbidden
        ``checker_is_maker``, ``approval_not_yours``.
    Invalid
        ``order_incomplete``, ``order_paper_differs``.
    Conflict
        ``approvals_missing``, ``already_approved``, ``order_not_in_force``,
        ``transition_refused``, ``vacating_paper_missing``.
    """
    order = get_order(session, order_id, lock=True)
    machine(MACHINE).arrow(order.state, "vacate", actor.roles)
    require_applied(order)
    if order.encumbrance_id is not None and vacating_document_id is None:
        raise Conflict(
            "vacating_paper_missing", "An order on an asset is vacated by a paper under the asset."
        )
    if vacating_document_id is not None:
        paper = documents.get_document(session, vacating_document_id)
        if paper.sha256 != vacating_sha256:
            raise Invalid("order_paper_differs", "The paper that is filed has another hash.")
    order.vacating_sha256 = vacating_sha256
    missing = approvals.approve(
        session,
        actor,
        subject=("court_order", order.id),
        role=role,
        maker=order.maker,
        dossier_hash=decision_hash(order, "vacate"),
        required=approvals.PAIR,
    )
    if missing:
        return order
    given = {"missing": missing, "vacating_sha256": vacating_sha256}
    lifecycle.fire(session, actor, MACHINE, order, "vacate", given=given)
    if order.encumbrance_id is not None and vacating_document_id is not None:
        _discharge(session, actor, order, vacating_document_id)
    session.flush()
    return order


def _discharge(session: Session, checker: Actor, order: CourtOrder, paper_id: UUID) -> None:
    """Take the order's encumbrance off the title, and its cause of the asset's suspension."""
    assert order.encumbrance_id is not None
    encumbrance = encumbrances.get_encumbrance(session, order.encumbrance_id)
    if encumbrance.state != EncumbranceState.ACTIVE:
        return
    maker = the_order(order, Role.REGISTRAR_MAKER)
    encumbrances.request_discharge(session, maker, encumbrance.id, document_id=paper_id)
    liens.grant_discharge(
        session, checker, encumbrance.id, confirmation=f"vacating order in {order.case_no}"
    )


def lift_order(session: Session, order_id: UUID, *, chain_released: bool) -> CourtOrder:
    """Close a vacated order once the chain has released what it froze.

    A suspended asset is not reinstated by this: people do that, under four eyes.

    Parameters
    ----------
    chain_released
        What the projection shows; `registry.reconciliation` looks.

    Raises
    ------
    Conflict
        ``other_order_in_force``, ``order_still_on_chain``, ``transition_refused``.
    """
    order = get_order(session, order_id, lock=True)
    given = {"chain_released": chain_released}
    lifecycle.fire(session, THE_SYSTEM, MACHINE, order, "lifted", given=given)
    order.lifted_at = now()
    session.flush()
    return order


def expire_order(session: Session, order_id: UUID) -> CourtOrder:
    """Let an order end by the last day that it carries itself.

    What it put on a title stays until people discharge it: a clock lifts no attachment.

    Raises
    ------
    Conflict
        ``order_in_term``, ``order_not_in_force``, ``transition_refused``.
    """
    order = get_order(session, order_id, lock=True)
    lifecycle.fire(session, THE_SYSTEM, MACHINE, order, "expire")
    order.lifted_at = now()
    session.flush()
    return order
