"""A report that is longer than its format: the answer is refused before it is read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import event

from registry.report.answering import MAX_PDF_ROWS
from tests.api.house import House, problem_of
from tests.api.projected import mint_to_many
from tests.api.reports import ask

pytestmark = pytest.mark.db

HOLDERS = MAX_PDF_ROWS + 1
READINGS = MAX_PDF_ROWS + 500
MOST_AT_ONCE = 1_000

_READINGS = f"""
INSERT INTO journal_entry (id, recorded_at, actor, act, subject_kind, subject_id, facts)
SELECT uuidv7(), now(), 'somebody', 'report_read', 'report', 'R-01', '{{}}'
FROM generate_series(1, {READINGS})
"""


@contextmanager
def rows_read(house: House) -> Iterator[list[int]]:
    """Count what the server sends to each statement."""
    found: list[int] = []

    def note(_: Any, cursor: Any, *__: Any) -> None:
        found.append(cursor.rowcount)

    event.listen(house.database.engine, "after_cursor_execute", note)
    try:
        yield found
    finally:
        event.remove(house.database.engine, "after_cursor_execute", note)


def test_r_05__more_holders_than_a_pdf_has__are_read_some_at_once(fresh_house: House) -> None:
    minted = mint_to_many(fresh_house, HOLDERS)

    with rows_read(fresh_house) as found:
        answer = ask(fresh_house, "R-05", token=minted.token_id, format="pdf")
    problem_of(answer, 409, "report_too_long")
    assert max(found) == MOST_AT_ONCE


def test_r_24__more_readings_than_a_pdf_has__one_beyond_it_is_read(fresh_house: House) -> None:
    with fresh_house.desk() as desk:
        desk.session.connection().exec_driver_sql(_READINGS)

    with rows_read(fresh_house) as found:
        problem_of(ask(fresh_house, "R-24", format="pdf"), 409, "report_too_long")
    assert max(found) == MAX_PDF_ROWS + 1
    with rows_read(fresh_house) as found:
        assert len(ask(fresh_house, "R-24", format="csv").text.splitlines()) == READINGS + 2
    assert max(found) == READINGS
