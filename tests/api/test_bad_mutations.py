"""Mutations over HTTP that are refused, and change nothing."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from registry.kernel.actor import Actor, Role
from tests.api.house import House, problem_of
from tests.api.village import NO_APPEAL, ORDER, Village
from tests.factories import MAKER

pytestmark = pytest.mark.db


@pytest.fixture
def village(house: House) -> Village:
    return Village(house)


def test_one_person_with_every_role__cannot_go_the_whole_way(village: Village) -> None:
    everything = village.house.caller(Actor(MAKER.subject, frozenset(Role)))
    path = village.lodge()
    village.step(Role.REGISTRAR_MAKER, f"{path}/complete", village.instrument())

    with village.house.unchanged():
        problem = problem_of(everything.post(f"{path}/verify"), 403, "checker_is_maker")
    assert [rule["id"] for rule in problem["rules"]] == ["APR-01"]


@pytest.mark.parametrize("step", ["verify", "attest", "implement", "reverse", "withdraw"])
def test_step__by_an_investor__is_forbidden(village: Village, step: str) -> None:
    path = village.lodge()

    refused = village.caller(Role.INVESTOR).post(f"{path}/{step}", {})

    problem_of(refused, 403, "role_missing")


@pytest.mark.parametrize("step", ["complete", "verify", "attest", "implement", "stay"])
def test_step__of_no_mutation__is_not_found(village: Village, step: str) -> None:
    role, body = {
        "complete": (Role.REGISTRAR_MAKER, village.instrument()),
        "verify": (Role.FIELD_VERIFIER, None),
        "attest": (Role.REVENUE_OFFICER, ORDER),
        "implement": (Role.REGISTRAR_CHECKER, NO_APPEAL),
        "stay": (Role.REVENUE_OFFICER, {"reason": "Because."}),
    }[step]

    refused = village.caller(role).post(f"/v1/mutations/{uuid4()}/{step}", body)

    problem_of(refused, 404, "not_found")


HUGE = "9223372036854775808"


@pytest.mark.parametrize(
    "hissa",
    [0, -1, 2**63, 2**62 + 1, "0", "-3", "", "three", "1.5", 1.5, 3.0, True, None, [3], HUGE * 9],
)
def test_lodge__share_that_is_none__is_refused(village: Village, hissa: Any) -> None:
    row = {"party_id": str(village.seller.id), "hissa": hissa}

    with village.house.unchanged():
        refused = village.caller(Role.REGISTRAR_MAKER).post(
            f"{village.path}/mutations", village.body(sellers=[row])
        )
        problem_of(refused, 422, "request_invalid")


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"kul_hissay": 0}, 422, "request_invalid"),
        ({"kul_hissay": HUGE}, 422, "share_not_positive"),
        ({"kul_hissay": 5}, 409, "share_exceeded"),
        ({"kul_hissay": 3}, 409, "share_exceeded"),
        ({"buyers": []}, 422, "parties_required"),
        ({"sellers": []}, 422, "parties_required"),
        ({"sellers": [], "buyers": []}, 422, "parties_required"),
        ({"number": "412\u0000"}, 422, "request_invalid"),
        ({"number": "41\n2"}, 422, "request_invalid"),
        ({"number": ""}, 422, "request_invalid"),
        ({"number": "4" * 201}, 422, "request_invalid"),
        ({"kind": "THEFT"}, 422, "request_invalid"),
        ({"kind": "GIFT", "estate": {}}, 422, "request_invalid"),
        ({"initiation": "COURT", "kind": "COURT_SALE", "surprise": 1}, 422, "unknown_field"),
        ({"effective_at": "2026-01-01"}, 422, "request_invalid"),
        ({"effective_at": "2999-01-01T00:00:00Z"}, 422, "effective_in_future"),
        ({"effective_at": "1999-01-01T00:00:00Z"}, 409, "mutation_predates_title"),
        ({"predecessor_id": str(uuid4())}, 404, "not_found"),
        ({"merged_title_ids": [str(uuid4())]}, 422, "division_titles_wrong"),
        ({"land_value": {"amount": "-1.00", "currency": "PKR"}}, 422, "money_malformed"),
    ],
)
def test_lodge__bad_body__is_refused_and_changes_nothing(
    village: Village, changes: dict[str, Any], status: int, code: str
) -> None:
    with village.house.unchanged():
        refused = village.caller(Role.REGISTRAR_MAKER).post(
            f"{village.path}/mutations", village.body(**changes)
        )
        problem_of(refused, status, code)


def test_lodge__buyers_who_take_less__is_shr_02(village: Village) -> None:
    buyers = [{"party_id": str(village.buyer.id), "hissa": 2}]
    refused = village.caller(Role.REGISTRAR_MAKER).post(
        f"{village.path}/mutations", village.body(buyers=buyers)
    )

    problem = problem_of(refused, 422, "transfer_unbalanced")
    assert problem["field"] == "/buyers"
    assert [rule["id"] for rule in problem["rules"]] == ["SHR-02"]


def test_lodge__seller_named_twice__is_refused(village: Village) -> None:
    row = {"party_id": str(village.seller.id), "hissa": 1}
    refused = village.caller(Role.REGISTRAR_MAKER).post(
        f"{village.path}/mutations", village.body(sellers=[row, row])
    )

    problem_of(refused, 422, "owner_repeated")


def test_lodge__second_of_the_same_title__is_mut_01(village: Village) -> None:
    village.lodge()

    with village.house.unchanged():
        refused = village.caller(Role.REGISTRAR_MAKER).post(
            f"{village.path}/mutations", village.body(number="413")
        )
        problem = problem_of(refused, 409, "mutation_open")
    assert [rule["id"] for rule in problem["rules"]] == ["MUT-01"]


def test_lodge__number_of_an_earlier_one__is_refused(village: Village) -> None:
    path = village.lodge()
    village.step(Role.REGISTRAR_MAKER, f"{path}/withdraw")

    refused = village.caller(Role.REGISTRAR_MAKER).post(f"{village.path}/mutations", village.body())

    problem_of(refused, 409, "mutation_number_taken")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"source_document_id": "no-id"}, "request_invalid"),
        ({"fee_receipt_no": "\u0007"}, "request_invalid"),
        ({"notice_on": "31-12-2026"}, "request_invalid"),
        ({"deed": "1"}, "unknown_field"),
    ],
)
def test_complete__bad_body__is_refused(
    village: Village, changes: dict[str, Any], code: str
) -> None:
    path = village.lodge()

    with village.house.unchanged():
        refused = village.caller(Role.REGISTRAR_MAKER).post(
            f"{path}/complete", village.instrument(**changes)
        )
        problem_of(refused, 422, code)
