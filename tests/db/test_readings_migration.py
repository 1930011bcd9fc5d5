"""Tokens that were adopted before their readings were kept: the journal tells when."""

from __future__ import annotations

import pytest
from sqlalchemy import text
from sqlmodel import col, select

from registry.captable.models import Token
from registry.captable.readings import ReadingKind, TokenReading
from registry.captable.refusals import refuse
from registry.journal import service as journal
from registry.journal.models import JournalEntry
from registry.kernel import migrate
from registry.kernel.actor import THE_SYSTEM
from registry.kernel.db import Database

pytestmark = pytest.mark.db

BEFORE = "0080"
OURS, ADOPTED, BEHIND = (bytes([number]) * 20 for number in (1, 2, 3))
_TOKEN = """
INSERT INTO token (chain_id, address, identity_registry, compliance, block_number, supply_units,
  paused, caught_up_to)
VALUES (7, :address, :address, :address, 100, 0, false, :caught_up_to)
"""


def test_upgrade__adopted_before__is_known_since_it_was_adopted(fresh_database: Database) -> None:
    with fresh_database.transaction() as session:
        for address in (ADOPTED, BEHIND):
            name = f"0x{address.hex()}"
            journal.record(session, THE_SYSTEM, "token_adopted", "token", name, chain_id=7)
    migrate.downgrade(fresh_database, BEFORE)
    with fresh_database.engine.begin() as connection:
        for address, place in ((OURS, None), (ADOPTED, None), (BEHIND, 150)):
            connection.execute(text(_TOKEN), {"address": address, "caught_up_to": place})

    migrate.upgrade(fresh_database)

    with fresh_database.reading() as session:
        numbers = dict(session.exec(select(Token.token_no, Token.address)).all())
        readings = session.exec(
            select(TokenReading).order_by(col(TokenReading.token_no), col(TokenReading.number))
        ).all()
        adopted_at = session.exec(
            select(JournalEntry.recorded_at).where(col(JournalEntry.act) == "token_adopted")
        ).first()
    assert [
        (numbers[row.token_no], row.kind, row.after_block, row.joined_at is None)
        for row in readings
    ] == [
        (ADOPTED, ReadingKind.ADOPTED, 99, False),
        (BEHIND, ReadingKind.ADOPTED, 99, True),
        (BEHIND, ReadingKind.SET_APART, 150, True),
    ]
    assert readings[0].begun_at == readings[0].joined_at == adopted_at


def test_upgrade__tokens_that_are_behind__are_read_again_only_where_anything_was_doubted(
    fresh_database: Database,
) -> None:
    with fresh_database.transaction() as session:
        for chain_id, address in ((1, OURS), (1, ADOPTED), (2, ADOPTED)):
            token = Token(
                chain_id=chain_id,
                address=address,
                identity_registry=address,
                compliance=address,
                block_number=7,
                caught_up_to=90,
            )
            session.add(token)
            if address == OURS:
                refuse(session, token, "it moved what cannot be", at=90)
        journal.record(session, THE_SYSTEM, "cap_table_degraded", "sync_cursor", 2, reason="so")
    migrate.downgrade(fresh_database, BEFORE)

    migrate.upgrade(fresh_database)

    with fresh_database.reading() as session:
        readings = session.exec(
            select(Token.chain_id, Token.address, TokenReading.kind, TokenReading.after_block)
            .join(TokenReading, col(TokenReading.token_no) == col(Token.token_no))
            .order_by(col(Token.token_no))
        ).all()
    assert list(readings) == [
        (1, OURS, ReadingKind.READ_AGAIN, 6),
        (1, ADOPTED, ReadingKind.SET_APART, 90),
        (2, ADOPTED, ReadingKind.READ_AGAIN, 6),
    ]
