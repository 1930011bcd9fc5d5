"""The same request twice has one effect and one answer."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from registry.kernel.actor import Role
from tests import factories as make
from tests.api.house import Caller, House, at_once, problem_of
from tests.factories import actor

pytestmark = pytest.mark.db

REPLAYED = "idempotent-replayed"
KEEPS = ("content-type", "location", "etag")


def person(number: int, **changes: Any) -> dict[str, Any]:
    return {"kind": "NATURAL", "name": f"P {number}", "cnic": f"41101-{number:07}-3"} | changes


@pytest.fixture
def maker(house: House) -> Caller:
    return house.caller(Role.REGISTRAR_MAKER)


def parties(house: House, number: int) -> int:
    found = house.services.vault.fingerprint(person(number)["cnic"])
    return int(house.one("SELECT count(*) FROM party WHERE cnic_fingerprint = :it", it=found))


def stored(house: House, key: str) -> int:
    return int(house.one("SELECT count(*) FROM stored_answer WHERE key = :key", key=key))


def test_key__same_request_again__gives_the_same_answer_once_made(
    house: House, maker: Caller
) -> None:
    first = maker.post("/v1/parties", person(1), key="k-1")
    with house.unchanged():
        again = maker.post("/v1/parties", person(1), key="k-1")

    assert first.status_code == again.status_code == 201
    assert first.content == again.content
    assert [first.headers.get(name) for name in KEEPS] == [
        again.headers.get(name) for name in KEEPS
    ]
    assert (first.headers.get(REPLAYED), again.headers.get(REPLAYED)) == (None, "true")


def test_key__answer_with_etag_and_location__is_replayed_with_them(
    house: House, maker: Caller
) -> None:
    with house.desk() as desk:
        owner = make.person(desk)
    body = {
        "code": "LHR-APT-7001",
        "asset_class": "LAND_APARTMENT",
        "title_regime": "REGISTERED_DEED_URBAN",
        "location": {"province": "PK-PB", "district": "Lahore"},
        "details": {
            "parent_area_kms": [4, 0, 0],
            "marla_kind": "MARLA_272_25",
            "undivided_share": [37, 2000],
            "covered_area_sqft": "1480.00",
        },
        "underlying_keys": ["APT|PK-PB|LAHORE|IDEMPOTENT|1"],
        "ownership": {"kul_hissay": 1, "owners": [{"party_id": str(owner.id), "hissa": 1}]},
    }
    first = maker.post("/v1/assets", body, key="k-2")
    again = maker.post("/v1/assets", body, key="k-2")

    assert first.status_code == 201, first.text
    assert first.json() == again.json()
    for name in ("etag", "location"):
        assert first.headers[name] == again.headers[name]


def test_key__other_body__is_refused(house: House, maker: Caller) -> None:
    maker.post("/v1/parties", person(3), key="k-3")
    with house.unchanged():
        response = maker.post("/v1/parties", person(4), key="k-3")

    problem_of(response, 422, "idempotency_key_reused")


def test_key__other_path__is_refused(house: House, maker: Caller) -> None:
    with house.desk() as desk:
        drafts = [make.open_apartment(desk) for _ in range(2)]
    assert maker.post(f"/v1/assets/{drafts[0].id}/withdraw", key="k-5").is_success

    response = maker.post(f"/v1/assets/{drafts[1].id}/withdraw", key="k-5")

    problem_of(response, 422, "idempotency_key_reused")


def test_key__of_another_principal__is_another_key(house: House) -> None:
    one = house.caller(actor(Role.REGISTRAR_MAKER))
    two = house.caller(actor(Role.REGISTRAR_MAKER))

    first = one.post("/v1/parties", person(6), key="k-6")
    second = two.post("/v1/parties", person(7), key="k-6")

    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json()["id"] != second.json()["id"]


def test_key__replayed_by_who_lost_the_role__is_forbidden(house: House) -> None:
    who = actor(Role.REGISTRAR_MAKER)
    assert house.caller(who).post("/v1/parties", person(8), key="k-8").is_success
    demoted = actor(Role.INVESTOR, subject=who.subject)

    problem_of(house.caller(demoted).post("/v1/parties", person(8), key="k-8"), 403, "role_missing")


@pytest.mark.parametrize("number", range(10, 14))
def test_key__many_at_one_moment__has_one_effect(house: House, maker: Caller, number: int) -> None:
    answers = at_once(*[lambda: maker.post("/v1/parties", person(number), key=f"k-{number}")] * 8)

    found = Counter(answer.status_code for answer in answers)
    assert found.keys() <= {201, 409}
    assert found[201] >= 1
    assert len({answer.content for answer in answers if answer.status_code == 201}) == 1
    for answer in answers:
        if answer.status_code == 409:
            problem_of(answer, 409, "idempotency_in_flight")
    assert parties(house, number) == 1


def test_key__refused_request__is_free_again(house: House, maker: Caller) -> None:
    problem_of(
        maker.post("/v1/parties", person(20, cnic="wrong"), key="k-20"), 422, "cnic_malformed"
    )
    assert stored(house, "k-20") == 0

    assert maker.post("/v1/parties", person(20), key="k-20").status_code == 201


def test_key__request_refused_by_the_register__is_free_again(house: House, maker: Caller) -> None:
    maker.post("/v1/parties", person(21))
    problem_of(maker.post("/v1/parties", person(21), key="k-21"), 409, "party_exists")

    assert stored(house, "k-21") == 0


def test_key__none__does_it_again(house: House, maker: Caller) -> None:
    assert maker.post("/v1/parties", person(22)).status_code == 201
    problem_of(maker.post("/v1/parties", person(22)), 409, "party_exists")


@pytest.mark.parametrize("key", ["x" * 201, "x" * 5000])
def test_key__too_long__is_refused(house: House, maker: Caller, key: str) -> None:
    with house.unchanged():
        response = maker.post("/v1/parties", person(23), key=key)

    problem_of(response, 422, "idempotency_key_malformed")


def test_key__empty__is_refused(house: House, maker: Caller) -> None:
    headers = {"Idempotency-Key": ""}
    with house.unchanged():
        response = maker.ask("POST", "/v1/parties", json=person(24), headers=headers)

    problem_of(response, 422, "idempotency_key_malformed")


def test_key__any_characters__is_a_key(house: House, maker: Caller) -> None:
    for number, key in enumerate((b"' OR 1=1 --", "é\xff".encode("latin-1"), b"\x80x"), 25):
        headers = {b"Idempotency-Key": key}
        for _ in range(2):
            response = maker.ask("POST", "/v1/parties", json=person(number), headers=headers)
            assert response.status_code == 201, response.text
        assert parties(house, number) == 1


def test_key__on_a_read__is_ignored(house: House, maker: Caller) -> None:
    with house.unchanged():
        assert maker.ask("GET", "/v1/assets", key="k-30").is_success
        assert maker.ask("GET", "/v1/me", key="k-30").is_success


# Forms: every client writes its own boundary, and another one for each try


def form(boundary: str, content: bytes, kind: str = "DEED") -> dict[str, Any]:
    body = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="kind"\r\n\r\n{kind}\r\n'
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="a.pdf"\r\n\r\n'
    ).encode() + content
    return {
        "content": body + f"\r\n--{boundary}--\r\n".encode(),
        "headers": {"Content-Type": f"multipart/form-data; boundary={boundary}"},
    }


@pytest.fixture
def papers(house: House) -> str:
    with house.desk() as desk:
        return f"/v1/assets/{make.open_apartment(desk).id}/documents"


def test_form__again_with_another_boundary__is_the_same_request(
    house: House, maker: Caller, papers: str
) -> None:
    content = make.pdf()
    first = maker.ask("POST", papers, key=f"f-{papers}", **form("one", content))
    with house.unchanged():
        again = maker.ask("POST", papers, key=f"f-{papers}", **form("another-one", content))

    assert first.status_code == 201, first.text
    assert again.json() == first.json()
    assert again.headers[REPLAYED] == "true"


def test_form__other_file_or_field__is_another_request(maker: Caller, papers: str) -> None:
    content, key = make.pdf(), f"f-{papers}"
    assert maker.ask("POST", papers, key=key, **form("one", content)).is_success

    for other in (form("two", make.pdf()), form("two", content, kind="OTHER")):
        problem_of(maker.ask("POST", papers, key=key, **other), 422, "idempotency_key_reused")


def test_form__without_a_key__is_taken(maker: Caller, papers: str) -> None:
    assert maker.ask("POST", papers, **form("one", make.pdf())).status_code == 201


def test_form__many_at_one_moment__is_filed_once(house: House, maker: Caller, papers: str) -> None:
    content = make.pdf()

    answers = at_once(
        *[
            lambda number=number: maker.ask(
                "POST", papers, key=f"f-{papers}", **form(f"b{number}", content)
            )
            for number in range(6)
        ]
    )

    assert {answer.status_code for answer in answers} <= {201, 409}
    asset_id = papers.split("/")[3]
    assert house.one("SELECT count(*) FROM document WHERE asset_id = :id", id=asset_id) == 1


def test_form__same_paper_under_two_keys_at_one_moment__is_filed_once(
    house: House, maker: Caller, papers: str
) -> None:
    content = make.pdf()

    answers = at_once(
        *[
            lambda number=number: maker.ask(
                "POST", papers, key=f"g{number}-{papers}", **form("b", content)
            )
            for number in range(4)
        ]
    )

    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409]
    for answer in answers:
        if answer.status_code == 409:
            problem_of(answer, 409, "document_filed")
