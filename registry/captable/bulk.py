"""Bulk writing of the projection: COPY into tables, one statement for a set, no row by row.

All of it happens on the session's own connection, inside its transaction.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from psycopg import Cursor
from psycopg.types.json import Jsonb
from psycopg.types.string import BytesBinaryDumper
from sqlmodel import Session, SQLModel

from registry.captable import amounts, copy_rows
from registry.captable import array_parameters as parameter
from registry.captable.amounts import Limbs
from registry.captable.columns import NOBODY
from registry.captable.copy_rows import Field
from registry.captable.events import FORCED, ProjectedBlock, ProjectedEvent
from registry.captable.ledger import Changes, Numbered
from registry.captable.models import EventKind
from registry.captable.spans import Spans
from registry.kernel.reading import ReadSession

ROWS_AT_ONCE = 8_000
"""So many are written while the server stores those before."""
_BLOCK_TYPES = ["int8", "int8", "bytea", "bytea", "timestamptz"]
_EVENT_COLUMNS = "token_no, block_number, log_index, kind, tx_hash, source, target, units, extra"
_EVENT_TYPES = ["int4", "int8", "int4", "int4", "bytea", "int4", "int4", "numeric", "jsonb"]
# As the server reads its jsonb: a version, and then the text.
_FORCED = b"\1" + json.dumps(FORCED).encode()
_SPAN_COLUMNS = (
    "token_no, holder_no, block_number, balance_units, frozen_units,"
    " later_blocks, later_balances, later_frozen"
)


def cursor_of(session: Session) -> Cursor[Any]:
    """Give the driver's own cursor in the session's transaction, having written what is pending."""
    if isinstance(session, ReadSession):
        return session.cursor()
    session.flush()
    cursor: Cursor[Any] = session.connection().connection.cursor()  # type: ignore[assignment]
    return cursor


def column_cursor(session: Session) -> Cursor[Any]:
    """Give a cursor that also takes columns as parameters."""
    cursor = cursor_of(session)
    cursor.adapters.register_dumper(parameter.Array, parameter.ArrayDumper)
    return cursor


def forget(session: Session, table: type[SQLModel]) -> None:
    """Have the session read its rows of a table anew: it did not see what was written here."""
    for row in list(session.identity_map.values()):
        if isinstance(row, table):
            session.expire(row)


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


def copy_transfers(session: Session, transfers: Numbered) -> None:
    """Append transfers: the server stores the first rows while the next are written."""
    with cursor_of(session) as cursor:
        statement = f"COPY token_event ({_EVENT_COLUMNS}) FROM STDIN (FORMAT binary)"
        with cursor.copy(statement.encode()) as copy:
            copy.write(copy_rows.BEGINNING)
            for first in range(0, len(transfers.said), ROWS_AT_ONCE):
                copy.write(_transfer_rows(transfers, slice(first, first + ROWS_AT_ONCE)))
            copy.write(copy_rows.END)


def _transfer_rows(transfers: Numbered, chosen: slice) -> bytes:
    said = transfers.said.of(chosen)
    source, target = transfers.source[chosen], transfers.target[chosen]
    kind = int(EventKind.TRANSFER).to_bytes(4, "big")
    return copy_rows.written(
        [
            Field(copy_rows.int4(transfers.token[chosen])),
            Field(copy_rows.int8(said.block)),
            Field(copy_rows.int4(said.log_index)),
            Field(copy_rows.same(kind, len(said))),
            Field(said.tx_hash),
            Field(copy_rows.int4(source), source == NOBODY),
            Field(copy_rows.int4(target), target == NOBODY),
            Field(amounts.as_numeric(said.units)),
            Field(copy_rows.same(_FORCED if said.forced.any() else b"", len(said)), ~said.forced),
        ]
    )


def copy_events(
    session: Session,
    events: Iterable[ProjectedEvent],
    tokens: Mapping[bytes, int],
    holders: Mapping[bytes, int],
) -> None:
    """Append events that are no transfers."""
    statement = f"COPY token_event ({_EVENT_COLUMNS}) FROM STDIN (FORMAT binary)"
    with cursor_of(session) as cursor, cursor.copy(statement.encode()) as copy:
        copy.set_types(_EVENT_TYPES)
        for event in events:
            copy.write_row(
                (
                    tokens[event.token],
                    event.block_number,
                    event.log_index,
                    int(event.kind),
                    event.tx_hash,
                    None if event.source is None else holders[event.source],
                    None if event.target is None else holders[event.target],
                    event.units,
                    None if event.extra is None else Jsonb(event.extra),
                )
            )


def copy_spans(session: Session, spans: Spans) -> None:
    """Append the changes of a range to the history."""
    statement = f"COPY balance_at ({_SPAN_COLUMNS}) FROM STDIN (FORMAT binary)"
    with cursor_of(session) as cursor, cursor.copy(statement.encode()) as copy:
        copy.write(copy_rows.BEGINNING)
        copy.write(spans.as_rows())
        copy.write(copy_rows.END)


_NUMBERS = """
WITH locked AS (
  SELECT address, token_no FROM token WHERE chain_id = %s AND address = ANY(%s) FOR UPDATE)
