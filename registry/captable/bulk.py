"""Bulk writing of the projection: COPY into tables, one statement for a set, no row by row.

All of it happens on the session's own connection, inside its transaction.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any, NamedTuple

from psycopg import Cursor
from psycopg.types.json import Jsonb
from sqlmodel import Session

from registry.captable.events import ProjectedBlock
from registry.captable.spans import Holding, Key, Span


class EventRow(NamedTuple):
    """A row of ``token_event``, in the order of its columns."""

    token_no: int
    block_number: int
    log_index: int
    kind: int
    tx_hash: bytes
    source: int | None
    target: int | None
    units: int | None
    extra: dict[str, Any] | None


_EVENT_TYPES = ["int4", "int8", "int4", "int4", "bytea", "int4", "int4", "numeric", "jsonb"]
_BLOCK_TYPES = ["int8", "int8", "bytea", "bytea", "timestamptz"]


def cursor_of(session: Session) -> Cursor[Any]:
    """Give the driver's own cursor in the session's transaction, having written what is pending."""
    session.flush()
    cursor: Cursor[Any] = session.connection().connection.cursor()  # type: ignore[assignment]
    return cursor


def copy_blocks(session: Session, chain_id: int, blocks: Iterable[ProjectedBlock]) -> None:
    rows = ((chain_id, item.number, item.hash, item.parent_hash, item.mined_at) for item in blocks)
    columns = "chain_id, number, hash, parent_hash, mined_at"
    _copy(session, f"chain_block ({columns})", _BLOCK_TYPES, rows)


def copy_events(session: Session, rows: Iterable[EventRow]) -> None:
    plain = (row if row.extra is None else (*row[:-1], Jsonb(row.extra)) for row in rows)
    _copy(session, f"token_event ({', '.join(EventRow._fields)})", _EVENT_TYPES, plain)


def _copy(
    session: Session, target: str, types: Sequence[str], rows: Iterable[Sequence[Any]]
) -> None:
    with (
        cursor_of(session) as cursor,
        cursor.copy(f"COPY {target} FROM STDIN (FORMAT binary)") as copy,
    ):
        copy.set_types(types)
        write = copy.write_row
        for row in rows:
            write(row)


def intern(session: Session, addresses: Collection[bytes]) -> dict[bytes, int]:
    """Return the number of each address, giving one to those that have none."""
    if not addresses:
        return {}
    known = "SELECT address, holder_no FROM holder WHERE address = ANY(%b)"
    with cursor_of(session) as cursor:
        numbers: dict[bytes, int] = dict(cursor.execute(known, [list(addresses)], binary=True))
        # Sorted, so that two writers of two chains wait for each other in one order only.
        missing = sorted(set(addresses) - numbers.keys())
        if missing:
            cursor.execute(
                "INSERT INTO holder (address) SELECT unnest(%b::bytea[]) ON CONFLICT DO NOTHING",
                [missing],
            )
            numbers.update(cursor.execute(known, [missing], binary=True))
    return numbers


def read_holdings(session: Session, keys: Collection[Key]) -> dict[Key, Holding]:
    """Return what each holder of a token has now; who never had any is left out."""
    found: dict[Key, Holding] = {}
    with cursor_of(session) as cursor:
        for token in {token for token, _ in keys}:
            holders = [holder for of, holder in keys if of == token]
            cursor.execute(
                "SELECT holder_no, balance_units, frozen_units FROM balance"
                " WHERE token_no = %s AND holder_no = ANY(%s::int4[])",
                [token, holders],
                binary=True,
            )
            for holder, balance, frozen in cursor:
                found[token, holder] = (int(balance), int(frozen))
    return found


def copy_spans(session: Session, spans: dict[Key, Span]) -> None:
    """Append the changes of a range to the history, sorted as its index is."""
    # As text: a driver's binary arrays of numerics take three times as long to write.
    lines = "".join([spans[key].as_line(key) for key in sorted(spans)])
    columns = "token_no, holder_no, block_number, balance_units, frozen_units"
    arrays = "later_blocks, later_balances, later_frozen"
    with (
        cursor_of(session) as cursor,
        cursor.copy(f"COPY balance_at ({columns}, {arrays}) FROM STDIN") as copy,
    ):
        copy.write(lines)


def store_balances(session: Session, spans: dict[Key, Span]) -> None:
    """Make the last change of each holder the balance now."""
    keys = sorted(spans)
    columns: list[list[int]] = [
        [token for token, _ in keys],
        [holder for _, holder in keys],
        [spans[key].balances[-1] for key in keys],
        [spans[key].frozen[-1] for key in keys],
        [spans[key].blocks[-1] for key in keys],
    ]
    with cursor_of(session) as cursor:
        cursor.execute(
            "INSERT INTO balance (token_no, holder_no, balance_units, frozen_units, block_number)"
            " SELECT * FROM unnest(%s::text::int4[], %s::text::int4[],"
            " %s::text::numeric[], %s::text::numeric[], %s::text::int8[])"
            " ON CONFLICT (token_no, holder_no) DO UPDATE SET"
            " balance_units = excluded.balance_units, frozen_units = excluded.frozen_units,"
            " block_number = excluded.block_number",
            [f"{{{','.join(map(str, column))}}}" for column in columns],
        )
