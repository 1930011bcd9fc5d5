"""Groups and assets as parties over HTTP."""

from __future__ import annotations

from typing import Any

import pytest

from registry.kernel.actor import Role
from tests import factories as make
from tests.api.house import House, problem_of
from tests.api.reports import WHY

pytestmark = pytest.mark.db


def record(house: House, **body: Any) -> Any:
    return house.caller(Role.REGISTRAR_MAKER).post("/v1/parties", body)


def test_group__recorded__shows_its_members_and_masks_its_name(house: House) -> None:
    with house.desk() as desk:
        members = [make.person(desk), make.person(desk)]
    said: list[dict[str, Any]] = [
        {"party_id": str(members[0].id), "hissa": 1},
        {"party_id": str(members[1].id), "hissa": "7"},
    ]

    answer = record(house, kind="GROUP", name="Heirs of Karim Bux", members=said)

    assert answer.status_code == 201, answer.text
    assert answer.json()["members"] == [row | {"hissa": str(row["hissa"])} for row in said]
    assert "Karim" not in answer.text
    path = f"/v1/parties/{answer.json()['id']}"
    assert house.caller(Role.AUDITOR).get(path, **WHY).json() == answer.json()


@pytest.mark.parametrize("hissa", [0, -1, 1.5, "1.0", "01", True, None, 2**63])
def test_group__part_that_is_no_whole_number__is_refused(house: House, hissa: object) -> None:
    with house.desk() as desk:
        members = [make.person(desk), make.person(desk)]
    said = [{"party_id": str(member.id), "hissa": hissa} for member in members]

    problem_of(record(house, kind="GROUP", name="Two", members=said), 422, "request_invalid")


def test_asset_as_party__recorded__names_its_asset_once(house: House) -> None:
    with house.desk() as desk:
        plot = make.registered(desk, make.open_apartment(desk))
    said: dict[str, Any] = {
        "kind": "ASSET_AS_PARTY",
        "name": "The plot in front",
        "asset_id": str(plot.id),
    }

    answer = record(house, **said)

    assert answer.status_code == 201, answer.text
    assert (answer.json()["asset_id"], answer.json()["members"]) == (str(plot.id), [])
    problem_of(record(house, **said), 409, "party_exists")
    problem_of(record(house, **(said | {"asset_id": None})), 422, "asset_reference_wrong")
