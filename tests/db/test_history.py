"""The past: what was read then is read again, and is what the sealed journal replays."""

from __future__ import annotations

import json

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session

from registry.asset.models import Asset
from registry.document.store import DocumentStore
from registry.encumbrance import service as encumbrances
from registry.kernel.actor import Role
from registry.kernel.clock import today
from registry.kernel.db import Database
from registry.kernel.vault import Vault
from registry.title import service as titles
from registry.valuation import service as valuations
from tests import factories as make
from tests import liens
from tests.db.past import Watch, journal_of
from tests.factories import ACTORS, CHECKER, Desk

pytestmark = pytest.mark.db


def test_past__a_life_of_assets__is_what_was_read_then_and_what_the_journal_replays(
    fresh_database: Database, vault: Vault, store: DocumentStore
) -> None:
    watch = Watch(fresh_database)

    def desk(session: Session) -> Desk:
        return Desk(session, vault, store)

    watch.look()
    with fresh_database.transaction() as session:
        asset_id = make.open_apartment(desk(session)).id
    watch.look()
    with fresh_database.transaction() as session:
        make.open_wheat(desk(session))
    watch.look()
    with fresh_database.transaction() as session:
        make.file_required(desk(session), session.get_one(Asset, asset_id))
        make.value(desk(session), session.get_one(Asset, asset_id))
    watch.look()
    with fresh_database.transaction() as session:
        make.submit(desk(session), session.get_one(Asset, asset_id))
    watch.look()
    with fresh_database.transaction() as session:
        make.approve_all(desk(session), session.get_one(Asset, asset_id))
    watch.look()

    watch.hold()


def test_past__a_title_read_through_the_services__is_that_of_the_moment(
    fresh_database: Database, vault: Vault, store: DocumentStore
) -> None:
    with fresh_database.transaction() as session:
        asset = make.open_apartment(Desk(session, vault, store))
    with fresh_database.reading() as session:
        then = session.connection().scalar(text("SELECT clock_timestamp()"))
    assert then is not None
    with fresh_database.transaction() as session:
        session.get_one(Asset, asset.id).location = {"province": "PK-SD"}

    with fresh_database.reading(known_at=then) as past:
        title = titles.title_of_asset(past, asset.id)
        assert titles.current_version(past, title.id).seq == 1
        assert past.get_one(Asset, asset.id).location["province"] == "PK-PB"
    with fresh_database.reading() as session:
        assert session.get_one(Asset, asset.id).location == {"province": "PK-SD"}


def test_history__two_writers_of_one_row__are_kept_in_the_order_of_their_commits(
    fresh_database: Database, vault: Vault, store: DocumentStore
) -> None:
    with fresh_database.transaction() as session:
        first, second = (make.open_apartment(Desk(session, vault, store)) for _ in range(2))
    with fresh_database.transaction() as slow:
        # Begins first, and comes to the second asset last.
        slow.get_one(Asset, first.id).location = {"province": "PK-BA"}
        slow.flush()
        with fresh_database.transaction() as quick:
            quick.get_one(Asset, second.id).location = {"province": "PK-KP"}
        slow.get_one(Asset, second.id).location = {"province": "PK-SD"}

    with fresh_database.reading() as session:
        last = session.connection().scalar(text("SELECT clock_timestamp()"))
    with fresh_database.reading(known_at=last) as past:
        assert past.get_one(Asset, second.id).location == {"province": "PK-SD"}


def test_history__image__holds_nothing_private(
    fresh_database: Database, vault: Vault, store: DocumentStore
) -> None:
    with fresh_database.transaction() as session:
        desk = Desk(session, vault, store)
        owner = make.person(desk, name="Zubaida Khatoon")
        asset = make.open_apartment(desk, owner)
        make.file_document(desk, asset, "FARD", file_name="zubaida-khatoon.pdf", verified=False)
        lien = liens.ask_discharge(desk, liens.active(desk, asset))
        encumbrances.discharge_encumbrance(
            desk.session, CHECKER, lien.id, confirmation="Told by Zubaida, 35202-1234567-1."
        )
        value = valuations.submit_valuation(
            desk.session,
            ACTORS[Role.VALUER],
            asset.id,
            amount_paisa=1,
            basis_date=today(),
            method="X",
            report_sha256=bytes(32),
        )
        checker = ACTORS[Role.VALUATION_CHECKER]
        valuations.reject_valuation(
            desk.session, checker, value.id, reason="35202-1234567-1 says otherwise"
        )

    told = json.dumps(journal_of(fresh_database)).lower()
    assert str(owner.id) in told
    assert "1234567-1" not in told
    assert "zubaida" not in told.replace("told by zubaida, ***", "")


@pytest.mark.parametrize("statement", ["DELETE FROM legal_history", "TRUNCATE approval"])
def test_history__taken_away__is_refused(fresh_database: Database, statement: str) -> None:
    with (
        pytest.raises(IntegrityError, match="AUD-01"),
        fresh_database.engine.begin() as connection,
    ):
        connection.execute(text(statement))


def test_recording__moment_set_by_hand__is_not_believed(fresh_database: Database) -> None:
    with fresh_database.engine.begin() as connection:
        connection.execute(text("INSERT INTO recording VALUES (uuidv7(), '2001-01-01T00:00:00Z')"))
    with fresh_database.engine.connect() as connection:
        query = text("SELECT count(*) FROM recording WHERE recorded_at < '2020-01-01'")
        assert connection.scalar(query) == 0
