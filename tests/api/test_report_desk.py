"""R-14, R-22, R-24, R-26 and R-27, each against a second computation from the sealed journal."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import update
from sqlmodel import select

from registry.asset.models import Asset
from registry.complaint import service as complaints
from registry.filing import suspicion
from registry.incident import service as incidents
from registry.investor.models import Investor
from registry.journal.leaves import bodies, canonical
from registry.journal.models import JournalLeaf, JournalSeal, LeafKind
from registry.kernel.actor import Actor, Role
from registry.kernel.clock import now
from registry.onboarding import service as onboarding
from registry.party.models import Party
from tests import factories as make
from tests import intakes, standing
from tests.api.house import Caller, House, problem_of
from tests.api.reports import WHY, Replayed, ask, instant, person, read, rows_of
from tests.db.past import journal_of
from tests.factories import CHECKER, COMPLIANCE, MAKER, Buyer
from tests.kyc import SECOND_OFFICER

pytestmark = pytest.mark.db


def acts_of(house: House) -> list[dict[str, Any]]:
    return [entry for entry in journal_of(house.database) if entry["kind"] == "act"]


def time_of(entry: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(entry["acted_at"]).astimezone(UTC)


#


@pytest.fixture(scope="module")
def looked(house: House) -> Party:
    """Somebody whom several have looked at, each with a reason, and one without success."""
    with house.desk() as desk:
        party = make.person(desk)
    regulator, officer = house.caller(Role.REGULATOR), house.caller(COMPLIANCE)
    why = {"reveal": "true", "purpose": "inquiry 12/2026", "legal_basis": "AML Act, s. 25"}
    assert regulator.get(f"/v1/parties/{party.id}", **why).status_code == 200
    assert officer.get(f"/v1/parties/{party.id}", **why).status_code == 200
    problem_of(
        house.caller(Role.AUDITOR).get(f"/v1/parties/{party.id}", **why), 403, "reveal_not_allowed"
    )
    with house.desk() as desk:
        case = intakes.str_case(desk, party.id)
    read(house, "R-14", state="OPENED")
    assert case.id
    return party


def readings_by_journal(house: House, subject: str, until: datetime) -> list[tuple[Any, ...]]:
    """Compute R-24 a second time, from the journal."""
    return [
        (
            time_of(entry),
            entry["actor"],
            entry["act"],
            entry["subject_id"],
            entry["facts"].get("purpose"),
            entry["facts"].get("legal_basis"),
            entry["facts"].get("rows"),
        )
        for entry in acts_of(house)
        if "read" in entry["act"]
        and subject in (entry["subject_id"], *entry["facts"].get("parties", ()))
        and time_of(entry) <= until
    ]


def test_r24__of_a_person__is_every_reading_that_the_journal_has(
    house: House, looked: Party
) -> None:
    # Its own pages are read later, and name whom they are about too.
    until = now()
    rows = rows_of(house, "R-24", subject=str(looked.id), limit=2, as_of=until.isoformat())
    told = [
        (instant(row["time"]), row["person"], row["act"], row["subject"], row["purpose"],
         row["legal_basis"], row["rows"])
        for row in rows
    ]  # fmt: skip

    assert told == readings_by_journal(house, str(looked.id), until)
    assert len(told) >= 3
    assert Counter(row["act"] for row in rows)["personal_data_read"] >= 3


def test_r24__of_a_person__is_a_reading_of_them_itself(house: House) -> None:
    with house.desk() as desk:
        party = str(make.person(desk).id)
    assert rows_of(house, "R-24", subject=party) == []

    [row] = rows_of(house, "R-24", subject=party, limit=1)

    assert (row["act"], row["subject"], row["parties"]) == ("personal_data_read", "R-24", 1)
    assert len(rows_of(house, "R-24", subject=party, limit=1)) == 2, "not the pages of its own"


def test_r24__by_person_and_period__is_narrowed(house: House, looked: Party) -> None:
    rows = rows_of(house, "R-24", subject=str(looked.id), actor=COMPLIANCE.subject)
    assert {row["person"] for row in rows} == {COMPLIANCE.subject}
    later = (now() + timedelta(hours=1)).isoformat()
    assert rows_of(house, "R-24", since=later) == []
    assert rows_of(house, "R-24", subject=str(looked.id), as_of="2001-01-01T00:00:00Z") == []


#


def cases_by_journal(house: House, at: datetime | None = None) -> list[dict[str, Any]]:
    """Compute R-14 a second time, from the journal."""
    return [
        {
            "case": row["id"],
            "party": row["party_id"],
            "alerts": len(row["alert_ids"]),
            "opened": instant(row["recorded_at"]),
            "state": row["state"],
            "goaml_reference": row["filed_reference"],
            "filed": instant(row["decided_at"]) if row["filed_reference"] else None,
        }
        for row in sorted(
            Replayed.of(house).rows("str_case", at=at), key=lambda row: str(row["id"])
        )
    ]


def test_r14__cases__are_those_of_the_journal_now_and_then(house: House) -> None:
    with house.desk() as desk:
        alert = intakes.alert(desk)
        case = intakes.str_case(desk, alert.party_id, alert_ids=[alert.id])
    before = now()
    with house.desk() as desk:
        suspicion.file_str(desk.session, SECOND_OFFICER, case.id, reference="STR-7")

    for at in (None, before):
        when = {} if at is None else {"as_of": at.isoformat()}
        rows = rows_of(house, "R-14", **when)
        told = [
            {name: row[name] for name in ("case", "party", "alerts", "state", "goaml_reference")}
            | {name: instant(row[name]) for name in ("opened", "filed")}
            for row in rows
        ]
        assert told == cases_by_journal(house, at)
    [filed] = [row for row in rows_of(house, "R-14", state="FILED") if row["case"] == str(case.id)]
    assert (filed["goaml_reference"], filed["alerts"]) == ("STR-7", 1)
    assert filed["filed"] is not None
    # The journal has no indicators: they may name somebody.
    stored = house.one("SELECT indicators FROM str_case WHERE id = :id", id=case.id)
    assert filed["indicators"] == "; ".join(stored) != ""
    assert filed["name"] != person(house, alert.party_id)["name"], "masked"


def test_r14__is_for_compliance_and_the_regulator__and_not_about_themselves(house: House) -> None:
    with house.desk() as desk:
        who: Buyer = make.buyer(desk)
        case = intakes.str_case(desk, who.investor.party_id)
    problem_of(ask(house, "R-14", Role.AUDITOR), 403, "role_missing")
    assert str(case.id) in {row["case"] for row in rows_of(house, "R-14")}

    officer = Actor(who.actor.subject, frozenset({Role.COMPLIANCE}))
    theirs = house.caller(officer).get(
        "/v1/reports/R-14", purpose="to see", legal_basis="section 4", limit=200
    )
    assert theirs.status_code == 200, theirs.text
    assert str(case.id) not in theirs.text
    assert str(who.investor.party_id) not in theirs.text


def test_r24__readings_of_a_suspicion__are_told_to_few_and_not_to_whom_it_is_about(
    house: House,
) -> None:
    with house.desk() as desk:
        who: Buyer = make.buyer(desk)
        party_id = who.investor.party_id
        case = intakes.str_case(desk, party_id)
    house.caller(Role.REGULATOR).get(f"/v1/str_cases/{case.id}", **WHY).raise_for_status()
    rows_of(house, "R-14")
    officer = Actor(who.actor.subject, frozenset({Role.COMPLIANCE}))

    def subjects(caller: Caller) -> set[str]:
        said = WHY | {"subject": str(party_id), "limit": 200}
        answer = caller.get("/v1/reports/R-24", **said).raise_for_status().json()
        return {row["subject"] for row in answer["items"]}

    suspicions = {str(case.id), "R-14"}
    assert subjects(house.caller(Role.REGULATOR)) >= suspicions
    assert subjects(house.caller(Role.AUDITOR)).isdisjoint(suspicions)
    assert subjects(house.caller(officer)).isdisjoint(suspicions)

    def acts(role: Role) -> set[str]:
        found = house.caller(role).get("/v1/journal", subject_id=str(case.id))
        return {row["act"] for row in found.raise_for_status().json()["items"]}

    assert "str_case_opened" in acts(Role.REGULATOR)
    assert acts(Role.AUDITOR) == set()


#


@pytest.fixture(scope="module")
def troubles(house: House) -> datetime:
    """A complaint and an incident that end, and one of each that does not; when nothing had."""
    with house.desk() as desk:
        ended, _ = intakes.complaint(desk), intakes.complaint(desk, loss_paisa=None)
        outage, _ = intakes.incident(desk), intakes.incident(desk)
    before = now()
    with house.desk() as desk:
        complaints.investigate_complaint(desk.session, COMPLIANCE, ended.id)
        complaints.resolve_complaint(desk.session, COMPLIANCE, ended.id, answer="Paid.")
        incidents.contain_incident(desk.session, COMPLIANCE, outage.id, ended_at=now())
        incidents.close_incident(
            desk.session, COMPLIANCE, outage.id, cause="A full disk.", loss_paisa=77
        )
    return before


def troubles_by_journal(house: House, at: datetime | None) -> list[tuple[Any, ...]]:
    """Compute R-26 a second time, from the journal."""
    replayed = Replayed.of(house)
    return sorted(
        (row["id"], row["kind"], row["state"], instant(row[begun]),
         instant(row.get("ended_at")), instant(row["closed_at"]), row["loss_paisa"])
        for table, begun in (("complaint", "received_at"), ("incident", "began_at"))
        for row in replayed.rows(table, at=at)
    )  # fmt: skip


def test_r26__everything__is_that_of_the_journal_now_and_then(
    house: House, troubles: datetime
) -> None:
    for at in (None, troubles):
        when = {} if at is None else {"as_of": at.isoformat()}
        told = [
            (row["id"], row["kind"], row["state"], instant(row["opened"]),
             instant(row["ended"]), instant(row["closed"]), _paisa(row["loss"]))
            for row in rows_of(house, "R-26", limit=3, **when)
        ]  # fmt: skip
        assert told == troubles_by_journal(house, at)
        assert len(told) == 4


def _paisa(money: dict[str, str] | None) -> int | None:
    return None if money is None else int(money["amount"].replace(".", ""))


def test_r26__of_a_period__leaves_out_what_had_ended(house: House, troubles: datetime) -> None:
    later = (now() + timedelta(hours=1)).isoformat()
    assert troubles
    rows = rows_of(house, "R-26", since=later)
    assert {row["state"] for row in rows} == {"RECEIVED", "OPEN"}


#


def steps_by_journal(house: House, asset_id: str) -> Counter[Any]:
    """Compute the steps and approvals of R-22 a second time, from the journal."""
    acts = Counter(
        (entry["act"], entry["actor"])
        for entry in acts_of(house)
        if (entry["subject_kind"], entry["subject_id"]) == ("asset", asset_id)
    )
    approvals = Counter(
        ("approval", row["person"])
        for row in Replayed.of(house).rows("approval", subject_kind="asset", subject_id=asset_id)
    )
    return acts + approvals


def test_r22__of_an_asset__has_each_step_and_approval_of_the_journal(house: House) -> None:
    with house.desk() as desk:
        asset = make.registered(desk, make.open_apartment(desk))
        digest = asset.dossier_hash
    rows = rows_of(house, "R-22", asset=asset.code, limit=4)

    told = Counter(
        (row["step"], row["person"]) for row in rows if not row["step"].startswith("rules ")
    )
    assert told == steps_by_journal(house, str(asset.id))
    approvals = [row for row in rows if row["step"] == "approval"]
    assert digest is not None
    assert {row["dossier_hash"] for row in approvals} == {f"0x{digest.hex()}"}
    assert len({row["person"] for row in approvals}) == len(approvals) >= 4, "all of them differ"
    runs = [row for row in rows if row["step"].startswith("rules ")]
    assert runs
    assert all(row["rules_passed"] > 0 for row in runs)
    assert [row["at"] for row in rows] == sorted(row["at"] for row in rows)
    problem_of(ask(house, "R-22"), 422, "asset_or_key_required")


def test_r22__approval_that_was_voided__says_from_when_on(house: House) -> None:
    with house.desk() as desk:
        asset = make.in_review(desk, make.open_apartment(desk))
        make.approve_all(desk, asset, but_the_last=True)
        asset_id, code = asset.id, asset.code
        onboarding.return_dossier(desk.session, CHECKER, asset_id, reason="Wrong area")
    returned = now()
    with house.desk() as desk:
        asset = desk.session.get_one(Asset, asset_id)
        corrected = standing.dossier_of(desk, asset)
        details = {**corrected.details, "covered_area_sqft": "1481.00"}
        onboarding.amend_dossier(
            desk.session, MAKER, asset_id, version=asset.version,
            dossier=replace(corrected, details=details),
        )  # fmt: skip
        make.submit(desk, asset)
        make.approve_all(desk, asset)

    def approvals(**when: str) -> list[datetime | None]:
        rows = rows_of(house, "R-22", asset=code, **when)
        return [instant(row["voided"]) for row in rows if row["step"] == "approval"]

    kept = list(Replayed.of(house).rows("approval", subject_id=asset_id))
    expected = [instant(row["voided_at"]) for row in sorted(kept, key=lambda row: row["id"])]
    assert approvals() == expected
    assert {moment is None for moment in expected} == {True, False}
    before = approvals(as_of=returned.isoformat())
    assert before == [None] * len(before) != []


def runs_as_stored(house: House, asset_id: str) -> list[tuple[Any, ...]]:
    """Compute what R-22 says of the rules a second time, from what each run stored."""
    query = "SELECT json_agg(r ORDER BY r.id) FROM rule_run r WHERE asset_id = :id"
    told = []
    for run in house.one(query, id=asset_id):
        failed = [item for item in run["results"] if not item["passed"]]
        critical = sorted(item["id"] for item in failed if item["severity"] == "CRITICAL")
        others = sorted(item["id"] for item in failed if item["severity"] != "CRITICAL")
        told.append(
            (f"rules {run['moment']}", run["run_by"], len(run["results"]) - len(failed),
             len(failed), ", ".join(critical) or None, run["blocked"], ", ".join(others) or None)
        )  # fmt: skip
    return told


def test_r22__rules__are_named_that_failed_in_each_run(house: House) -> None:
    with house.desk() as desk:
        asset = make.registered(desk, make.open_apartment(desk))
    house.caller(CHECKER).post(f"/v1/assets/{asset.id}/rule_runs").raise_for_status()
    rows = rows_of(house, "R-22", asset=asset.code)

    names = (
        "step", "person", "rules_passed", "rules_failed", "failed", "blocked", "overrides",
    )  # fmt: skip
    runs = [tuple(row[name] for name in names) for row in rows if row["rules_passed"] is not None]
    assert runs == runs_as_stored(house, str(asset.id))
    *_, gate = runs
    assert gate[5], "it has no wrapper"
    assert "WRP-01" in gate[4].split(", ")
    roles = Counter(
        (row["person"], row["role"])
        for row in Replayed.of(house).rows("approval", subject_id=asset.id)
    )
    approved = [row for row in rows if row["step"] == "approval"]
    assert Counter((row["person"], row["role"]) for row in approved) == roles


#


@pytest.fixture(scope="module")
def sealed(house: House, looked: Party) -> str:
    journal_of(house.database)  # seals everything
    return str(looked.id)


def test_r27__of_an_entity__is_hashed_again_from_what_is_exported(
    house: House, sealed: str
) -> None:
    rows = rows_of(house, "R-27", entity=sealed, limit=2)
    journal_of(house.database)
    with house.database.reading() as session:
        leaves = {leaf.seq: leaf for leaf in session.exec(select(JournalLeaf))}
        seals = sorted(session.exec(select(JournalSeal)), key=lambda seal: seal.tree_size)
        for row in rows:
            leaf = leaves[row["seq"]]
            [(_, body)] = bodies(session, LeafKind(leaf.kind), [leaf.entry_id])
            digest = hashlib.sha256(b"\0" + canonical(body)).hexdigest()
            seal = next(seal for seal in seals if seal.tree_size >= leaf.seq)
            assert row["hash"] == f"0x{digest}"
            assert (row["root"], row["prev"]) == (
                f"0x{seal.root.hex()}",
                f"0x{seal.previous_root.hex()}",
            )
            assert sealed in (body.get("subject_id"), body.get("row_id"))

    assert rows
    assert all(row["verified"] for row in rows)


def test_r27__of_a_row_that_is_sealed_with_others__has_the_images_about_it(
    fresh_house: House,
) -> None:
    with fresh_house.desk() as desk:
        rows = [make.enrolled(desk)[1].id for _ in range(3)]
        desk.session.execute(update(Investor).values(kyc_decided_by="an officer"))
        make.tell_acts(desk.session)
    journal_of(fresh_house.database)

    for row in rows:
        told = rows_of(fresh_house, "R-27", entity=str(row))

        assert all(each["verified"] for each in told)
        images = [each for each in told if each["act"] == "ROWS investor"]
        assert [each["entity"] for each in images] == [str(row), str(min(rows))]


def test_r27__of_a_range__has_every_number_once(house: House, sealed: str) -> None:
    assert sealed
    rows = rows_of(house, "R-27", first=3, last=9, limit=4)

    assert [row["seq"] for row in rows] == list(range(3, 10))
    problem_of(ask(house, "R-27", first=0), 422, "request_invalid")
    assert rows_of(house, "R-27", entity="nobody's") == []


def test_r27__of_a_row_that_somebody_changed__does_not_hold(fresh_house: House) -> None:
    with fresh_house.desk() as desk:
        make.person(desk)
    journal_of(fresh_house.database)
    with fresh_house.database.transaction() as session:
        connection = session.connection()
        connection.exec_driver_sql("ALTER TABLE journal_entry DISABLE TRIGGER ALL")
        connection.exec_driver_sql(
            "UPDATE journal_entry SET actor = 'somebody' WHERE id = (SELECT min(id::text)::uuid"
            " FROM journal_entry)"
        )
        connection.exec_driver_sql("ALTER TABLE journal_entry ENABLE TRIGGER ALL")

    rows = rows_of(fresh_house, "R-27", last=5)
    assert [row["verified"] for row in rows].count(False) == 1
