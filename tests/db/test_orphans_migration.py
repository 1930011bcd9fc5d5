"""Orphans from before they were kept by column: what their blocks said stays readable."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sqlalchemy import text
from sqlmodel import col, select

from registry.captable.orphans import OrphanBlock
from registry.kernel import migrate
from registry.kernel.db import Database

pytestmark = pytest.mark.db

BEFORE = "0041"
MOST = 2**256 - 1


def told(log_index: int, **said: Any) -> dict[str, Any]:
    """Give an event as a reorg kept it before."""
    event = {
        "token_no": 7,
        "block_number": 12,
        "log_index": log_index,
        "kind": 1,
        "tx_hash": f"{log_index:064x}",
        "source": None,
        "target": None,
        "units": None,
        "extra": None,
    }
    return event | said


EVENTS = [
    told(0, target=3, units=str(MOST)),
    told(2, kind=8, target=4, extra={"identity": "aa", "country": 586}),
    told(11, token_no=8, source=3, target=4, units="0", extra={"forced": True}),
]


def kept(database: Database) -> list[list[dict[str, Any]]]:
    with database.reading() as session:
        blocks = session.exec(select(OrphanBlock).order_by(col(OrphanBlock.number))).all()
        return [block.events for block in blocks]


def test_upgrade__orphans_of_before__say_what_they_said_and_so_they_do_after_a_downgrade(
    fresh_database: Database,
) -> None:
    migrate.downgrade(fresh_database, BEFORE)
    with fresh_database.engine.begin() as connection:
        for number, events in ((12, EVENTS), (13, [])):
            connection.execute(
                text(
                    "INSERT INTO orphan_block (chain_id, hash, orphaned_at, number, mined_at,"
                    " recorded_at, events) VALUES (1, :hash, now(), :number, now(), now(),"
                    " CAST(:events AS json))"
                ),
                {"hash": bytes([number]), "number": number, "events": json.dumps(events)},
            )

    migrate.upgrade(fresh_database)
    assert kept(fresh_database) == [EVENTS, []]

    migrate.downgrade(fresh_database, BEFORE)
    with fresh_database.engine.connect() as connection:
        before = connection.execute(text("SELECT events FROM orphan_block ORDER BY number"))
        assert list(before.scalars()) == [EVENTS, []]
    migrate.upgrade(fresh_database)
    assert kept(fresh_database) == [EVENTS, []]
