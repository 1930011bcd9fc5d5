"""R-25: how much land each holder has, estate by estate: areas as the deeds state them, exact."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from fractions import Fraction
from itertools import islice
from typing import Annotated, Any
from uuid import UUID

from pydantic import Field
from sqlalchemy import TextClause, text
from sqlmodel import Session

from registry.kernel.units import (
    MARLA_PER_KANAL,
    SARSAI_PER_MARLA,
    SQFT_PER_SQYD,
    SQM_PER_SQFT,
    AreaUnit,
    MarlaKind,
)
from registry.ownership.graph import title_shares
from registry.report.people import cnic_column, name_column, people_of
from registry.report.report import Column, Kind, Parameters, Question, Report, Row
from registry.report.subjects import as_recorded


class Level(StrEnum):
    """MAUZA is the estate: a revenue estate, a scheme, a place."""

    MAUZA = "MAUZA"
    DISTRICT = "DISTRICT"


class Measure(StrEnum):
    SQFT = "SQFT"
    SQM = "SQM"
    ACRE = "ACRE"


SQFT_OF: Mapping[Measure, Fraction] = {
    Measure.SQFT: Fraction(1),
    Measure.SQM: 1 / Fraction(SQM_PER_SQFT),
    Measure.ACRE: Fraction(43_560),
}


class OfLand(Parameters):
    """Over which places, and in which unit."""

    by: Annotated[Level, Field(description="Estate by estate, or district by district")] = (
        Level.MAUZA
    )
    place: Annotated[
        str, Field(max_length=200, description="Only places whose name begins so: PK-PB|LAHORE")
    ] = ""
    area_unit: Measure = Measure.SQFT


COLUMNS = (
    Column("place"),
    Column("party", Kind.ID),
    name_column("holder"),
    cnic_column(),
    Column("party_kind"),
    Column("residence_country"),
    Column("area", Kind.FRACTION),
    Column("area_unit"),
    Column("share_of_place", Kind.FRACTION),
    Column("titles", Kind.COUNT),
    Column("unstated_titles", Kind.COUNT),
)
_PLACES_AT_ONCE = 20
_PEOPLE_AT_ONCE = 500
_OF_LEVEL = {
    Level.MAUZA: "p.mauza_key",
    Level.DISTRICT: "split_part(p.mauza_key, '|', 1) || '|' || split_part(p.mauza_key, '|', 2)",
}
# A claim of a dossier is no holding: its title has to stand.
_OWNED = """
FROM parcel p JOIN title t ON t.asset_id = p.asset_id
WHERE t.state IN ('ACTIVE', 'MUTATION_PENDING', 'DISPUTED')
"""
_PLACES = """
SELECT DISTINCT {level} AS place {owned}
AND {level} >= :first AND {level} <> :seen AND starts_with({level}, :within)
ORDER BY place LIMIT :limit
"""
_PARCELS = """
SELECT {level} AS place, p.asset_id, p.kanal, p.marla, p.sarsai, p.marla_kind,
  p.plain_quantity, p.plain_unit {owned} AND {level} = ANY(CAST(:places AS text[]))
