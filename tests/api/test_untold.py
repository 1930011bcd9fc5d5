"""Suspicions in the journal: proven to everybody who reads it, told to few (AMLA 2010, s. 7)."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest
from sqlmodel import col, select

from registry.filing import suspicion
from registry.journal import merkle
from registry.journal.leaves import canonical
from registry.journal.models import JournalLeaf
from registry.kernel.actor import Actor, Role
from tests import intakes
from tests.api.house import Caller, House
from tests.api.people import ok
from tests.api.reports import WHY
from tests.db.past import bodies_of, journal_of
from tests.keys import live_key
from tests.kyc import SECOND_OFFICER

pytestmark = pytest.mark.db

HIDDEN = ("entity", "act", "actor", "time")


class Suspected(NamedTuple):
    """Somebody of whom there is a case, which was read and filed."""

    subject: str
    party_id: str
    case_id: str
    alert_id: str
    numbers: dict[int, dict[str, Any]]


@pytest.fixture(scope="module")
def suspected(house: House) -> Suspected:
    with house.desk() as desk:
        alert = intakes.alert(desk)
        case = intakes.str_case(desk, alert.party_id, alert_ids=[alert.id])
        suspicion.file_str(desk.session, SECOND_OFFICER, case.id, reference="STR-77")
    regulator = house.caller(Role.REGULATOR)
    ok(regulator.get(f"/v1/str_cases/{case.id}", **WHY))
    ok(regulator.get("/v1/reports/R-14", **WHY))
    journal_of(house.database)
    party = str(alert.party_id)
    subject = house.one("SELECT subject FROM investor WHERE party_id = :party", party=party)
    with house.database.reading() as session:
        leaves = session.exec(select(JournalLeaf).order_by(col(JournalLeaf.seq))).all()
        told = {leaf.seq: bodies_of(session, leaf) for leaf in leaves}
    of_case = {
        seq: body
        for seq, body in told.items()
        if "str_case" in (body.get("subject_kind"), body.get("table"))
        or body.get("subject_id") == "R-14"
    }
    return Suspected(subject, party, str(case.id), str(alert.id), of_case)


def as_role(suspected: Suspected, role: Role) -> Actor:
    return Actor(suspected.subject, frozenset({role}))


def rows(caller: Caller, **query: Any) -> list[dict[str, Any]]:
    """Read R-27 to its end."""
    found: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    while True:
        page = ok(caller.get("/v1/reports/R-27", **(WHY | query | cursor)))
        found += page["items"]
        if page["next"] is None:
            return found
        cursor = {"cursor": page["next"]}


def test_proof__of_a_case__is_whole_for_the_regulator(house: House, suspected: Suspected) -> None:
    assert {body["kind"] for body in suspected.numbers.values()} == {"act", "fact"}
    regulator = house.caller(Role.REGULATOR)
    for seq, body in suspected.numbers.items():
        assert ok(regulator.get(f"/v1/journal/{seq}/proof"))["entry"] == body
    acts = {row["act"] for row in rows(regulator, entity=suspected.case_id)}
    assert {"str_case_opened", "INSERT str_case"} <= acts


@pytest.mark.parametrize(
    "who", ["auditor", "party as regulator", "party as auditor", "key of the party"]
)
def test_proof__of_a_case__has_the_hash_alone_for_others(
    house: House, suspected: Suspected, who: str
) -> None:
    caller = reader(house, suspected, who)

    for seq, body in suspected.numbers.items():
        proof = ok(caller.get(f"/v1/journal/{seq}/proof"))
        assert proof["entry"] is None
        leaf = merkle.leaf_hash(canonical(body))
        path = [bytes.fromhex(part) for part in proof["audit_path"]]
        root = merkle.root_of_inclusion(leaf, seq - 1, proof["tree_size"], path)
        assert (proof["leaf_hash"], proof["root"]) == (leaf.hex(), root.hex() if root else None)
    clear = ok(caller.get("/v1/journal/1/proof"))
    assert clear["entry"] is not None


def reader(house: House, suspected: Suspected, who: str) -> Caller:
    if who == "auditor":
        return house.caller(Role.AUDITOR)
    if who == "key of the party":
        return key_of(house, suspected)
    return house.caller(
        as_role(suspected, Role.REGULATOR if who.endswith("regulator") else Role.AUDITOR)
    )


def key_of(house: House, suspected: Suspected) -> Caller:
    """Let a system in by a key that the party has made as an auditor."""
    with house.desk() as desk:
        _, secret = live_key(desk.session, as_role(suspected, Role.AUDITOR), roles=[Role.AUDITOR])
    return house.stranger(secret)


@pytest.mark.parametrize("role", [Role.REGULATOR, Role.AUDITOR, Role.COMPLIANCE])
def test_r27__to_whom_it_is_about__verifies_and_tells_nothing(
    house: House, suspected: Suspected, role: Role
) -> None:
    caller = house.caller(as_role(suspected, role))

    found = {row["seq"]: row for row in rows(caller, limit=200)}
    for seq in suspected.numbers:
        assert [found[seq][name] for name in HIDDEN] == [None] * len(HIDDEN)
        assert found[seq]["verified"]
        assert found[seq]["hash"]
    assert all(row["verified"] for row in found.values())
    for record in (suspected.case_id, suspected.alert_id, "R-14"):
        assert rows(caller, entity=record) == []


def test_r27__to_an_auditor__leaves_out_who_asks_for_a_case(
    house: House, suspected: Suspected
) -> None:
    auditor = house.caller(Role.AUDITOR)

    assert rows(auditor, entity=suspected.case_id, limit=1) == []
    assert rows(auditor, entity="R-14", limit=1) == []
    assert len(rows(auditor, entity=suspected.alert_id, limit=1)) >= 3, "alerts it may know"
    found = {row["seq"]: row for row in rows(auditor, limit=200)}
    assert {found[seq]["entity"] for seq in suspected.numbers} == {None}


def test_journal__read_by_whom_it_is_about__has_neither_case_nor_alert(
    house: House, suspected: Suspected
) -> None:
    caller = house.caller(as_role(suspected, Role.REGULATOR))
    for record in (suspected.case_id, suspected.alert_id, "R-14"):
        assert ok(caller.get("/v1/journal", subject_id=record))["items"] == []
        assert ok(house.caller(Role.REGULATOR).get("/v1/journal", subject_id=record))["items"]


def test_escalated_alert__says_nothing_of_its_case_to_an_auditor(
    house: House, suspected: Suspected
) -> None:
    auditor = house.caller(Role.AUDITOR)

    alert = auditor.get(f"/v1/alerts/{suspected.alert_id}", **WHY)
    acts = auditor.get("/v1/journal", subject_id=suspected.alert_id)

    assert ok(alert)["state"] == "ESCALATED"
    assert "alert_escalate" in acts.text
    for answer in (alert, acts):
        assert suspected.case_id not in answer.text
        assert "case" not in answer.text


def test_alert__about_whoever_made_the_key__is_not_there_for_it(
    house: House, suspected: Suspected
) -> None:
    with house.desk() as desk:
        other = intakes.alert(desk)

    answer = key_of(house, suspected).get("/v1/alerts", **(WHY | {"limit": 200}))

    found = {row["id"] for row in ok(answer)["items"]}
    assert str(other.id) in found
    assert suspected.alert_id not in found
