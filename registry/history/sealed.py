"""Rows that keep no history, sealed by their hashes: who writes these, and what they hold against.

An image of the kind `ROWS` has the `columns` that were hashed, and by its id the hash of each row
that one statement wrote; null of one that it deleted. The salt stays behind, as that of private
columns does, so that nobody who reads the journal can try names until one fits (ADR 0070, 0071).
"""

from __future__ import annotations

from sqlalchemy import Connection, text

from registry.history.tables import SealedTable

_SIDES = {
    "INSERT": "NEW TABLE AS changed",
    "UPDATE": "OLD TABLE AS before NEW TABLE AS changed",
    "DELETE": "OLD TABLE AS changed",
}

# Once a statement, not once a row: 10,000 orders that a close writes are ten images, each made of
# its own thousand rows. Argument: the columns that are no part of the hash; where an UPDATE changes
# no others, nothing is written.
_IMAGES = """
        INSERT INTO legal_history (table_name, row_id, op, recording_id, image, private_salt)
        SELECT TG_TABLE_NAME, (array_agg(rows.id ORDER BY rows.id))[1], 'ROWS', current_recording(),
            jsonb_build_object(
                'columns', to_jsonb(columns), 'rows', jsonb_object_agg(rows.id, rows.hash)
            ),
            salt
        FROM (
            SELECT said.id, {hash} AS hash, (row_number() OVER () - 1) / 1000 AS part
            FROM ({said}) AS said
        ) AS rows
        GROUP BY rows.part;"""

# Made by what no server keeps for us, and the same in the trigger and for who looks at it.
_HASH = "encode(sha256(convert_to({salt}::text || ({body})::text, 'UTF8')), 'hex')"
_HASHED = _HASH.format(salt="salt", body="said.body")
_ADDED = "SELECT c.id, to_jsonb(c) - aside AS body FROM changed AS c"
_CHANGED = f"{_ADDED} EXCEPT ALL SELECT b.id, to_jsonb(b) - aside FROM before AS b"  # noqa: S608
_GONE = "SELECT c.id FROM changed AS c"

FUNCTION = "seal_rows"
BODY = f"""
DECLARE
    aside text[] := string_to_array(TG_ARGV[0], ',');
    columns text[] := ARRAY(
        SELECT attname::text FROM pg_attribute
        WHERE attrelid = TG_RELID AND attnum > 0 AND NOT attisdropped
            AND attname::text <> ALL (aside)
        ORDER BY attnum
    );
    salt uuid := gen_random_uuid();
BEGIN
    IF TG_OP = 'INSERT' THEN{_IMAGES.format(hash=_HASHED, said=_ADDED)}
    ELSIF TG_OP = 'UPDATE' THEN{_IMAGES.format(hash=_HASHED, said=_CHANGED)}
    ELSE
        columns := ARRAY['id'];{_IMAGES.format(hash="NULL::text", said=_GONE)}
    END IF;
    RETURN NULL;
END """  # noqa: S608
"""What the trigger function does."""

SETTINGS = ["TimeZone=UTC", "bytea_output=hex"]
"""How a row is written out as text must not hang on who writes it."""

_PUT_FUNCTION = f"""
CREATE OR REPLACE FUNCTION public.{FUNCTION}() RETURNS trigger LANGUAGE plpgsql
SET timezone = 'UTC' SET bytea_output = 'hex' AS $${BODY}$$
"""

_FUNCTION_STANDS = """
SELECT p.prosrc = :body AND p.proconfig = CAST(:settings AS text[]) AND l.lanname = 'plpgsql'
FROM pg_proc AS p JOIN pg_language AS l ON l.oid = p.prolang
WHERE p.oid = to_regprocedure('public.' || :function || '()')
"""

_TRIGGER = """
CREATE TRIGGER {table}_sealed_{event} AFTER {event_name} ON public.{table}
REFERENCING {sides} FOR EACH STATEMENT EXECUTE FUNCTION seal_rows('{aside}')
"""

# How a row is written out as text must not hang on who asks.
_AS_TRIGGERS_WRITE = text(
    "SELECT set_config('timezone', 'UTC', true), set_config('bytea_output', 'hex', true)"
)

# What was recorded before it was sealed is known from now on.
_BASELINE = """
INSERT INTO legal_history (table_name, row_id, op, recording_id, image, private_salt)
SELECT '{table}', (array_agg(rows.id ORDER BY rows.id))[1], 'ROWS', moment.recording,
    jsonb_build_object(
        'columns', to_jsonb(CAST(:columns AS text[])),
        'rows', jsonb_object_agg(rows.id, {hash})
    ),
    moment.salt
FROM (
    SELECT t.id, to_jsonb(t) - CAST(:aside AS text[]) AS body,
        (row_number() OVER (ORDER BY t.id) - 1) / 1000 AS part
    FROM public.{table} AS t
) AS rows, (
    SELECT current_recording() AS recording, gen_random_uuid() AS salt OFFSET 0
) AS moment
GROUP BY part, moment.recording, moment.salt
"""

