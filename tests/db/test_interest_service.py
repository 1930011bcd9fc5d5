"""Declared interests: what counts, from when, as far as was known; and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from registry.interest import service as interests
from registry.interest.models import DeclarationState, DeclaredInterest, InterestNature
from registry.interest.rules import Interest, check_interests
from registry.kernel.clock import now, today
from registry.kernel.db import Database
from registry.kernel.errors import Conflict, Forbidden, Invalid, NotFound
from registry.kernel.vault import Vault
from registry.party.models import Party, PartyKind
from registry.title.owners import parties_behind
from tests import factories as make
from tests import owning
from tests.factories import CHECKER, COMPLIANCE, MAKER, Desk
from tests.owning import LONG_AGO, SHAREHOLDER, shares

pytestmark = pytest.mark.db

MARCH, JUNE, SEPTEMBER = (datetime(2021, month, 1, tzinfo=UTC) for month in (3, 6, 9))


def parts(desk: Desk, company: Party, as_of: datetime) -> list[int | None] | None:
    held = interests.in_force(desk.session, [company.id], as_of)
    return [line.parts for line in held[company.id].interests] if company.id in held else None


def test_declaration__proposed__counts_once_another_confirms(desk: Desk) -> None:
    company, owner = make.company(desk), make.person(desk)
    made = interests.declare_interests(desk.session, MAKER, company.id, shares(100, (owner, 60)))
    assert made.declaration.state == DeclarationState.PROPOSED
    assert parts(desk, company, now()) is None

    with pytest.raises(Forbidden, match="checker_is_maker"):
        interests.confirm_declaration(desk.session, MAKER, company.id, made.declaration.id)
    owning.confirm(desk, company.id, made.declaration.id)

    assert parts(desk, company, now()) == [60]
    assert parts(desk, company, LONG_AGO - timedelta(seconds=1)) is None
    with pytest.raises(Conflict, match="interests_decided"):
        owning.confirm(desk, company.id, made.declaration.id)


def test_declaration__rejected__never_counts(desk: Desk) -> None:
    company, owner = make.company(desk), make.person(desk)
    new = shares(100, (owner, 60))
    made = interests.declare_interests(desk.session, MAKER, company.id, new).declaration
    with pytest.raises(Invalid, match="reason_missing"):
        interests.reject_declaration(desk.session, CHECKER, company.id, made.id, reason=" ")

    rejected = interests.reject_declaration(
        desk.session, CHECKER, company.id, made.id, reason="The paper names another company"
    )

    assert rejected.declaration.state == DeclarationState.REJECTED
    assert parts(desk, company, now()) is None


def test_declarations__several__each_holds_until_the_next_begins(desk: Desk) -> None:
    company, owner = make.company(desk), make.person(desk)
    owning.declare(desk, company, shares(100, (owner, 10)))
    owning.declare(desk, company, shares(100, (owner, 40), valid_from=SEPTEMBER))
    # One that comes late, of a time in between, which ended; and a correction of it.
    late = shares(100, (owner, 20), valid_from=MARCH, valid_to=JUNE)
    owning.declare(desk, company, late)
    owning.declare(desk, company, replace(late, interests=[Interest(owner.id, SHAREHOLDER, 30)]))

    moments = (LONG_AGO, MARCH, JUNE - timedelta(seconds=1), JUNE, SEPTEMBER, now())

    assert [parts(desk, company, at) for at in moments] == [[10], [30], [30], None, [40], [40]]


def test_declaration__known_at__is_what_the_register_knew(
    fresh_database: Database, vault: Vault, store: Any
) -> None:
    with fresh_database.transaction() as session:
        desk = Desk(session, vault, store)
        company, owner = make.company(desk), make.person(desk)
        made = interests.declare_interests(session, MAKER, company.id, shares(100, (owner, 60)))
    proposed = now()
    with fresh_database.transaction() as session:
        owning.confirm(Desk(session, vault, store), company.id, made.declaration.id)
    confirmed = now()

    for known_at, expected in ((proposed, None), (confirmed, [60]), (None, [60])):
        with fresh_database.reading(known_at=known_at) as session:
            assert parts(Desk(session, vault, store), company, MARCH) == expected


def test_parties_behind__a_company__are_those_it_declares_too(desk: Desk) -> None:
    company, trust, owner, trustee = (
        make.company(desk),
        make.company(desk),
        make.person(desk),
        make.person(desk),
    )
    owning.declare(desk, company, shares(100, (trust, 100)))
    lines = [
        Interest(owner.id, InterestNature.BENEFICIARY, 1),
        Interest(trustee.id, InterestNature.TRUSTEE),
    ]
    owning.declare(desk, trust, shares(1, interests=lines))

    behind = parties_behind(desk.session, [company.id])

    assert behind == {company.id, trust.id, owner.id, trustee.id}


Wrong = Callable[[Party], dict[str, Any]]
REFUSED: dict[str, tuple[Wrong, str]] = {
    "nobody": (lambda _: {"interests": []}, "interests_required"),
    "twice": (
        lambda who: {"interests": [Interest(who.id, SHAREHOLDER, 1)] * 2},
        "interest_repeated",
    ),
    "no_parts": (
        lambda who: {"interests": [Interest(who.id, SHAREHOLDER)]},
        "interest_parts_wrong",
    ),
    "zero": (
        lambda who: {"interests": [Interest(who.id, SHAREHOLDER, 0)]},
        "interest_parts_wrong",
    ),
    "ruler_with_parts": (
        lambda who: {"interests": [Interest(who.id, InterestNature.CONTROL, 1)]},
        "interest_parts_wrong",
    ),
    "too_much": (
        lambda who: {"interests": [Interest(who.id, SHAREHOLDER, 101)]},
        "interests_exceed_whole",
    ),
    "no_whole": (lambda _: {"whole": 0}, "interests_exceed_whole"),
    "mixed": (
        lambda who: {
            "interests": [
                Interest(who.id, SHAREHOLDER, 1),
                Interest(who.id, InterestNature.TRUSTEE),
            ]
        },
        "interests_mixed",
    ),
    "stranger": (
        lambda _: {"interests": [Interest(uuid4(), SHAREHOLDER, 1)]},
        "interest_holder_unknown",
    ),
    "future_paper": (
        lambda _: {"declared_on": today() + timedelta(days=1)},
        "interest_days_wrong",
    ),
    "future": (lambda _: {"valid_from": now() + timedelta(hours=1)}, "interest_days_wrong"),
    "ends_first": (lambda _: {"valid_to": LONG_AGO}, "interest_days_wrong"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_declaration__impossible__is_refused(desk: Desk, name: str) -> None:
    company, owner = make.company(desk), make.person(desk)
    wrong, code = REFUSED[name]

    with pytest.raises(Invalid) as refusal:
        interests.declare_interests(
            desk.session, MAKER, company.id, replace(shares(100, (owner, 1)), **wrong(owner))
        )

    assert refusal.value.code == code


def test_declaration__of_a_person_or_by_the_wrong_path__is_refused(desk: Desk) -> None:
    company, owner = make.company(desk), make.person(desk)
    new = shares(100, (owner, 1))

    with pytest.raises(Invalid, match="interests_not_applicable"):
        interests.declare_interests(desk.session, MAKER, owner.id, new)
    with pytest.raises(NotFound):
        interests.declare_interests(desk.session, MAKER, uuid4(), new)
    made = interests.declare_interests(desk.session, MAKER, company.id, new)
    with pytest.raises(NotFound):
        owning.confirm(desk, make.company(desk).id, made.declaration.id)


def test_land__is_no_shareholder(desk: Desk) -> None:
    company = make.company(desk)
    land = Party(
        kind=PartyKind.ASSET_AS_PARTY,
        name="A plot",
        asset_id=make.open_apartment(desk).id,
        created_by="a test",
    )
    desk.session.add(land)
    desk.session.flush()

    with pytest.raises(Invalid, match="interest_holder_unknown"):
        interests.declare_interests(desk.session, MAKER, company.id, shares(1, (land, 1)))


# The database itself


def test_database__parts_above_the_whole__are_refused_at_commit(desk: Desk) -> None:
    company, one, two = make.company(desk), make.person(desk), make.person(desk)
    made = interests.declare_interests(desk.session, MAKER, company.id, shares(100, (one, 60)))
    more = DeclaredInterest(
        declaration_id=made.declaration.id, holder_id=two.id, nature=SHAREHOLDER, parts=41
    )
    desk.session.add(more)
    desk.session.flush()

    with pytest.raises(IntegrityError, match="sum to 101 of 100"):
        desk.session.connection().execute(text("SET CONSTRAINTS ALL IMMEDIATE"))


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE declared_interest SET parts = 1",
        "DELETE FROM declared_interest",
        "UPDATE interest_declaration SET whole = 1000",
        "UPDATE interest_declaration SET state = 'REJECTED'",
        "DELETE FROM interest_declaration",
    ],
)
def test_database__a_confirmed_declaration__stays(desk: Desk, change: str) -> None:
    company, owner = make.company(desk), make.person(desk)
    owning.declare(desk, company, shares(100, (owner, 60)))

    with pytest.raises(IntegrityError, match=r"append-only|stays as it was declared"):
        desk.session.connection().execute(text(change))


def test_database__decided_by_its_maker__is_refused(desk: Desk) -> None:
    company, owner = make.company(desk), make.person(desk)
    interests.declare_interests(desk.session, COMPLIANCE, company.id, shares(100, (owner, 60)))

    with pytest.raises(IntegrityError, match="ck_interest_declaration_four_eyes"):
        desk.session.connection().execute(
            text(
                "UPDATE interest_declaration SET state = 'CONFIRMED', decided_at = now(),"
                " checker = maker"
            )
        )


def test_rules__the_whole_company__can_be_owned() -> None:
    check_interests(3, [Interest(uuid4(), SHAREHOLDER, 1), Interest(uuid4(), SHAREHOLDER, 2)])


def test_declared_on__is_a_date_of_the_paper_alone(desk: Desk) -> None:
    company, owner = make.company(desk), make.person(desk)
    new = shares(100, (owner, 60), declared_on=date(2019, 12, 1), valid_from=MARCH)

    declared = owning.declare(desk, company, new)

    assert declared.declaration.declared_on == date(2019, 12, 1)
    assert parts(desk, company, MARCH - timedelta(seconds=1)) is None
