"""Cases over HTTP: who may, in which words, and what is refused without a trace."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import pytest
from eth_utils.address import to_checksum_address

from registry.case.repository import get_case, list_case_operations
from registry.kernel.actor import Actor, Role
from registry.kernel.clock import now
from registry.operation.models import Operation
from tests import cases as make_case
from tests import factories as make
from tests import ledger
from tests.api.house import House, problem_of
from tests.api.reports import WHY
from tests.factories import COMPLIANCE
from tests.ledger import Ledger

pytestmark = pytest.mark.db

CASES = "/v1/cases"


@dataclass(frozen=True)
class Place:
    """A live token that two people hold, and the paper under its asset."""

    house: House
    chain: Ledger
    body: dict[str, Any]

    def open(self, **changes: Any) -> dict[str, Any]:
        response = self.house.caller(Role.COMPLIANCE).post(CASES, self.body | changes)
        assert response.status_code == 201, response.text
        made: dict[str, Any] = response.json()
        assert response.headers["Location"] == f"{CASES}/{made['id']}"
        return made

    def post(self, who: Actor | Role, case: dict[str, Any], step: str, body: Any = None) -> Any:
        return self.house.caller(who).post(f"{CASES}/{case['id']}/{step}", body)

    def approve(self, case: dict[str, Any]) -> Any:
        said = {"role": "registrar_checker", "case_hash": self.read(case)["case_hash"]}
        return self.post(Role.REGISTRAR_CHECKER, case, "approve", said)

    def read(self, case: dict[str, Any], who: Role = Role.REGULATOR) -> Any:
        response = self.house.caller(who).get(f"{CASES}/{case['id']}", **WHY)
        assert response.status_code == 200, response.text
        return response.json()


@pytest.fixture(scope="module")
def place(house: House) -> Place:
    with house.desk() as desk:
        chain = ledger.live(desk, 600, 400)
        paper = make.file_document(desk, chain.wrapped.asset, "COURT_ORDER")
        first, second = (to_checksum_address(who.wallet.address) for who in chain.holders)
        body = {
            "kind": "FORCED_TRANSFER",
            "legal_basis": "Decree of the civil court",
            "reason": "Ordered",
            "document_id": str(paper.id),
            "document_sha256": paper.sha256.hex(),
            "wallet": first,
            "counterparty": second,
            "tokens": [{"token_id": str(chain.tokenization.id), "units": "100"}],
        }
    return Place(house, chain, body)


def freeze(place: Place) -> dict[str, Any]:
    return {
        "kind": "FREEZE_UNITS",
        "counterparty": None,
        "tokens": [{"token_id": place.body["tokens"][0]["token_id"], "units": "1"}],
    }


def test_case__opened_approved_executed__shows_every_act_and_its_operation(place: Place) -> None:
    made = place.open()
    assert (made["state"], made["maker"]) == ("OPENED", COMPLIANCE.subject)
    [act] = made["acts"]
    assert (act["number"], act["act"], act["units"]) == ("1", "FORCED_TRANSFER", "100")

    approved = place.approve(made)
    assert (approved.status_code, approved.json()["state"]) == (200, "APPROVED")
    executed = place.post(Role.COMPLIANCE, made, "execute")

    assert executed.status_code == 202, executed.text
    [act] = executed.json()["acts"]
    assert executed.headers["Location"] == f"/v1/operations/{act['operation_id']}"
    assert (executed.json()["state"], act["operation_state"]) == ("EXECUTING", "planned")
    operation = place.house.caller(Role.AUDITOR).get(executed.headers["Location"])
    assert operation.json()["kind"] == "case_act"


def test_case__refused_by_the_chain__shows_the_reason_of_the_act(place: Place) -> None:
    made = place.open()
    place.approve(made)
    place.post(Role.COMPLIANCE, made, "execute")
    with place.house.desk() as desk:
        case = get_case(desk.session, UUID(made["id"]))
        chain = ledger.resumed(place.chain, desk)
        make_case.fail(chain, case)
        assert desk.session.get_one(
            Operation, list_case_operations(desk.session, case)[0].id
        ).problem

    seen = place.read(made)
    assert seen["state"] == "INCOMPLETE"
    assert seen["acts"][0]["problem"]["detail"] == "TitleHalted."
    again = place.post(Role.REGISTRAR_CHECKER, made, "execute")
    assert (again.status_code, again.json()["state"]) == (202, "EXECUTING")
    assert again.json()["acts"][0]["operation_id"] != seen["acts"][0]["operation_id"]


def test_case__rejected_or_withdrawn__says_why(place: Place) -> None:
    made = place.open()
    rejected = place.post(Role.REGISTRAR_CHECKER, made, "reject", {"reason": "Not signed."})
    assert (rejected.status_code, rejected.json()["state"]) == (200, "REJECTED")

    made = place.open()
    withdrawn = place.post(Role.COMPLIANCE, made, "withdraw", {"reason": "Opened twice."})
    assert (withdrawn.status_code, withdrawn.json()["state"]) == (200, "WITHDRAWN")


def test_lift__of_an_executed_freeze__is_approved_by_its_own_hash(place: Place) -> None:
    made = place.open(**freeze(place))
    place.approve(made)
    place.post(Role.COMPLIANCE, made, "execute")
    with place.house.desk() as desk:
        case = get_case(desk.session, UUID(made["id"]))
        make_case.carry_out(ledger.resumed(place.chain, desk), case)
    before = place.read(made)
    assert before["state"] == "EXECUTED"
    basis = {
        name: place.body[name]
        for name in ("legal_basis", "reason", "document_id", "document_sha256")
    }

    lifted = place.post(Role.COMPLIANCE, made, "lift", basis)

    assert (lifted.status_code, lifted.json()["state"]) == (200, "LIFT_OPENED")
    assert lifted.json()["case_hash"] != before["case_hash"]
    assert [act["act"] for act in lifted.json()["acts"]] == ["FREEZE_UNITS", "UNFREEZE_UNITS"]
    assert place.approve(made).json()["state"] == "LIFT_APPROVED"
    assert place.post(Role.COMPLIANCE, made, "execute").json()["state"] == "LIFTING"
    with place.house.desk() as desk:
        case = get_case(desk.session, UUID(made["id"]))
        make_case.carry_out(ledger.resumed(place.chain, desk), case)
    assert place.read(made)["state"] == "LIFTED"


def test_succession__shows_heirs_with_exact_shares(place: Place) -> None:
    who = place.chain.holders
    made = place.open(
        kind="SUCCESSION",
        wallet=None,
        counterparty=None,
        tokens=[],
        investor_id=str(who[0].investor.id),
        estate={"heirs": [{"investor_id": str(who[1].investor.id), "relation": "SON"}]},
    )

    [heir] = made["heirs"]
    assert (heir["relation"], heir["share"]) == ("SON", ["1", "1"])
    assert heir["wallet"] == to_checksum_address(who[1].wallet.address)


def test_read__of_then__is_the_case_as_it_was(place: Place) -> None:
    made = place.open()
    then = now()
    place.approve(made)
    regulator = place.house.caller(Role.REGULATOR)

    for moment in ("as_of", "known_at"):
        seen = regulator.get(f"{CASES}/{made['id']}", **WHY, **{moment: then.isoformat()})
        assert seen.json()["state"] == "OPENED", seen.text
        assert seen.json()["case_hash"] == made["case_hash"]
    assert place.read(made)["state"] == "APPROVED"


def test_read__numbers_of_people_in_its_words__are_hidden_unless_revealed(place: Place) -> None:
    said = "Card 37405-1234567-9 of the debtor"
    made = place.open(reason=said)
    assert made["reason"] == "Card *** of the debtor"
    regulator = place.house.caller(Role.REGULATOR)
    why = {"purpose": "inquiry 12/2026", "legal_basis": "AML Act 2010, section 25"}

    shown = regulator.get(f"{CASES}/{made['id']}", reveal=True, **why)

    assert shown.json()["reason"] == said
    noted = "SELECT count(*) FROM journal_entry WHERE act = 'personal_data_read'"
    assert place.house.one(f"{noted} AND subject_id = :id", id=made["id"]) == 1


def test_list__by_state_and_kind__gives_those(place: Place) -> None:
    made = place.open(**freeze(place))
    regulator = place.house.caller(Role.REGULATOR)

    found = regulator.get(CASES, state="OPENED", kind="FREEZE_UNITS", **WHY).json()["items"]

    assert made["id"] in {item["id"] for item in found}
    assert {(item["state"], item["kind"]) for item in found} == {("OPENED", "FREEZE_UNITS")}
    problem_of(regulator.get(CASES, kind="THEFT", **WHY), 422, "request_invalid")


def test_open__same_key_twice__is_one_case(place: Place) -> None:
    caller = place.house.caller(Role.COMPLIANCE)
    one, two = (caller.post(CASES, place.body, key="the-same") for _ in range(2))

    assert one.json()["id"] == two.json()["id"]


MAY = {
    "open": {Role.COMPLIANCE},
    "approve": {Role.COMPLIANCE, Role.REGISTRAR_CHECKER},
    "reject": {Role.COMPLIANCE, Role.REGISTRAR_CHECKER},
    "withdraw": {Role.COMPLIANCE},
    "execute": {Role.COMPLIANCE, Role.REGISTRAR_CHECKER},
    "lift": {Role.COMPLIANCE},
    "get": {Role.COMPLIANCE, Role.REGISTRAR_CHECKER, Role.REGULATOR, Role.AUDITOR},
}


@pytest.mark.parametrize("step", MAY)
def test_step__by_a_role_that_may_not__is_forbidden(place: Place, step: str) -> None:
    made = place.open()
    with place.house.unchanged():
        for role in set(Role) - MAY[step]:
            caller = place.house.caller(role)
            if step == "open":
                response = caller.post(CASES, place.body)
            elif step == "get":
                response = caller.get(f"{CASES}/{made['id']}")
            else:
                response = place.post(role, made, step, {})
            problem_of(response, 403, "role_missing")


def test_approve__own_case_whatever_the_role__is_forbidden(place: Place) -> None:
    made = place.open()
    both = Actor(COMPLIANCE.subject, frozenset({Role.COMPLIANCE, Role.REGISTRAR_CHECKER}))
    with place.house.unchanged():
        for role in ("compliance", "registrar_checker"):
            said = {"role": role, "case_hash": made["case_hash"]}
            problem_of(place.post(both, made, "approve", said), 403, "checker_is_maker")


def test_approve__another_hash__is_refused(place: Place) -> None:
    made = place.open()
    said = {"role": "registrar_checker", "case_hash": secrets.token_hex(32)}
    with place.house.unchanged():
        response = place.post(Role.REGISTRAR_CHECKER, made, "approve", said)
        problem_of(response, 409, "case_changed")


def test_step__out_of_its_turn__is_refused(place: Place) -> None:
    made = place.open()
    basis = {
        name: place.body[name]
        for name in ("legal_basis", "reason", "document_id", "document_sha256")
    }
    with place.house.unchanged():
        problem_of(place.post(Role.COMPLIANCE, made, "execute"), 409, "transition_refused")
        problem_of(place.post(Role.COMPLIANCE, made, "lift", basis), 409, "transition_refused")
        nobody = {"id": str(uuid4())}
        problem_of(place.post(Role.COMPLIANCE, nobody, "execute"), 404, "not_found")


BAD: list[tuple[dict[str, Any], int, str]] = [
    ({"kind": "THEFT"}, 422, "request_invalid"),
    ({"legal_basis": ""}, 422, "request_invalid"),
    ({"legal_basis": " "}, 422, "request_invalid"),
    ({"reason": "x" * 2001}, 422, "request_invalid"),
    ({"reason": "a\x00b"}, 422, "request_invalid"),
    ({"document_sha256": "ABC"}, 422, "request_invalid"),
    ({"document_sha256": "0" * 64}, 422, "case_paper_differs"),
    ({"document_id": str(UUID(int=0))}, 404, "not_found"),
    ({"order_id": str(UUID(int=0))}, 404, "not_found"),
    ({"wallet": "0x00"}, 422, "request_invalid"),
    ({"wallet": "0x" + "ab" * 20}, 422, "request_invalid"),
    ({"wallet": "0x" + "00" * 20}, 422, "case_malformed"),
    ({"wallet": None}, 422, "case_malformed"),
    ({"counterparty": None}, 422, "case_malformed"),
    ({"investor_id": str(UUID(int=0))}, 422, "case_malformed"),
    ({"tokens": []}, 422, "case_tokens_malformed"),
    ({"tokens": [{"token_id": str(UUID(int=0)), "units": "1"}]}, 404, "not_found"),
    ({"takes_frozen": "perhaps"}, 422, "request_invalid"),
    ({"case": "x"}, 422, "unknown_field"),
    ({"estate": {"heirs": []}}, 422, "request_invalid"),
]


@pytest.mark.parametrize(("changes", "status", "code"), BAD, ids=str)
def test_open__malformed__is_refused_and_changes_nothing(
    place: Place, changes: dict[str, Any], status: int, code: str
) -> None:
    with place.house.unchanged():
        response = place.house.caller(Role.COMPLIANCE).post(CASES, place.body | changes)
        problem_of(response, status, code)


@pytest.mark.parametrize("units", ["0", "-1", "1.5", "601", "1e2", 5, None, "9" * 19])
def test_open__units_that_cannot_be__is_refused(place: Place, units: Any) -> None:
    tokens = [place.body["tokens"][0] | {"units": units}]
    with place.house.unchanged():
        response = place.house.caller(Role.COMPLIANCE).post(CASES, place.body | {"tokens": tokens})
        assert response.status_code in {409, 422}, response.text
        assert response.json()["code"] in {
            "request_invalid",
            "case_tokens_malformed",
            "units_not_held",
        }


def test_heirs__shares_that_are_no_parts__are_refused(place: Place) -> None:
    who = place.chain.holders
    for heir, code in (
        ({"relation": "SON", "hissa": 0}, "request_invalid"),
        ({"relation": "SON", "hissa": 1.5}, "request_invalid"),
        ({"relation": "COUSIN"}, "request_invalid"),
        ({"relation": "DAUGHTER"}, "heirs_not_in_table"),
    ):
        body = place.body | {
            "kind": "SUCCESSION",
            "wallet": None,
            "counterparty": None,
            "tokens": [],
            "investor_id": str(who[0].investor.id),
            "estate": {"heirs": [{"investor_id": str(who[1].investor.id), **heir}]},
        }
        with place.house.unchanged():
            problem_of(place.house.caller(Role.COMPLIANCE).post(CASES, body), 422, code)
