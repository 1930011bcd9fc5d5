"""Mutations over HTTP: the whole way, by four people."""

from __future__ import annotations

import pytest

from registry.kernel.actor import Role
from registry.kernel.clock import today
from tests import factories as make
from tests.api.house import House, at_once, problem_of
from tests.api.village import NO_APPEAL, ORDER, Village

pytestmark = pytest.mark.db


@pytest.fixture
def village(house: House) -> Village:
    return Village(house)


def test_sale__by_four_people__passes_the_share(village: Village) -> None:
    path = village.attested()
    done = village.step(Role.REGISTRAR_CHECKER, f"{path}/implement", NO_APPEAL)

    assert done["state"] == "IMPLEMENTED"
    people = [done[who] for who in ("maker", "field_verifier", "revenue_officer")]
    assert len({*people, done["registrar_checker"]}) == 4
    assert done["effective_at"] == done["attested_at"]
    assert done["sellers"][0]["held_hissa"] == "1"
    assert village.owners() == {
        str(village.seller.id): "5/16",
        str(village.other.id): "1/2",
        str(village.buyer.id): "3/16",
    }


def test_exchange__of_two_titles__is_entered_as_two_halves_that_name_each_other(
    village: Village, house: House
) -> None:
    there = Village(house)
    half = {
        "title_id": there.path.rsplit("/", 1)[-1],
        "number": "413",
        "kul_hissay": "2",
        "sellers": [{"party_id": str(there.seller.id), "hissa": 1}],
        "buyers": [{"party_id": str(village.seller.id), "hissa": "1"}],
    }
    said = {
        "kind": "EXCHANGE", "initiation": "REGISTERED_DEED", "number": "412", "kul_hissay": 4,
        "sellers": [{"party_id": str(village.seller.id), "hissa": 1}],
        "buyers": [{"party_id": str(there.seller.id), "hissa": 1}],
        "exchanged_for": half,
    }  # fmt: skip
    maker = village.caller(Role.REGISTRAR_MAKER)

    entered = maker.post(f"{village.path}/mutations", said)

    assert entered.status_code == 201, entered.text
    other = maker.get(f"/v1/mutations/{entered.json()['counterpart_id']}").json()
    assert (other["counterpart_id"], other["number"]) == (entered.json()["id"], "413")
    assert other["sellers"][0]["fraction"] == "1/2"
    half["buyers"] = half["sellers"]
    uneven = maker.post(f"{village.path}/mutations", said | {"number": "414"})
    problem_of(uneven, 422, "exchange_uneven")


def test_title__of_an_owner__shows_hissa_and_fraction(village: Village) -> None:
    version = village.caller(Role.AUDITOR).get(village.path).json()["version"]

    assert version["kul_hissay"] == "2"
    assert {owner["hissa"] for owner in version["owners"]} == {"1"}
    assert {owner["fraction"] for owner in version["owners"]} == {"1/2"}


def test_history__of_a_sold_title__names_the_mutation_of_each_version(village: Village) -> None:
    path = village.attested()
    village.step(Role.REGISTRAR_CHECKER, f"{path}/implement", NO_APPEAL)

    history = village.caller(Role.REGULATOR).get(f"{village.path}/history").json()

    made_by = [entry["mutation"] and entry["mutation"]["number"] for entry in history]
    assert made_by[-3:] == [None, None, "412"]
    assert history[-1]["mutation"]["transferees"][0]["fraction"] == "3/16"
    assert history[-2]["version"]["valid_to"] == history[-1]["version"]["valid_from"]
    assert history[-3]["version"]["superseded_at"] == history[-1]["version"]["recorded_at"]


def test_title__as_known_before_the_sale__is_the_old_one(village: Village) -> None:
    before = village.caller(Role.AUDITOR).get(village.path).json()["known_at"]
    path = village.attested()
    village.step(Role.REGISTRAR_CHECKER, f"{path}/implement", NO_APPEAL)

    assert str(village.buyer.id) in village.owners()
    assert str(village.buyer.id) not in village.owners(known_at=before)


def test_inheritance__by_the_table__is_computed(village: Village) -> None:
    with village.house.desk() as desk:
        widow, son, daughter = (str(make.person(desk).id) for _ in range(3))
    estate = {
        "deceased_id": str(village.seller.id),
        "died_on": str(today()),
        "heirs": [
            {"party_id": widow, "relation": "WIDOW"},
            {"party_id": son, "relation": "SON"},
            {"party_id": daughter, "relation": "DAUGHTER"},
        ],
    }
    path = village.lodge(kind="INHERITANCE", sellers=[], buyers=[], estate=estate, kul_hissay=1)

    taken = village.caller(Role.AUDITOR).get(path).json()["buyers"]

    assert {row["party_id"]: row["fraction"] for row in taken} == {
        widow: "1/16",
        son: "7/24",
        daughter: "7/48",
    }


