"""Writing the sealed journal out, so that anybody can check it without us."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import rfc8785
from sqlmodel import Session, col, select

from registry.journal.leaves import Body, bodies, canonical
from registry.journal.merkle import EMPTY_ROOT
from registry.journal.models import JournalLeaf, JournalSeal, LeafKind
from registry.journal.sealer import head
from registry.journal.verify import FORMAT

CHUNK = 500
"""Rows that are read at once: the journal is longer than memory, and an image may be large."""


def export_lines(session: Session) -> Iterator[bytes]:
    """Give the lines of the journal as it is sealed in this session's snapshot.

    Rows are given as they stand now, with the hash that was sealed: if somebody changed one, it is
    the reader who finds that, with `registry.journal.verify`.
    """
    last = head(session)
    size = last.tree_size if last else 0
    yield _line(
        {"format": FORMAT, "tree_size": size, "root": (last.root if last else EMPTY_ROOT).hex()}
    )
    seals = _seals(session)
    seal = next(seals, None)
    for leaves in chunks(session):
        found = bodies_of(session, leaves)
        for leaf in leaves:
            while seal is not None and seal.tree_size < leaf.seq:
                yield _seal_line(seal)
                seal = next(seals, None)
            yield _row_line(leaf, found.get(leaf.entry_id))
        session.expunge_all()
    while seal is not None:
        yield _seal_line(seal)
        seal = next(seals, None)


def chunks(session: Session) -> Iterator[Sequence[JournalLeaf]]:
    """Give the leaves in their order, some at a time."""
    after = -(2**63)
    while leaves := session.exec(
        select(JournalLeaf)
        .where(col(JournalLeaf.seq) > after)
        .order_by(col(JournalLeaf.seq))
        .limit(CHUNK)
    ).all():
        yield leaves
        after = leaves[-1].seq


def _seals(session: Session) -> Iterator[JournalSeal]:
    after = -(2**63)
    while seals := session.exec(
        select(JournalSeal)
        .where(col(JournalSeal.tree_size) > after)
        .order_by(col(JournalSeal.tree_size))
        .limit(CHUNK)
    ).all():
        session.expunge_all()
        yield from seals
        after = seals[-1].tree_size


def bodies_of(session: Session, leaves: Sequence[JournalLeaf]) -> dict[Any, Body]:
    """Give what is sealed of the rows of some leaves, by their ids, as they stand now."""
    return {
        entry_id: body
        for kind in LeafKind
        for entry_id, body in bodies(
            session, kind, [leaf.entry_id for leaf in leaves if leaf.kind == kind]
        )
    }


def _row_line(leaf: JournalLeaf, body: Body | None) -> bytes:
    entry = b"null" if body is None else canonical(body)
    tail = f',"leaf_hash":"{leaf.leaf_hash.hex()}","seq":{leaf.seq}}}'
    return b'{"entry":' + entry + tail.encode() + b"\n"


def _seal_line(seal: JournalSeal) -> bytes:
    return _line(
        {
            "seal": {
                "first_seq": seal.first_seq,
                "tree_size": seal.tree_size,
                "root": seal.root.hex(),
                "previous_root": seal.previous_root.hex(),
                "sealed_at": seal.sealed_at.isoformat(),
            }
        }
    )


def _line(value: dict[str, Any]) -> bytes:
    return rfc8785.dumps(value) + b"\n"
