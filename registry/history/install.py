"""Putting the history up: triggers on every legal table, and the views of the past.

The views stand in the schema `past` under the names of the tables. A session whose search path
begins there reads, with the very same queries, what the register knew at `milkiyat.known_at`.
Views hinder migrations that change their tables, so they are taken down before and put up after.
"""

from __future__ import annotations

import hashlib

from sqlalchemy import Connection, text

from registry.history.tables import LEGAL_TABLES, LegalTable

_EVENTS = {"INSERT": "NEW", "UPDATE": "NEW", "DELETE": "OLD"}

_TRIGGER = """
CREATE TRIGGER {table}_history_{event} AFTER {event_name} ON public.{table}
REFERENCING {side} TABLE AS changed
FOR EACH STATEMENT EXECUTE FUNCTION keep_history('{keys}', '{parent}', '{private}', '{keeping}')
"""

# Triggers fire by name: where a table refuses TRUNCATE by a rule of its own, that one speaks.
_NO_TRUNCATE = """
CREATE TRIGGER {table}_past_kept BEFORE TRUNCATE ON public.{table}
FOR EACH STATEMENT EXECUTE FUNCTION refuse_gap_in_history()
"""

# What was recorded before there was a history is known from now on.
_BASELINE = """
INSERT INTO legal_history (table_name, row_id, parent_id, op, image, private)
SELECT '{table}', legal_row_id(rows.body, string_to_array('{keys}', ',')),
    (rows.body ->> '{parent}')::uuid, 'BASELINE',
    rows.body - string_to_array('{private},{keeping}', ','),
    CASE WHEN '{private}' <> '' THEN (
        SELECT jsonb_object_agg(name, rows.body -> name)
        FROM unnest(string_to_array('{private}', ',')) AS name
    ) END
FROM (SELECT to_jsonb(t) AS body FROM public.{table} AS t) AS rows
"""

# The newest image of each row that was recorded by then, unless the row was deleted by then.
# `id` and the parent come from columns with an index, so that a query by them finds few rows.
_VIEW = """
CREATE VIEW past.{table} AS
SELECT {columns}
FROM public.legal_history AS h
JOIN public.recording AS r ON r.id = h.recording_id AND r.recorded_at <= public.known_at()
CROSS JOIN LATERAL jsonb_populate_record(
    NULL::public.{table}, h.image || coalesce(h.private, '{{}}')
) AS known
WHERE h.table_name = '{table}' AND h.op <> 'DELETE' AND NOT EXISTS (
    SELECT FROM public.legal_history AS later
    JOIN public.recording AS later_r ON later_r.id = later.recording_id
    WHERE later.row_id = h.row_id AND later.table_name = '{table}'
        AND later_r.recorded_at <= public.known_at()
        AND (later_r.recorded_at, later.id) > (r.recorded_at, h.id)
)
"""


def is_up(connection: Connection) -> bool:
    """Tell whether the triggers and views stand as this version of the program wants them."""
    comment = connection.execute(
        text("SELECT obj_description(oid, 'pg_namespace') FROM pg_namespace WHERE nspname = 'past'")
    ).scalar_one_or_none()
    return comment == _digest(connection)


def take_down(connection: Connection) -> None:
    """Remove the views; the triggers go on keeping the history."""
    connection.execute(text("DROP SCHEMA IF EXISTS past CASCADE"))


def put_up(connection: Connection) -> None:
    """Put triggers and views up, anew where they stand already."""
    take_down(connection)
    connection.execute(text("CREATE SCHEMA past"))
    for table in LEGAL_TABLES:
        _put_triggers(connection, table)
        columns = ", ".join(_source(table, name) for name in _columns(connection, table.name))
        connection.execute(text(_VIEW.format(table=table.name, columns=columns)))
    connection.execute(text(f"COMMENT ON SCHEMA past IS '{_digest(connection)}'"))


def _put_triggers(connection: Connection, table: LegalTable) -> None:
    names = {
        "table": table.name,
        "keys": ",".join(table.key),
        "parent": table.parent or "",
        "private": ",".join(table.private),
        "keeping": ",".join(table.keeping),
    }
    stood = False
    for event, side in _EVENTS.items():
        trigger = f"{table.name}_history_{event.lower()}"
        stood = _drop_trigger(connection, table.name, trigger)
        connection.execute(
            text(_TRIGGER.format(event=event.lower(), event_name=event, side=side, **names))
        )
    _drop_trigger(connection, table.name, f"{table.name}_past_kept")
    connection.execute(text(_NO_TRUNCATE.format(**names)))
    if not stood:
        connection.execute(text(_BASELINE.format(**names)))


def _drop_trigger(connection: Connection, table: str, trigger: str) -> bool:
    """Drop a trigger; tell whether it was there."""
    stood = connection.execute(
        text("SELECT count(*) FROM pg_trigger WHERE tgname = :name AND NOT tgisinternal"),
        {"name": trigger},
    ).scalar_one()
    connection.execute(text(f"DROP TRIGGER IF EXISTS {trigger} ON public.{table}"))
    return bool(stood)


def _columns(connection: Connection, table: str) -> list[str]:
    rows = connection.execute(
        text(
            "SELECT column_name FROM information_schema.columns"
            " WHERE table_schema = 'public' AND table_name = :name ORDER BY ordinal_position"
        ),
        {"name": table},
    )
    return list(rows.scalars())


def _source(table: LegalTable, column: str) -> str:
    if table.key == (column,):
        return f'h.row_id AS "{column}"'
    if table.parent == column:
        return f'h.parent_id AS "{column}"'
    if column in table.keeping:
        today = f'SELECT t."{column}" FROM public.{table.name} AS t WHERE t.id = h.row_id'  # noqa: S608
        return f"({today})"
    return f'known."{column}"'


def _digest(connection: Connection) -> str:
    """Hash what was put up: the statements, the list of tables, and the tables' own columns."""
    parts = [_TRIGGER, _NO_TRUNCATE, _VIEW]
    parts += [f"{table} {_columns(connection, table.name)}" for table in LEGAL_TABLES]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
