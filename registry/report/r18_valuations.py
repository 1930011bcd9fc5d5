"""R-18: the opinion of value that stands for each asset, how it changed, and how old it is."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from fractions import Fraction
from typing import Annotated, Any
from uuid import UUID

from pydantic import Field
from sqlalchemy import text
from sqlmodel import Session

from registry.asset.classes import CLASSES, class_of
from registry.asset.law import read_law
from registry.asset.models import AssetClass
from registry.jurisdiction.profiles import JURISDICTIONS
from registry.kernel.clock import day_of
from registry.report.report import Column, Kind, Parameters, Question, Report, Row
from registry.report.subjects import as_recorded
from registry.report.worth import STANDING


class Which(Parameters):
    """Which of them."""

    stale_only: Annotated[bool, Field(description="Only those too old by the law of the place")] = (
        False
    )


COLUMNS = (
    Column("asset"),
    Column("asset_class"),
    Column("amount", Kind.MONEY),
    Column("low", Kind.MONEY),
    Column("high", Kind.MONEY),
    Column("basis_date", Kind.DATE),
    Column("method"),
    Column("valuer"),
    Column("report_sha256", Kind.HASH),
    Column("change", Kind.FRACTION),
    Column("age_days", Kind.COUNT),
    Column("max_age_days", Kind.COUNT),
    Column("stale", Kind.FLAG),
)
_AT_ONCE = 500

_STANDING = text(f"""
SELECT a.id, a.code, a.asset_class, a.title_regime, a.location,
  v.amount_paisa, v.low_paisa, v.high_paisa, v.basis_date, v.method, v.valuer, v.report_sha256,
  (SELECT o.amount_paisa FROM valuation o
   WHERE o.asset_id = a.id AND o.state = 'SUPERSEDED'
   ORDER BY o.basis_date DESC, o.id DESC LIMIT 1) AS before_paisa
FROM asset a JOIN valuation v ON v.asset_id = a.id AND v.state IN {STANDING}
JOIN unnest(CAST(:classes AS text[]), CAST(:ages AS int[])) AS c(asset_class, age)
  ON c.asset_class = a.asset_class AND v.basis_date <= :day - c.age
WHERE a.id > :after ORDER BY a.id LIMIT :limit
""")  # noqa: S608 - states of our own


def _rows(session: Session, question: Question[Which]) -> Iterator[Row]:
    after = question.after[0] if question.after else UUID(int=0)
    ages = _least_ages() if question.parameters.stale_only else dict.fromkeys(AssetClass, 0)
    asked = {
        "day": day_of(question.moment),
        "classes": [each.value for each in ages],
        "ages": list(ages.values()),
        "limit": _AT_ONCE,
    }
    while True:
        with as_recorded(session, question):
            found = session.execute(_STANDING, asked | {"after": after}).all()
        for row in found:
            values, is_stale = _valued(row, day_of(question.moment))
            if is_stale or not question.parameters.stale_only:
                yield Row((str(row.id),), values)
        if len(found) < _AT_ONCE:
            return
        after = found[-1].id


def _least_ages() -> dict[AssetClass, int]:
    """Return, of each class, the age at which an opinion is too old nowhere yet."""
    return {
        spec.asset_class: min(
            law.policy.valuation_max_age_days[spec.subject] for law in JURISDICTIONS
        )
        + 1
        for spec in CLASSES.values()
    }


def _valued(row: Any, day: date) -> tuple[tuple[Any, ...], bool]:
    law = read_law(class_of(AssetClass(row.asset_class)), row.title_regime, row.location)
    age, most = (day - row.basis_date).days, law.valuation_max_age_days
    change = None
    if row.before_paisa is not None:
        change = Fraction(row.amount_paisa - row.before_paisa, row.before_paisa)
    values = (
        row.code, row.asset_class, row.amount_paisa, row.low_paisa, row.high_paisa,
        row.basis_date, row.method, row.valuer, row.report_sha256, change, age, most, age > most,
    )  # fmt: skip
    return values, age > most


VALUATIONS = Report(
    code="R-18",
    title="Valuation register",
    title_ur="مالیت کا رجسٹر",
    parameters=Which,
    columns=COLUMNS,
    rows=_rows,
)
