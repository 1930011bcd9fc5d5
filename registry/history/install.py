"""Putting the history up: triggers on legal and sealed tables, and the views of the past.

The views stand in the schema `past` under the names of the tables. A session whose search path
begins there reads, with the very same queries, what the register knew at `milkiyat.known_at`.
Views hinder migrations that change their tables, so they are taken down before and put up after.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from sqlalchemy import Connection, text

from registry.history import sealed
from registry.history.tables import (
    KEPT_TABLES,
    LEGAL_TABLES,
    SEALED_TABLES,
    LegalTable,
    SealedTable,
)

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

# What was recorded before there was a history is known from now on. Its recording is opened by the
# first row, if there is one.
_BASELINE = """
INSERT INTO legal_history
    (table_name, row_id, parent_id, op, recording_id, image, private, private_salt)
SELECT '{table}', legal_row_id(rows.body, string_to_array('{keys}', ',')),
    (rows.body ->> '{parent}')::uuid, 'BASELINE', (SELECT current_recording()),
    rows.body - string_to_array('{private},{keeping}', ','),
    CASE WHEN '{private}' <> '' THEN (
        SELECT jsonb_object_agg(name, rows.body -> name)
        FROM unnest(string_to_array('{private}', ',')) AS name
    ) END,
    CASE WHEN '{private}' <> '' THEN gen_random_uuid() END
FROM (SELECT to_jsonb(t) AS body FROM public.{table} AS t) AS rows
"""

# What migrations and baselines record is told by an act, as everything else is.
_TELL = """
INSERT INTO journal_entry
    (id, recorded_at, actor, act, subject_kind, subject_id, facts, recording_id)
SELECT uuidv7(), now(), 'system', 'migrated', 'journal', 'journal',
    jsonb_build_object('revision', (SELECT max(version_num) FROM alembic_version)), opened.id
FROM (SELECT nullif(current_setting('milkiyat.recording', true), '')::uuid AS id) AS opened
WHERE EXISTS (SELECT FROM legal_history AS h WHERE h.recording_id = opened.id)
    AND NOT EXISTS (SELECT FROM journal_entry AS e WHERE e.recording_id = opened.id)
