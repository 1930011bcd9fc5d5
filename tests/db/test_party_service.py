from __future__ import annotations

import pytest
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


def test_create__same_carrier_code__may_repeat(desk: Desk) -> None:
    # a SCAC names a carrier's brand; several companies sail under one
    first = create(desk, kind=PartyKind.LEGAL, scac="MAEU")

    assert create(desk, kind=PartyKind.LEGAL, scac="MAEU").id != first.id


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