# The newest hash of each row, and the columns that it does not cover: a migration added them.
_DIFFERING = """
WITH image AS (
    SELECT h.id, r.recorded_at, h.private_salt, h.image -> 'rows' AS rows, ARRAY(
        SELECT name FROM unnest(CAST(:columns AS text[])) AS name
        WHERE NOT h.image -> 'columns' ? name
    ) AS uncovered
    FROM public.legal_history AS h
    LEFT JOIN public.recording AS r ON r.id = h.recording_id
    WHERE h.table_name = '{table}' AND h.op = 'ROWS'
), newest AS (
    SELECT DISTINCT ON (sealed.key) sealed.key, sealed.value AS hash,
        image.private_salt AS salt, image.uncovered
    FROM image CROSS JOIN LATERAL jsonb_each_text(image.rows) AS sealed
    ORDER BY sealed.key, image.recorded_at DESC, image.id DESC
)
SELECT coalesce(newest.key, t.id::text) AS row_id
FROM newest FULL JOIN public.{table} AS t ON t.id::text = newest.key
WHERE newest.key IS NULL OR newest.hash IS DISTINCT FROM
    CASE WHEN t.id IS NOT NULL THEN {hash} END
ORDER BY row_id
"""

# An image says itself which columns it covers, so none may cover fewer than one before it did of
# those that the table still has. What a statement deleted has no hash, and covers none.
_COVERING_LESS = """
WITH known AS (
    SELECT name, min(first.place) AS since
    FROM (
        SELECT h.image -> 'columns' AS columns,
            min(ROW(coalesce(r.recorded_at, 'infinity'), h.id)) AS place
        FROM public.legal_history AS h
        LEFT JOIN public.recording AS r ON r.id = h.recording_id
        WHERE h.table_name = :table AND h.op = 'ROWS'
        GROUP BY h.image -> 'columns'
    ) AS first CROSS JOIN LATERAL jsonb_array_elements_text(first.columns) AS name
    WHERE name = ANY (CAST(:columns AS text[]))
    GROUP BY name
)
SELECT h.id
FROM public.legal_history AS h
LEFT JOIN public.recording AS r ON r.id = h.recording_id
WHERE h.table_name = :table AND h.op = 'ROWS' AND EXISTS (
    SELECT FROM known
    WHERE known.since < ROW(coalesce(r.recorded_at, 'infinity'), h.id)
        AND NOT h.image -> 'columns' ? known.name
) AND EXISTS (
    SELECT FROM jsonb_each_text(h.image -> 'rows') AS sealed WHERE sealed.value IS NOT NULL
)
ORDER BY h.id
"""


def put_function(connection: Connection) -> None:
    """Put up the function that the triggers call, anew where it stands already."""
    connection.execute(text(_PUT_FUNCTION))


def function_stands(connection: Connection) -> bool:
    """Tell whether the function is the one of this version of the program."""
    wanted = {"function": FUNCTION, "body": BODY, "settings": SETTINGS}
    return bool(connection.execute(text(_FUNCTION_STANDS), wanted).scalar_one_or_none())


def triggers(table: SealedTable) -> dict[str, str]:
    """Give the statements that put up a table's triggers, by the names of these."""
    return {
        f"{table.name}_sealed_{event.lower()}": _TRIGGER.format(
            table=table.name,
            event=event.lower(),
            event_name=event,
            sides=sides,
            aside=",".join(table.aside),
        )
        for event, sides in _SIDES.items()
    }


def seal_standing(connection: Connection, table: SealedTable, columns: list[str]) -> None:
    """Seal every row as it stands: nothing said before what it had been.

    Parameters
    ----------
    columns
        All that the table has.
    """
    connection.execute(_AS_TRIGGERS_WRITE)
    hashed = _HASH.format(salt="moment.salt", body="rows.body")
    query = text(_BASELINE.format(table=table.name, hash=hashed))
    covered = _covered(table, columns)
    connection.execute(query, {"columns": covered, "aside": list(table.aside)})


def differing_rows(connection: Connection, table: SealedTable, columns: list[str]) -> list[str]:
    """List the ids of rows that are not what was sealed last: changed, added or taken away."""
    connection.execute(_AS_TRIGGERS_WRITE)
    hashed = _HASH.format(salt="newest.salt", body="to_jsonb(t) - newest.uncovered")
    query = text(_DIFFERING.format(table=table.name, hash=hashed))
    return list(connection.execute(query, {"columns": columns}).scalars())


def covering_less(connection: Connection, table: SealedTable, columns: list[str]) -> list[str]:
    """List the images that leave out a column which the table has, and had when it was sealed."""
    asked = {"table": table.name, "columns": _covered(table, columns)}
    return [str(each) for each in connection.execute(text(_COVERING_LESS), asked).scalars()]


def _covered(table: SealedTable, columns: list[str]) -> list[str]:
    return [name for name in columns if name not in table.aside]
