"""Rotating the keys of personal data: old keys are dropped, and nobody is lost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from uuid import UUID

import pytest
from cryptography.fernet import Fernet
from pydantic import SecretStr
from sqlalchemy import text
from sqlmodel import Session
from typer.testing import CliRunner

from api.deps import Services
from api.key_rotation import Left, left, rotate
from api.keys_cli import keys_commands
from api.program import services
from registry.document.content import file_name_of, open_content
from registry.document.models import Document
from registry.document.store import DocumentStore
from registry.history.check import differences
from registry.journal.sealer import seal_all
from registry.kernel.db import Database
from registry.kernel.vault import SealBroken, Vault
from registry.party import service as parties
from registry.party.audit import altered
from registry.party.details import cnic_of, known_of
from registry.party.models import Party
from tests import factories as make
from tests.api.house import house_settings
from tests.db.tampering import faults
from tests.factories import Desk

pytestmark = pytest.mark.db

OLD, NEW, LOST, INDEX = (Fernet.generate_key().decode() for _ in range(4))
BOTH = f"{NEW},{OLD}"
CNIC, PASSPORT, IBAN = "37405-7654321-9", "QX1234567", "PK36SCBL0000001123456702"
NTN = "7654321-8"
PERSONS, PAPERS = 5, 3


@dataclass(frozen=True)
class Archive:
    """A register that was filled under the old key."""

    database: Database
    store: DocumentStore
    person: UUID
    company: UUID
    paper: UUID
    open_paper: UUID

    def rotated(self, keys: str = BOTH, **more: Callable[[str, int], None]) -> Left:
        vault = Vault(keys, INDEX)
        rotate(self.database, vault, self.store, batch=2, **more)
        return left(self.database, vault)


@pytest.fixture
def archive(fresh_database: Database, store: DocumentStore) -> Archive:
    vault = Vault(OLD, INDEX)
    with fresh_database.transaction() as session:
        desk = Desk(session, vault, store)
        known = {"cnic": CNIC, "passport": PASSPORT, "passport_country": "PK", "iban": IBAN}
        person = make.person(desk, name="Ayesha Khan", dob=date(1983, 8, 19), **known)
        company = make.company(desk, iban=IBAN, ntn=NTN)
        make.company(desk)  # nothing of it is sealed
        asset = make.open_apartment(desk, person)
        for _ in range(PERSONS - 2):
            make.person(desk)
        papers = [make.file_document(desk, asset, kind) for kind in ("NEC", "PLAN", "DEED")]
        lay_open(desk, papers[1])
    return Archive(fresh_database, store, person.id, company.id, papers[0].id, papers[1].id)


def lay_open(desk: Desk, paper: Document) -> None:
    """Lay a paper into the store as it was before papers were sealed."""
    content = b"".join(open_content(desk.vault, desk.store, paper))
    desk.store.remove(paper.stored_as)
    paper.stored_as = desk.store.put([content])
    said = f'{{"id": "{paper.id}", "key": null, "file_name": "open.pdf"}}'
    paper.sealed, paper.sealed_with = desk.vault.seal(said), b""
    desk.session.flush()


def papers_of(session: Session, archive: Archive) -> list[Document]:
    return [session.get_one(Document, key) for key in (archive.paper, archive.open_paper)]


def test_rotate__old_key_dropped_afterwards__everything_opens_and_is_found(
    archive: Archive,
) -> None:
    assert left(archive.database, Vault(BOTH, INDEX)) == Left(PERSONS, PAPERS)

    assert archive.rotated() == Left(0, 0)

    vault = Vault(NEW, INDEX)
    with archive.database.reading() as session:
        person = session.get_one(Party, archive.person)
        known = known_of(vault, person)
        assert (known.name, known.dob, known.passport) == (
            "Ayesha Khan",
            date(1983, 8, 19),
            PASSPORT,
        )
        assert cnic_of(vault, person) == CNIC
        assert known_of(vault, session.get_one(Party, archive.company)).iban == IBAN
        for query, found in (
            ({"cnic": CNIC}, [archive.person]),
            ({"passport": (PASSPORT, "PK")}, [archive.person]),
            ({"iban": IBAN}, [archive.person, archive.company]),
            ({"ntn": NTN}, [archive.company]),
        ):
            rows = parties.list_parties(session, vault, after=None, limit=9, **query)
            assert [row.id for row in rows] == found
        for paper in papers_of(session, archive):
            content = b"".join(open_content(vault, archive.store, paper))
            assert content.startswith(b"%PDF")
            with archive.store.open(paper.stored_as) as blob:
                assert content not in blob.read()


def test_rotate__nothing_that_anybody_reads__is_changed(archive: Archive) -> None:
    read = "SELECT id, version, cnic_fingerprint, passport_fingerprint FROM party ORDER BY id"
    with archive.database.reading() as session:
        before = session.connection().execute(text(read)).all()
        moment = session.connection().scalar(text("SELECT clock_timestamp()"))

    archive.rotated()

    with archive.database.reading() as session:
        assert session.connection().execute(text(read)).all() == before
        assert list(differences(session)) == []
    with archive.database.reading(known_at=moment) as past:
        names = [file_name_of(Vault(NEW, INDEX), paper) for paper in papers_of(past, archive)]
        assert names == ["nec.pdf", "open.pdf"]


def test_rotate__audited_afterwards__is_an_act_and_an_image_for_each_batch(
    archive: Archive,
) -> None:
    images = "SELECT count(*) FROM legal_history WHERE table_name = 'party' AND op = 'ROWS'"
    with archive.database.transaction() as session:
        before = session.connection().scalar(text(images))
        make.tell_acts(session)

    archive.rotated()

    seal_all(archive.database)
    assert faults(archive.database) == []
    with archive.database.reading() as session:
        assert session.connection().scalar(text(images)) == before + 3
        assert list(altered(session, Vault(NEW, INDEX))) == []


def test_amend__under_another_key__seals_the_cnic_anew_too(archive: Archive) -> None:
    with archive.database.transaction() as session:
        person = session.get_one(Party, archive.person)
        changes = {"place_of_birth": "Mingora"}
        parties.amend_party(
            session, Vault(BOTH, INDEX), make.MAKER, person.id, person.version, changes
        )

    with archive.database.reading() as session:
        assert cnic_of(Vault(NEW, INDEX), session.get_one(Party, archive.person)) == CNIC


def test_rotate__look_up_key_changed_too__finds_people_by_the_new_one(archive: Archive) -> None:
    vault = Vault(BOTH, LOST)

    rotate(archive.database, vault, archive.store)

    with archive.database.reading() as session:
        [found] = parties.list_parties(session, vault, cnic=CNIC, after=None, limit=9)
        assert found.id == archive.person


def test_rotate__stopped_in_the_middle__goes_on_from_there(archive: Archive) -> None:
    def stop_after_the_first_batch(_kind: str, _number: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        archive.rotated(on_batch=stop_after_the_first_batch)
    assert left(archive.database, Vault(BOTH, INDEX)) == Left(PERSONS - 2, PAPERS)
    done: list[tuple[str, int]] = []

    assert archive.rotated(on_batch=lambda kind, number: done.append((kind, number))) == Left(0, 0)

    assert done == [("parties", 2), ("parties", 1), ("documents", 2), ("documents", 1)]


def test_rotate__what_opens_with_no_key__is_left_and_told(archive: Archive) -> None:
    assert archive.rotated(LOST) == Left(PERSONS, PAPERS)
    with archive.database.reading() as session:  # and nothing of it was harmed
        person = session.get_one(Party, archive.person)
        assert known_of(Vault(OLD, INDEX), person).name == "Ayesha Khan"

    assert archive.rotated() == Left(0, 0)


@pytest.mark.parametrize("moved", ["cnic_sealed = details_sealed", "details_sealed = cnic_sealed"])
def test_rotate__party_with_a_seal_out_of_place__is_left_and_the_others_are_sealed_anew(
    archive: Archive, moved: str
) -> None:
    with archive.database.transaction() as session:
        statement = text(f"UPDATE party SET {moved} WHERE id = :id")
        session.connection().execute(statement, {"id": archive.person})

    assert archive.rotated() == Left(1, 0)


def test_rotate__open_paper_with_a_twin__keeps_the_blob_of_the_twin(archive: Archive) -> None:
    vault = Vault(OLD, INDEX)
    with archive.database.transaction() as session:
        paper, other = papers_of(session, archive)
        said = f'{{"id": "{paper.id}", "key": null, "file_name": "twin.pdf"}}'
        paper.stored_as, paper.sealed = other.stored_as, vault.seal(said)

    assert archive.rotated() == Left(0, 0)

    with archive.database.reading() as session:
        one, two = papers_of(session, archive)
        contents = [b"".join(open_content(Vault(NEW, INDEX), archive.store, p)) for p in (one, two)]
    assert contents[0] == contents[1]


def test_seal__of_one_party__does_not_open_as_another(archive: Archive) -> None:
    with archive.database.transaction() as session:
        person = session.get_one(Party, archive.person)
        other = session.get_one(Party, archive.company)
        other.details_sealed = person.details_sealed

        with pytest.raises(SealBroken):
            known_of(Vault(OLD, INDEX), other)
        session.expunge_all()


@pytest.fixture
def opened(archive: Archive) -> Callable[[str], Services]:
    """Give the services of the archive under some keys."""

    def open_services(keys: str) -> Services:
        changes = {"pii_key": SecretStr(keys), "pii_index_key": SecretStr(INDEX)}
        made = services(house_settings(Path("unused"), **changes), archive.database)
        return replace(made, store=archive.store)

    return open_services


def test_keys__status_and_rotate__say_what_is_left(opened: Callable[[str], Services]) -> None:
    def run(command: str, keys: str) -> tuple[int, str]:
        app = keys_commands(lambda work: work(opened(keys)))
        ended = CliRunner().invoke(app, [command])
        return ended.exit_code, ended.stdout.strip()

    old, none = (
        "under old keys: 5 parties, 3 documents, 0 of KYC, 0 webhook endpoints, 0 certificates",
        "under old keys: 0 parties, 0 documents, 0 of KYC, 0 webhook endpoints, 0 certificates",
    )
    assert run("status", BOTH) == (0, old)
    assert run("rotate", LOST) == (1, old)
    assert run("rotate", BOTH) == (0, f"{none}: the old keys can be dropped")
    assert run("status", NEW) == (0, f"{none}: the old keys can be dropped")