"""


@dataclass(slots=True)
class _Holding:
    """What one party has in one place: titles, and those of them whose deed states no area."""

    sqft: Fraction = field(default_factory=Fraction)
    titles: int = 0
    unstated: int = 0


@dataclass(frozen=True, slots=True)
class _Line:
    """One row, before the person in it is opened."""

    place: str
    position: int
    party_id: UUID
    holding: _Holding
    whole: Fraction


def _rows(session: Session, question: Question[OfLand]) -> Iterator[Row]:
    lines = _lines(session, question)
    while some := list(islice(lines, question.at_once(_PEOPLE_AT_ONCE))):
        ids = {line.party_id for line in some}
        people = people_of(session, question, ids)
        kinds = {row.id: row[1:] for row in session.execute(_KINDS, {"parties": list(ids)})}
        for line in some:
            person = people[line.party_id]
            has, unit = line.holding, question.parameters.area_unit
            yield Row(
                (line.place, line.position),
                (
                    line.place, line.party_id, person.name, person.cnic, *kinds[line.party_id],
                    has.sqft / SQFT_OF[unit], unit.value,
                    has.sqft / line.whole if line.whole else None, has.titles, has.unstated,
                ),
            )  # fmt: skip


def _lines(session: Session, question: Question[OfLand]) -> Iterator[_Line]:
    """Yield holders place by place, in each the largest first."""
    first, seen = (str(question.after[0]), int(question.after[1])) if question.after else ("", -1)
    resumed = first
    past = ""
    # One place may have a page of holders and more; whoever reads on reads many.
    at_once = _PLACES_AT_ONCE if question.limit is None else 1
    while places := _places(session, question, first, past, at_once):
        at_once = min(2 * at_once, _PLACES_AT_ONCE)
        holdings = _holdings(session, question, places)
        for place in places:
            found = holdings.get(place, {})
            whole = sum((each.sqft for each in found.values()), Fraction(0))
            order = sorted(found.items(), key=lambda item: (-item[1].sqft, item[0]))
            for position, (party_id, holding) in enumerate(order):
                if place != resumed or position > seen:
                    yield _Line(place, position, party_id, holding, whole)
        first = past = places[-1]


def _places(
    session: Session, question: Question[OfLand], first: str, past: str, at_once: int
) -> Sequence[str]:
    asked = {
        "first": first, "seen": past, "within": question.parameters.place, "limit": at_once,
    }  # fmt: skip
    with as_recorded(session, question):
        return session.execute(_query(_PLACES, question), asked).scalars().all()


def _holdings(
    session: Session, question: Question[OfLand], places: Sequence[str]
) -> Mapping[str, Mapping[UUID, _Holding]]:
    """Add up what each party has in each place: its part of every title, of all its parcels."""
    with as_recorded(session, question):
        rows = session.execute(_query(_PARCELS, question), {"places": places}).all()
    areas: dict[tuple[str, UUID], Fraction | None] = {}
    for row in rows:
        before, stated = areas.get((row.place, row.asset_id), Fraction(0)), _sqft(row)
        both = None if before is None or stated is None else before + stated
        areas[row.place, row.asset_id] = both
    shares = title_shares(session, {asset_id for _, asset_id in areas}, question.moment)
    found: dict[str, dict[UUID, _Holding]] = {}
    for (place, asset_id), sqft in areas.items():
        for party_id, share in shares.get(asset_id, {}).items():
            holding = found.setdefault(place, {}).setdefault(party_id, _Holding())
            holding.titles += 1
            holding.unstated += sqft is None
            holding.sqft += share * (sqft or 0)
    return found


def _sqft(row: Any) -> Fraction | None:
    """Return the area that the deed states, exact; None where it states none."""
    if row.marla_kind is not None:
        sarsai = (row.kanal * MARLA_PER_KANAL + row.marla) * SARSAI_PER_MARLA
        stated = Fraction(sarsai) + Fraction(row.sarsai)
        return stated * Fraction(MarlaKind(row.marla_kind).sqft) / SARSAI_PER_MARLA
    if row.plain_unit is not None:
        return Fraction(row.plain_quantity) * _SQFT_OF_PLAIN[AreaUnit(row.plain_unit)]
    return None


_SQFT_OF_PLAIN = {
    AreaUnit.SQFT: Fraction(1),
    AreaUnit.SQYD: Fraction(SQFT_PER_SQYD),
    AreaUnit.SQM: 1 / Fraction(SQM_PER_SQFT),
}
_KINDS = text("""
SELECT id, kind, residence_country FROM party WHERE id = ANY(CAST(:parties AS uuid[]))
""")


def _query(form: str, question: Question[OfLand]) -> TextClause:
    return text(form.format(level=_OF_LEVEL[question.parameters.by], owned=_OWNED))


LAND_CONCENTRATION = Report(
    code="R-25",
    title="Land holding concentration",
    title_ur="زمین کی ملکیت کا ارتکاز",
    parameters=OfLand,
    columns=COLUMNS,
    rows=_rows,
    of_one_moment=True,
)
