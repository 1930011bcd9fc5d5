"""Sealing everything anew under the first key, so that the other keys can be dropped.

In batches, each a transaction: it may be stopped at any moment, and goes on where it was when it
is started again. The service may run meanwhile, with the same list of keys.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol
from uuid import UUID

from sqlmodel import Session

from registry.certificate import rotation as certificates
from registry.document import rotation as papers
from registry.document.store import DocumentStore
from registry.kernel.db import Database
from registry.kernel.vault import Vault
from registry.kyc import rotation as reviews
from registry.party import rotation as persons
from registry.webhook import rotation as endpoints

BATCH = 200

Step = Callable[[Database, Vault, UUID | None, int], list[UUID]]
"""Seals a batch anew behind an id, in one transaction, and tells which rows it has seen."""


@dataclass(frozen=True, slots=True)
class Left:
    """How much lies under other keys than the first."""

    parties: int
    documents: int
    kyc: int = 0
    webhooks: int = 0
    certificates: int = 0


def left(database: Database, vault: Vault) -> Left:
    """Count what would be lost if every key but the first were dropped now."""
    with database.reading() as session:
        return Left(
            persons.count_left(session, vault),
            papers.count_left(session, vault),
            reviews.count_left(session, vault),
            endpoints.count_left(session, vault),
            certificates.count_left(session, vault),
        )


def rotate(
    database: Database,
    vault: Vault,
    store: DocumentStore,
    *,
    batch: int = BATCH,
    on_batch: Callable[[str, int], None] = lambda _kind, _number: None,
) -> None:
    """Seal everything anew that can be opened; `left` tells afterwards what could not.

    Parameters
    ----------
    batch
        How many at once, in one transaction.
    on_batch
        Called with the kind and the number of what was looked at, after each COMMIT.

    Raises
    ------
    StoreUnreachable
    """
    steps: tuple[tuple[str, Step], ...] = (
        ("parties", _reseal_persons),
        ("documents", partial(_reseal_documents, store)),
        ("kyc", partial(_reseal_rows, reviews)),
        ("webhooks", partial(_reseal_rows, endpoints)),
        ("certificates", partial(_reseal_rows, certificates)),
    )
    for kind, step in steps:
        after: UUID | None = None
        while seen := step(database, vault, after, batch):
            after = seen[-1]
            on_batch(kind, len(seen))


class SealedRows(Protocol):
    """A kind of row that carries all that is sealed of it."""

    def list_left(
        self, session: Session, vault: Vault, *, after: UUID | None, limit: int
    ) -> Sequence[UUID]: ...

    def reseal_one(self, session: Session, vault: Vault, row_id: UUID, /) -> bool: ...


def _reseal_rows(
    rows: SealedRows, database: Database, vault: Vault, after: UUID | None, batch: int
) -> list[UUID]:
    with database.transaction() as session:
        ids = list(rows.list_left(session, vault, after=after, limit=batch))
        for row_id in ids:
            rows.reseal_one(session, vault, row_id)
    return ids


def _reseal_persons(database: Database, vault: Vault, after: UUID | None, batch: int) -> list[UUID]:
    with database.transaction() as session:
        ids = list(persons.list_left(session, vault, after=after, limit=batch))
        persons.reseal(session, vault, ids)
    return ids


def _reseal_documents(
    store: DocumentStore, database: Database, vault: Vault, after: UUID | None, batch: int
) -> list[UUID]:
    not_needed = []
    with database.transaction() as session:
        ids = list(papers.list_left(session, vault, after=after, limit=batch))
        for document_id in ids:
            _, blob = papers.reseal_document(session, vault, store, document_id)
            if blob is not None:
                not_needed.append(blob)
    # Not before the COMMIT: until then the register names it.
    for blob in not_needed:
        store.remove(blob)
    return ids
