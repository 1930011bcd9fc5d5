"""The terms of a sale over HTTP: opened, read, ordered by, waited for and withdrawn from."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from api.schemas.common import address_of
from registry.document.models import Document
from registry.kernel.actor import Role
from registry.kernel.clock import now
from registry.offering.models import Offering, Order
from registry.tokenization.models import Tokenization
from tests import factories as make
from tests import sales
from tests.api.house import Caller, House, problem_of
from tests.factories import Buyer

pytestmark = pytest.mark.db

NOBODY = "00000000-0000-7000-8000-000000000000"


@dataclass(frozen=True)
class Stall:
    """A deployed token with a paper that its buyers should accept."""

    house: House
    token: Tokenization
    paper: Document
    unrelated: Document
    buyer: Buyer
    late: Buyer

    def open(self, **terms: Any) -> Any:
        body = {"offered_units": "10", "document_ids": [str(self.paper.id)]} | terms
        return self.house.caller(Role.COMPLIANCE).post(
            f"/v1/tokenizations/{self.token.id}/open", body
        )

    def opened(self, **terms: Any) -> Any:
        response = self.open(**terms)
        assert response.status_code == 201, response.text
        return response.json()

    def caller(self, who: Buyer) -> Caller:
        return self.house.caller(who.actor)

    def body(self, who: Buyer, units: str = "10", **changes: Any) -> dict[str, Any]:
        accepted = [{"document_id": str(self.paper.id), "sha256": self.paper.sha256.hex()}]
        said = {"units": units, "wallet": address_of(who.wallet.address)}
        return said | {"accepted_documents": accepted} | changes

    def pay(self, order: Any) -> None:
        with self.house.desk() as desk:
            sales.pay(desk, desk.session.get_one(Order, order["id"]))


@pytest.fixture
def stall(house: House) -> Stall:
    with house.desk() as desk:
        wrapped = sales.wrapped_apartment(desk)
        return Stall(
            house,
            sales.deployed(desk, wrapped),
            make.file_document(desk, wrapped.asset, "RISK_STATEMENT"),
            make.file_document(desk, wrapped.asset, "OTHER_PAPER"),
            make.buyer(desk),
            make.buyer(desk),
        )


def test_open__every_term__is_read_back(stall: Stall) -> None:
    closes = (now() + timedelta(days=30)).replace(microsecond=0)

    sale = stall.opened(
        minimum_units="2",
        min_ticket_units="2",
        max_ticket_units="5",
        opens_at=now().isoformat(),
        closes_at=closes.isoformat(),
        eligible_countries=["PK"],
        allotment="PRO_RATA",
        cooling_off={"days": 14},
        payment_hours=72,
    )

    assert sale == stall.caller(stall.buyer).get(f"/v1/offerings/{sale['id']}").json()
    listed = stall.caller(stall.buyer).get("/v1/offerings", limit=200).json()["items"]
    assert sale in listed
    expected = {
        "max_ticket_units": "5",
        "closes_at": closes.isoformat().replace("+00:00", "Z"),
        "eligible_countries": ["PK"],
        "allotment": "PRO_RATA",
        "allotted_at": None,
        "cooling_off_hours": 14 * 24,
        "payment_hours": 72,
        "waiting_list_hours": 0,
    }
    assert {name: sale[name] for name in expected} == expected
    [paper] = sale["documents"]
    assert (paper["document_id"], paper["kind"]) == (str(stall.paper.id), "RISK_STATEMENT")


@pytest.mark.parametrize(
    ("terms", "status", "code"),
    [
        ({"cooling_off": {"days": 1, "hours": 1}}, 422, "request_invalid"),
        ({"cooling_off": {}}, 422, "request_invalid"),
        ({"cooling_off": {"hours": True}}, 422, "request_invalid"),
        ({"cooling_off": {"days": 91}}, 422, "request_invalid"),
        ({"payment_hours": 0}, 422, "request_invalid"),
        ({"opens_at": 2027}, 422, "request_invalid"),
        ({"opens_at": "2027-01-01T00:00:00"}, 422, "request_invalid"),
        ({"closes_at": "2020-01-01T00:00:00Z"}, 422, "offer_terms_invalid"),
        ({"eligible_countries": []}, 422, "offer_terms_invalid"),
        ({"eligible_countries": ["pk"]}, 422, "request_invalid"),
        ({"eligible_countries": ["AE"]}, 422, "offer_countries_wider"),
        ({"allotment": "BY_LOT"}, 422, "request_invalid"),
        ({"max_ticket_units": "11"}, 422, "offer_terms_invalid"),
        ({"document_ids": [NOBODY]}, 404, "not_found"),
        ({"document_ids": ["0"] * 21}, 422, "request_invalid"),
    ],
)
def test_open__wrong_terms__are_refused_and_change_nothing(
    stall: Stall, terms: dict[str, Any], status: int, code: str
) -> None:
    with stall.house.unchanged():
        problem_of(stall.open(**terms), status, code)


def test_paper__of_the_sale__is_read_by_any_buyer_and_no_other_is(stall: Stall) -> None:
    sale = stall.opened()
    path = f"/v1/offerings/{sale['id']}/documents"

    given = stall.caller(stall.buyer).get(f"{path}/{stall.paper.id}/content")

    assert hashlib.sha256(given.content).hexdigest() == sale["documents"][0]["sha256"]
    other = stall.caller(stall.buyer).get(f"{path}/{stall.unrelated.id}/content")
    problem_of(other, 404, "not_found")


@pytest.mark.parametrize(
    ("accepted", "status", "code"),
    [
        ([], 409, "documents_not_accepted"),
        ([{"sha256": "00" * 32}], 409, "document_hash_differs"),
        (
            [{"document_id": "00000000-0000-7000-8000-000000000000"}],
            422,
            "document_not_of_offering",
        ),
        ([{"sha256": "AB"}], 422, "request_invalid"),
    ],
)
def test_order__papers_not_accepted__is_refused_and_changes_nothing(
    stall: Stall, accepted: list[dict[str, str]], status: int, code: str
) -> None:
    sale = stall.opened()
    right = stall.body(stall.buyer)["accepted_documents"][0]
    body = stall.body(stall.buyer, accepted_documents=[right | each for each in accepted])

    with stall.house.unchanged():
        response = stall.caller(stall.buyer).post(f"/v1/offerings/{sale['id']}/orders", body)
        assert problem_of(response, status, code).get("remedy") or code == "request_invalid"


def test_order__papers_accepted__can_be_read_for_ever_by_buyer_and_compliance(
    stall: Stall,
) -> None:
    sale, buyer = stall.opened(), stall.caller(stall.buyer)

    order = buyer.post(f"/v1/offerings/{sale['id']}/orders", stall.body(stall.buyer)).json()

    path = f"/v1/orders/{order['id']}/acceptances"
    [kept] = buyer.get(path).json()
    assert kept["sha256"] == stall.paper.sha256.hex()
    assert kept["accepted_by"] == stall.buyer.actor.subject
    assert kept["accepted_at"]
    assert stall.house.caller(Role.COMPLIANCE).get(path).json() == [kept]
    problem_of(stall.caller(stall.late).get(path), 404, "not_found")


def test_waiting_list__withdrawn_order__is_offered_to_who_waits(stall: Stall) -> None:
    sale = stall.opened(cooling_off={"hours": 48})
    buyer, late = stall.caller(stall.buyer), stall.caller(stall.late)
    order = buyer.post(f"/v1/offerings/{sale['id']}/orders", stall.body(stall.buyer)).json()
    stall.pay(order)
    path = f"/v1/offerings/{sale['id']}/waiting_list"
    # one key, twice: one place
    key = str(uuid4())
    entry = late.post(path, stall.body(stall.late, "4"), key=key).json()
    assert late.post(path, stall.body(stall.late, "4"), key=key).json() == entry
    assert (entry["place"], entry["state"], entry["order_id"]) == (1, "WAITING", None)
    listed = stall.house.caller(Role.COMPLIANCE).get(path).json()["items"]
    assert listed == [entry]

    withdrawn = buyer.post(f"/v1/orders/{order['id']}/withdraw").json()

    assert (withdrawn["state"], withdrawn["refund_due"]) == ("REFUND_DUE", order["amount"])
    [mine] = late.get("/v1/me/waiting_list").json()["items"]
    assert (mine["state"], mine["place"]) == ("OFFERED", None)
    [offered] = late.get("/v1/me/orders").json()["items"]
    assert (offered["id"], offered["waiting_entry_id"]) == (mine["order_id"], entry["id"])
    assert offered["pay_until"]
    assert (offered["units"], offered["state"]) == ("4", "AWAITING_PAYMENT")
    left = late.post(f"/v1/waiting_entries/{entry['id']}/leave")
    problem_of(left, 409, "not_waiting")


def test_stop__by_compliance__takes_no_more_orders(stall: Stall) -> None:
    sale = stall.opened()
    compliance = stall.house.caller(Role.COMPLIANCE)

    stopped = compliance.post(f"/v1/offerings/{sale['id']}/stop", {"reason": "Asked by the issuer"})

    assert (stopped.json()["state"], bool(stopped.json()["closes_at"])) == ("OPEN", True)
    order = stall.caller(stall.buyer).post(
        f"/v1/offerings/{sale['id']}/orders", stall.body(stall.buyer)
    )
    problem_of(order, 409, "offering_time_over")


def test_close__allotted_pro_rata__tells_each_buyer_what_they_got(stall: Stall) -> None:
    sale = stall.opened(allotment="PRO_RATA")
    placed = []
    for who, units in ((stall.buyer, "10"), (stall.late, "5")):
        path = f"/v1/offerings/{sale['id']}/orders"
        placed.append(stall.caller(who).post(path, stall.body(who, units)).json())
        stall.pay(placed[-1])
    house = stall.house
    full = house.caller(Role.COMPLIANCE).get(f"/v1/offerings/{sale['id']}").json()
    assert (full["reserved_units"], full["left_units"]) == ("15", "0")

    assert house.caller(Role.COMPLIANCE).post(f"/v1/tokenizations/{stall.token.id}/mint").is_success

    got = [
        stall.caller(who).get(f"/v1/orders/{order['id']}").json()
        for who, order in zip((stall.buyer, stall.late), placed, strict=True)
    ]
    assert [order["allotted_units"] for order in got] == ["7", "3"]
    assert [order["subscribed_units"] for order in got] == ["10", "5"]
    assert [order["refund_due"]["amount"] for order in got] == ["126000.00", "84000.00"]
    entries = stall.caller(stall.late).get(f"/v1/orders/{placed[1]['id']}/ledger").json()
    assert [entry["kind"] for entry in entries] == ["RECEIPT", "ALLOTMENT"]
    with house.desk() as desk:
        assert desk.session.get_one(Offering, sale["id"]).allotted_at is not None