def test_stay__resume__reject__walk_their_states(village: Village) -> None:
    path = village.lodge()
    village.step(Role.REGISTRAR_MAKER, f"{path}/complete", village.instrument())
    village.step(Role.FIELD_VERIFIER, f"{path}/return", {"reason": "Wrong khasra."})
    village.step(Role.REGISTRAR_MAKER, f"{path}/complete", village.instrument())
    village.step(Role.FIELD_VERIFIER, f"{path}/verify")
    stay = village.step(Role.REVENUE_OFFICER, f"{path}/stay", {"reason": "W.P. 9/2026"})
    assert stay["state"] == "STAYED"
    village.step(Role.REVENUE_OFFICER, f"{path}/resume")
    village.step(Role.REVENUE_OFFICER, f"{path}/attest", ORDER)
    village.step(Role.REVENUE_OFFICER, f"{path}/review", ORDER)
    rejected = village.step(Role.REVENUE_OFFICER, f"{path}/reject", ORDER)

    assert rejected["state"] == "REJECTED"
    assert village.caller(Role.AUDITOR).get(village.path).json()["state"] == "ACTIVE"


def test_reverse__by_an_attested_order__restores_the_shares(village: Village) -> None:
    sold = village.attested()
    village.step(Role.REGISTRAR_CHECKER, f"{sold}/implement", NO_APPEAL)
    order = village.lodge(
        kind="COURT_DECREE",
        initiation="COURT",
        number="413",
        sellers=[],
        buyers=[],
        reverses_id=sold.rsplit("/", 1)[1],
    )
    decree = village.instrument(court="High Court", misl_no="9", decree_on=str(today()))
    village.step(Role.REGISTRAR_MAKER, f"{order}/complete", decree)
    village.step(Role.FIELD_VERIFIER, f"{order}/verify")
    village.step(Role.REVENUE_OFFICER, f"{order}/attest", ORDER)

    undone = village.step(Role.REGISTRAR_CHECKER, f"{sold}/reverse", {"appeal_filed": True})

    assert undone["state"] == "REVERSED"
    assert village.owners() == {str(village.seller.id): "1/2", str(village.other.id): "1/2"}


def test_dispute__dismissed_on_a_final_order__is_active_again(village: Village) -> None:
    suit = {"case_no": "Suit 12/2026", "reason": "A claim of pre-emption."}
    disputed = village.step(Role.COMPLIANCE, f"{village.path}/dispute", suit)
    assert disputed["state"] == "DISPUTED"
    refused = village.caller(Role.REGISTRAR_MAKER).post(f"{village.path}/mutations", village.body())
    problem_of(refused, 409, "transition_refused")

    path, reason = f"{village.path}/dismiss_dispute", {"reason": "Dismissed with costs."}
    deed = reason | {"order_document_id": str(village.deed.id)}
    checker = village.caller(Role.REGISTRAR_CHECKER)
    problem_of(checker.post(path, deed), 422, "source_of_other_kind")
    end = reason | {"order_document_id": village.decree("VACATING_ORDER")}
    active = village.step(Role.REGISTRAR_CHECKER, path, end)

    assert active["state"] == "ACTIVE"


def test_cancel__disputed_title_on_a_decree__ends_it(village: Village) -> None:
    suit = {"case_no": "Suit 12/2026", "reason": "Forged deed."}
    village.step(Role.COMPLIANCE, f"{village.path}/dispute", suit)
    path, reason = f"{village.path}/cancel", {"reason": "The deed was forged."}
    checker = village.caller(Role.REGISTRAR_CHECKER)
    problem_of(checker.post(path, reason), 422, "order_required")

    vacated = reason | {"order_document_id": village.decree("VACATING_ORDER")}
    problem_of(checker.post(path, vacated), 422, "source_of_other_kind")
    decree = reason | {"order_document_id": village.decree()}

    ended = village.step(Role.REGISTRAR_CHECKER, path, decree)

    assert ended["state"] == "CANCELLED"
    assert ended["version"]["valid_to"] is not None
    auditor = village.caller(Role.AUDITOR)
    assert auditor.get(village.path, as_of=ended["as_of"]).status_code == 200
    problem_of(auditor.get(village.path), 404, "not_found")


def test_implement__twice_under_one_key__passes_once(village: Village) -> None:
    path = village.attested()
    checker = village.caller(Role.REGISTRAR_CHECKER)

    answers = at_once(
        *(lambda: checker.post(f"{path}/implement", NO_APPEAL, key="once") for _ in range(3))
    )
    again = checker.post(f"{path}/implement", NO_APPEAL, key="once")

    assert again.status_code == 200
    assert {answer.status_code for answer in answers} <= {200, 409}
    assert village.owners()[str(village.buyer.id)] == "3/16"


def test_list__of_a_title__pages_with_a_cursor(village: Village) -> None:
    for number in ("1", "2", "3"):
        path = village.lodge(number=number)
        village.step(Role.REGISTRAR_MAKER, f"{path}/withdraw")
    auditor = village.caller(Role.AUDITOR)

    first = auditor.get(f"{village.path}/mutations", limit=2).json()
    rest = auditor.get(f"{village.path}/mutations", limit=2, cursor=first["next"]).json()

    numbers = [row["number"] for row in [*first["items"], *rest["items"]]]
    assert (numbers, rest["next"]) == (["1", "2", "3"], None)
