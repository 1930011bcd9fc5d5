"""Bulk imports through the API: what is accepted, what is refused, and what goes on."""

from __future__ import annotations

from threading import Event
from typing import Any

import pytest

from registry.bulk.runner import ImportWorker
from registry.kernel.actor import Role
from tests import factories as make
from tests.api.house import House, problem_of
from tests.imports import (
    PATH,
    as_csv,
    geojson,
    imported,
    mapping,
    ndjson,
    reasons,
    results,
    row,
    rows,
    send,
    work,
)

pytestmark = pytest.mark.e2e


@pytest.fixture
def owner(fresh_house: House) -> str:
    with fresh_house.desk() as desk:
        return str(make.person(desk).id)


@pytest.mark.parametrize("write", [ndjson, geojson, as_csv])
def test_import__of_each_format__makes_whole_dossiers(
    fresh_house: House, owner: str, write: Any
) -> None:
    job = imported(fresh_house, write(rows(25)), mapping(owner))
    assert (job["state"], job["counts"]) == (
        "DONE",
        {"accepted": 25, "refused": 0, "reasons": {}},
    )
    assert job["progress"]["percent"] == "100.0"
    first = results(fresh_house, job)[0]
    assert first["asset_code"] == "OKR-AAA-0000"
    auditor = fresh_house.caller(Role.AUDITOR)
    asset = auditor.get(f"/v1/assets/{first['asset_id']}").json()
    assert asset["state"] == "DRAFT"
    assert asset["title_state"] == "PROPOSED"
    assert asset["underlying_keys"] == ["KHASRA|PK-PB|OKARA|DEPALPUR|999|1/1"]
    assert asset["owners"] == [{"party_id": owner, "hissa": "1"}]
    (parcel,) = auditor.get(f"/v1/assets/{first['asset_id']}/parcels").json()["features"]
    assert parcel["properties"]["live"] is True
    (run,) = auditor.get(f"/v1/assets/{first['asset_id']}/rule_runs").json()
    assert (run["moment"], run["answer"]) == ("import", "PASS")
    assert {"KEY-01", "PAR-01", "PAR-02", "PAR-03", "SHR-01"} <= {
        result["id"] for result in run["results"]
    }
    assert fresh_house.one("SELECT count(*) FROM underlying_key WHERE live") == 25
    assert fresh_house.one("SELECT count(*) FROM journal_entry WHERE act = 'dossier_opened'") == 25


def test_import__with_bad_rows__records_the_good_ones_and_says_why_not_the_others(
    fresh_house: House, owner: str
) -> None:
    ring = [[73.2, 30.6], [73.201, 30.601], [73.201, 30.6], [73.2, 30.601], [73.2, 30.6]]
    bow = {"type": "Polygon", "coordinates": [ring]}
    items = [
        row(1),
        row(2, geometry=bow),
        row(3, kanal=9),
        row(4, khasra="1/1"),
        row(5, geometry=row(1)["geometry"]),
        row(6, village="=cmd|' /C calc'!A0"),
        row(7, village="Chak\u0000"),
        {"khasra": "8/1"},
        row(9, marla=25),
        row(10),
    ]
    job = imported(fresh_house, ndjson(items), mapping(owner))
    found = {result["row"]: reasons(result) for result in results(fresh_house, job)}
    assert found == {
        1: [],
        2: ["geometry_invalid"],
        3: ["PAR-01"],
        4: ["KEY-01"],
        5: ["PAR-02"],
        6: ["import_value_refused"],
        7: ["import_value_refused"],
        8: ["import_field_missing", "import_field_missing"],
        9: ["details_invalid", "details_invalid"],
        10: [],
    }
    assert (job["state"], job["counts"]["accepted"], job["counts"]["refused"]) == ("DONE", 2, 8)
    assert job["counts"]["reasons"]["PAR-02"] == 1
    assert fresh_house.one("SELECT count(*) FROM asset") == 2


def test_import__rows_in_conflict__name_the_earlier_row(fresh_house: House, owner: str) -> None:
    items = [row(1), row(1, khasra="77/1"), row(2, khasra="1/1"), *rows(150, 20)]
    # The last one lies in another batch than the row that it conflicts with.
    items.append(row(1, khasra="978/1"))
    job = imported(fresh_house, ndjson(items), mapping(owner))
    refused = results(fresh_house, job, outcome="refused")
    assert [result["row"] for result in refused] == [2, 3, 154]
    for result in refused:
        assert len(result["problems"]) == 1, result
        (problem,) = result["problems"]
        assert "row 1 of this file" in problem["detail"]


def test_import__of_a_row_on_a_refused_row__is_accepted(fresh_house: House, owner: str) -> None:
    items = [row(1, kanal=9), row(1, khasra="2/1")]
    job = imported(fresh_house, ndjson(items), mapping(owner))
    assert [result["outcome"] for result in results(fresh_house, job)] == ["refused", "accepted"]


