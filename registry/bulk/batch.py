"""One batch of rows: judged and written in one transaction, with the cursor."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import psycopg
from psycopg import sql
from sqlalchemy import text
from sqlmodel import Session

from registry.bulk.codes import allot_codes
from registry.bulk.drafts import Draft
from registry.bulk.judging import Verdict, judge_all, reasons_of
from registry.bulk.lookups import Register
from registry.bulk.models import BulkImport, ImportState
from registry.bulk.tables import COLUMNS, Rows, Scribe
from registry.kernel.clock import now, today
from registry.kernel.vault import Vault

# Whoever hands a single dossier in takes its keys before its ground; a batch holds the ground
# first. It waits for a key for less than PostgreSQL takes to break a circle: it steps back, and
# the person at the counter never does.
_STEP_BACK = text("SET LOCAL lock_timeout = '500ms'")
_CURRENT_RECORDING = text("SELECT current_recording()")


def work_batch(session: Session, vault: Vault, job: BulkImport, drafts: Sequence[Draft]) -> None:
    """Judge `drafts`, record those that are accepted, and move the cursor behind them.

    Parameters
    ----------
    job
        Locked by this transaction; `drafts` are the rows behind its cursor.
    """
    assert drafts[0].no == job.done + 1, "rows are worked once, in their order"
    hold = not job.dry_run
    register = Register(session, vault, job.id, drafts, hold=hold)
    verdicts = judge_all(register, drafts, today())
    accepted = [verdict for verdict in verdicts if verdict.accepted]
    codes: list[str] = []
    recording_id: UUID | None = None
    if accepted and hold:
        brought = {draft.code for draft in drafts if draft.code is not None}
        without = sum(1 for verdict in accepted if verdict.draft.code is None)
        if without:
            assert job.code_prefix is not None, "rows without a code are refused then"
            codes = allot_codes(session, job.code_prefix, without, besides=brought)
        recording_id = session.connection().execute(_CURRENT_RECORDING).scalar_one()
    rows = Scribe(job, now(), recording_id).rows_of(verdicts, codes)
    session.connection().execute(_STEP_BACK)
    _copy(session, rows)
    _move(job, verdicts)
    session.add(job)
    session.flush()


def _copy(session: Session, rows: Rows) -> None:
    connection: Any = session.connection().connection.driver_connection
    assert isinstance(connection, psycopg.Connection)
    with connection.cursor() as cursor:
        for table, columns in COLUMNS.items():
            if not rows[table]:
                continue
            statement = sql.SQL("COPY {} ({}) FROM STDIN").format(
                sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, columns))
            )
            with cursor.copy(statement) as copy:
                for row in rows[table]:
                    copy.write_row(row)


def _move(job: BulkImport, verdicts: Sequence[Verdict]) -> None:
    accepted = sum(1 for verdict in verdicts if verdict.accepted)
    job.accepted += accepted
    job.refused += len(verdicts) - accepted
    job.done += len(verdicts)
    reasons = Counter(job.reasons)
    for verdict in verdicts:
        if not verdict.accepted:
            reasons.update(reasons_of(verdict))
    # Another object, so that the change is seen.
    job.reasons = dict(sorted(reasons.items()))
    job.worked_at = now()
    if job.done == job.total:
        job.state, job.ended_at = ImportState.DONE, now()
