"""R-27: rows of the journal, each with its hash, its seal, and whether both still hold."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import Field
from sqlalchemy import text
from sqlmodel import Session

from registry.anchor.reading import find_covering
from registry.filing.suspicion import untold_to
from registry.journal import merkle
from registry.journal.leaves import bodies, canonical
from registry.journal.models import LeafKind
from registry.journal.proofs import Tree
from registry.journal.untold import Untold
from registry.report.report import Column, Kind, Question, Report, Row
from registry.report.report import Parameters as Asked

AT_ONCE = 500
LAST_SEQ = 2**63 - 1


class Parameters(Asked):
    """Of what, or which numbers."""

    entity: Annotated[
        str | None, Field(max_length=100, description="Id of a record, or of a report")
    ] = None
    first: Annotated[int, Field(ge=1, lt=2**53, description="The first number")] = 1
    last: Annotated[int | None, Field(ge=1, lt=2**53, description="The last number")] = None


COLUMNS = (
    Column("seq", Kind.COUNT),
    Column("kind"),
    Column("entity"),
    Column("act"),
    Column("actor"),
    Column("time", Kind.TIME),
    Column("hash", Kind.HASH),
    Column("prev", Kind.HASH),
    Column("root", Kind.HASH),
    Column("tree_size", Kind.COUNT),
    Column("sealed_at", Kind.TIME),
    Column("anchor_tx", Kind.HASH),
    Column("verified", Kind.FLAG),
)

# `prev` is the root of the tree before the batch in which the row was sealed.
_LEAVES = """
SELECT l.seq, l.kind, l.entry_id, l.leaf_hash, s.previous_root, s.root, s.tree_size, s.sealed_at
FROM {leaves} l
CROSS JOIN LATERAL (
  SELECT * FROM journal_seal WHERE tree_size >= l.seq ORDER BY tree_size LIMIT 1) s
WHERE l.seq > :after AND l.seq >= :first AND l.seq <= coalesce(CAST(:last AS bigint), l.seq)
  AND s.sealed_at <= :until
ORDER BY l.seq LIMIT :limit
"""
_OF_RANGE = text(_LEAVES.format(leaves="journal_leaf"))
_OF_ENTITY = text(
    _LEAVES.format(
        leaves="""(
  SELECT j.* FROM (
    SELECT id FROM journal_entry WHERE subject_id = :entity
    UNION ALL
    SELECT id FROM legal_history WHERE row_id = CAST(:row AS uuid)
    UNION
    SELECT id FROM legal_history WHERE op = 'ROWS' AND
      jsonb_path_query_array(image, '$.rows.keyvalue().key') @> jsonb_build_array(:entity)) x
  JOIN journal_leaf j ON j.entry_id = x.id)"""
    )
)


def _rows(session: Session, question: Question[Parameters]) -> Iterator[Row]:
    asked = question.parameters
    after, left = (int(question.after[0]) if question.after else 0), question.fetch
    untold = untold_to(session, question.reader, may_know=question.tells_suspicions)
    look = _Look(session, Tree(session), _Anchors(session, question), untold)
    query = _OF_RANGE if asked.entity is None else _OF_ENTITY
    while left is None or left > 0:
        values: dict[str, Any] = {
            "after": after,
            "first": asked.first,
            "last": asked.last,
            "until": min(question.moment, question.known_at),
            "limit": AT_ONCE if left is None else min(left, AT_ONCE),
        }
        if asked.entity is not None:
            values |= {"entity": asked.entity, "row": _row_id(asked.entity)}
        found = session.execute(query, values).all()
        # Whoever asks for a record would learn from its rows that it is there.
        rows = _of(look, found, leaves_out=asked.entity is not None)
        yield from rows
        if len(found) < values["limit"]:
            return
        after = found[-1].seq
        left = None if left is None else left - len(rows)


def _row_id(entity: str) -> UUID | None:
    try:
        return UUID(entity)
    except ValueError:
        return None


class _Anchors:
    """Tells the transaction that put a root over a row on chain; rows are asked for in order."""

    def __init__(self, session: Session, question: Question[Parameters]) -> None:
        self._session = session
        self._chain_id = question.chain_id
        self._until = min(question.moment, question.known_at)
        self._covered = 0
        self._tx_hash: bytes | None = None

    def over(self, seq: int) -> bytes | None:
        """Give the hash of the transaction; None where no root over it was on chain by then."""
        if seq > self._covered:
            found = find_covering(self._session, self._chain_id, seq)
            is_known = found is not None and found.block and found.block.mined_at <= self._until
            self._covered = found.tree_size if found else LAST_SEQ
            self._tx_hash = found.tx_hash if found and is_known else None
        return self._tx_hash


@dataclass(frozen=True, slots=True)
class _Look:
    """What is needed to tell of rows, and what of them is not told."""

    session: Session
    tree: Tree
    anchors: _Anchors
    untold: Untold


def _of(look: _Look, found: Sequence[Any], *, leaves_out: bool) -> list[Row]:
    """Tell of rows; what is not told is left out, or has only its hashes and whether it holds."""
    said: dict[UUID, dict[str, Any]] = {}
    for kind in LeafKind:
        ids = [row.entry_id for row in found if row.kind == kind]
        said |= dict(bodies(look.session, kind, ids)) if ids else {}
    rows = []
    for row in found:
        body = said.get(row.entry_id)
        is_hidden = body is not None and look.untold.hides(body)
        if is_hidden and leaves_out:
            continue
        values = (
            row.seq, row.kind, *_told(None if is_hidden else body), bytes(row.leaf_hash),
            bytes(row.previous_root), bytes(row.root), row.tree_size, row.sealed_at,
            look.anchors.over(row.seq), _holds(look.tree, row, body),
        )  # fmt: skip
        rows.append(Row((row.seq,), values))
    return rows


def _told(body: dict[str, Any] | None) -> tuple[Any, ...]:
    if body is None:
        return None, None, None, None
    time = body["recorded_at"]
    moment = None if time is None else datetime.fromisoformat(time)
    if body["kind"] == LeafKind.ACT:
        return body["subject_id"], body["act"], body["actor"], moment
    return body["row_id"], f"{body['op']} {body['table']}", None, moment


def _holds(tree: Tree, row: Any, body: dict[str, Any] | None) -> bool:
    """Hash what stands there now, and climb from it to the root that was sealed."""
    if body is None:
        return False
    leaf = merkle.leaf_hash(canonical(body))
    path = merkle.inclusion_path(row.seq - 1, row.tree_size, tree.range_hash)
    root = merkle.root_of_inclusion(leaf, row.seq - 1, row.tree_size, path)
    return leaf == bytes(row.leaf_hash) and root == bytes(row.root)


JOURNAL_PROOF = Report(
    code="R-27",
    title="Journal proof",
    title_ur="روزنامچے کا ثبوت",
    parameters=Parameters,
    columns=COLUMNS,
    rows=_rows,
)
