"""The panel of valuers: whose opinions of value the register accepts, and from when to when.

One person proposes a valuer, another confirms. An entry is never edited: it ends, and a new one
begins.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from uuid import UUID

from sqlalchemy import CheckConstraint, ColumnElement
from sqlmodel import Field, Session, col, or_, select

from registry.journal import service as journal
from registry.kernel.actor import Actor
from registry.kernel.clock import today
from registry.kernel.columns import Record
from registry.kernel.errors import Conflict, Forbidden, Invalid
from registry.kernel.rows import get_row, page_after


class PanelValuer(Record, table=True):
    """A valuer's place on the panel, from `begins_on` to `ends_on`, the last day.

    Parameters
    ----------
    valuer
        The principal who submits opinions.
    licence_no
        As the professional body writes it.
    """

    __tablename__ = "panel_valuer"
    __table_args__ = (
        CheckConstraint("ends_on >= begins_on", name="ck_panel_valuer_days"),
        CheckConstraint("confirmed_by <> proposed_by", name="ck_panel_valuer_four_eyes"),
        CheckConstraint(
            "valuer <> proposed_by AND valuer <> confirmed_by", name="ck_panel_valuer_not_by_self"
        ),
    )

    valuer: str = Field(index=True)
    licence_no: str
    begins_on: date
    ends_on: date | None = None
    proposed_by: str
    confirmed_by: str | None = None


def propose_valuer(
    session: Session,
    actor: Actor,
    *,
    valuer: str,
    licence_no: str,
    begins_on: date,
    ends_on: date | None = None,
) -> PanelValuer:
    """Propose somebody for the panel; it counts once another person confirms.

    Raises
    ------
    Invalid
        ``panel_days_wrong``.
    Forbidden
        ``checker_is_maker``: nobody proposes themselves.
    """
    if ends_on is not None and ends_on < begins_on:
        raise Invalid("panel_days_wrong", "The last day comes before the first.", field="/ends_on")
    _require_other(actor, valuer)
    entry = PanelValuer(
        valuer=valuer,
        licence_no=licence_no,
        begins_on=begins_on,
        ends_on=ends_on,
        proposed_by=actor.subject,
    )
    session.add(entry)
    session.flush()
    journal.record(session, actor, "valuer_proposed", "panel_valuer", entry.id, valuer=valuer)
    return entry


def confirm_valuer(session: Session, actor: Actor, entry_id: UUID) -> PanelValuer:
    """Put a proposed valuer on the panel.

    Raises
    ------
    Forbidden
        ``checker_is_maker``.
    Conflict
        ``panel_entry_confirmed``.
    """
    entry = get_row(session, PanelValuer, entry_id, kind="panel entry", lock=True)
    _require_other(actor, entry.valuer, entry.proposed_by)
    if entry.confirmed_by is not None:
        raise Conflict("panel_entry_confirmed", "Somebody has confirmed this entry already.")
    entry.confirmed_by = actor.subject
    session.flush()
    journal.record(session, actor, "valuer_confirmed", "panel_valuer", entry.id)
    return entry


def end_valuer(
    session: Session, actor: Actor, entry_id: UUID, *, ends_on: date, reason: str
) -> PanelValuer:
    """Take a valuer off the panel after a last day, today or later; opinions of before stand.

    Raises
    ------
    Invalid
        ``panel_days_wrong``.
    Conflict
        ``panel_entry_ended``: it ends by that day already.
    """
    entry = get_row(session, PanelValuer, entry_id, kind="panel entry", lock=True)
    if ends_on < max(today(), entry.begins_on):
        raise Invalid(
            "panel_days_wrong",
            "A place on the panel ends today or later, and not before it begins.",
            field="/ends_on",
        )
    if entry.ends_on is not None and entry.ends_on <= ends_on:
        raise Conflict("panel_entry_ended", f"The entry ends on {entry.ends_on} already.")
    entry.ends_on = ends_on
    session.flush()
    journal.record(session, actor, "valuer_ended", "panel_valuer", entry.id, reason=reason)
    return entry


def _require_other(actor: Actor, *others: str) -> None:
    if actor.subject in others:
        raise Forbidden(
            "checker_is_maker",
            "A valuer, whoever proposes them and whoever confirms are three people.",
            rule="APR-01",
        )


def require_on_panel(session: Session, valuer: str, day: date) -> None:
    """Refuse the opinion of somebody who was not on the panel on its day.

    Raises
    ------
    Conflict
        ``valuer_not_on_panel``.
    """
    query = select(PanelValuer.id).where(col(PanelValuer.valuer) == valuer, *_counts(day))
    if session.exec(query).first() is None:
        raise Conflict(
            "valuer_not_on_panel",
            f"The valuer was not on the panel on {day}.",
            remedy="Have compliance propose the valuer and another person confirm, or have a "
            "valuer of the panel value the asset.",
        )


def list_panel(
    session: Session, *, after: UUID | None, limit: int, on: date | None = None
) -> Sequence[PanelValuer]:
    """List every entry there ever was, or those that counted on a day, oldest first."""
    query = select(PanelValuer)
    if on is not None:
        query = query.where(*_counts(on))
    return session.exec(page_after(query, col(PanelValuer.id), after=after, limit=limit)).all()


def _counts(day: date) -> tuple[ColumnElement[bool], ...]:
    return (
        col(PanelValuer.confirmed_by).is_not(None),
        col(PanelValuer.begins_on) <= day,
        or_(col(PanelValuer.ends_on).is_(None), col(PanelValuer.ends_on) >= day),
    )
