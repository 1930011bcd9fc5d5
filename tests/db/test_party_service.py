from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import text
from sqlmodel import Session

from registry.kernel.errors import Conflict, Invalid, NotFound
from registry.kernel.vault import Vault
from registry.party import service as parties
from registry.party.models import Party, PartyKind
from registry.party.service import NewParty
from tests import factories as make
from tests.factories import MAKER, Desk

pytestmark = pytest.mark.db

LEI = "506700GE1G29325QX363"


def create(desk: Desk, **fields: object) -> Party:
    return parties.create_party(
        desk.session,
        desk.vault,
        MAKER,
        NewParty(name="Somebody", **fields),  # type: ignore[arg-type]
    )


def test_create__natural_person__is_found_by_cnic_and_shown_masked(
    desk: Desk, session: Session, vault: Vault
) -> None:
    party = create(desk, kind=PartyKind.NATURAL, cnic="35202-7654321-1")
    make.person(desk)

    found = parties.list_parties(
        session, vault, cnic="35202-7654321-1", lei=None, after=None, limit=10
    )

    assert [item.id for item in found] == [party.id]
    assert parties.masked_cnic(vault, party) == "35202-*****21-1"


def test_create__natural_person__cnic_is_nowhere_readable(desk: Desk, session: Session) -> None:
    create(desk, kind=PartyKind.NATURAL, cnic="35202-7654321-1")

    row = session.connection().exec_driver_sql("SELECT p::text FROM party p").scalar_one()
    entries = session.connection().exec_driver_sql("SELECT j::text FROM journal_entry j").scalars()

    assert "7654321" not in row + "".join(entries)
    # BYTEA is shown in hex
    assert b"7654321".hex() not in row


def test_create__company__is_found_by_lei(desk: Desk, session: Session, vault: Vault) -> None:
    party = create(desk, kind=PartyKind.LEGAL, lei=LEI)

    found = parties.list_parties(session, vault, cnic=None, lei=LEI, after=None, limit=10)

    assert [item.id for item in found] == [party.id]
    assert parties.masked_cnic(vault, party) is None


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"kind": PartyKind.NATURAL}, "cnic_required"),
        ({"kind": PartyKind.NATURAL, "lei": LEI}, "cnic_required"),
        ({"kind": PartyKind.NATURAL, "cnic": "1"}, "cnic_malformed"),
        ({"kind": PartyKind.LEGAL}, "legal_identifier_required"),
        (
            {"kind": PartyKind.LEGAL, "cnic": "35202-1234567-1", "lei": LEI},
            "cnic_not_applicable",
        ),
        ({"kind": PartyKind.LEGAL, "lei": LEI[:-1] + "4"}, "lei_malformed"),
        ({"kind": PartyKind.LEGAL, "cuin": "1"}, "cuin_malformed"),
        ({"kind": PartyKind.LEGAL, "scac": "maeu"}, "scac_malformed"),
        ({"kind": PartyKind.LEGAL, "lei": LEI, "residence_country": "XX"}, "country_unknown"),
    ],
)
def test_create__identifier_wrong_for_the_kind__is_refused(
    desk: Desk, fields: dict[str, object], code: str
) -> None:
    with pytest.raises(Invalid) as refusal:
        create(desk, **fields)

    assert refusal.value.code == code


@pytest.mark.parametrize(
    ("kind", "identifier"),
    [
        (PartyKind.NATURAL, {"cnic": "35202-7654321-1"}),
        (PartyKind.LEGAL, {"lei": LEI}),
        (PartyKind.LEGAL, {"cuin": "7654321"}),
    ],
)
def test_create__known_identifier__is_refused(
    desk: Desk, kind: PartyKind, identifier: dict[str, str]
) -> None:
    create(desk, kind=kind, **identifier)

    with pytest.raises(Conflict, match="party_exists"):
        create(desk, kind=kind, **identifier)


CNIC = "35202-1234567-1"
NTN = "7654321-8"
ONE_TWICE: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "a person by CNIC and by NICOP": (
        {"cnic": CNIC},
        {"passport": CNIC, "passport_country": "PK"},
    ),
    "a NICOP in other spelling": (
        {"cnic": CNIC},
        {"passport": "35202 12345671", "passport_country": "PK", "cnic": "35202-9999999-1"},
    ),
    "a carrier without any other identifier": ({"scac": "MAEU"}, {"scac": "MAEU"}),
    "a carrier of whom one has another": ({"scac": "MAEU"}, {"scac": "MAEU", "lei": LEI}),
    "a company by LEI and by CUIN": (
        {"lei": LEI, "ntn": NTN},
        {"cuin": "7654321", "ntn": NTN},
    ),
}
TWO: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "another's passport of 13 digits": (
        {"cnic": CNIC},
        {"passport": CNIC, "passport_country": "AE"},
    ),
    # a SCAC names a carrier's brand; several companies sail under one
    "companies of one carrier's code": (
        {"scac": "MAEU", "lei": LEI},
        {"scac": "MAEU", "cuin": "7654321"},
    ),
    "companies of which one has a wrong tax number": (
        {"cuin": "7654321", "ntn": NTN},
        {"cuin": "7654322", "ntn": NTN, "lei": LEI},
    ),
    "persons of one tax number": (
        {"cnic": CNIC, "ntn": NTN},
        {"cnic": "35202-7654321-1", "ntn": NTN},
    ),
}


