"""Sources of the rules: what stops one of them stops no other, and nothing is passed over."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlmodel import col, select

from registry.alert import rounds
from registry.alert.models import Alert, AlertCursor, AlertRule
from registry.alert.policy import alert_policies
from registry.document.store import DocumentStore
from registry.kernel.clock import now
from registry.kernel.db import Database
from registry.kernel.ids import first_id_of
from registry.kernel.vault import Vault
from tests import factories as make
from tests import intakes, ledger, sales
from tests.factories import Desk

pytestmark = pytest.mark.db


def test_round__one_source_that_cannot_go_on__stops_no_other(
    fresh_database: Database, vault: Vault, store: DocumentStore
) -> None:
    with fresh_database.transaction() as session:
        desk = Desk(session, vault, store)
        sale, who = sales.offering(desk, sales.wrapped_apartment(desk)), make.buyer(desk)
        for _ in range(2):
            order = sales.order(desk, sale, who, 100)
            intakes.paid(desk, order, 100_000_000, ago=timedelta(hours=1))
        broken = Alert(
            rule=AlertRule.STRUCTURING, key="broken", party_id=who.investor.party_id,
            evidence={}, happened_at=now(),
        )  # fmt: skip
        session.add(broken)
        intakes.listed_party(desk)

    with pytest.raises(KeyError):
        rounds.take_round(fresh_database, vault, chain_id=1)

    with fresh_database.transaction() as session:
        of_names = select(Alert).where(col(Alert.rule) == AlertRule.SANCTIONED_NAME)
        assert len(session.exec(of_names).all()) == 1
        session.delete(session.get_one(Alert, broken.id))
    assert rounds.take_round(fresh_database, vault, chain_id=1)


def test_round__while_somebody_writes__goes_on_from_before_they_began(
    fresh_database: Database,
) -> None:
    with fresh_database.transaction() as writer:
        writer.execute(text("SELECT pg_current_xact_id()"))
        began = writer.execute(text("SELECT now()")).scalar_one()
        time.sleep(0.05)
        for other_is_writing in (True, False):
            if not other_is_writing:
                writer.commit()
            with fresh_database.transaction() as session:
                rounds.look_at_payments(session)
                source = rounds.payments_source(alert_policies(session))
                reached = session.get_one(AlertCursor, source).last_id
            assert reached is not None
            assert (reached <= first_id_of(began - rounds.LONGEST_LEAD)) is other_is_writing


def test_round__while_another_program_writes__is_not_repeated_at_once(
    fresh_database: Database, vault: Vault, store: DocumentStore
) -> None:
    with fresh_database.transaction() as session:
        chain = ledger.live(Desk(session, vault, store), 700, 300)
        chain_id = chain.chain_id

    with fresh_database.transaction() as other:
        other.execute(text(f"SELECT pg_advisory_xact_lock({rounds._LOCK})"))
        assert not rounds.take_round(fresh_database, vault, chain_id)
    assert rounds.take_round(fresh_database, vault, chain_id)
