"""Sealing: nothing is skipped, nothing moves, and nobody changes it unseen."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from itertools import pairwise

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, select

from registry.history.tables import KEPT_TABLES, NOT_LEGAL
from registry.journal import service as journal
from registry.journal.leaves import bodies, canonical
from registry.journal.merkle import (
    EMPTY_ROOT,
    Frontier,
    is_consistent,
    leaf_hash,
    root_of_inclusion,
)
from registry.journal.models import JournalEntry, JournalLeaf, JournalSeal
from registry.journal.proofs import get_head, prove_consistency, prove_inclusion
from registry.journal.sealer import seal_all, seal_batch
from registry.kernel.db import Database
from registry.kernel.errors import Conflict, Invalid, NotFound
from registry.models import metadata
from tests.factories import MAKER

pytestmark = pytest.mark.db


def write(database: Database, number: int) -> None:
    with database.transaction() as session:
        for index in range(number):
            journal.record(session, MAKER, "opened", "asset", index)


@pytest.fixture
def sealed(empty_database: Database) -> Iterator[Session]:
    """A journal of 300 entries, sealed in batches of 100, and one of 7."""
    write(empty_database, 300)
    for size in (100, 100, 100):
        with empty_database.transaction() as session:
            assert seal_batch(session, batch=size) == size
    write(empty_database, 7)
    assert seal_all(empty_database) == 7
    with empty_database.reading() as session:
        yield session


def test_tables__all_of_the_registry__are_legal_or_sealed_or_say_why_not() -> None:
    kept = [table.name for table in KEPT_TABLES]

    assert sorted([*kept, *NOT_LEGAL]) == sorted(metadata.tables)


def test_seal__batches__continue_one_tree_of_what_stands_in_the_rows(sealed: Session) -> None:
    leaves = sealed.exec(select(JournalLeaf).order_by(col(JournalLeaf.seq))).all()
    seals = sealed.exec(select(JournalSeal).order_by(col(JournalSeal.tree_size))).all()
    tree = Frontier()
    for leaf in leaves:
        [(_, body)] = bodies(sealed, leaf.kind, [leaf.entry_id])
        assert leaf_hash(canonical(body)) == leaf.leaf_hash
        tree.append(leaf.leaf_hash)

    assert [leaf.seq for leaf in leaves] == list(range(1, 308))
    assert [seal.tree_size for seal in seals] == [100, 200, 300, 307]
    assert [seal.first_seq for seal in seals] == [1, 101, 201, 301]
    assert seals[0].previous_root == EMPTY_ROOT
    assert all(after.previous_root == before.root for before, after in pairwise(seals))
    assert get_head(sealed).root == tree.root


def test_seal__large_images__are_not_kept_in_memory_together(empty_database: Database) -> None:
    """An image of sealed rows is a hundred kilobytes, and 5000 of them may wait."""
    peaks = []
    for images in (60, 300):
        with empty_database.engine.begin() as connection:
            connection.execute(
                text(
                    "INSERT INTO legal_history (table_name, row_id, op, recording_id, image)"
                    " SELECT 'investor', uuidv7(), 'ROWS', current_recording(),"
                    " (SELECT jsonb_object_agg(row, md5(row)) FROM"
                    " (SELECT (number * row)::text FROM generate_series(1, 1000) AS row)"
                    " AS said (row)) FROM generate_series(1, :images) AS number"
                ),
                {"images": images},
            )
        tracemalloc.start()
        with empty_database.transaction() as session:
            assert seal_batch(session) == images
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()

    assert peaks[1] < 1.5 * peaks[0]


def test_seal__entry_that_commits_late__comes_behind_and_is_not_skipped(
    empty_database: Database,
) -> None:
    with empty_database.transaction() as slow:
        journal.record(slow, MAKER, "slow", "asset", 1)
        slow.flush()
        write(empty_database, 3)
        assert seal_all(empty_database) == 3
    assert seal_all(empty_database) == 1

    with empty_database.reading() as session:
        rows = session.exec(
            select(JournalEntry.act)
            .join(JournalLeaf, col(JournalLeaf.entry_id) == col(JournalEntry.id))
            .order_by(col(JournalLeaf.seq))
        ).all()
    assert list(rows) == ["opened", "opened", "opened", "slow"]


def test_seal__another_sealer_at_work__leaves_it_to_that_one(empty_database: Database) -> None:
    write(empty_database, 2)
    with empty_database.transaction() as first:
        assert seal_batch(first, batch=1) == 1
        with empty_database.transaction() as second:
            assert seal_batch(second) == 0
    assert seal_all(empty_database) == 1


def test_seal__head_rewritten__is_not_built_upon(empty_database: Database) -> None:
    write(empty_database, 3)
    seal_all(empty_database)
    with empty_database.engine.begin() as connection:
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        connection.execute(text("UPDATE journal_seal SET root = sha256('x')"))
    write(empty_database, 1)

    with pytest.raises(Conflict) as refusal:
        seal_all(empty_database)
    assert (refusal.value.code, refusal.value.rule) == ("journal_head_broken", "AUD-01")


@pytest.mark.parametrize(
    "table", ["journal_leaf", "journal_node", "journal_seal", "recording", "journal_entry"]
)
def test_sealed_tables__delete__is_refused(empty_database: Database, table: str) -> None:
    write(empty_database, 1)
    seal_all(empty_database)

    with (
        pytest.raises(IntegrityError, match="AUD-01"),
        empty_database.engine.begin() as connection,
    ):
        connection.execute(text(f"DELETE FROM {table}"))


@pytest.mark.parametrize("seq", [1, 2, 255, 256, 257, 300, 307])
def test_prove_inclusion__any_number__leads_to_the_head(sealed: Session, seq: int) -> None:
    proof = prove_inclusion(sealed, seq)

    assert proof.entry is not None
    assert leaf_hash(canonical(proof.entry)) == proof.leaf_hash
    found = root_of_inclusion(proof.leaf_hash, seq - 1, proof.tree_size, proof.path)
    assert found == proof.root == get_head(sealed).root


@pytest.mark.parametrize("seq", [-1, 0, 308, 2**70])
def test_prove_inclusion__number_nobody_has__is_not_found(sealed: Session, seq: int) -> None:
    with pytest.raises(NotFound):
        prove_inclusion(sealed, seq)


@pytest.mark.parametrize("sizes", [(1, 307), (100, 200), (256, 300), (300, 307), (307, 307)])
def test_prove_consistency__two_sizes__holds(sealed: Session, sizes: tuple[int, int]) -> None:
    proof = prove_consistency(sealed, *sizes)

    assert is_consistent(*sizes, (proof.first_root, proof.second_root), proof.path)


@pytest.mark.parametrize("sizes", [(0, 1), (2, 1), (1, 308)])
def test_prove_consistency__sizes_not_sealed__are_refused(
    sealed: Session, sizes: tuple[int, int]
) -> None:
    with pytest.raises(Invalid) as refusal:
        prove_consistency(sealed, *sizes)
    assert refusal.value.code == "journal_size_unknown"
