"""Holding papers against their hashes: whether what lies in the store is what was filed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol
from uuid import UUID

from sqlmodel import col, select

from registry.document.content import open_sealed
from registry.document.store import DocumentCorrupted, DocumentStore
from registry.kernel.db import Database
from registry.kernel.rows import page_after
from registry.kernel.vault import SealBroken, Vault

BATCH = 100


class Filed(Protocol):
    """A row that says where a paper lies, and what its bytes were."""

    id: UUID
    sha256: bytes
    size_bytes: int
    stored_as: bytes
    sealed: bytes


def damaged(
    table: type[Any],
    database: Database,
    vault: Vault,
    store: DocumentStore,
    *,
    on_batch: Callable[[int], object] = lambda _: None,
) -> Iterator[str]:
    """Read every paper, and find those that are not what was filed.

    Parameters
    ----------
    table
        Whose rows are `Filed`.
    on_batch
        Told how many more were read.

    Raises
    ------
    StoreUnreachable
    """
    after: UUID | None = None
    while rows := _page(table, database, after):
        for row in rows:
            fault = _fault(vault, store, row)
            if fault is not None:
                yield f"Row {row.id} of {table.__tablename__}: {fault}"
        after = rows[-1].id
        on_batch(len(rows))


def _page(table: type[Any], database: Database, after: UUID | None) -> Sequence[Filed]:
    # Read before it is opened: no transaction waits for the store.
    with database.reading() as session:
        rows = session.exec(
            page_after(select(table), col(table.id), after=after, limit=BATCH)
        ).all()
        session.expunge_all()
    return rows


def _fault(vault: Vault, store: DocumentStore, row: Filed) -> str | None:
    digest, size = hashlib.sha256(), 0
    try:
        for chunk in open_sealed(vault, store, row.id, row.stored_as, row.sealed):
            digest.update(chunk)
            size += len(chunk)
    except DocumentCorrupted as fault:
        return f"its blob {fault.digest.hex()} is missing from the store, or was altered there"
    except SealBroken:
        return "its blob does not open with its key, or the key with none of PII_KEY"
    if digest.digest() != row.sha256:
        return f"its content has the SHA-256 {digest.hexdigest()}, and not {row.sha256.hex()}"
    if size != row.size_bytes:
        return f"its content has {size} bytes, and not {row.size_bytes}"
    return None
