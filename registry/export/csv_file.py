"""A cap table as CSV (RFC 4180): one row for each wallet, sums and shares exact."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from fractions import Fraction
from typing import BinaryIO

from registry.export.sheet import Advance, Sheet, SheetRow

HEADER = (
    "wallet",
    "balance_units",
    "frozen_units",
    "share_numerator",
    "share_denominator",
    "block_number",
    "block_hash",
)
ROWS_AT_ONCE = 1000


def write_csv(sheet: Sheet, rows: Iterable[SheetRow], target: BinaryIO, advance: Advance) -> None:
    """Write the rows; each names its block, so that no part of the file loses it."""
    lines = io.StringIO(newline="")
    writer = csv.writer(lines)
    writer.writerow(HEADER)
    done = 0
    for row in rows:
        share = Fraction(row.balance_units, sheet.supply_units)
        writer.writerow(
            (
                row.wallet,
                row.balance_units,
                row.frozen_units,
                share.numerator,
                share.denominator,
                sheet.block_number,
                sheet.block_hash,
            )
        )
        done += 1
        if done % ROWS_AT_ONCE == 0:
            target.write(lines.getvalue().encode())
            lines.seek(0)
            lines.truncate()
            advance(done)
    target.write(lines.getvalue().encode())
    advance(done)