"""

# The newest image of each row that was recorded by then, unless the row was deleted by then.
# `id` and the parent come from columns with an index, so that a query by them finds few rows.
_NEWEST = """
SELECT {columns}
FROM public.legal_history AS h
JOIN public.recording AS r ON r.id = h.recording_id AND r.recorded_at <= {moment}
CROSS JOIN LATERAL jsonb_populate_record(
    NULL::public.{table}, coalesce(h.private, '{{}}') || h.image
) AS known
WHERE h.table_name = '{table}' AND h.op <> 'DELETE' AND NOT EXISTS (
    SELECT FROM public.legal_history AS later
    JOIN public.recording AS later_r ON later_r.id = later.recording_id
    WHERE later.row_id = h.row_id AND later.table_name = '{table}'
        AND later_r.recorded_at <= {moment}
        AND (later_r.recorded_at, later.id) > (r.recorded_at, h.id)
)
"""

_VIEW = "CREATE VIEW past.{table} AS" + _NEWEST
_KNOWN_AT = "public.known_at()"

# Compared with the stored view: the server writes the same SELECT in the same way.
_WANTED = "CREATE TEMPORARY VIEW view_wanted AS" + _NEWEST
_IS_WANTED = """
SELECT coalesce(
    pg_get_viewdef(to_regclass('past.{table}')) = pg_get_viewdef('pg_temp.view_wanted'::regclass),
    false
)
"""

_TRIGGERS = """
SELECT c.relname || '.' || t.tgname, pg_get_triggerdef(t.oid)
FROM pg_trigger AS t
JOIN pg_class AS c ON c.oid = t.tgrelid AND c.relnamespace = 'public'::regnamespace
WHERE NOT t.tgisinternal
"""

_STANDING = """
SELECT name FROM unnest(CAST(:names AS text[])) WITH ORDINALITY AS wanted (name, place)
WHERE to_regclass('public.' || name) IS NOT NULL ORDER BY place
"""

_HAS_IMAGES = "SELECT EXISTS (SELECT FROM legal_history WHERE table_name = :table)"

# Those behind foreign keys too.
_IDLE = """
SELECT c.relname, t.tgname FROM pg_trigger AS t
JOIN pg_class AS c ON c.oid = t.tgrelid AND c.relnamespace = 'public'::regnamespace
WHERE t.tgenabled <> 'O' ORDER BY 1, 2
"""


def is_up(connection: Connection) -> bool:
    """Tell whether the triggers and views stand as this version of the program wants them."""
    comment = connection.execute(
        text("SELECT obj_description(oid, 'pg_namespace') FROM pg_namespace WHERE nspname = 'past'")
    ).scalar_one_or_none()
    return comment == _digest(connection)


def lock(connection: Connection) -> None:
    """Lock what migrations and `put_up` change, before they do: the tables, then the history.

    Whoever writes has a table first and the history afterwards. To come the other way round ends
    in a deadlock with a running service, after all the work; so it is waited for here, while there
    is nothing to lose.
    """
    wanted = [*(table.name for table in KEPT_TABLES), "legal_history"]
    standing = connection.execute(text(_STANDING), {"names": wanted}).scalars().all()
    if standing:
        names = ", ".join(f"public.{name}" for name in standing)
        connection.execute(text(f"LOCK TABLE {names} IN ACCESS EXCLUSIVE MODE"))


def take_down(connection: Connection) -> None:
    """Remove the views; the triggers go on keeping the history."""
    connection.execute(text("DROP SCHEMA IF EXISTS past CASCADE"))


def put_up(connection: Connection, *, is_migrated: bool) -> None:
    """Put triggers and views up, anew where they stand already.

    Parameters
    ----------
    is_migrated
        Migrations were applied just now. Only then may what stands in a table be recorded as it
        stands: whoever drops a trigger, changes rows and waits for a restart is not believed.
    """
    take_down(connection)
    connection.execute(text("CREATE SCHEMA past"))
    for table in LEGAL_TABLES:
        if _put_triggers(connection, table, is_migrated=is_migrated):
            connection.execute(text(_BASELINE.format(**_names(table))))
        connection.execute(text(_filled(connection, _VIEW, table, _KNOWN_AT)))
    sealed.put_function(connection)
    for sealed_table in SEALED_TABLES:
        if _put_triggers(connection, sealed_table, is_migrated=is_migrated):
            columns = columns_of(connection, sealed_table.name)
            sealed.seal_standing(connection, sealed_table, columns)
    connection.execute(text(_TELL))
    connection.execute(text(f"COMMENT ON SCHEMA past IS '{_digest(connection)}'"))


def newest_images(connection: Connection, table: LegalTable) -> str:
    """Give the SELECT of what the history has of a table today.

    It is the one of the view, and needs neither the view nor a function that is kept in the
    database: whoever can change a row can replace those as well.
    """
    return _filled(connection, _NEWEST, table, "'infinity'")


def differing_views(connection: Connection) -> Iterator[str]:
    """Name the views of the past that are not as `put_up` makes them.

    It makes each once more, as a temporary one, so the connection must be allowed to write;
    whoever asks rolls back.
    """
    for table in LEGAL_TABLES:
        connection.execute(text(_filled(connection, _WANTED, table, _KNOWN_AT)))
        if not connection.execute(text(_IS_WANTED.format(table=table.name))).scalar_one():
            yield table.name
        connection.execute(text("DROP VIEW pg_temp.view_wanted"))


def differing_triggers(connection: Connection) -> Iterator[tuple[str, str]]:
    """Name the tables and triggers that `put_up` makes otherwise, and any that does not fire."""
    stood = {name: _words(made) for name, made in connection.execute(text(_TRIGGERS))}
    for table in KEPT_TABLES:
        for trigger, statement in _triggers(table).items():
            if stood.get(f"{table.name}.{trigger}") != _words(statement):
                yield table.name, trigger
    yield from ((table, trigger) for table, trigger in connection.execute(text(_IDLE)))


def _words(statement: str) -> str:
    return " ".join(statement.split())


def _filled(connection: Connection, template: str, table: LegalTable, moment: str) -> str:
    columns = ", ".join(_source(table, name) for name in columns_of(connection, table.name))
    return template.format(table=table.name, columns=columns, moment=moment)


def _triggers(table: LegalTable | SealedTable) -> dict[str, str]:
    """Give the statements that put up a table's triggers, by the names of these."""
    if isinstance(table, SealedTable):
        made = sealed.triggers(table)
    else:
        names = _names(table)
        made = {
            f"{table.name}_history_{event.lower()}": _TRIGGER.format(
                event=event.lower(), event_name=event, side=side, **names
            )
            for event, side in _EVENTS.items()
        }
    return made | {f"{table.name}_past_kept": _NO_TRUNCATE.format(table=table.name)}


def _names(table: LegalTable) -> dict[str, str]:
    return {
        "table": table.name,
        "keys": ",".join(table.key),
        "parent": table.parent or "",
        "private": ",".join(table.private),
        "keeping": ",".join(table.keeping),
    }


def _put_triggers(
    connection: Connection, table: LegalTable | SealedTable, *, is_migrated: bool
) -> bool:
    """Put a table's triggers up, anew; tell whether it never had any, so that its rows are new.

    A table of which the history has an image had triggers: that they are gone is no reason to
    believe its rows.
    """
    stood = {}
    for name, statement in _triggers(table).items():
        stood[name] = _drop_trigger(connection, table.name, name)
        connection.execute(text(statement))
    del stood[f"{table.name}_past_kept"]
    if any(stood.values()) or not is_migrated:
        return False
    return not connection.execute(text(_HAS_IMAGES), {"table": table.name}).scalar_one()


def _drop_trigger(connection: Connection, table: str, trigger: str) -> bool:
    """Drop a trigger; tell whether it was there."""
    stood = connection.execute(
        text("SELECT count(*) FROM pg_trigger WHERE tgname = :name AND NOT tgisinternal"),
        {"name": trigger},
    ).scalar_one()
    connection.execute(text(f"DROP TRIGGER IF EXISTS {trigger} ON public.{table}"))
    return bool(stood)


def columns_of(connection: Connection, table: str) -> list[str]:
    """List the columns of a table, in their order."""
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
    parts = [_TRIGGER, _NO_TRUNCATE, _VIEW, sealed.BODY]
    parts += [f"{table} {columns_of(connection, table.name)}" for table in LEGAL_TABLES]
    parts += [f"{table} {sealed.triggers(table)}" for table in SEALED_TABLES]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
