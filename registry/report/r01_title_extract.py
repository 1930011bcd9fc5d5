"""R-01: the title extract, like a fard: who owns which part of what, and what weighs on it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlmodel import Session

from registry.asset.classes import check_details, class_of
from registry.asset.interface import ClassDetails
from registry.asset.land import GroundDetails
from registry.asset.models import Asset
from registry.kernel.money import Money, lakh_grouped
from registry.mutation.models import CLOSED
from registry.report.people import cnic_column, name_column, people_of
from registry.report.proofs import DEED, deeds_of
from registry.report.report import Column, Kind, Question, Report, Row
from registry.report.subjects import OfAsset, as_recorded, asset_of

COLUMNS = (
    Column("asset"),
    Column("asset_class"),
    Column("regime"),
    Column("keys", is_key=True),
    Column("title", Kind.ID),
    Column("title_state"),
    Column("version", Kind.COUNT),
    Column("valid_from", Kind.TIME),
    Column("khewat"),
    Column("khatuni"),
    Column("jamabandi"),
    Column("parcels"),
    Column("area"),
    Column("area_sqm", Kind.DECIMAL),
    name_column("owner"),
    name_column("father_or_spouse"),
    cnic_column(),
    Column("hissa", Kind.UNITS),
    Column("kul_hissay", Kind.UNITS),
    Column("basis"),
    DEED,
    Column("encumbrances"),
    Column("open_mutation"),
    Column("dossier_hash", Kind.HASH),
)

_OWNERS = text("""
SELECT v.id, v.seq, v.valid_from, v.kul_hissay, v.basis, s.party_id, s.hissa
FROM title_version v JOIN title_share s ON s.version_id = v.id
WHERE v.title_id = :title AND s.party_id > :after
  AND v.valid_from <= :moment AND (v.valid_to IS NULL OR v.valid_to > :moment)
  AND v.recorded_at <= :known AND (v.superseded_at IS NULL OR v.superseded_at > :known)
ORDER BY s.party_id LIMIT :limit
""")

_ENCUMBRANCES = text("""
SELECT e.kind, t.rank, t.amount_paisa, t.effect
FROM encumbrance e JOIN LATERAL (
  SELECT rank, amount_paisa, effect FROM encumbrance_terms
  WHERE encumbrance_id = e.id AND valid_from <= :moment ORDER BY seq DESC LIMIT 1) t ON true
WHERE e.title_id = :title
  AND e.valid_from <= :moment AND (e.valid_to IS NULL OR e.valid_to > :moment)
ORDER BY e.id
""")

_OPEN_MUTATIONS = text("""
SELECT m.kind, m.number, m.state
FROM mutation m JOIN mutation_title t ON t.mutation_id = m.id
WHERE t.title_id = :title AND NOT m.state = ANY(:closed) ORDER BY m.id
""")

_STATE = text("SELECT state FROM title WHERE id = :title")
_DOSSIER = text("SELECT title_regime, details, dossier_hash FROM asset WHERE id = :asset")
_KEYS = text("SELECT key FROM underlying_key WHERE asset_id = :asset ORDER BY key")


@dataclass(frozen=True, slots=True)
class Dossier:
    """What is said of the thing itself."""

    title_regime: str
    details: Mapping[str, Any]
    dossier_hash: bytes | None
    keys: Sequence[str]


def _rows(session: Session, question: Question[OfAsset]) -> Iterator[Row]:
    asset, title = asset_of(session, question)
    asked = {
        "title": title.id, "asset": asset.id, "moment": question.moment,
        "known": question.known_at,
    }  # fmt: skip
    after = question.after[0] if question.after else UUID(int=0)
    owners = session.execute(
        _OWNERS,
        asked | {"after": after, "limit": question.fetch},
    ).all()
    with as_recorded(session, question):
        state = session.execute(_STATE, asked).scalar()
        waiting = _open_mutations(session, title.id)
        dossier = _dossier(session, asked)
    # A right may be older than its record: of a time before there was one, its dossier is today's.
    dossier = dossier or _dossier(session, asked)
    assert dossier is not None, "the asset was found in this session"
    thing = _thing(asset, dossier)
    burden = (_encumbrances(session, asked), waiting, dossier.dossier_hash)
    parties = {row.party_id for row in owners}
    deeds = deeds_of(session, question, (asset, title), parties)
    people = people_of(session, question, parties)
    for version_id, seq, valid_from, kul_hissay, basis, party_id, hissa in owners:
        person, deed = people[party_id], deeds.of(version_id, party_id)
        yield Row(
            (str(party_id),),
            (*thing[:4], title.id, state, seq, valid_from, *thing[4:], person.name,
             person.father_or_spouse, person.cnic, hissa, kul_hissay, basis, deed, *burden),
        )  # fmt: skip


def _dossier(session: Session, asked: dict[str, Any]) -> Dossier | None:
    """Read what an amendment changes, as far as it is recorded."""
    row = session.execute(_DOSSIER, asked).one_or_none()
    if row is None:
        return None
    keys = list(session.execute(_KEYS, asked).scalars())
    return Dossier(row.title_regime, row.details, row.dossier_hash, keys)


def _thing(asset: Asset, dossier: Dossier) -> tuple[Any, ...]:
    details = check_details(class_of(asset.asset_class), dossier.details)
    area = details.land_area()
    numbers = [unit.number for unit in details.spatial_units()]
    return (
        asset.code,
        asset.asset_class,
        dossier.title_regime,
        ", ".join(dossier.keys),
        *_in_the_record(details),
        ", ".join(numbers) or None,
        None if area is None else str(area),
        None if area is None else area.area_sqm,
    )


def _in_the_record(details: ClassDetails) -> tuple[str | None, str | None, str | None]:
    """Return khewat, khatunis and edition, where the revenue record has the land."""
    record = details.record_of_rights if isinstance(details, GroundDetails) else None
    if record is None:
        return (None, None, None)
    return (record.khewat, ", ".join(record.khatunis) or None, record.jamabandi_year)


def _encumbrances(session: Session, asked: dict[str, Any]) -> str | None:
    said = []
    for kind, rank, amount, effect in session.execute(_ENCUMBRANCES, asked):
        parts = [kind, rank and f"rank {rank}", amount and lakh_grouped(Money(amount)), effect]
        said.append(" ".join(part for part in parts if part))
    return "; ".join(said) or None


def _open_mutations(session: Session, title_id: UUID) -> str | None:
    asked = {"title": title_id, "closed": [state.value for state in CLOSED]}
    found = session.execute(_OPEN_MUTATIONS, asked)
    return "; ".join(f"{kind} {number} {state}" for kind, number, state in found) or None


TITLE_EXTRACT = Report(
    code="R-01",
    title="Title extract",
    title_ur="فرد ملکیت",
    parameters=OfAsset,
    columns=COLUMNS,
    rows=_rows,
)