def test_import__of_the_same_file_again__accepts_nothing(fresh_house: House, owner: str) -> None:
    imported(fresh_house, ndjson(rows(5)), mapping(owner))
    job = imported(fresh_house, ndjson(rows(5)), mapping(owner))
    assert job["counts"]["accepted"] == 0
    assert all(reasons(item) == ["KEY-01", "PAR-02"] for item in results(fresh_house, job))
    assert "OKR-AAA-000" in results(fresh_house, job)[0]["problems"][0]["detail"]


def test_import__owners_by_cnic__are_found_and_exact(fresh_house: House) -> None:
    with fresh_house.desk() as desk:
        one = make.person(desk, cnic="35202-7654321-1")
        two = make.person(desk, cnic="35202-7654322-1")
    said = mapping(
        "",
        ownership={
            "kul_hissay": {"from": "whole"},
            "owners": {
                "each": "owners",
                "split": ";",
                "between": "=",
                "into": ["nic", "part"],
                "make": {"cnic": {"from": "nic"}, "hissa": {"from": "part"}},
            },
        },
    )
    both = "35202-7654321-1=5;35202-7654322-1=3"
    items = [
        row(1, whole=8, owners=both),
        row(2, whole=9, owners=both),
        row(3, whole=8, owners="35202-7654321-1=8;35202-7654322-1=0"),
        row(4, whole=1, owners="35202-0000001-1=1"),
        row(5, whole=1, owners="352020000001=1"),
    ]
    job = imported(fresh_house, as_csv(items), said)
    found = results(fresh_house, job)
    assert [reasons(result) for result in found] == [
        [],
        ["SHR-01"],
        ["share_not_positive"],
        ["owner_unknown"],
        ["ID-01"],
    ]
    asset = fresh_house.caller(Role.AUDITOR).get(f"/v1/assets/{found[0]['asset_id']}").json()
    assert {(item["party_id"], item["hissa"]) for item in asset["owners"]} == {
        (str(one.id), "5"),
        (str(two.id), "3"),
    }
    assert "765432" not in str(found)


def test_import__dry_run__judges_everything_and_records_nothing(
    fresh_house: House, owner: str
) -> None:
    items = [*rows(3), row(1, khasra="9/1")]
    job = imported(fresh_house, ndjson(items), mapping(owner), dry_run="true")
    assert job["counts"] == {"accepted": 3, "refused": 1, "reasons": {"PAR-02": 1}}
    assert fresh_house.one("SELECT count(*) FROM asset") == 0
    assert all(result["asset_id"] is None for result in results(fresh_house, job))


def test_import__cancelled__works_no_further_row(fresh_house: House, owner: str) -> None:
    place = send(fresh_house, ndjson(rows(5)), mapping(owner)).headers["Location"]
    maker = fresh_house.caller(Role.REGISTRAR_MAKER)
    other = fresh_house.caller(make.actor(Role.REGISTRAR_MAKER))
    problem_of(other.post(f"{place}/cancel"), 403, "not_the_maker")
    assert maker.post(f"{place}/cancel").json()["state"] == "CANCELLED"
    work(fresh_house)
    assert fresh_house.one("SELECT count(*) FROM asset") == 0
    problem_of(maker.post(f"{place}/cancel"), 409, "import_ended")


def test_import__sent_twice_under_one_key__is_one(fresh_house: House, owner: str) -> None:
    first = send(fresh_house, ndjson(rows(2)), mapping(owner), key="once")
    again = send(fresh_house, ndjson(rows(2)), mapping(owner), key="once")
    assert first.headers["Location"] == again.headers["Location"]
    assert len(fresh_house.caller(Role.AUDITOR).get(PATH).json()["items"]) == 1


def test_import__ended__forgets_its_file(fresh_house: House, owner: str) -> None:
    imported(fresh_house, ndjson(rows(1)), mapping(owner))
    ImportWorker(fresh_house.database, fresh_house.services.vault, fresh_house.services.store).turn(
        Event()
    )
    assert fresh_house.one("SELECT count(*) FROM bulk_import WHERE stored_as IS NOT NULL") == 0


def test_import__of_a_damaged_file__fails_and_says_so(fresh_house: House, owner: str) -> None:
    place = send(fresh_house, ndjson(rows(1)), mapping(owner)).headers["Location"]
    digest = fresh_house.one("SELECT stored_as FROM bulk_import")
    fresh_house.services.store.remove(bytes(digest))
    work(fresh_house)
    job = fresh_house.caller(Role.AUDITOR).get(place).json()
    assert (job["state"], job["problem"]["code"]) == ("FAILED", "import_file_lost")
