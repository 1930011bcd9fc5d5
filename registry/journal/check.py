"""Checking the database against its seals, its tree, and its own history."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import text
from sqlmodel import Session, col, select

from registry.history import check as history
from registry.journal import merkle
from registry.journal.export import bodies_of, chunks, export_lines
from registry.journal.health import health_of
from registry.journal.leaves import canonical
from registry.journal.models import JournalLeaf, JournalNode
from registry.journal.sealer import BATCH, KEPT_LEVELS
from registry.journal.verify import Head, JournalBroken, fault_of, missing, verify

# A row that was written as rows are written is sealed, or waits for it.
_PAST_THE_QUEUE = """
SELECT id FROM {table} AS r
WHERE NOT EXISTS (SELECT FROM journal_leaf AS l WHERE l.entry_id = r.id)
    AND NOT EXISTS (SELECT FROM journal_pending AS p WHERE p.entry_id = r.id)
ORDER BY id
"""

# What the register does leaves an act in its transaction. Keys that are rotated change no image;
# a column that a migration added is not yet in the image before, and null. Facts without an act
# are few, so only they are compared, and only once they are known.
_UNTOLD = """
WITH untold AS MATERIALIZED (
    SELECT h.id FROM legal_history AS h
    WHERE NOT EXISTS (SELECT FROM journal_entry AS e WHERE e.recording_id = h.recording_id)
), image AS (
    SELECT h.id, h.table_name, h.row_id, h.op, r.recorded_at,
        h.image || coalesce(h.private, '{}') AS said, (
            SELECT before.image || coalesce(before.private, '{}')
            FROM legal_history AS before
            JOIN recording AS before_r ON before_r.id = before.recording_id
            WHERE before.row_id = h.row_id AND before.table_name = h.table_name
                AND (before_r.recorded_at, before.id) < (r.recorded_at, h.id)
            ORDER BY before_r.recorded_at DESC, before.id DESC LIMIT 1
        ) AS said_before
    FROM untold
    JOIN legal_history AS h ON h.id = untold.id
    LEFT JOIN recording AS r ON r.id = h.recording_id
)
SELECT image.id, table_name, coalesce(sealed.row_id, image.row_id::text) FROM image
LEFT JOIN LATERAL jsonb_object_keys(
    CASE WHEN op = 'ROWS' THEN said -> 'rows' END
) AS sealed (row_id) ON true
WHERE op = 'ROWS' OR said IS NULL OR said_before IS NULL OR EXISTS (
    SELECT FROM jsonb_each(said) AS s FULL JOIN jsonb_each(said_before) AS b USING (key)
    WHERE coalesce(s.value, 'null') <> coalesce(b.value, 'null')
)
ORDER BY image.id, 3
"""

# All rows of a transaction enter the queue at once. A seal that is not full took whatever waited,
# so of a transaction that it, or one before it, has a row of, nothing is left for later ones.
# Acts may be sealed after their facts: migration 0064 gave some to facts that were there.
_BELATED = """
WITH told AS (
    SELECT e.recording_id, max(coalesce(l.seq, :never)) AS seq
    FROM journal_entry AS e LEFT JOIN journal_leaf AS l ON l.entry_id = e.id
    WHERE e.recording_id IS NOT NULL GROUP BY e.recording_id
), closed AS MATERIALIZED (
    SELECT recording_id, (
        SELECT s.tree_size FROM journal_seal AS s
        WHERE s.tree_size >= told.seq AND s.tree_size - s.first_seq + 1 < :batch
        ORDER BY s.tree_size LIMIT 1
    ) AS seq
    FROM told
)
SELECT h.id, h.table_name, coalesce(sealed.row_id, h.row_id::text)
FROM legal_history AS h
JOIN closed ON closed.recording_id = h.recording_id
LEFT JOIN journal_leaf AS l ON l.entry_id = h.id
LEFT JOIN LATERAL jsonb_object_keys(
    CASE WHEN h.op = 'ROWS' THEN h.image -> 'rows' END
) AS sealed (row_id) ON true
WHERE closed.seq < coalesce(l.seq, :never)
ORDER BY h.id, 3
"""

_CHUNK = 10_000
_NEVER = 2**63 - 1
"""After every leaf: what is not sealed."""


def check(
    session: Session, *, known: Head | None = None, batch: int = BATCH
) -> Iterator[Head | str]:
    """Look for everything that somebody changed past the register's own ways.

    Parameters
    ----------
    batch
        Rows of a full seal.

    Yields
    ------
    Head | str
        How much of the sealed journal holds so far; and a sentence for each thing that is wrong.
    """
    try:
        yield from verify(export_lines(session), known=known)
    except JournalBroken as fault:
        yield str(fault)
        yield from (str(other) for other in _changed(session) if str(other) != str(fault))
    yield from _tree(session)
    yield from _unsealed(session)
    yield from _untold(session)
    yield from _belated(session, batch)
    health = health_of(session)
    if health.is_broken:
        yield "The newest row of journal_seal does not stand for its own tree: nothing is sealed"
    if health.missing:
        yield f"{health.missing} rows were gone before they were sealed: see the acts row_missing"
    yield from (str(difference) for difference in history.differences(session))
    yield from history.misplaced(session)
    yield from history.covering_less(session)
    yield from history.replaced(session)


def _changed(session: Session) -> Iterator[JournalBroken]:
    """Hold every leaf against its row: what is changed behind the first fault is named as well."""
    expected = 1
    for leaves in chunks(session):
        found = bodies_of(session, leaves)
        for leaf in leaves:
            if leaf.seq > expected:
                yield missing(expected, leaf.seq)
            body = found.get(leaf.entry_id)
            entry = b"null" if body is None else canonical(body)
            fault = fault_of(leaf.seq, entry, leaf.leaf_hash)
            if fault is not None:
                yield fault
            expected = leaf.seq + 1
        session.expunge_all()


def _unsealed(session: Session) -> Iterator[str]:
    for table in ("journal_entry", "legal_history"):
        rows = session.connection().execute(text(_PAST_THE_QUEUE.format(table=table)))
        for row_id in rows.scalars():
            yield f"Row {row_id} of {table} is neither sealed nor waits: it was added by hand"


def _untold(session: Session) -> Iterator[str]:
    """Find what was changed in SQL, with the triggers on, so that it was sealed as genuine."""
    for image_id, table, row_id in session.connection().execute(text(_UNTOLD)):
        yield (
            f"Row {row_id} of {table} was changed without an act of the journal: see row "
            f"{image_id} of legal_history"
        )


def _belated(session: Session, batch: int) -> Iterator[str]:
    """Find what was put into a recording that was sealed already, for its act to excuse it."""
    given = {"batch": batch, "never": _NEVER}
    for image_id, table, row_id in session.connection().execute(text(_BELATED), given):
        yield (
            f"Row {row_id} of {table} was recorded after the acts of its recording were sealed: "
            f"see row {image_id} of legal_history"
        )


def _tree(session: Session) -> Iterator[str]:
    """Compare the inner nodes, from which proofs are made, with the leaves under them."""
    stored = {
        (level, position): digest
        for level, position, digest in session.exec(
            select(JournalNode.level, JournalNode.position, JournalNode.node_hash)
        )
    }
    tree = merkle.Frontier()
    for digest in _leaf_hashes(session):
        for level, position, made in tree.append(digest):
            if level % KEPT_LEVELS == 0 and stored.pop((level, position), None) != made:
                yield f"Node {position} of level {level} is not that of its leaves"
    for level, position in stored:
        yield f"Node {position} of level {level} stands over no leaves"


def _leaf_hashes(session: Session) -> Iterator[bytes]:
    after = -(2**63)
    while rows := session.exec(
        select(JournalLeaf.seq, JournalLeaf.leaf_hash)
        .where(col(JournalLeaf.seq) > after)
        .order_by(col(JournalLeaf.seq))
        .limit(_CHUNK)
    ).all():
        yield from (digest for _, digest in rows)
        after = rows[-1][0]