SELECT true, address, token_no FROM locked
UNION ALL
SELECT false, address, holder_no FROM holder WHERE address = ANY(%s)
"""


def lock_and_number(
    session: Session, chain_id: int, tokens: Collection[bytes], wallets: Collection[bytes]
) -> tuple[dict[bytes, int], dict[bytes, int]]:
    """Lock tokens, and number wallets.

    Returns
    -------
    tuple
        The number of each token that is known, by its address; and of each wallet, of which those
        that had none have been given one.
    """
    numbers: dict[bytes, int] = {}
    holders: dict[bytes, int] = {}
    with column_cursor(session) as cursor:
        where = [chain_id, parameter.addresses(tokens), parameter.addresses(wallets)]
        for is_token, address, number in cursor.execute(_NUMBERS, where, binary=True):
            (numbers if is_token else holders)[address] = number
        # Sorted, so that two writers of two chains wait for each other in one order only.
        missing = sorted(set(wallets) - holders.keys())
        if missing:
            holders |= _numbered(cursor, missing)
    return numbers, holders


def _numbered(cursor: Cursor[Any], wallets: list[bytes]) -> dict[bytes, int]:
    """Give numbers to wallets that had none, unless another writer is doing so."""
    new = [parameter.addresses(wallets)]
    cursor.execute("INSERT INTO holder (address) SELECT unnest(%s) ON CONFLICT DO NOTHING", new)
    known = "SELECT address, holder_no FROM holder WHERE address = ANY(%s)"
    return dict(cursor.execute(known, new, binary=True).fetchall())


class Holdings(NamedTuple):
    """What holders have as they are stored, in the order in which they were asked for.

    Parameters
    ----------
    balances, frozen
        Shape (n, limbs); nothing of who has no row.
    is_known
        Shape (n,): who has a row.
    """

    balances: Limbs
    frozen: Limbs
    is_known: NDArray[np.bool_]


_HOLDINGS = """
SELECT h.place, b.balance_units::text, b.frozen_units::text
FROM unnest(%s, %s) WITH ORDINALITY AS h(token_no, holder_no, place)
JOIN balance b USING (token_no, holder_no)
"""


def read_holdings(session: Session, changes: Changes) -> Holdings:
    """Return balance and frozen part of each holder that changes, as they are now."""
    count = len(changes.token_no)
    balances, frozen, is_known = [0] * count, [0] * count, np.zeros(count, np.bool_)
    with column_cursor(session) as cursor:
        cursor.execute(
            # Python reads a text of digits several times as fast as the driver its decimals.
            _HOLDINGS,
            [parameter.int4(changes.token_no), parameter.int4(changes.holder_no)],
            binary=True,
        )
        for place, balance, frozen_part in cursor.fetchall():
            balances[place - 1], frozen[place - 1] = int(balance), int(frozen_part)
            is_known[place - 1] = True
    return Holdings(amounts.of_ints(balances), amounts.of_ints(frozen), is_known)


# Who changed once in this write stood before it as the row says that is here already, or had
# nothing; of who changed more often only the history tells how they stood before the last change.
# Two statements, since ON CONFLICT takes half as long again: it locks each row before it writes it.
_WRITTEN = """unnest(%s, %s, %s, %s, %s, %s, %s)
  AS s(token_no, holder_no, balance, frozen, block_number, once, most)"""
_UPDATE_BALANCES = f"""
UPDATE balance AS b SET
  balance_units = s.balance, frozen_units = s.frozen, block_number = s.block_number,
  before_block = CASE WHEN s.once THEN b.block_number END,
  before_units = CASE WHEN s.once THEN b.balance_units END,
  before_frozen = CASE WHEN s.once THEN b.frozen_units END,
  most_units = greatest(b.most_units, s.most)
FROM {_WRITTEN} WHERE b.token_no = s.token_no AND b.holder_no = s.holder_no
"""  # noqa: S608 - a statement of our own
_ADD_BALANCES = f"""
INSERT INTO balance (token_no, holder_no, balance_units, frozen_units, block_number,
  before_block, before_units, before_frozen, most_units)
SELECT token_no, holder_no, balance, frozen, block_number,
  CASE WHEN once THEN -1 END, CASE WHEN once THEN 0 END, CASE WHEN once THEN 0 END, most
FROM {_WRITTEN}
"""  # noqa: S608 - a statement of our own


def store_balances(session: Session, spans: Spans, is_known: NDArray[np.bool_]) -> None:
    """Make the last change of each holder the balance now, and keep what was before it.

    Parameters
    ----------
    is_known
        Who has a row already, shape (holders,): see `read_holdings`. Their tokens are locked.
    """
    last = spans.last
    with column_cursor(session) as cursor:
        for statement, chosen in ((_UPDATE_BALANCES, is_known), (_ADD_BALANCES, ~is_known)):
            if not chosen.any():
                continue
            changed = last[chosen]
            cursor.execute(
                statement,
                [
                    parameter.int4(spans.token_no[chosen]),
                    parameter.int4(spans.holder_no[chosen]),
                    parameter.numeric(spans.balance.take(changed, axis=0)),
                    parameter.numeric(spans.frozen.take(changed, axis=0)),
                    parameter.int8(spans.block[changed]),
                    parameter.flags(spans.counts[chosen] == 1),
                    parameter.float8(spans.most[chosen]),
                ],
            )