def kind_of(fields: dict[str, Any]) -> PartyKind:
    is_person = {"cnic", "passport"}.intersection(fields)
    return PartyKind.NATURAL if is_person else PartyKind.LEGAL


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("pair", ONE_TWICE.values(), ids=ONE_TWICE)
def test_create__the_same_by_another_identifier__is_refused(
    desk: Desk, pair: tuple[dict[str, Any], dict[str, Any]], *, turned: bool
) -> None:
    first, second = reversed(pair) if turned else pair
    create(desk, kind=kind_of(first), **first)

    with pytest.raises(Conflict, match="party_exists"):
        create(desk, kind=kind_of(second), **second)


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("pair", TWO.values(), ids=TWO)
def test_create__others_who_share_a_number__are_recorded(
    desk: Desk, pair: tuple[dict[str, Any], dict[str, Any]], *, turned: bool
) -> None:
    first, second = reversed(pair) if turned else pair
    made = create(desk, kind=kind_of(first), **first)

    assert create(desk, kind=kind_of(second), **second).id != made.id


def test_create__nicop_beside_its_own_cnic__is_one_person(desk: Desk, vault: Vault) -> None:
    known = {"cnic": CNIC, "passport": CNIC, "passport_country": "PK"}
    party = create(desk, kind=PartyKind.NATURAL, **known)

    for sought in ({"cnic": CNIC}, {"passport": (CNIC, "PK")}):
        found = parties.list_parties(desk.session, vault, **sought, after=None, limit=10)
        assert [item.id for item in found] == [party.id]


def test_list__by_cnic_and_by_nicop__finds_who_is_recorded_under_the_other(
    desk: Desk, vault: Vault
) -> None:
    other = "35202-7654321-1"
    by_nicop = create(desk, kind=PartyKind.NATURAL, passport=CNIC, passport_country="PK")
    by_cnic = create(desk, kind=PartyKind.NATURAL, cnic=other)

    [one] = parties.list_parties(desk.session, vault, cnic=CNIC, after=None, limit=10)
    [two] = parties.list_parties(desk.session, vault, passport=(other, "PK"), after=None, limit=10)
    assert (one.id, two.id) == (by_nicop.id, by_cnic.id)


def test_amend__to_the_nicop_or_the_tax_number_of_another__is_refused(desk: Desk) -> None:
    create(desk, kind=PartyKind.NATURAL, cnic=CNIC)
    create(desk, kind=PartyKind.LEGAL, lei=LEI, ntn=NTN)
    person = create(desk, kind=PartyKind.NATURAL, cnic="35202-7654321-1")
    company = create(desk, kind=PartyKind.LEGAL, cuin="7654321")

    def amend(party: Party, **changes: Any) -> None:
        parties.amend_party(desk.session, desk.vault, MAKER, party.id, party.version, changes)

    with pytest.raises(Conflict, match="party_exists"), desk.session.begin_nested():
        amend(person, passport=CNIC, passport_country="PK")
    with pytest.raises(Conflict, match="party_exists"), desk.session.begin_nested():
        amend(company, ntn=NTN)
    amend(person, passport=CNIC, passport_country="AE")
    amend(company, ntn="7654321-9")


def test_amend__who_was_recorded_twice_before__is_corrected_otherwise(desk: Desk) -> None:
    first = create(desk, kind=PartyKind.LEGAL, lei=LEI, ntn=NTN)
    twin = create(desk, kind=PartyKind.LEGAL, cuin="7654321", ntn="7654321-9")
    desk.session.connection().execute(
        text("UPDATE party SET ntn_fingerprint = :same WHERE id = :twin"),
        {"same": first.ntn_fingerprint, "twin": twin.id},
    )
    desk.session.expire(twin)

    changes = {"name": "Kohinoor Mills PLC", "ntn": "7654321-9"}
    parties.amend_party(desk.session, desk.vault, MAKER, twin.id, twin.version, changes)

    assert twin.name == "Kohinoor Mills PLC"


def test_list__pages__show_everybody_once_in_order(desk: Desk, vault: Vault) -> None:
    made = [make.person(desk).id for _ in range(5)]
    seen = []
    after = None
    while page := parties.list_parties(
        desk.session, vault, cnic=None, lei=None, after=after, limit=2
    ):
        seen += [party.id for party in page]
        after = seen[-1]

    assert seen == made == sorted(made)


def test_get__unknown__is_not_found(desk: Desk) -> None:
    asset = make.open_apartment(desk)

    with pytest.raises(NotFound, match="party"):
        parties.get_party(desk.session, asset.id)
