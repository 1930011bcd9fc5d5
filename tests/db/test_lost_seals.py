"""Blocks that a reorg took: what is answered from them is held against the journal."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from registry.captable import lost_seal, rewind
from registry.captable.service import sync_state
from registry.document.store import DocumentStore
from registry.kernel import migrate
from registry.kernel.db import Database
from registry.kernel.vault import Vault
from tests import factories as make
from tests import ledger
from tests.db.tampering import meddle
from tests.factories import Desk

pytestmark = pytest.mark.db

BEFORE = "0084"
OF_FIRST = "number = (SELECT min(number) FROM orphan_block)"
CHANGED = (
    f"UPDATE orphan_block SET amounts[1] = 7 WHERE {OF_FIRST}",
    f"UPDATE orphan_block SET targets[1] = 9 WHERE {OF_FIRST}",
    f"UPDATE orphan_block SET recorded_at = recorded_at - interval '1 hour' WHERE {OF_FIRST}",
    f"UPDATE orphan_block SET contract_events = '[{{}}]' WHERE {OF_FIRST}",
)


def take_back(database: Database, vault: Vault, store: DocumentStore) -> str:
    """Have a reorg take blocks with movements; return the hash of the first."""
    with database.transaction() as session:
        desk = Desk(session, vault, store)
        chain = ledger.live(desk, 600, 400)
        one, other = (each.wallet.address for each in chain.holders)
        fork = sync_state(session, chain.chain_id).number
        chain.move(one, other, 5)
        chain.freeze_units(other, 3)
        chain.stand_still()
        rewind.rewind(session, chain.chain_id, chain.block(fork))
        make.tell_acts(session)
    return hash_of(database, OF_FIRST)


def hash_of(database: Database, where: str) -> str:
    with database.reading() as session:
        query = text(f"SELECT encode(hash, 'hex') FROM orphan_block WHERE {where}")
        return str(session.connection().scalar(query))


def faults(database: Database) -> list[str]:
    with database.reading() as session:
        return list(lost_seal.altered(session))


@pytest.mark.parametrize("changed", CHANGED)
def test_lost_block__changed_in_sql__is_named(
    fresh_database: Database, vault: Vault, store: DocumentStore, changed: str
) -> None:
    block = take_back(fresh_database, vault, store)
    assert faults(fresh_database) == []

    meddle(fresh_database, changed)

    [found] = faults(fresh_database)
    assert f"0x{block} of chain" in found
    assert found.endswith("is not what the journal says was taken back")


def test_lost_block__taken_away_or_added__is_named(
    fresh_database: Database, vault: Vault, store: DocumentStore
) -> None:
    block = take_back(fresh_database, vault, store)

    meddle(
        fresh_database,
        f"UPDATE orphan_block SET orphaned_at = orphaned_at + interval '1 hour' WHERE {OF_FIRST}",
    )

    added, gone = sorted(faults(fresh_database), key=lambda fault: fault.endswith("is gone"))
    assert gone.startswith(f"Block 0x{block} of chain")
    assert gone.endswith("is gone")
    assert added.endswith("was never taken back, as the journal tells")


def test_upgrade__blocks_that_were_taken_before__are_sealed_as_they_stand_once(
    fresh_database: Database, vault: Vault, store: DocumentStore
) -> None:
    block = take_back(fresh_database, vault, store)
    migrate.downgrade(fresh_database, BEFORE)
    meddle(fresh_database, "DELETE FROM journal_entry WHERE act = 'blocks_taken_back'")
    assert len(faults(fresh_database)) > 1, "as before there were such acts"

    migrate.upgrade(fresh_database)
    assert faults(fresh_database) == []

    meddle(fresh_database, CHANGED[0])
    migrate.downgrade(fresh_database, BEFORE)
    migrate.upgrade(fresh_database)
    [found] = faults(fresh_database)
    assert f"0x{block} of chain" in found
