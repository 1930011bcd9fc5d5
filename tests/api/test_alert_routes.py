"""Alerts, filings and intakes over HTTP: who sees what, two officers, and bad bodies."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from registry.kernel.actor import Actor, Role
from registry.kernel.clock import now, today
from tests import factories as make
from tests import goods, intakes
from tests.api.house import House, problem_of
from tests.api.people import ok
from tests.kyc import FIRST_OFFICER, SECOND_OFFICER

pytestmark = pytest.mark.db

CNIC = "35202-1234567-1"
WHY = {"reveal": "true", "purpose": "inquiry 12/2026", "legal_basis": "AML Act 2010, section 25"}


def test_alert__read_and_decided__by_two_and_known_at_any_time(house: House) -> None:
    with house.desk() as desk:
        alert = intakes.alert(desk)
        tokenization_id = str(alert.tokenization_id)
    first, second = house.caller(FIRST_OFFICER), house.caller(SECOND_OFFICER)
    path = f"/v1/alerts/{alert.id}"
    [read] = ok(first.get("/v1/alerts", tokenization_id=tokenization_id))["items"]
    assert (read["id"], read["rule"]) == (str(alert.id), "LARGE_HOLDER_CROSSED")
    assert (read["state"], read["taken_back_at"]) == ("OPEN", None)
    before = now().isoformat()

    ok(first.post(f"{path}/review", {"reason": f"Card {CNIC}: his own."}))
    problem_of(first.post(f"{path}/dismiss", {"reason": "Mine"}), 403, "checker_is_maker")
    assert ok(second.post(f"{path}/dismiss", {"reason": "Agreed"}))["state"] == "DISMISSED"

    assert ok(first.get(path, known_at=before))["state"] == "OPEN"
    assert CNIC not in first.get(path).text
    assert CNIC in first.get(path, **WHY).text
    assert (
        ok(house.caller(Role.AUDITOR).get(path, **WHY | {"reveal": False}))["state"] == "DISMISSED"
    )
    for role in (Role.INVESTOR, Role.ISSUER, Role.OPERATIONS, Role.REGISTRAR_CHECKER):
        problem_of(house.caller(role).get(path), 403, "role_missing")


def test_alert__about_an_officer__is_not_there_for_them(house: House) -> None:
    with house.desk() as desk:
        alert = intakes.alert(desk)
    who = house.one("SELECT subject FROM investor WHERE party_id = :party", party=alert.party_id)
    theirs = house.caller(Actor(who, frozenset({Role.COMPLIANCE})))

    problem_of(theirs.get(f"/v1/alerts/{alert.id}"), 404, "not_found")
    problem_of(theirs.post(f"/v1/alerts/{alert.id}/review", {"reason": "Mine"}), 404, "not_found")
    assert ok(theirs.get("/v1/alerts", party_id=str(alert.party_id)))["items"] == []


def test_complaint__of_an_investor__is_answered_on_the_phone(house: House) -> None:
    with house.desk() as desk:
        who = make.buyer(desk)
    phone, officer = house.caller(who.actor), house.caller(Role.COMPLIANCE)
    body = {"kind": "PAYMENT", "said": "No refund came.", "loss": {"amount": "4200.00"}}
    problem_of(phone.post("/v1/me/complaints", body | {"said": " "}), 422, "request_invalid")
    problem_of(phone.post("/v1/me/complaints", body | {"state": "RESOLVED"}), 422, "unknown_field")
    mine = ok(phone.post("/v1/me/complaints", body), 201)

    path = f"/v1/complaints/{mine['id']}"
    problem_of(officer.post(f"{path}/resolve", {"answer": "Paid."}), 409, "transition_refused")
    ok(officer.post(f"{path}/investigate"))
    ok(officer.post(f"{path}/resolve", {"answer": "Paid today."}))
    [seen] = ok(phone.get("/v1/me/complaints"))["items"]
    assert (seen["state"], seen["answer"], seen["loss"]["amount"]) == (
        "RESOLVED",
        "Paid today.",
        "4200.00",
    )
    assert "investigated_by" not in seen
    problem_of(phone.post(f"/v1/me/complaints/{mine['id']}/withdraw"), 409, "transition_refused")


def test_str_case__is_for_compliance_and_the_regulator_alone(house: House) -> None:
    with house.desk() as desk:
        alert = intakes.alert(desk)
    first, second = house.caller(FIRST_OFFICER), house.caller(SECOND_OFFICER)
    body = {
        "party_id": str(alert.party_id),
        "indicators": ["cash of others"],
        "narrative": f"Card {CNIC} was used by two.",
        "alert_ids": [str(alert.id)],
    }
    problem_of(first.post("/v1/str_cases", body | {"indicators": []}), 422, "request_invalid")
    case = ok(first.post("/v1/str_cases", body), 201)
    path = f"/v1/str_cases/{case['id']}"
    assert ok(first.get(f"/v1/alerts/{alert.id}"))["state"] == "ESCALATED"
    problem_of(first.post(f"{path}/file", {"reference": "G-1"}), 403, "checker_is_maker")
    assert ok(second.post(f"{path}/file", {"reference": "G-1"}))["state"] == "FILED"

    assert ok(house.caller(Role.REGULATOR).get(path, **WHY))["filed_reference"] == "G-1"
    assert CNIC not in first.get(path).text
    problem_of(house.caller(Role.AUDITOR).get(path), 403, "role_missing")


def test_filings_incidents_readings_and_counts__go_their_way(house: House) -> None:
    with house.desk() as desk:
        payer = intakes.paid_yesterday(desk)
        site, lot = intakes.site(desk), goods.issued(desk)
    first, second = house.caller(FIRST_OFFICER), house.caller(SECOND_OFFICER)
    yesterday = str(today() - timedelta(days=1))
    ctr = {"party_id": str(payer.investor.party_id), "day": yesterday}
    filing = ok(first.post("/v1/ctr_filings", ctr), 201)
    filed = ok(second.post(f"/v1/ctr_filings/{filing['id']}/file", {"reference": "C-1"}))
    assert (filed["state"], filed["total"]["amount"]) == ("FILED", "2000000.00")

    operations = house.caller(Role.OPERATIONS)
    body = {"kind": "OUTAGE", "severity": "HIGH", "title": "No node", "description": "Down.",
            "began_at": (now() - timedelta(hours=1)).isoformat()}  # fmt: skip
    path = f"/v1/incidents/{ok(operations.post('/v1/incidents', body), 201)['id']}"
    ok(operations.post(f"{path}/contain", {"ended_at": now().isoformat()}))
    problem_of(operations.post(f"{path}/close", {"cause": "A disk"}), 403, "checker_is_maker")
    assert ok(first.post(f"{path}/close", {"cause": "A disk"}))["state"] == "CLOSED"

    maker, checker = house.caller(Role.REGISTRAR_MAKER), house.caller(Role.REGISTRAR_CHECKER)
    reading = ok(maker.post(f"/v1/assets/{site.id}/energy_readings", reading_body()), 201)
    path = f"/v1/energy_readings/{reading['id']}"
    assert ok(checker.post(f"{path}/confirm"))["state"] == "CONFIRMED"
    assert ok(checker.get(path))["mined_sats"] == "512345678"

    count = {"audited_on": str(today()), "counted_kg": "2499999.5", "auditor": "SGS",
             "report_sha256": "ab" * 32}  # fmt: skip
    path = f"/v1/receipts/{lot.receipt.id}/stock_audits"
    ok(maker.post(path, count), 201)
    [audit] = ok(checker.get(path))["items"]
    assert audit["counted_kg"] == "2499999.500000"


def reading_body(**changes: Any) -> dict[str, Any]:
    return {
        "month": str(intakes.MONTH),
        "energy_mwh": "13420.5",
        "curtailed_mwh": "0",
        "uptime_percent": "98.4",
        "payout": {"amount": "90000000.00"},
        "holders_share": {"amount": "27000000.00"},
        "statement_sha256": "cd" * 32,
        "hashrate_phs": "1024",
        "mined_sats": "512345678",
    } | changes
