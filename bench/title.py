"""The figure of a title as of a date, among a million titles of a few versions each."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy import text
from sqlmodel import Session

from bench.figures import print_figure
from bench.timing import p99_ms
from registry.kernel.db import Database
from registry.title.models import Title
from registry.title.service import ownership_of, version_at

VERSIONS = 3
ASKED = 2000
_START = datetime(2000, 1, 1, tzinfo=UTC)
_YEARS = timedelta(days=3650)

# Rows that the rules let through, without asking them a million times: what is measured is a read.
_ASSETS = """
INSERT INTO asset (id, recorded_at, code, asset_class, title_regime, state, location, details,
    maker, version)
SELECT uuidv7(), :start, 'BENCH-' || n, 'LAND_AGRICULTURAL', 'REVENUE_RECORD_RURAL', 'DRAFT',
    '{}', '{}', 'bench', 1 FROM generate_series(1, :count) AS n
"""
_TITLES = """
INSERT INTO title (id, recorded_at, asset_id, state)
SELECT uuidv7(), recorded_at, id, 'PROPOSED' FROM asset WHERE code LIKE 'BENCH-%'
"""
_VERSIONS = """
INSERT INTO title_version (id, recorded_at, title_id, seq, basis, kul_hissay, valid_from,
    valid_to, maker)
SELECT uuidv7(), :start, title.id, n, 'RECORD_OF_RIGHTS', 1,
    :start + (n - 1) * :years, CASE WHEN n < :versions THEN :start + n * :years END, 'bench'
FROM title JOIN asset ON asset.id = title.asset_id AND asset.code LIKE 'BENCH-%',
    generate_series(1, :versions) AS n
"""
_IDS = """
SELECT title.id FROM title JOIN asset ON asset.id = title.asset_id AND asset.code LIKE 'BENCH-%'
ORDER BY random() LIMIT :asked
"""
_SHARES = """
INSERT INTO title_share (version_id, party_id, hissa)
SELECT version.id, :party, 1 FROM title_version AS version
JOIN title ON title.id = version.title_id
JOIN asset ON asset.id = title.asset_id AND asset.code LIKE 'BENCH-%'
"""


def measure_title_as_of(database: Database, count: int) -> None:
    """Ask for titles as of random dates, as the API does, and print the 99th percentile."""
    _fill(database, count)
    chance = random.Random(1)  # noqa: S311 - no secret
    with database.reading() as session:
        ids = session.connection().execute(text(_IDS), {"asked": ASKED}).scalars()
        asked = [(title_id, _START + chance.random() * VERSIONS * _YEARS) for title_id in ids]
        ours = p99_ms(lambda item: _ask(session, *item), asked)
        other = p99_ms(lambda item: _by_key(session, item[0]), asked)
    print_figure(
        "registry.title_as_of.p99_ms", ours, "ms", against="a title by its primary key", other=other
    )


def _fill(database: Database, count: int) -> None:
    with database.transaction() as session:
        connection = session.connection()
        # Triggers rest: the history of these rows, and their sums, are not what is measured.
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        party = connection.execute(text("SELECT id FROM party LIMIT 1")).scalar_one()
        values = {
            "start": _START, "years": _YEARS, "count": count, "versions": VERSIONS, "party": party,
        }  # fmt: skip
        for statement in (_ASSETS, _TITLES, _VERSIONS, _SHARES):
            connection.execute(text(statement), values)
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE asset, title, title_version, title_share"))


def _ask(session: Session, title_id: UUID, at: datetime) -> None:
    version = version_at(session, title_id, as_of=at, known_at=datetime.now(UTC))
    assert ownership_of(session, version).shares
    session.expunge_all()


def _by_key(session: Session, title_id: UUID) -> None:
    assert session.get(Title, title_id) is not None
    session.expunge_all()
