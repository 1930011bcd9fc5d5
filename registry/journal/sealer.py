"""Sealing: what waits gets numbers, hashes and a place in the tree, in batches.

Writers only append and wait for nobody. A row that commits late waits in the queue like any
other, however old its id: it is neither skipped nor does it move what is sealed already.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from uuid import UUID

import structlog
from sqlalchemy import insert, text
from sqlmodel import Session, col, select

from registry.journal import service as journal
from registry.journal.leaves import Body, bodies, canonical
from registry.journal.merkle import EMPTY_ROOT, Frontier, leaf_hash
from registry.journal.models import JournalLeaf, JournalNode, JournalSeal, LeafKind
from registry.kernel.actor import THE_SYSTEM
from registry.kernel.clock import now
from registry.kernel.db import Database
from registry.kernel.errors import Conflict

log = structlog.get_logger()

JOURNAL = "journal"
ROW_MISSING = "row_missing"
"""The act, with `JOURNAL` as its subject, that says: a queued row was gone before its seal."""

BATCH = 5000
KEPT_LEVELS = 8
_SEALER_LOCK = 4_242_002

_IS_PENDING = "SELECT 1 FROM journal_pending LIMIT 1"
_TAKE = text(
    "DELETE FROM journal_pending WHERE ctid = ANY (ARRAY("
    "SELECT ctid FROM journal_pending LIMIT :batch)) RETURNING kind, entry_id"
)


@dataclass(frozen=True, slots=True)
class _Waiting:
    """What is kept of a row until it has its place: not its body, which may be large."""

    order: tuple[str, str, str]
    kind: LeafKind
    entry_id: UUID
    leaf_hash: bytes


def seal_all(database: Database) -> int:
    """Seal until nothing waits; return how many rows were taken from the queue.

    Raises
    ------
    Conflict
        ``journal_head_broken``.
    """
    sealed = 0
    while True:
        with database.transaction() as session:
            batch = seal_batch(session)
        if batch == 0:
            return sealed
        sealed += batch


def is_anything_pending(database: Database) -> bool:
    """Tell whether anything waits to be sealed; asked each second, so it costs next to nothing."""
    with database.autocommit() as connection:
        return connection.execute(_IS_PENDING).fetchone() is not None


def seal_batch(session: Session, *, batch: int = BATCH) -> int:
    """Seal one batch and return its size; 0 if nothing waits, or another sealer is at work.

    Raises
    ------
    Conflict
        ``journal_head_broken``: the last seal does not stand for its own tree.
    """
    free = session.connection().scalar(text(f"SELECT pg_try_advisory_xact_lock({_SEALER_LOCK})"))
    if not free:
        return 0
    waiting: dict[UUID, LeafKind] = {
        entry_id: LeafKind(kind)
        for kind, entry_id in session.connection().execute(_TAKE, {"batch": batch})
    }
    taken = len(waiting)
    for entry_id in _sealed_already(session, waiting):
        # Queued twice, by hand: the first seal holds.
        del waiting[entry_id]
    found = [
        _Waiting(_order(body), kind, entry_id, leaf_hash(canonical(body)))
        for kind in LeafKind
        for entry_id, body in bodies(session, kind, _of(waiting, kind))
    ]
    for each in found:
        del waiting[each.entry_id]
    _tell_missing(session, waiting)
    if found:
        _append(session, sorted(found, key=attrgetter("order")))
    session.flush()
    return taken


def _of(waiting: Mapping[UUID, LeafKind], kind: LeafKind) -> list[UUID]:
    return [entry_id for entry_id, its_kind in waiting.items() if its_kind is kind]


def _sealed_already(session: Session, ids: Collection[UUID]) -> Sequence[UUID]:
    query = select(JournalLeaf.entry_id).where(col(JournalLeaf.entry_id).in_(ids))
    return session.exec(query).all() if ids else []


def _tell_missing(session: Session, missing: Mapping[UUID, LeafKind]) -> None:
    """Journal that rows were taken away before their seal; the entry is itself sealed next.

    Sealing goes on: whoever took a row away shall not stop the seals of all others as well.
    """
    for entry_id, kind in missing.items():
        log.error("journal_row_missing", rule="AUD-01", kind=kind.value, entry_id=str(entry_id))
        facts = {"kind": kind.value, "entry_id": str(entry_id)}
        journal.record(session, THE_SYSTEM, ROW_MISSING, JOURNAL, JOURNAL, **facts)


def _order(body: Body) -> tuple[str, str, str]:
    """Order as things became known, then as they were written."""
    return body["recorded_at"] or "", body["recording_id"] or "", body["id"]


def _append(session: Session, found: list[_Waiting]) -> None:
    last = head(session)
    if last and not is_sound(last):
        raise Conflict(
            "journal_head_broken",
            f"The seal of {last.tree_size} entries does not stand for its own tree (rule AUD-01).",
            remedy="Export the journal, verify it, and find out who changed it.",
            rule="AUD-01",
        )
    tree = Frontier.of(last.tree_size, last.edge) if last else Frontier()
    first_seq = tree.size + 1
    leaves, nodes = [], []
    for each in found:
        made = tree.append(each.leaf_hash)
        leaves.append(
            {
                "seq": tree.size,
                "kind": each.kind,
                "entry_id": each.entry_id,
                "leaf_hash": each.leaf_hash,
            }
        )
        nodes += [
            {"level": level, "position": place, "node_hash": node}
            for level, place, node in made
            if level % KEPT_LEVELS == 0
        ]
    session.connection().execute(insert(JournalLeaf), leaves)
    if nodes:
        session.connection().execute(insert(JournalNode), nodes)
    session.add(
        JournalSeal(
            tree_size=tree.size,
            first_seq=first_seq,
            root=tree.root,
            previous_root=last.root if last else EMPTY_ROOT,
            edge=b"".join(tree.edge),
            sealed_at=now(),
        )
    )
    session.flush()


def is_sound(seal: JournalSeal) -> bool:
    """Tell whether a seal's root is that of its own tree."""
    tree = Frontier.of(seal.tree_size, seal.edge)
    return tree.is_sound and tree.root == seal.root


def head(session: Session) -> JournalSeal | None:
    """Return the newest seal, if anything was ever sealed."""
    return session.exec(
        select(JournalSeal).order_by(col(JournalSeal.tree_size).desc()).limit(1)
    ).first()
