"""A sealed register, what a superuser does to it, and what the check then says."""

from __future__ import annotations

from sqlalchemy import text

from registry.document.store import DocumentStore
from registry.journal.check import check
from registry.journal.sealer import seal_batch
from registry.kernel.db import Database
from registry.kernel.vault import Vault
from tests import factories as make
from tests.factories import Desk

BATCH = 10


def seal_claims(database: Database, vault: Vault, store: DocumentStore) -> None:
    """Have two registered claims sealed in batches of at most `BATCH`."""
    with database.transaction() as session:
        desk = Desk(session, vault, store)
        make.open_wheat(desk)
        make.file_required(desk, make.open_apartment(desk))
        make.tell_acts(session)
    seal_in_batches(database, BATCH)


def seal_in_batches(database: Database, batch: int) -> None:
    while True:
        with database.transaction() as session:
            if not seal_batch(session, batch=batch):
                return


def meddle(database: Database, *statements: str) -> None:
    """Do what triggers would refuse, as a superuser can."""
    with database.engine.begin() as connection:
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        for statement in statements:
            assert connection.execute(text(statement)).rowcount > 0, statement


def faults(database: Database) -> list[str]:
    with database.reading() as session:
        return [found for found in check(session, batch=BATCH) if isinstance(found, str)]


NEWEST_MIGRATION_UNDONE = (
    "DROP INDEX ix_redemption_payout_paid; DROP INDEX ix_journal_entry_payout;"
    " UPDATE alembic_version SET version_num = '0100'"
)
"""By hand, as by somebody who wants the next start to migrate."""
