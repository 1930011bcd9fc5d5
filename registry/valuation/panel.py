"""The panel of valuers: whose opinions of value the register accepts, of what, and when.

One person proposes a valuer, another confirms. An entry is never edited: it ends, and a new one
begins, with another scope where that changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Column, ColumnElement
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, Session, col, or_, select

from registry.asset.law import places_of
from registry.asset.models import Asset, AssetClass
from registry.journal import service as journal
from registry.jurisdiction.profiles import is_place
from registry.kernel.actor import Actor
from registry.kernel.clock import today
from registry.kernel.columns import Record
from registry.kernel.errors import Conflict, Invalid
from registry.kernel.rows import get_row, page_after
from registry.lifecycle.reasons import check_other_person
from registry.party import service as parties


def _limit() -> Any:
    return Field(default=None, sa_column=Column(JSONB(none_as_null=True), nullable=True))


class PanelValuer(Record, table=True):
    """A valuer's place on the panel, from `begins_on` to `ends_on`, the last day.

    Parameters
    ----------
    valuer
        The principal who submits opinions.
    licence_no
        As the professional body writes it.
    asset_classes, regions
        What they may value, and where: ISO 3166-1 countries or ISO 3166-2 regions. None limits
        nothing.
    party_id
        Who the valuer is, where they are recorded: they value nothing of their own.
    """

    __tablename__ = "panel_valuer"
    __table_args__ = (
        CheckConstraint("ends_on >= begins_on", name="ck_panel_valuer_days"),
        CheckConstraint(
            "acting_person(confirmed_by) <> acting_person(proposed_by)",
            name="ck_panel_valuer_four_eyes",
        ),
        CheckConstraint(
            "acting_person(valuer) <> acting_person(proposed_by)"
            " AND acting_person(valuer) <> acting_person(confirmed_by)",
            name="ck_panel_valuer_not_by_self",
        ),
        CheckConstraint(
            "jsonb_array_length(asset_classes) > 0", name="ck_panel_valuer_asset_classes"
        ),
        CheckConstraint("jsonb_array_length(regions) > 0", name="ck_panel_valuer_regions"),
    )

    valuer: str = Field(index=True)
    licence_no: str
    begins_on: date
    ends_on: date | None = None
    asset_classes: list[str] | None = _limit()
    regions: list[str] | None = _limit()
    party_id: UUID | None = Field(default=None, foreign_key="party.id")
    proposed_by: str
    confirmed_by: str | None = None

    def covers(self, asset: Asset) -> bool:
        """Tell whether the entry is for such a thing in such a place."""
        of_class = self.asset_classes is None or asset.asset_class in self.asset_classes
        return of_class and (self.regions is None or not places_of(asset).isdisjoint(self.regions))


def propose_valuer(
    session: Session,
    actor: Actor,
    *,
    valuer: str,
    licence_no: str,
    begins_on: date,
    ends_on: date | None = None,
    asset_classes: Sequence[AssetClass] | None = None,
    regions: Sequence[str] | None = None,
    party_id: UUID | None = None,
) -> PanelValuer:
    """Propose somebody for the panel; it counts once another person confirms.

    Parameters
    ----------
    asset_classes, regions
        What they may value, and where; None limits nothing.

    Raises
    ------
    Invalid
        ``panel_days_wrong``, ``panel_scope_wrong``, ``region_unknown``.
    Forbidden
        ``checker_is_maker``: nobody proposes themselves.
    NotFound
        There is no such party.
    """
    if ends_on is not None and ends_on < begins_on:
        raise Invalid("panel_days_wrong", "The last day comes before the first.", field="/ends_on")
    _require_other(actor, valuer)
    _check_scope(asset_classes, regions)
    if party_id is not None:
        parties.get_party(session, party_id)
    entry = PanelValuer(
        valuer=valuer,
        licence_no=licence_no,
        begins_on=begins_on,
        ends_on=ends_on,
        asset_classes=None if asset_classes is None else sorted(set(asset_classes)),
        regions=None if regions is None else sorted(set(regions)),
        party_id=party_id,
        proposed_by=actor.subject,
    )
    session.add(entry)
    session.flush()
    journal.record(session, actor, "valuer_proposed", "panel_valuer", entry.id, valuer=valuer)
    return entry


def _check_scope(asset_classes: Sequence[AssetClass] | None, regions: Sequence[str] | None) -> None:
    for name, limit in (("asset_classes", asset_classes), ("regions", regions)):
        if limit is not None and not limit:
            raise Invalid(
                "panel_scope_wrong",
                "An entry for nothing is none.",
                field=f"/{name}",
                remedy=f"Leave {name} out where nothing is limited.",
            )
    for number, region in enumerate(regions or ()):
        if not is_place(region):
            raise Invalid(
                "region_unknown",
                f"{region!r} is no country of ISO 3166-1 and no region of ISO 3166-2.",
                field=f"/regions/{number}",
                remedy="Write it as PK-PB for the Punjab, or PK for all of Pakistan.",
            )


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
    told = "A valuer, whoever proposes them and whoever confirms are three people."
    check_other_person(actor, *others, told=told)


def require_on_panel(session: Session, valuer: str, day: date, asset: Asset) -> None:
    """Refuse an opinion on `asset` of somebody who was not on the panel for it on `day`.

    Raises
    ------
    Conflict
        ``valuer_not_on_panel``, ``valuer_out_of_scope``.
    """
    query = select(PanelValuer).where(col(PanelValuer.valuer) == valuer, *_counts(day))
    entries = session.exec(query).all()
    if not entries:
        raise Conflict(
            "valuer_not_on_panel",
            f"The valuer was not on the panel on {day}.",
            remedy="Have compliance propose the valuer and another person confirm, or have a "
            "valuer of the panel value the asset.",
        )
    if not any(entry.covers(asset) for entry in entries):
        where = ", ".join(sorted(places_of(asset)))
        raise Conflict(
            "valuer_out_of_scope",
            f"On {day} the valuer was on the panel, and not for {asset.asset_class} in {where}.",
            remedy="Have a valuer value it whose entry is for this class and this region.",
        )


def parties_of_valuer(session: Session, valuer: str) -> set[UUID]:
    """Return who the valuer is by any entry that was ever confirmed."""
    query = select(PanelValuer.party_id).where(
        col(PanelValuer.valuer) == valuer, col(PanelValuer.confirmed_by).is_not(None)
    )
    return {party_id for party_id in session.exec(query) if party_id is not None}


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
