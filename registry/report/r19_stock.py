"""R-19: goods in warehouses: what each receipt has, who has a claim on it, and the last count."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated
from uuid import UUID

from pydantic import Field
from sqlalchemy import text
from sqlmodel import Session

from registry.receipt.models import ENDED
from registry.report.people import name_column, people_of
from registry.report.report import Column, Kind, Question, Report, Row
from registry.report.report import Parameters as Asked
from registry.report.subjects import as_recorded


class Parameters(Asked):
    """Which goods."""

    warehouse: Annotated[str | None, Field(max_length=200, description="Its name, in full")] = None
    hs: Annotated[
        str | None, Field(pattern=r"^[0-9]{2,12}$", description="How its HS code begins")
    ] = None


COLUMNS = (
    Column("receipt", Kind.ID),
    Column("number", is_key=True),
    Column("state"),
    Column("warehouse"),
    Column("hs"),
    name_column("holder"),
    Column("qty_kg", Kind.DECIMAL),
    Column("pledged_kg", Kind.DECIMAL),
    Column("tokenized_kg", Kind.DECIMAL),
    Column("loss_kg", Kind.DECIMAL),
    Column("delivered_kg", Kind.DECIMAL),
    Column("free_kg", Kind.DECIMAL),
    Column("grade"),
    Column("expiry", Kind.DATE),
    Column("insured", Kind.MONEY),
    Column("last_audit", Kind.DATE),
    Column("audit_difference_kg", Kind.DECIMAL),
)

# Of goods that have left, or stand on other receipts, none are free.
_RECEIPTS = text("""
SELECT r.id, r.key, r.state, r.warehouse, a.details ->> 'hs' AS hs, r.holder_id,
  r.qty_kg, r.pledged_kg, r.tokenized_kg, r.loss_kg, r.delivered_kg,
  CASE WHEN r.state = ANY(:ended) THEN 0
    ELSE r.qty_kg - r.pledged_kg - r.tokenized_kg - r.loss_kg - r.delivered_kg END AS free_kg,
  r.grade, r.expires_on, r.insured_paisa, c.audited_on, c.counted_kg - c.expected_kg AS differs
FROM warehouse_receipt r JOIN asset a ON a.id = r.asset_id
LEFT JOIN LATERAL (
  SELECT audited_on, counted_kg, expected_kg FROM stock_audit
  WHERE receipt_id = r.id ORDER BY audited_on DESC, id DESC LIMIT 1) c ON true
WHERE r.id > :after
  AND (CAST(:warehouse AS text) IS NULL OR r.warehouse = :warehouse)
  AND (CAST(:hs AS text) IS NULL OR starts_with(a.details ->> 'hs', :hs))
ORDER BY r.id LIMIT :limit
""")


def _rows(session: Session, question: Question[Parameters]) -> Iterator[Row]:
    asked = {
        "after": question.after[0] if question.after else UUID(int=0),
        "warehouse": question.parameters.warehouse,
        "hs": question.parameters.hs,
        "limit": question.fetch,
        "ended": [state.value for state in ENDED],
    }
    with as_recorded(session, question):
        found = session.execute(_RECEIPTS, asked).all()
    people = people_of(session, question, {row.holder_id for row in found})
    for row in found:
        values = tuple(row)
        yield Row((str(row.id),), (*values[:5], people[row.holder_id].name, *values[6:]))


STOCK = Report(
    code="R-19",
    title="Commodity stock and warehouse receipts",
    title_ur="اجناس کا ذخیرہ اور گودام کی رسیدیں",
    parameters=Parameters,
    columns=COLUMNS,
    rows=_rows,
)
