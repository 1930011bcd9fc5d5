"""A report as CSV (RFC 4180): the columns, the rows, and the signed envelope as its last line.

The last line begins with ``#envelope``. A text that a spreadsheet would take for a formula gets an
apostrophe in front, which `read_csv` takes away again.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any, BinaryIO

from registry.report.report import Column, Kind
from registry.report.values import cell_of

MARK = "#envelope"
_AT_ONCE = 1_000
_FORMULAS = ("=", "+", "-", "@", "\t", "\r", "'")


class CsvWriter:
    """Writes a report row by row into a file."""

    def __init__(self, target: BinaryIO, columns: Sequence[Column]) -> None:
        self._target, self._columns = target, columns
        self._lines = io.StringIO(newline="")
        self._writer = csv.writer(self._lines)
        self._writer.writerow([column.name for column in columns])
        self._waiting = 0

    def write(self, item: Mapping[str, Any]) -> None:
        self._writer.writerow(
            [_guarded(column.kind, cell_of(item[column.name])) for column in self._columns]
        )
        self._waiting += 1
        if self._waiting == _AT_ONCE:
            self._flush()

    def end(self, sealed: Mapping[str, Any]) -> None:
        """Write the envelope, and all that is not written yet."""
        envelope = json.dumps(sealed["envelope"], ensure_ascii=False, separators=(",", ":"))
        self._writer.writerow([MARK, envelope, sealed["signature"]])
        self._flush()

    def _flush(self) -> None:
        self._target.write(self._lines.getvalue().encode())
        self._lines.seek(0)
        self._lines.truncate()
        self._waiting = 0


def _guarded(kind: str, cell: str) -> str:
    return f"'{cell}" if kind == Kind.TEXT and cell.startswith(_FORMULAS) else cell


def read_csv(content: bytes) -> dict[str, Any]:
    """Read a file that `CsvWriter` wrote; the items are texts as they stood before the guard.

    Raises
    ------
    ValueError
        It is none.
    """
    try:
        # In UTF-8 as it is written; a spreadsheet that saved it anew has made another file.
        header, *lines = csv.reader(io.StringIO(content.decode(), newline=""), strict=True)
        mark, envelope, signature = lines.pop()
        said = json.loads(envelope)
        kinds = [column["kind"] for column in said["columns"]]
    except (csv.Error, IndexError, KeyError, TypeError) as error:
        raise ValueError("not a CSV file of a report") from error
    if mark != MARK:
        raise ValueError("not a CSV file of a report")
    items = [_unguarded_row(kinds, line) for line in lines]
    return {"envelope": said, "signature": signature, "header": header, "cells": items}


def _unguarded_row(kinds: Sequence[str], line: Sequence[str]) -> list[str]:
    # A line of another length has another hash; that is for who compares it.
    guarded = [*kinds, *[Kind.COUNT.value] * len(line)]
    return [_unguarded(kind, cell) for kind, cell in zip(guarded, line, strict=False)]


def _unguarded(kind: str, cell: str) -> str:
    bare = cell[1:] if kind == Kind.TEXT and cell.startswith("'") else cell
    if _guarded(kind, bare) != cell:
        raise ValueError("a cell is not as it was written")
    return bare
