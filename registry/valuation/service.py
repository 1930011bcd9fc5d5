"""Use cases on valuations."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from uuid import UUID

from sqlmodel import Session, col, select

from registry.asset import service as assets
from registry.journal import service as journal
from registry.kernel.actor import THE_SYSTEM, Actor
from registry.kernel.clock import today
from registry.kernel.errors import Forbidden, Invalid
from registry.kernel.machine import machine
from registry.kernel.rows import get_row
from registry.valuation.models import Valuation, ValuationState


def submit_valuation(
    session: Session,
    actor: Actor,
    asset_id: UUID,
    *,
    amount_paisa: int,
    basis_date: date,
    method: str,
    report_sha256: bytes,
) -> Valuation:
    """Record a valuer's opinion; it waits for a valuation checker.

    Raises
    ------
    Invalid
        ``valuation_dated_in_future``, ``valuation_not_positive``.
    """
    assets.get_asset(session, asset_id)
    if basis_date > today():
        raise Invalid(
            "valuation_dated_in_future",
            f"The basis date {basis_date} lies in the future.",
            field="/basis_date",
        )
    if amount_paisa <= 0:
        raise Invalid("valuation_not_positive", "A value is above zero.", field="/amount")
    valuation = Valuation(
        asset_id=asset_id,
        amount_paisa=amount_paisa,
        basis_date=basis_date,
        method=method,
        report_sha256=report_sha256,
        valuer=actor.subject,
    )
    valuation.state = ValuationState(
        machine("valuation").next_state(valuation.state, "submit", actor.roles)
    )
    session.add(valuation)
    session.flush()
    journal.record(
        session,
        actor,
        "valuation_submitted",
        "valuation",
        valuation.id,
        asset_id=str(asset_id),
        amount_paisa=str(amount_paisa),
        basis_date=str(basis_date),
    )
    return valuation


def accept_valuation(session: Session, actor: Actor, valuation_id: UUID) -> Valuation:
    """Accept an opinion; the one accepted before it is superseded.

    Raises
    ------
    Forbidden
        ``checker_is_maker``: a valuer does not accept an opinion of their own.
    Conflict
        ``transition_refused``.
    """
    valuation = get_row(session, Valuation, valuation_id, kind="valuation", lock=True)
    state = machine("valuation").next_state(valuation.state, "accept", actor.roles)
    if actor.subject == valuation.valuer:
        raise Forbidden("checker_is_maker", "Whoever valued this cannot accept it (rule APR-01).")
    # Of two opinions accepted at one moment, the second supersedes the first.
    assets.get_asset(session, valuation.asset_id, lock=True)
    previous = accepted_valuation(session, valuation.asset_id)
    if previous is not None:
        previous.state = ValuationState(
            machine("valuation").next_state(previous.state, "supersede", THE_SYSTEM.roles)
        )
    valuation.state, valuation.checker = ValuationState(state), actor.subject
    session.flush()
    journal.record(session, actor, "valuation_accepted", "valuation", valuation.id)
    return valuation


def accepted_valuation(session: Session, asset_id: UUID) -> Valuation | None:
    """Return the opinion that stands, if there is one."""
    return session.exec(
        select(Valuation).where(
            col(Valuation.asset_id) == asset_id, col(Valuation.state) == ValuationState.ACCEPTED
        )
    ).first()


def list_valuations(session: Session, asset_id: UUID) -> Sequence[Valuation]:
    """List every opinion on an asset, oldest first."""
    return session.exec(
        select(Valuation).where(col(Valuation.asset_id) == asset_id).order_by(col(Valuation.id))
    ).all()
