"""Statements and payouts over HTTP: uploaded once, shown line by line, paid by two people."""

from __future__ import annotations

import secrets
from typing import Any

import pytest

from registry.kernel.actor import Actor, Role
from registry.offering import minting
from registry.offering.models import Order, OrderState
from tests import factories as make
from tests import sales
from tests.api.house import House, at_once, problem_of
from tests.api.reports import WHY
from tests.statements import camt, camt_entry, csv_file

pytestmark = pytest.mark.db

PATH = "/v1/bank_statements"
COLLEAGUE = Actor("the-other-treasury", frozenset({Role.TREASURY}))


@pytest.fixture(scope="module")
def sale(house: House) -> Any:
    with house.desk() as desk:
        return sales.offering(desk, sales.wrapped_apartment(desk))


@pytest.fixture
def order(house: House, sale: Any) -> Any:
    with house.desk() as desk:
        return sales.order(desk, sale, make.buyer(desk), units=1)


def upload(house: House, content: bytes, name: str = "statement.xml") -> Any:
    return house.caller(Role.TREASURY).ask("POST", PATH, files={"file": (name, content)})


def statement(order: Any) -> bytes:
    price = order.amount_paisa
    return camt(
        0,
        camt_entry(secrets.token_hex(6), price, said=order.reference, payer="Ayesha Khan"),
        camt_entry(secrets.token_hex(6), -250),
        closing=price - 250,
    )


def test_statement__uploaded__pays_orders_and_shows_what_is_unknown(
    house: House, order: Any
) -> None:
    response = upload(house, statement(order))

    assert response.status_code == 201, response.text
    shown = response.json()
    assert shown["lines"] == {"BOOKED": 1, "UNKNOWN": 1}
    location = response.headers["location"]
    auditor = house.caller(Role.AUDITOR)
    assert auditor.get(location).json() == shown
    assert shown["id"] in [item["id"] for item in auditor.get(PATH).json()["items"]]
    first = auditor.get(f"{location}/lines", limit=1).json()
    rest = auditor.ask("GET", f"{location}/lines?limit=1&cursor={first['next']}").json()
    assert [line["outcome"] for line in first["items"] + rest["items"]] == ["BOOKED", "UNKNOWN"]
    [unknown] = auditor.get(f"{location}/lines", outcome="UNKNOWN").json()["items"]
    assert unknown["amount"] == {"amount": "-2.50", "currency": "PKR"}
    with house.desk() as desk:
        assert desk.session.get_one(Order, order.id).state == OrderState.PAID
    assert "Ayesha" not in response.text + auditor.get("/v1/payments", limit=200, **WHY).text


def test_statement__same_file_again_and_at_once__is_booked_once(house: House, order: Any) -> None:
    content = statement(order)

    answers = at_once(*[lambda: upload(house, content)] * 3)

    assert sorted(answer.status_code for answer in answers) == [200, 200, 201]
    assert len({answer.json()["id"] for answer in answers}) == 1
    with house.unchanged():
        assert upload(house, content).status_code == 200


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "statement_unreadable"),
        (b"%PDF-1.7", "statement_unreadable"),
        (b"\x00\xff" * 40, "statement_unreadable"),
        (b"\xff\xfe<\x00", "statement_unreadable"),
        (b"<a><b></a>", "statement_unreadable"),
        (b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>',
         "statement_unreadable"),
        (camt(0, camt_entry("A", 1), closing=2), "statement_does_not_add_up"),
        (camt(0, camt_entry("A", 1), closing=1).replace(b'"PKR"', b'"USD"'),
         "statement_currency_refused"),
        (camt(0, camt_entry("A", 1), closing=1).replace(b"0.01", b"1e5"), "money_malformed"),
    ],
)  # fmt: skip
def test_statement__wrong__is_refused_whole(house: House, content: bytes, code: str) -> None:
    with house.unchanged():
        problem_of(upload(house, content), 422, code)


def test_statement__no_file__is_refused(house: House) -> None:
    with house.unchanged():
        problem_of(house.caller(Role.TREASURY).post(PATH), 422, "request_invalid")


def test_statement__csv__is_read(house: House) -> None:
    content = csv_file(500, (secrets.token_hex(6), 100, "rent", "Ayesha", ""))

    shown = upload(house, content, "statement.csv").json()

    assert (shown["file_format"], shown["opening_balance"]["amount"]) == ("CSV", "5.00")
    assert shown["lines"] == {"BOOKED": 1}


def test_payout__by_two_people__is_listed(house: House, sale: Any, order: Any) -> None:
    with house.desk() as desk:
        mine = desk.session.get_one(Order, order.id)
        sales.pay(desk, mine)
        mine.state = OrderState.MINTING
        desk.session.flush()
        minting.settle_orders(desk.session, [order.id])
        sales.let_live(desk, sale)
    treasury, path = house.caller(Role.TREASURY), f"/v1/offerings/{sale.id}/payouts"
    body = {"amount": {"amount": "100.00"}}

    payout = treasury.post(path, body, key="payout-1").json()
    assert treasury.post(path, body, key="payout-1").json() == payout
    confirm, said = f"/v1/proceeds_payouts/{payout['id']}/confirm", {"rail_reference": "OUT-7"}
    problem_of(treasury.post(confirm, said), 403, "checker_is_maker")
    paid = house.caller(COLLEAGUE).post(confirm, said).json()

    assert (paid["state"], paid["decided_by"]) == ("PAID", COLLEAGUE.subject)
    shown = house.caller(Role.AUDITOR).get(path).json()
    assert shown["payouts"] == [paid]
    rupees = order.amount_paisa // 100 - 100
    assert shown["payable"] == {"amount": f"{rupees}.00", "currency": "PKR"}
    other = treasury.post(path, body).json()
    reject = f"/v1/proceeds_payouts/{other['id']}/reject"
    assert treasury.post(reject, {"reason": "Wrong account"}).json()["state"] == "REJECTED"
    problem_of(treasury.post(reject, {"reason": "Again"}), 409, "payout_decided")
    too_much = {"amount": {"amount": "999999999.00"}}
    problem_of(treasury.post(path, too_much), 409, "payout_exceeds_proceeds")
    problem_of(treasury.post(path, {"amount": {"amount": "0"}}), 422, "payout_amount_zero")
