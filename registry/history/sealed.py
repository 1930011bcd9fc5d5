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

_TRIGGER = """
CREATE TRIGGER {table}_sealed_{event} AFTER {event_name} ON public.{table}
REFERENCING {sides} FOR EACH STATEMENT EXECUTE FUNCTION seal_rows('{aside}')
"""

# As `seal_rows` hashes a row, by what no server keeps for us.
_HASH = "encode(sha256(convert_to({salt}::text || ({body})::text, 'UTF8')), 'hex')"

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
    covered = [name for name in columns if name not in table.aside]
    query = text(_BASELINE.format(table=table.name, hash=hashed))
    connection.execute(query, {"columns": covered, "aside": list(table.aside)})


def differing_rows(connection: Connection, table: SealedTable, columns: list[str]) -> list[str]:
    """List the ids of rows that are not what was sealed last: changed, added or taken away."""
    connection.execute(_AS_TRIGGERS_WRITE)
    hashed = _HASH.format(salt="newest.salt", body="to_jsonb(t) - newest.uncovered")
    query = text(_DIFFERING.format(table=table.name, hash=hashed))
    return list(connection.execute(query, {"columns": columns}).scalars())
