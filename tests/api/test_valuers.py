"""The panel of valuers over HTTP."""

from __future__ import annotations

import pytest

from registry.kernel.actor import Role
from registry.kernel.clock import today
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


def test_panel__bad_request__is_refused(house: House) -> None:
    compliance = house.caller(Role.COMPLIANCE)
    said = {"valuer": "VAL-X", "licence_no": "PBA-9", "begins_on": str(today())}

    problem_of(compliance.post("/v1/valuers", said | {"grade": "A"}), 422, "unknown_field")
    problem_of(compliance.post("/v1/valuers", said | {"valuer": ""}), 422, "request_invalid")
    early = said | {"ends_on": "2001-01-01"}
    problem_of(compliance.post("/v1/valuers", early), 422, "panel_days_wrong")
    nobody = "/v1/valuers/00000000-0000-0000-0000-000000000000/confirm"
    problem_of(house.caller(Role.REGISTRAR_CHECKER).post(nobody), 404, "not_found")
