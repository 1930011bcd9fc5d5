"""Orders that end while another one is being carried out."""

from __future__ import annotations

import pytest
from sqlalchemy import text
from sqlmodel import Session

from registry.case.repository import await_turn
from registry.court_order.models import CourtOrder
from registry.document.store import FolderStore
from registry.kernel.db import Database
from registry.kernel.vault import Vault
from tests import court, ledger
from tests.db.races import meanwhile
from tests.db.test_order_freezes import apply, vacate
from tests.factories import Desk

pytestmark = pytest.mark.db


def test_vacate__while_somebody_has_the_turn__leaves_them_the_order(
    fresh_database: Database, vault: Vault, store: FolderStore
) -> None:
    """Whoever has the turn may let this order take units over, and then has to read its row."""

    def vacate_it(session: Session) -> None:
        vacate(Desk(session, vault, store), session.get_one(CourtOrder, order_id))

    with fresh_database.transaction() as session:
        desk = Desk(session, vault, store)
        chain = ledger.live(desk, 600)
        order_id = apply(desk, court.on_amount(desk, chain, 100)).id

    with fresh_database.transaction() as session:
        await_turn(session)
        with meanwhile(fresh_database, vacate_it) as vacated:
            session.connection().execute(text("SET LOCAL lock_timeout = '2s'"))
            wanted = text("SELECT id FROM court_order WHERE id = :id FOR KEY SHARE")
            session.connection().execute(wanted, {"id": order_id})
            session.commit()
        assert vacated.exception() is None
