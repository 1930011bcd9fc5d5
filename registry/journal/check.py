"""Checking the database against its seals, its tree, and its own history."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import text
from sqlmodel import Session, col, select

from registry.history import check as history
from registry.journal import merkle
from registry.journal.export import export_lines
from registry.journal.health import health_of
from registry.journal.models import JournalLeaf, JournalNode
from registry.journal.sealer import KEPT_LEVELS
from registry.journal.verify import Head, JournalBroken, verify

# A row that was written as rows are written is sealed, or waits for it.
_PAST_THE_QUEUE = """
SELECT id FROM {table} AS r
WHERE NOT EXISTS (SELECT FROM journal_leaf AS l WHERE l.entry_id = r.id)
    AND NOT EXISTS (SELECT FROM journal_pending AS p WHERE p.entry_id = r.id)
ORDER BY id
"""

_CHUNK = 10_000


def check(session: Session, *, known: Head | None = None) -> Iterator[Head | str]:
    """Look for everything that somebody changed past the register's own ways.

    Yields
    ------
    Head | str
        How much of the sealed journal holds so far; and a sentence for each thing that is wrong.
    """
    try:
        yield from verify(export_lines(session), known=known)
    except JournalBroken as fault:
        yield str(fault)
    yield from _tree(session)
    yield from _unsealed(session)
    missing = health_of(session).missing
    if missing:
        yield f"{missing} rows were gone before they were sealed: see the acts row_missing"
    yield from (str(difference) for difference in history.differences(session))


def _unsealed(session: Session) -> Iterator[str]:
    for table in ("journal_entry", "legal_history"):
        rows = session.connection().execute(text(_PAST_THE_QUEUE.format(table=table)))
        for row_id in rows.scalars():
            yield f"Row {row_id} of {table} is neither sealed nor waits: it was added by hand"


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
