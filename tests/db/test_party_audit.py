"""What the audit says of parties of whom something else is sealed than was recorded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import text

from registry.document.store import DocumentStore
from registry.history import sealed
from registry.history.tables import SealedTable
from registry.journal.sealer import seal_all
from registry.kernel import migrate
from registry.kernel.db import Database
from registry.kernel.vault import SealBroken, Vault
from registry.party import rotation
from registry.party import service as parties
from registry.party.audit import altered
from registry.party.details import cnic_of
from registry.party.models import Party
from tests import factories as make
from tests.db.tampering import faults, meddle
from tests.factories import MAKER, Desk

pytestmark = pytest.mark.db

BEFORE = "0093"
OTHER = Vault(Fernet.generate_key().decode(), Fernet.generate_key().decode())
ANOTHERS = "what is sealed of it opens with no key of PII_KEY, or is another's"
ASIDE = (
    "cnic_sealed", "cnic_fingerprint", "details_sealed", "passport_fingerprint",
    "iban_fingerprint", "ntn_fingerprint", "sealed_with", "version",
)  # fmt: skip
"""What the triggers of before left out."""


def _not_that(name: str) -> str:
    return f"its {name} is not that of what is sealed"


def _anothers_cnic(party: Party, other: Party, _vault: Vault) -> None:
    party.cnic_sealed = other.cnic_sealed


def _bare_cnic(party: Party, _other: Party, vault: Vault) -> None:
    party.cnic_sealed = vault.seal("37405-7654321-9")


def _anothers_details(party: Party, other: Party, _vault: Vault) -> None:
    party.details_sealed = other.details_sealed


def _details_for_cnic(party: Party, _other: Party, _vault: Vault) -> None:
    party.cnic_sealed = party.details_sealed


def _cnic_for_details(party: Party, _other: Party, _vault: Vault) -> None:
    party.details_sealed = party.cnic_sealed


def _bare_cnic_for_details(party: Party, _other: Party, vault: Vault) -> None:
    party.details_sealed = vault.seal("37405-7654321-9")


def _number_for_details(party: Party, _other: Party, vault: Vault) -> None:
    party.details_sealed = vault.seal("37405")


def _no_text_for_cnic(party: Party, _other: Party, vault: Vault) -> None:
    party.cnic_sealed = vault.seal_bytes(b"\xff\xd8")


def _foreign_seal(party: Party, _other: Party, _vault: Vault) -> None:
    party.details_sealed = OTHER.seal("{}")


def _found_by_another(party: Party, _other: Party, vault: Vault) -> None:
    party.iban_fingerprint = vault.fingerprint("iban:PK36SCBL0000001123456702")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (_anothers_cnic, ANOTHERS),
        (_bare_cnic, _not_that("cnic_fingerprint")),
        (_anothers_details, ANOTHERS),
        (_details_for_cnic, ANOTHERS),
        (_cnic_for_details, ANOTHERS),
        (_bare_cnic_for_details, ANOTHERS),
        (_number_for_details, ANOTHERS),
        (_no_text_for_cnic, ANOTHERS),
        (_foreign_seal, ANOTHERS),
        (_found_by_another, _not_that("iban_fingerprint")),
    ],
)
def test_audit__party_of_whom_another_is_sealed__is_named(
    desk: Desk, change: Callable[[Party, Party, Vault], None], told: str
) -> None:
    party, other = make.person(desk), make.person(desk)
    make.company(desk)
    desk.session.flush()
    assert list(altered(desk.session, desk.vault)) == []
    party, other = (desk.session.get_one(Party, each.id) for each in (party, other))

    change(party, other, desk.vault)

    assert list(altered(desk.session, desk.vault)) == [f"Row {party.id} of party: {told}"]


def test_cnic__of_one_party__does_not_open_as_another(desk: Desk) -> None:
    party, other = make.person(desk), make.person(desk)

    party.cnic_sealed = other.cnic_sealed

    with pytest.raises(SealBroken):
        cnic_of(desk.vault, party)


def test_audit__older_details_put_back__names_the_party(
    fresh_database: Database, vault: Vault, store: DocumentStore
) -> None:
    with fresh_database.transaction() as session:
        person = make.person(Desk(session, vault, store))
        before = person.details_sealed
        assert before is not None
        changes: dict[str, Any] = {"name": "Another Name"}
        parties.amend_party(session, vault, MAKER, person.id, person.version, changes)
        make.tell_acts(session)
        party_id = person.id
    seal_all(fresh_database)
    assert faults(fresh_database) == []

    meddle(
        fresh_database,
        f"UPDATE party SET details_sealed = '\\x{before.hex()}' WHERE id = '{party_id}'",
    )

    told = f"Row {party_id} of party is not what the history last recorded"
    assert faults(fresh_database) == [told]


def test_upgrade__parties_of_before__are_held_to_what_is_sealed_of_them(
    fresh_database: Database, vault: Vault, store: DocumentStore
) -> None:
    migrate.downgrade(fresh_database, BEFORE)
    with fresh_database.transaction() as session:
        for name, statement in sealed.triggers(SealedTable("party", aside=ASIDE)).items():
            session.connection().execute(text(f"DROP TRIGGER {name} ON party"))
            session.connection().execute(text(statement))
        desk = Desk(session, vault, store)
        people = [make.person(desk) for _ in range(3)]
        for person in people:
            cnic = cnic_of(vault, person)
            assert cnic is not None
            person.cnic_sealed = vault.seal(cnic)
        one, two, moved = (person.id for person in people)
        make.tell_acts(session)
    seal_all(fresh_database)
    meddle(fresh_database, f"UPDATE party SET residence_country = 'AE' WHERE id = '{moved}'")

    migrate.upgrade(fresh_database)

    seal_all(fresh_database)
    was_changed = f"Row {moved} of party is not what the history last recorded"
    assert faults(fresh_database) == [was_changed]
    with fresh_database.transaction() as session:
        assert list(altered(session, vault)) == []
        left = rotation.list_left(session, vault, after=None, limit=9)
        assert left == sorted((one, two, moved))
        rotation.reseal(session, vault, [one, two])
        assert "{" in vault.unseal(session.get_one(Party, one).cnic_sealed or b"")
    swapped = f"cnic_sealed = (SELECT cnic_sealed FROM party WHERE id = '{two}')"

    meddle(fresh_database, f"UPDATE party SET {swapped} WHERE id = '{one}'")

    seal_all(fresh_database)
    was_swapped = f"Row {one} of party is not what the history last recorded"
    assert faults(fresh_database) == sorted((was_swapped, was_changed))
