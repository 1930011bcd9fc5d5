"""What the audit says of notes that somebody was screened who was not."""

from __future__ import annotations

from datetime import date
from uuid import UUID

import pytest
from sqlalchemy import text

from registry.party import service as parties
from registry.party.models import Party
from registry.sanctions import lists
from registry.sanctions.audit import passed_over
from registry.sanctions.screening import is_screened, screen_party
from tests.db.test_sanctions import enrolled
from tests.factories import COMPLIANCE, MAKER, Desk
from tests.sanctioned import ENTRIES, file_of

pytestmark = pytest.mark.db

NOTE = """
INSERT INTO sanctions_screening (party_id, list_id, party_version, screened_at)
SELECT p.id, l.id, p.version, now() FROM party AS p, sanctions_list AS l
WHERE p.id = :party AND l.id = :edition
ON CONFLICT (party_id) DO UPDATE
SET list_id = excluded.list_id, party_version = excluded.party_version
"""


def listed(desk: Desk, born: int = 1971) -> UUID:
    _, investor = enrolled(desk, born=born)
    assert investor.party_id is not None
    return investor.party_id


def note(desk: Desk, party_id: UUID, edition: UUID) -> None:
    """Say in SQL that a party was screened as it stands."""
    desk.session.flush()
    desk.session.connection().execute(text(NOTE), {"party": party_id, "edition": edition})
    desk.session.expire_all()


def faults(desk: Desk) -> list[str]:
    desk.session.flush()
    return list(passed_over(desk.session, desk.vault))


def test_screened__with_their_hits__are_not_named(desk: Desk) -> None:
    party_id = listed(desk)
    lists.import_list(desk.session, COMPLIANCE, file_of())
    assert faults(desk) == []

    screen_party(desk.session, desk.vault, party_id)

    assert faults(desk) == []


def test_screened__only_as_somebody_noted__is_named(desk: Desk) -> None:
    party_id = listed(desk)
    edition = lists.import_list(desk.session, COMPLIANCE, file_of()).id
    note(desk, party_id, edition)
    assert is_screened(desk.session, party_id)

    (found,) = faults(desk)
    assert found.startswith(f"Row {party_id} of sanctions_screening says that the party was")
    assert found.endswith(f"it matches entry {ENTRIES[0].reference}, and has no hit of that")


def test_screened__amended_since__is_named_for_its_older_hit(desk: Desk) -> None:
    party_id = listed(desk, born=1972)
    edition = lists.import_list(desk.session, COMPLIANCE, file_of()).id
    assert screen_party(desk.session, desk.vault, party_id)
    version = desk.session.get_one(Party, party_id).version
    told = {"dob": date(1971, 5, 6)}
    parties.amend_party(desk.session, desk.vault, MAKER, party_id, version, told)
    assert faults(desk) == [], "it is due, and nobody says otherwise"

    note(desk, party_id, edition)

    (found,) = faults(desk)
    assert found.endswith("and has no hit of that, or PII_INDEX_KEY was changed since")


def test_screened__against_an_edition_that_waits__is_named(desk: Desk) -> None:
    party_id = listed(desk)
    lists.import_list(desk.session, COMPLIANCE, file_of())
    screen_party(desk.session, desk.vault, party_id)
    content = file_of(ENTRIES[:1], generated="2026-06-02T00:00:00Z")
    edition = lists.import_list(desk.session, COMPLIANCE, content)
    assert edition.needs_confirmation
    assert faults(desk) == []

    note(desk, party_id, edition.id)

    assert faults(desk) == [
        f"Row {party_id} of sanctions_screening names an edition that does not count yet"
    ]
