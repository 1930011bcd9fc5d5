"""A register from before persons were sealed: its people are, once it is migrated."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID, uuid4

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import text

from registry.kernel import migrate
from registry.kernel.db import Database
from registry.kernel.vault import Vault
from registry.party import service as parties
from registry.party.details import Details, known_of
from registry.party.models import Party
from tests.factories import MAKER

pytestmark = pytest.mark.db

BEFORE = "0009"
CNIC = "37405-7654321-9"
ROW = text(
    "INSERT INTO party (id, recorded_at, kind, name, name_ur, father_or_spouse_name, cnic_sealed,"
    " cnic_fingerprint, residence_country, created_by)"
    " VALUES (:id, now(), :kind, :name, :name_ur, :father, :cnic, :print, 'PK', 'sql')"
)
PERSON = {"kind": "NATURAL", "name": "Ayesha Khan", "name_ur": "عائشہ", "father": "Obaidullah"}
COMPANY = {"kind": "LEGAL", "name": "Kohinoor Mills", "name_ur": "کوہ نور", "father": None}


@pytest.fixture
def vault(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Vault:
    """The vault of the settings, as a migration opens it."""
    keys = [Fernet.generate_key().decode() for _ in range(2)]
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    monkeypatch.setenv("PII_KEY", keys[0])
    monkeypatch.setenv("PII_INDEX_KEY", keys[1])
    return Vault(*keys)


@pytest.fixture
def people(fresh_database: Database, vault: Vault) -> tuple[UUID, UUID]:
    """A person and a company in a database of the version before."""
    migrate.downgrade(fresh_database, BEFORE)
    person, company = uuid4(), uuid4()
    sealed = {"cnic": vault.seal(CNIC), "print": vault.fingerprint(CNIC)}
    with fresh_database.engine.begin() as connection:
        connection.execute(ROW, PERSON | sealed | {"id": person})
        connection.execute(ROW, COMPANY | {"cnic": None, "print": None, "id": company})
    return person, company


def rows(database: Database) -> list[str]:
    with database.engine.connect() as connection:
        return list(connection.execute(text("SELECT p::text FROM party p ORDER BY id")).scalars())


def test_upgrade__plain_names__are_sealed_and_those_of_companies_are_not(
    fresh_database: Database, vault: Vault, people: tuple[UUID, UUID]
) -> None:
    migrate.upgrade(fresh_database)

    person_row, company_row = (
        next(row for row in rows(fresh_database) if str(key) in row) for key in people
    )
    assert not [value for value in PERSON.values() if value != "NATURAL" and value in person_row]
    assert "Kohinoor Mills" in company_row
    with fresh_database.reading() as session:
        person, company = (session.get_one(Party, key) for key in people)
        assert known_of(vault, person) == Details(
            name="Ayesha Khan", name_ur="عائشہ", father_or_spouse_name="Obaidullah"
        )
        assert known_of(vault, company) == Details(name="Kohinoor Mills", name_ur="کوہ نور")
        # A later step leaves them to `milkiyat keys rotate`, which finds whoever has no such seal.
        assert person.sealed_with == b"cnic" != vault.key_id
        [found] = parties.list_parties(session, vault, cnic=CNIC, after=None, limit=9)
        assert found.id == person.id


def test_downgrade__names_alone_are_sealed__gives_them_back(
    fresh_database: Database, vault: Vault, people: tuple[UUID, UUID]
) -> None:
    migrate.upgrade(fresh_database)

    migrate.downgrade(fresh_database, BEFORE)

    with fresh_database.engine.connect() as connection:
        names = connection.execute(
            text("SELECT name, name_ur, father_or_spouse_name FROM party WHERE id = :id"),
            {"id": people[0]},
        ).one()
        assert tuple(names) == ("Ayesha Khan", "عائشہ", "Obaidullah")


def test_downgrade__more_is_known_than_names__is_refused_and_loses_nothing(
    fresh_database: Database, vault: Vault, people: tuple[UUID, UUID]
) -> None:
    migrate.upgrade(fresh_database)
    with fresh_database.transaction() as session:
        parties.amend_party(session, vault, MAKER, people[0], 1, {"place_of_birth": "Mingora"})
    before = rows(fresh_database)

    with pytest.raises(RuntimeError, match="older version"):
        migrate.downgrade(fresh_database, BEFORE)

    assert rows(fresh_database) == before
