"""Use cases on valuations."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from uuid import UUID

from sqlmodel import Session, col, select

from registry.asset import service as assets
from registry.asset.classes import CLASSES
from registry.asset.law import law_of
from registry.asset.models import Asset
from registry.journal import service as journal
from registry.jurisdiction.profiles import JURISDICTIONS
from registry.kernel.actor import THE_SYSTEM, Actor
from registry.kernel.clock import today
from registry.kernel.rows import get_row
from registry.lifecycle.service import ask, fire
from registry.valuation import guards
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
    low_paisa: int | None = None,
    high_paisa: int | None = None,
) -> Valuation:
    """Record a valuer's opinion; it waits for a valuation checker.

    Parameters
    ----------
    basis_date
        The day of which the value is.
    report_sha256
        Hash of the signed report.
    low_paisa, high_paisa
        The range within which the value lies, where the valuer gives one.

    Raises
    ------
    Invalid
        ``valuation_dated_in_future``, ``valuation_not_positive``, ``valuation_out_of_range``.
    """
    assets.get_asset(session, asset_id)
    valuation = Valuation(
        asset_id=asset_id,
        amount_paisa=amount_paisa,
        basis_date=basis_date,
        method=method,
        report_sha256=report_sha256,
        low_paisa=low_paisa,
        high_paisa=high_paisa,
        valuer=actor.subject,
    )
    fire(
        session,
        actor,
        guards.MACHINE,
        valuation,
        "submit",
        asset_id=str(asset_id),
        amount_paisa=str(amount_paisa),
        basis_date=str(basis_date),
    )
    return valuation


def accept_valuation(session: Session, actor: Actor, valuation_id: UUID) -> Valuation:
    """Accept an opinion; the one that stood before it is superseded.

    A value that moves by more than a fifth stands once a second checker accepts it too.

    Raises
    ------
    Forbidden
        ``checker_is_maker``: neither a valuer nor a first checker accepts it, also not again.
        ``valuer_connected``.
    Conflict
        ``valuer_not_on_panel``, ``valuer_out_of_scope``, ``valuation_older``,
        ``transition_refused``.
    """
    valuation = _locked(session, valuation_id)
    asset = assets.get_asset(session, valuation.asset_id)
    previous = standing_valuation(session, asset.id)
    great = guards.changes_much(valuation, previous)
    given = {"previous": previous, "asset": asset}
    if great and valuation.checker is None:
        ask(session, actor, guards.MACHINE, valuation, "accept", given=given)
        valuation.checker = actor.subject
        session.flush()
        journal.record(session, actor, "valuation_first_accept", "valuation", valuation.id)
        return valuation
    fire(session, actor, guards.MACHINE, valuation, "accept", given=given)
    if previous is not None:
        newer = {"newer": valuation}
        fire(session, THE_SYSTEM, guards.MACHINE, previous, "supersede", given=newer)
    if great:
        valuation.second_checker, valuation.changed_much = actor.subject, True
    else:
        valuation.checker = actor.subject
    session.flush()
    return valuation


def reject_valuation(
    session: Session, actor: Actor, valuation_id: UUID, *, reason: str
) -> Valuation:
    """Refuse an opinion.

    Raises
    ------
    Forbidden
        ``checker_is_maker``.
    Invalid
        ``reason_missing``.
    Conflict
        ``transition_refused``.
    """
    valuation = _locked(session, valuation_id)
    given = {"reason": reason}
    fire(session, actor, guards.MACHINE, valuation, "reject", given=given, reason=reason)
    valuation.checker, valuation.reason = actor.subject, reason
    session.flush()
    return valuation


def mark_stale(session: Session, valuation_id: UUID) -> Valuation:
    """Record that an opinion is older than the law of its place allows.

    Raises
    ------
    Conflict
        ``valuation_fresh``, ``transition_refused``.
    """
    valuation = _locked(session, valuation_id)
    fire(session, THE_SYSTEM, guards.MACHINE, valuation, "stale")
    return valuation


def list_outdated(session: Session) -> Sequence[UUID]:
    """List the accepted opinions that are older than the law of their place allows."""
    found: list[UUID] = []
    for spec in CLASSES.values():
        ages = [law.policy.valuation_max_age_days[spec.subject] for law in JURISDICTIONS]
        # What would be too old nowhere is not looked at.
        query = (
            select(Valuation, Asset)
            .join(Asset, col(Asset.id) == col(Valuation.asset_id))
            .where(
                col(Valuation.state) == ValuationState.ACCEPTED,
                col(Asset.asset_class) == spec.asset_class,
                col(Valuation.basis_date) < today() - timedelta(days=min(ages)),
            )
            .order_by(col(Valuation.id))
        )
        found.extend(
            valuation.id
            for valuation, asset in session.exec(query)
            if (today() - valuation.basis_date).days > law_of(asset).valuation_max_age_days
        )
    return found


def _locked(session: Session, valuation_id: UUID) -> Valuation:
    valuation = get_row(session, Valuation, valuation_id, kind="valuation")
    # Of two opinions accepted at one moment, the second supersedes the first.
    assets.get_asset(session, valuation.asset_id, lock=True)
    return get_row(session, Valuation, valuation_id, kind="valuation", lock=True)


def accepted_valuation(session: Session, asset_id: UUID) -> Valuation | None:
    """Return the opinion that stands and is fresh, if there is one."""
    standing = standing_valuation(session, asset_id)
    fresh = standing is not None and standing.state == ValuationState.ACCEPTED
    return standing if fresh else None


def standing_valuation(session: Session, asset_id: UUID) -> Valuation | None:
    """Return the opinion accepted last, even where it is stale by now."""
    return session.exec(
        select(Valuation).where(
            col(Valuation.asset_id) == asset_id,
            col(Valuation.state).in_([ValuationState.ACCEPTED, ValuationState.STALE]),
        )
    ).first()


def list_valuations(
    session: Session, asset_id: UUID, *, until: date | None = None
) -> Sequence[Valuation]:
    """List every opinion on an asset, or those of a basis up to a day, oldest first."""
    query = select(Valuation).where(col(Valuation.asset_id) == asset_id)
    if until is not None:
        query = query.where(col(Valuation.basis_date) <= until)
    return session.exec(query.order_by(col(Valuation.id))).all()
