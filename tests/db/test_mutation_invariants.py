"""MUT-01, MUT-03 and TTL-01, kept by the database whatever the code above it does."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session

from tests.db.rows import execute, insert, party, refused_by, settle, title, version

pytestmark = pytest.mark.db

IMPLEMENTED = "UPDATE mutation SET state = 'IMPLEMENTED' WHERE id = :id"


def mutation(session: Session, title_id: UUID | None = None, **columns: Any) -> UUID:
    title_id = title_id or title(session)
    values = {
        "title_id": title_id,
        "version_id": version(session, title_id, shares=[1], superseded_at="2026-02-01T00:00:00Z"),
        "kind": "SALE",
        "initiation": "REGISTERED_DEED",
        "state": "ENTERED",
        "number": str(title_id),
        "entered_on": "2026-01-01",
        "kul_hissay": 1,
        "maker": "sql",
    }
    return insert(session, "mutation", **values | columns)


def link(session: Session, mutation_id: UUID, title_id: UUID) -> None:
    execute(
        session,
        "INSERT INTO mutation_title (mutation_id, title_id, part, open)"
        " VALUES (:mutation, :title, 'SUBJECT', true)",
        mutation=mutation_id,
        title=title_id,
    )


def is_open(session: Session, mutation_id: UUID) -> bool:
    return bool(
        session.connection()
        .execute(
            text("SELECT bool_or(open) FROM mutation_title WHERE mutation_id = :id"),
            {"id": mutation_id},
        )
        .scalar_one()
    )


# MUT-01


def test_mut_01__second_open_mutation__is_refused(session: Session) -> None:
    title_id = title(session)
    first = mutation(session, title_id)
    link(session, first, title_id)
    second = mutation(session, title_id, number="2")

    refused_by(
        session,
        "uq_mutation_title_open",
        "INSERT INTO mutation_title (mutation_id, title_id, part, open)"
        " VALUES (:mutation, :title, 'RESULT', true)",
        mutation=second,
        title=title_id,
    )


@pytest.mark.parametrize("state", ["IMPLEMENTED", "REJECTED", "WITHDRAWN"])
def test_mut_01__closed_mutation__lets_another_in(session: Session, state: str) -> None:
    title_id = title(session)
    first = mutation(session, title_id)
    link(session, first, title_id)

    execute(session, "UPDATE mutation SET state = :state WHERE id = :id", state=state, id=first)

    assert not is_open(session, first)
    link(session, mutation(session, title_id, number="2"), title_id)


@pytest.mark.parametrize("state", ["FIELD_VERIFICATION", "STAYED", "ATTESTED"])
def test_mut_01__mutation_that_waits__stays_open(session: Session, state: str) -> None:
    title_id = title(session)
    first = mutation(session, title_id)
    link(session, first, title_id)

    execute(session, "UPDATE mutation SET state = :state WHERE id = :id", state=state, id=first)

    assert is_open(session, first)


# MUT-03


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE mutation SET number = 'another' WHERE id = :id",
        "UPDATE mutation SET state = 'ATTESTED' WHERE id = :id",
        "UPDATE mutation SET state = 'REVERSED' WHERE id = :id",
        "UPDATE mutation SET kul_hissay = 2 WHERE id = :id",
        "DELETE FROM mutation WHERE id = :id",
    ],
)
def test_mut_03__implemented_mutation__never_changes(session: Session, change: str) -> None:
    mutation_id = mutation(session)
    execute(session, IMPLEMENTED, id=mutation_id)

    refused_by(session, "mut_03", change, id=mutation_id)


def test_mut_03__reversed_by_an_implemented_one__is_marked_and_then_stays(
    session: Session,
) -> None:
    undone = mutation(session)
    execute(session, IMPLEMENTED, id=undone)
    mutation(session, state="IMPLEMENTED", reverses_id=undone)

    refused_by(
        session,
        "mut_03",
        "UPDATE mutation SET state = 'REVERSED', number = 'another' WHERE id = :id",
        id=undone,
    )
    execute(session, "UPDATE mutation SET state = 'REVERSED' WHERE id = :id", id=undone)
    refused_by(session, "mut_03", IMPLEMENTED, id=undone)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE mutation_party SET hissa = 2 WHERE mutation_id = :id",
        "DELETE FROM mutation_party WHERE mutation_id = :id",
        "INSERT INTO mutation_party (id, recorded_at, mutation_id, part, party_id, hissa)"  # noqa: ISC004
        " SELECT gen_random_uuid(), now(), :id, 'BUYER', id, 1 FROM party WHERE name = 'Late'",
        "DELETE FROM mutation_title WHERE mutation_id = :id",
        "UPDATE mutation_title SET part = 'RESULT' WHERE mutation_id = :id",
    ],
)
def test_mut_03__parts_of_an_implemented_mutation__never_change(
    session: Session, change: str
) -> None:
    title_id = title(session)
    mutation_id = mutation(session, title_id)
    link(session, mutation_id, title_id)
    party(session, name="Late")
    insert(
        session, "mutation_party", mutation_id=mutation_id, part="BUYER",
        party_id=party(session), hissa=1,
    )  # fmt: skip
    execute(session, IMPLEMENTED, id=mutation_id)

    refused_by(session, "mut_03", change, id=mutation_id)


@pytest.mark.parametrize(
    ("table", "constraint"),
    [
        ("title_share", "shr_01"),
        ("title_version", "ttl_01"),
        ("mutation", "mut_03"),
        ("mutation_party", "mut_03"),
        ("mutation_title", "mut_03"),
    ],
)
def test_truncate__of_what_rights_rest_on__is_refused(
    session: Session, table: str, constraint: str
) -> None:
    refused_by(session, constraint, f"TRUNCATE {table} CASCADE")


# Four people


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("maker", "field_verifier"),
        ("maker", "revenue_officer"),
        ("maker", "registrar_checker"),
        ("field_verifier", "revenue_officer"),
        ("field_verifier", "registrar_checker"),
        ("revenue_officer", "registrar_checker"),
    ],
)
def test_four_people__one_in_two_parts__is_refused(session: Session, one: str, other: str) -> None:
    mutation_id = mutation(session)

    refused_by(
        session,
        "ck_mutation_four_people",
        f"UPDATE mutation SET {one} = 'twice', {other} = 'twice' WHERE id = :id",
        id=mutation_id,
    )


@pytest.mark.parametrize(
    ("part", "hissa", "held", "constraint"),
    [
        ("BUYER", 0, None, "ck_mutation_party_hissa"),
        ("BUYER", -1, None, "ck_mutation_party_hissa"),
        ("BUYER", None, None, "ck_mutation_party_hissa"),
        ("WITNESS", 1, None, "ck_mutation_party_hissa"),
        ("SELLER", 1, None, "ck_mutation_party_held"),
        ("BUYER", 1, 1, "ck_mutation_party_held"),
    ],
)
def test_party__shares_that_its_part_has_not__are_refused(
    session: Session, part: str, hissa: int | None, held: int | None, constraint: str
) -> None:
    refused_by(
        session,
        constraint,
        "INSERT INTO mutation_party (id, recorded_at, mutation_id, part, party_id, hissa,"
        " held_hissa) VALUES (gen_random_uuid(), now(), :mutation, :part, :party, :hissa, :held)",
        mutation=mutation(session),
        part=part,
        party=party(session),
        hissa=hissa,
        held=held,
    )


# TTL-01


@pytest.mark.parametrize("state", ["ACTIVE", "MUTATION_PENDING", "DISPUTED"])
def test_ttl_01__binding_title_without_a_right__is_refused(session: Session, state: str) -> None:
    title(session, state=state)

    with pytest.raises(IntegrityError, match="TTL-01"):
        settle(session)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE title_version SET superseded_at = now() WHERE id = :id",
        "UPDATE title_version SET valid_to = '2027-01-01' WHERE id = :id",
        "DELETE FROM title_version WHERE id = :id",
    ],
)
def test_ttl_01__last_right_of_an_active_title_taken__is_refused(
    session: Session, change: str
) -> None:
    title_id = title(session, state="ACTIVE")
    version_id = version(session, title_id, shares=[1])
    settle(session)
    if change.startswith("DELETE"):
        execute(session, "DELETE FROM title_share WHERE version_id = :id", id=version_id)

    refused_by(session, "ttl_01", change, id=version_id)


def test_ttl_01__right_replaced_in_one_transaction__is_accepted(session: Session) -> None:
    title_id = title(session, state="ACTIVE")
    first = version(session, title_id, shares=[1])
    settle(session)

    execute(session, "UPDATE title_version SET superseded_at = now() WHERE id = :id", id=first)
    version(session, title_id, shares=[2])

    settle(session)


def test_ttl_01__superseded_title__needs_no_right(session: Session) -> None:
    title(session, state="SUPERSEDED")

    settle(session)
