"""The panel of valuers over HTTP."""

from __future__ import annotations

import pytest

from registry.kernel.actor import Actor, Role
from registry.kernel.clock import today
from tests import factories as make
from tests.api.house import House, problem_of
from tests.factories import numbers

pytestmark = pytest.mark.db


def test_panel__proposed_confirmed_ended__shows_who_did_what(house: House) -> None:
    compliance, checker = house.caller(Role.COMPLIANCE), house.caller(Role.REGISTRAR_CHECKER)
    said = {"valuer": f"VAL-{next(numbers)}", "licence_no": "PBA-9", "begins_on": str(today())}

    entry = compliance.post("/v1/valuers", said).json()
    path = f"/v1/valuers/{entry['id']}"
    confirmed = checker.post(f"{path}/confirm").json()
    ended = compliance.post(f"{path}/end", {"ends_on": str(today()), "reason": "Retired"}).json()

    assert entry["confirmed_by"] is None
    assert confirmed["confirmed_by"] not in (None, entry["proposed_by"])
    assert ended["ends_on"] == str(today())
    assert ended in house.caller(Role.AUDITOR).get("/v1/valuers", limit="200").json()["items"]
    problem_of(checker.post(f"{path}/confirm"), 409, "panel_entry_confirmed")


def test_panel__scope__is_kept_and_refuses_an_opinion_beyond_it(house: House) -> None:
    compliance, checker = house.caller(Role.COMPLIANCE), house.caller(Role.REGISTRAR_CHECKER)
    name = f"VAL-{next(numbers)}"
    scope = {"asset_classes": ["LAND_PLOT"], "regions": ["PK-PB", "PK-SD"]}
    with house.desk() as desk:
        asset, me = make.open_apartment(desk), make.person(desk)
    said = {"valuer": name, "licence_no": "PBA-9", "begins_on": str(today())}

    entry = compliance.post("/v1/valuers", said | scope | {"party_id": str(me.id)}).json()
    checker.post(f"/v1/valuers/{entry['id']}/confirm")
    opinion = house.caller(Actor(name, frozenset({Role.VALUER}))).post(
        f"/v1/assets/{asset.id}/valuations",
        {
            "value": {"amount": "100.00", "currency": "PKR"},
            "basis_date": str(today()),
            "method": "MARKET_COMPARABLE",
            "report_sha256": "00" * 32,
        },
    )

    assert {field: entry[field] for field in scope} == scope
    assert entry["party_id"] == str(me.id)
    valuation = opinion.json()["id"]
    accept = house.caller(Role.VALUATION_CHECKER).post(f"/v1/valuations/{valuation}/accept")
    problem_of(accept, 409, "valuer_out_of_scope")


def test_panel__bad_request__is_refused(house: House) -> None:
    compliance = house.caller(Role.COMPLIANCE)
    said = {"valuer": "VAL-X", "licence_no": "PBA-9", "begins_on": str(today())}

    problem_of(compliance.post("/v1/valuers", said | {"grade": "A"}), 422, "unknown_field")
    problem_of(compliance.post("/v1/valuers", said | {"valuer": ""}), 422, "request_invalid")
    early = said | {"ends_on": "2001-01-01"}
    problem_of(compliance.post("/v1/valuers", early), 422, "panel_days_wrong")
    problem_of(compliance.post("/v1/valuers", said | {"regions": []}), 422, "panel_scope_wrong")
    elsewhere = said | {"regions": ["PK-PB", "Punjab"]}
    assert problem_of(compliance.post("/v1/valuers", elsewhere), 422, "region_unknown")[
        "field"
    ] == ("/regions/1")
    unknown = said | {"asset_classes": ["SPACESHIP"]}
    problem_of(compliance.post("/v1/valuers", unknown), 422, "request_invalid")
    no_one = said | {"party_id": "00000000-0000-0000-0000-000000000000"}
    problem_of(compliance.post("/v1/valuers", no_one), 404, "not_found")
    nobody = "/v1/valuers/00000000-0000-0000-0000-000000000000/confirm"
    problem_of(house.caller(Role.REGISTRAR_CHECKER).post(nobody), 404, "not_found")
