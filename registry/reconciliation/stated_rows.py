"""The rows of a statement on their way in: however many, they are laid out and checked as a set."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator
from typing import BinaryIO, NamedTuple
from uuid import UUID

from psycopg import Cursor
from sqlmodel import Session

from registry.captable.bulk import cursor_of
from registry.kernel.errors import Invalid, NotFound
from registry.kernel.rows import take_time

MAX_ROWS = 2_000_000
MAX_FILE_BYTES = 192 * 1024 * 1024
"""Twice what so many rows of an id and a number need."""
HEADER = ["party_id", "units"]
LAID_OUT = "SELECT party_id, units FROM pg_temp.stated"

_TABLE = """
CREATE TEMPORARY TABLE stated (
  line int NOT NULL, party_id uuid NOT NULL, units numeric(78) NOT NULL) ON COMMIT DROP
"""
_COPY = "COPY pg_temp.stated (line, party_id, units) FROM STDIN"
_TWICE = """
SELECT max(line), min(line) FROM pg_temp.stated GROUP BY party_id HAVING count(*) > 1
ORDER BY 1 LIMIT 1
"""
_UNKNOWN = """
SELECT s.line, s.party_id FROM pg_temp.stated s
WHERE NOT EXISTS (SELECT FROM party p WHERE p.id = s.party_id) ORDER BY s.line LIMIT 1
"""
_FILE = """
INSERT INTO register_statement_row (id, recorded_at, statement_id, party_id, units)
SELECT uuidv7(), now(), %s, party_id, units FROM pg_temp.stated ORDER BY party_id
"""
_UNITS = re.compile(r"[0-9]{1,78}")
_LARGEST = 2**256 - 1


class StatedRow(NamedTuple):
    """One holder; `line` is where whoever wrote it finds it."""

    line: int
    party_id: UUID
    units: int


def malformed(told: str, *, field: str) -> Invalid:
    return Invalid("statement_malformed", told, field=field)


def read_file(file: BinaryIO) -> Iterator[StatedRow]:
    """Read a CSV file (RFC 4180, UTF-8) row by row.

    Raises
    ------
    Invalid
        ``statement_malformed``, with the line.
    """
    # A spreadsheet may begin a file with a mark.
    text = io.TextIOWrapper(file, "utf-8-sig", newline="")
    lines = csv.reader(text, strict=True)
    try:
        if next(lines, None) != HEADER:
            raise malformed(f"Line 1: it is {','.join(HEADER)}.", field="/file")
        yield from (_row(lines.line_num, cells) for cells in lines if cells)
    except csv.Error as error:
        raise malformed(f"Line {lines.line_num}: it is no CSV.", field="/file") from error
    except UnicodeDecodeError as error:
        # It is read some lines at once.
        told = f"Somewhere behind line {lines.line_num}: it is not UTF-8."
        raise malformed(told, field="/file") from error
    finally:
        text.detach()


def _row(line: int, cells: list[str]) -> StatedRow:
    if len(cells) != len(HEADER):
        raise malformed(f"Line {line}: it has {len(cells)} cells, not two.", field="/file")
    try:
        party_id = UUID(cells[0].strip())
    except ValueError:
        raise malformed(f"Line {line}: its party_id is no id.", field="/file") from None
    units = cells[1].strip()
    if not _UNITS.fullmatch(units):
        raise malformed(f"Line {line}: its units are no whole number.", field="/file")
    return StatedRow(line, party_id, int(units))


def lay_out(session: Session, rows: Iterable[StatedRow], *, field: str) -> int:
    """Put the rows into a table of this transaction, and return how many they are.

    Parameters
    ----------
    field
        Where they came from, for who is told what is wrong.

    Raises
    ------
    Invalid
        ``statement_malformed``.
    NotFound
        A party is not in the register.
    """
    take_time(session)
    with cursor_of(session) as cursor:
        cursor.execute("DROP TABLE IF EXISTS pg_temp.stated")
        cursor.execute(_TABLE)
        count = _copy(cursor, rows, field=field)
        cursor.execute("ANALYZE pg_temp.stated")
        twice = cursor.execute(_TWICE).fetchone()
        if twice is not None:
            told = f"Line {twice[0]}: its party stands on line {twice[1]} already."
            raise malformed(told, field=field)
        unknown = cursor.execute(_UNKNOWN).fetchone()
    if unknown is not None:
        raise NotFound("party", f"{unknown[1]} (line {unknown[0]})")
    return count


def _copy(cursor: Cursor[object], rows: Iterable[StatedRow], *, field: str) -> int:
    count, flaw = 0, None
    with cursor.copy(_COPY) as copy:
        try:
            for row in rows:
                _check(row, count, field=field)
                copy.write_row(row)
                count += 1
        except Invalid as refusal:
            # COPY ends as it should: whoever asks may go on with the transaction.
            flaw = refusal
    if flaw is None and not count:
        flaw = malformed("A statement has one row at least.", field=field)
    if flaw is not None:
        raise flaw
    return count


def _check(row: StatedRow, before: int, *, field: str) -> None:
    if before == MAX_ROWS:
        raise malformed(f"A statement has {MAX_ROWS} rows at most.", field=field)
    if not 0 < row.units <= _LARGEST:
        raise malformed(f"Line {row.line}: units are above zero, and fit 256 bits.", field=field)


def file_rows(session: Session, statement_id: UUID) -> None:
    """Let what is laid out be the rows of a statement."""
    with cursor_of(session) as cursor:
        cursor.execute(_FILE, [statement_id])
        cursor.execute("DROP TABLE pg_temp.stated")
