"""R-22: how an asset came into the register: each step, who took it, and what the rules said."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlmodel import Session

from registry.report.report import Column, Kind, Question, Report, Row
from registry.report.subjects import OfAsset, asset_of

COLUMNS = (
    Column("step"),
    Column("person"),
    Column("role"),
    Column("dossier_hash", Kind.HASH),
    Column("at", Kind.TIME),
    Column("rules_passed", Kind.COUNT),
    Column("rules_failed", Kind.COUNT),
    Column("failed", says="The ids of CRITICAL rules that failed, which nobody may override"),
    Column("blocked", Kind.FLAG),
    Column("overrides", says="The ids of other rules that failed and did not stop it"),
    Column("reason"),
    Column("voided", Kind.TIME, says="From when on an approval counted no more"),
)

# Approvals of an asset are of its dossier; those of a mutation or a token have subjects of their
# own. Ids are in the order of time, whatever table they are of.
_STEPS = text("""
SELECT * FROM (
  SELECT id, act AS step, actor AS person, NULL AS role, NULL::bytea AS hash, recorded_at AS at,
    NULL::jsonb AS results, NULL::boolean AS blocked, facts ->> 'reason' AS reason,
    NULL::timestamptz AS voided
  FROM journal_entry WHERE subject_id = :asset AND subject_kind = 'asset'
  UNION ALL
  SELECT id, 'approval', person, role, dossier_hash, recorded_at, NULL, NULL, NULL,
    CASE WHEN voided_at <= :until THEN voided_at END
  FROM approval WHERE subject_id = CAST(:asset AS uuid) AND subject_kind = 'asset'
  UNION ALL
  SELECT id, 'rules ' || moment, run_by, NULL, NULL, recorded_at, results, blocked, NULL, NULL
  FROM rule_run WHERE asset_id = CAST(:asset AS uuid)) x
WHERE id > :after AND at <= :until ORDER BY id LIMIT :limit
""")


def _rows(session: Session, question: Question[OfAsset]) -> Iterator[Row]:
    asset, _ = asset_of(session, question)
    asked = {
        "asset": str(asset.id),
        "after": question.after[0] if question.after else UUID(int=0),
        "until": min(question.moment, question.known_at),
        "limit": question.fetch,
    }
    for row in session.execute(_STEPS, asked):
        yield Row(
            (str(row.id),),
            (row.step, row.person, row.role, row.hash, row.at, *_counts(row), row.reason,
             row.voided),
        )  # fmt: skip


def _counts(row: Any) -> tuple[int | None, int | None, str | None, bool | None, str | None]:
    """Count what the rules said, and name those that failed: CRITICAL ones and others."""
    if row.results is None:
        return None, None, None, None, None
    failed = [item for item in row.results if not item["passed"]]
    critical = sorted(item["id"] for item in failed if item["severity"] == "CRITICAL")
    overrides = sorted(item["id"] for item in failed if item["severity"] != "CRITICAL")
    return (len(row.results) - len(failed), len(failed), ", ".join(critical) or None, row.blocked,
            ", ".join(overrides) or None)  # fmt: skip


ONBOARDING = Report(
    code="R-22",
    title="Onboarding and four-eyes audit",
    title_ur="اندراج اور دوہری جانچ کا آڈٹ",
    parameters=OfAsset,
    columns=COLUMNS,
    rows=_rows,
)
