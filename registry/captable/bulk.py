"""Bulk writing of the projection: COPY into tables, one statement for a set, no row by row.

All of it happens on the session's own connection, inside its transaction.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from itertools import islice
from typing import Any

from psycopg import Cursor
from psycopg.types.string import BytesBinaryDumper
from sqlmodel import Session

from registry.captable.events import ProjectedBlock
from registry.captable.ledger import Holding, Ledger

LINES_AT_ONCE = 2_000
_BLOCK_TYPES = ["int8", "int8", "bytea", "bytea", "timestamptz"]
_EVENT_COLUMNS = "token_no, block_number, log_index, kind, tx_hash, source, target, units, extra"
_SPAN_COLUMNS = (
    "token_no, holder_no, block_number, balance_units, frozen_units,"
    " later_blocks, later_balances, later_frozen"
)


def cursor_of(session: Session) -> Cursor[Any]:
    """Give the driver's own cursor in the session's transaction, having written what is pending."""
    session.flush()
    cursor: Cursor[Any] = session.connection().connection.cursor()  # type: ignore[assignment]
    return cursor


def copy_blocks(session: Session, chain_id: int, blocks: Iterable[ProjectedBlock]) -> None:
    statement = "COPY chain_block (chain_id, number, hash, parent_hash, mined_at) FROM STDIN"
    with cursor_of(session) as cursor:
        # Otherwise the driver takes the one that is written in Python, for its type `Binary`.
        cursor.adapters.register_dumper(bytes, BytesBinaryDumper)
        with cursor.copy(f"{statement} (FORMAT binary)") as copy:
            copy.set_types(_BLOCK_TYPES)
            for item in blocks:
                copy.write_row((chain_id, item.number, item.hash, item.parent_hash, item.mined_at))


def add_blocks(session: Session, chain_id: int, blocks: Iterable[ProjectedBlock]) -> None:
    """Add blocks of which some may be there already."""
    with cursor_of(session) as cursor:
        cursor.executemany(
            "INSERT INTO chain_block (chain_id, number, hash, parent_hash, mined_at)"
            " VALUES (%b, %b, %b, %b, %b) ON CONFLICT DO NOTHING",
            [(chain_id, b.number, b.hash, b.parent_hash, b.mined_at) for b in blocks],
        )


def copy_events(session: Session, lines: Iterable[str]) -> None:
    """Append events, each a line of COPY's text format.

    Text, although the server reads binary rows faster: what Python takes to make them is what a
    sync waits for, and a formatted string takes a quarter of it (ADR 0029).
    """
    _copy_text(session, f"COPY token_event ({_EVENT_COLUMNS}) FROM STDIN", lines)


def copy_spans(session: Session, ledgers: Iterable[Ledger]) -> None:
    """Append the changes of a range to the history, sorted as its index is."""
    lines = (span.as_line(ledger.token_no) for ledger in ledgers for span in ledger.changed())
    _copy_text(session, f"COPY balance_at ({_SPAN_COLUMNS}) FROM STDIN", lines)


def _copy_text(session: Session, statement: str, lines: Iterable[str]) -> None:
    """Send lines as they are made: the server stores the first while the next are folded."""
    left = iter(lines)
    with cursor_of(session) as cursor, cursor.copy(statement.encode()) as copy:
        while some := "".join(islice(left, LINES_AT_ONCE)):
            copy.write(some)


def intern(session: Session, addresses: Collection[bytes]) -> dict[bytes, int]:
    """Return the number of each address, giving one to those that have none."""
    if not addresses:
        return {}
    known = "SELECT address, holder_no FROM holder WHERE address = ANY(%b)"
    with cursor_of(session) as cursor:
        numbers: dict[bytes, int] = dict(
            cursor.execute(known, [list(addresses)], binary=True).fetchall()
        )
        # Sorted, so that two writers of two chains wait for each other in one order only.
        missing = sorted(set(addresses) - numbers.keys())
        if missing:
            cursor.execute(
                "INSERT INTO holder (address) SELECT unnest(%b::bytea[]) ON CONFLICT DO NOTHING",
                [missing],
            )
            numbers.update(cursor.execute(known, [missing], binary=True).fetchall())
    return numbers


def read_holdings(session: Session, token_no: int, holders: Collection[int]) -> dict[int, Holding]:
    """Return what each holder of a token has now; who never had any is left out."""
    with cursor_of(session) as cursor:
        cursor.execute(
            # Python reads a text of digits several times as fast as the driver its decimals.
            "SELECT holder_no, balance_units::text, frozen_units::text FROM balance"
            " WHERE token_no = %s AND holder_no = ANY(%s::text::int4[])",
            [token_no, _array(holders)],
            binary=True,
        )
        return {
            holder: (int(balance), int(frozen)) for holder, balance, frozen in cursor.fetchall()
        }


# Who changed once in this write stood before it as the row says that is here already, or had
# nothing; of who changed more often only the history tells how they stood before the last change.
_BALANCES = """
INSERT INTO balance AS b (token_no, holder_no, balance_units, frozen_units, block_number,
  before_block, before_units, before_frozen)
SELECT %s, holder_no, balance, frozen, block_number,
  CASE WHEN once THEN -1 END, CASE WHEN once THEN 0 END, CASE WHEN once THEN 0 END
FROM unnest(%s::text::int4[], %s::text::numeric[], %s::text::numeric[], %s::text::int8[],
  %s::text::bool[]) AS s(holder_no, balance, frozen, block_number, once)
ON CONFLICT (token_no, holder_no) DO UPDATE SET
  balance_units = excluded.balance_units, frozen_units = excluded.frozen_units,
  block_number = excluded.block_number,
  before_block = CASE WHEN excluded.before_block IS NOT NULL THEN b.block_number END,
  before_units = CASE WHEN excluded.before_block IS NOT NULL THEN b.balance_units END,
  before_frozen = CASE WHEN excluded.before_block IS NOT NULL THEN b.frozen_units END
"""


def store_balances(session: Session, ledger: Ledger) -> None:
    """Make the last change of each holder the balance now, and keep what was before it."""
    spans = ledger.changed()
    columns: Sequence[Iterable[int]] = (
        [span.holder_no for span in spans],
        [span.balance for span in spans],
        [span.frozen for span in spans],
        [span.blocks[-1] for span in spans],
        [int(len(span.blocks) == 1) for span in spans],
    )
    with cursor_of(session) as cursor:
        cursor.execute(_BALANCES, [ledger.token_no, *map(_array, columns)])


def _array(values: Iterable[int]) -> str:
    return "{" + ",".join(map(str, values)) + "}"
