"""Notices of the bank: believed when it signed them a moment ago, and booked once."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests import factories as make
from tests import sales
from tests.api.house import NOTICE, House, at_once, problem_of, signed
from tests.api.town import Town
from tests.factories import Buyer

pytestmark = pytest.mark.db

OTHER_SECRET = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"


def notice(order: Any, **changes: Any) -> dict[str, Any]:
    rupees, paisa = divmod(order.amount_paisa, 100)
    return {
        "bank_reference": f"BANK-{order.reference}",
        "order_reference": order.reference,
        "amount": {"amount": f"{rupees}.{paisa:02}", "currency": "PKR"},
        "received_at": datetime.now(UTC).isoformat(),
    } | changes


@pytest.fixture
def quiet(town: Town) -> Iterator[House]:
    with town.house.unchanged():
        yield town.house


def test_notice__unsigned__is_refused(quiet: House, town: Town) -> None:
    body = json.dumps(notice(town.order)).encode()
    good = signed(body)

    for missing in ("webhook-id", "webhook-timestamp", "webhook-signature"):
        headers = {name: value for name, value in good.items() if name != missing}
        response = quiet.client.post(NOTICE, content=body, headers=headers)
        problem_of(response, 401, "notice_signature_invalid")
    problem_of(quiet.client.post(NOTICE, content=body), 401, "notice_signature_invalid")


def test_notice__with_a_token_in_place_of_a_signature__is_refused(quiet: House, town: Town) -> None:
    response = quiet.caller(make.COMPLIANCE).post(NOTICE, notice(town.order))

    problem_of(response, 401, "notice_signature_invalid")


def test_notice__signed_by_another__is_refused(quiet: House, town: Town) -> None:
    body = json.dumps(notice(town.order)).encode()
    response = quiet.client.post(NOTICE, content=body, headers=signed(body, secret=OTHER_SECRET))

    problem_of(response, 401, "notice_signature_invalid")


@pytest.mark.parametrize(
    "headers",
    [
        {"webhook-signature": "v1,AAAA"},
        {"webhook-signature": "v1,"},
        {"webhook-signature": "v1"},
        {"webhook-signature": ""},
        {"webhook-signature": "v1,%%%"},
        {"webhook-signature": "v9,AAAA"},
        {"webhook-id": "notice-2"},
        {"webhook-timestamp": "now"},
        {"webhook-timestamp": "9" * 400},
        {"webhook-timestamp": "-1"},
        {"webhook-timestamp": "1e999"},
        {"webhook-timestamp": "nan"},
    ],
    ids=str,
)
def test_notice__header_altered__is_refused(
    quiet: House, town: Town, headers: dict[str, str]
) -> None:
    problem_of(
        quiet.notify(notice(town.order), at=None, **headers), 401, "notice_signature_invalid"
    )


def test_notice__body_altered__is_refused(quiet: House, town: Town) -> None:
    body = json.dumps(notice(town.order)).encode()
    headers = signed(body)

    for altered in (body.replace(b"BANK-", b"BONK-"), body + b" ", body[:-1], b"", b"{}"):
        response = quiet.client.post(NOTICE, content=altered, headers=headers)
        problem_of(response, 401, "notice_signature_invalid")


@pytest.mark.parametrize("minutes", [-6, -60 * 24 * 365, 6, 60 * 24])
def test_notice__not_of_this_moment__is_refused(quiet: House, town: Town, minutes: int) -> None:
    moment = datetime.now(UTC) + timedelta(minutes=minutes)

    problem_of(quiet.notify(notice(town.order), at=moment), 401, "notice_signature_invalid")


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        (
            {"received_at": "2099-01-01T00:00:00Z"},
            422,
            "notice_invalid",
        ),
        ({"received_at": "9999-12-31T23:59:59Z"}, 422, "notice_invalid"),
        ({"received_at": "9999-12-31T23:59:59-12:00"}, 422, "notice_invalid"),
        ({"amount": {"amount": "0"}}, 422, "payment_amount_zero"),
        ({"amount": {"amount": "0.00"}}, 422, "payment_amount_zero"),
        ({"amount": {"amount": "0.001"}}, 422, "money_malformed"),
        ({"amount": {"amount": "-420000.00"}}, 422, "money_malformed"),
        ({"amount": {"amount": 420000}}, 422, "notice_invalid"),
        ({"amount": {"amount": "420000.00", "currency": "USD"}}, 422, "notice_invalid"),
        ({"order_reference": "a\0b"}, 422, "notice_invalid"),
        ({"order_reference": 7}, 422, "notice_invalid"),
        ({"order_reference": ""}, 422, "notice_invalid"),
        ({"reverses": "BANK-NEVER-TOLD"}, 404, "not_found"),
        ({"reverses": ""}, 422, "notice_invalid"),
        ({"bank_reference": ""}, 422, "notice_invalid"),
        ({"received_at": "yesterday"}, 422, "notice_invalid"),
        ({"received_at": "2026-07-01T00:00:00"}, 422, "notice_invalid"),
        ({"note": "thank you"}, 422, "notice_invalid"),
    ],
    ids=str,
)
def test_notice__signed_but_wrong__is_refused(
    quiet: House, town: Town, changes: dict[str, Any], status: int, code: str
) -> None:
    problem_of(quiet.notify(notice(town.order, **changes)), status, code)


@pytest.mark.parametrize("body", [b"[]", b"null", b"7", b'"x"', b'{"a": 1}'])
def test_notice__signed_but_of_another_form__is_refused(quiet: House, body: bytes) -> None:
    problem_of(quiet.notify(body), 422, "notice_invalid")


@pytest.mark.parametrize("body", [b"rubbish", b"{", b'{"a": ' + b"9" * 5000 + b"}"])
def test_notice__signed_rubbish__is_refused(quiet: House, body: bytes) -> None:
    response = quiet.notify(body)

    assert response.status_code in {401, 422}, response.text
    assert response.headers["content-type"] == "application/problem+json"


def test_notice__of_an_unknown_rail__is_refused(quiet: House, town: Town) -> None:
    body = json.dumps(notice(town.order)).encode()
    response = quiet.client.post("/v1/payments/webhooks/cash", content=body, headers=signed(body))

    problem_of(response, 422, "request_invalid")


# What is booked


@pytest.fixture(scope="module")
def sale(house: House) -> Any:
    with house.desk() as desk:
        return sales.offering(desk, sales.wrapped_apartment(desk))


@pytest.fixture(scope="module")
def who(house: House) -> Buyer:
    with house.desk() as desk:
        return make.buyer(desk)


@pytest.fixture
def order(house: House, sale: Any, who: Buyer) -> Any:
    with house.desk() as desk:
        return sales.order(desk, sale, who, units=1)


def payments(house: House, order: Any) -> int:
    return int(house.one("SELECT count(*) FROM payment WHERE order_id = :id", id=order.id))


def test_notice__good__books_the_money(house: House, order: Any) -> None:
    response = house.notify(notice(order))

    assert response.status_code == 200, response.text
    assert response.json()["state"] == "PAID"
    assert payments(house, order) == 1


def test_notice__replayed__changes_nothing_more(house: House, order: Any) -> None:
    said = notice(order)
    first = house.notify(said)
    with house.unchanged():
        again = house.notify(said)
        signed_anew = house.notify(said, at=datetime.now(UTC) + timedelta(seconds=2))

    assert first.json() == again.json() == signed_anew.json()


def test_notice__replayed_at_one_moment__is_booked_once(house: House, order: Any) -> None:
    said = notice(order)

    answers = at_once(*[lambda: house.notify(said)] * 6)

    assert {answer.status_code for answer in answers} == {200}
    assert payments(house, order) == 1


def test_notice__two_payments_of_one_order_at_one_moment__one_goes_back(
    house: House, order: Any
) -> None:
    one, two = notice(order), notice(order, bank_reference="BANK-TWICE")

    answers = at_once(lambda: house.notify(one), lambda: house.notify(two))

    assert [answer.status_code for answer in answers] == [200, 200]
    shown = house.notify(one).json()
    assert (shown["state"], shown["paid"]) == ("PAID", shown["amount"])
    assert shown["refund_due"] == shown["amount"]


def test_notice__one_payment_for_two_orders__is_refused(
    house: House, order: Any, sale: Any, who: Buyer
) -> None:
    with house.desk() as desk:
        other = sales.order(desk, sale, who, units=1)
    assert house.notify(notice(order, bank_reference="BANK-ONE")).is_success

    response = house.notify(notice(other, bank_reference="BANK-ONE"))

    problem_of(response, 409, "payment_reference_reused")
    assert payments(house, other) == 0


def test_notice__one_payment_for_two_orders_at_one_moment__is_booked_once(
    house: House, order: Any, sale: Any, who: Buyer
) -> None:
    with house.desk() as desk:
        other = sales.order(desk, sale, who, units=1)
    said = [notice(item, bank_reference="BANK-BOTH") for item in (order, other)]

    answers = at_once(*[lambda item=item: house.notify(item) for item in said])

    assert sorted(answer.status_code for answer in answers) == [200, 409]
    assert payments(house, order) + payments(house, other) == 1


def test_notice__after_the_order_was_cancelled__goes_back(
    house: House, order: Any, who: Buyer
) -> None:
    assert house.caller(who.actor).post(f"/v1/orders/{order.id}/cancel").is_success

    shown = house.notify(notice(order)).json()

    assert (shown["state"], shown["refund_due"]) == ("REFUND_DUE", shown["amount"])


def test_notice__part_of_the_price__shows_what_is_missing(
    house: House, order: Any, who: Buyer
) -> None:
    part = {"amount": "1000.50", "currency": "PKR"}
    first = house.notify(notice(order, amount=part)).json()

    assert (first["state"], first["paid"]) == ("AWAITING_PAYMENT", part)
    missing = first["missing"]
    assert house.caller(who.actor).get(f"/v1/orders/{order.id}").json()["missing"] == missing
    rest = house.notify(notice(order, amount=missing, bank_reference=f"REST-{order.id}")).json()
    assert (rest["state"], rest["missing"]["amount"]) == ("PAID", "0.00")


def test_notice__taken_back__waits_for_money_again(house: House, order: Any) -> None:
    came = notice(order)
    house.notify(came)
    back = notice(order, bank_reference=f"REV-{order.id}", reverses=came["bank_reference"])

    shown = house.notify(back).json()

    assert (shown["state"], shown["paid"]["amount"]) == ("AWAITING_PAYMENT", "0.00")
    with house.unchanged():
        assert house.notify(back).json() == shown
        assert house.notify(came).json() == shown


def test_notice__taken_back_in_part__is_refused(house: House, order: Any) -> None:
    came = notice(order)
    house.notify(came)
    back = notice(order, bank_reference=f"REV-{order.id}", reverses=came["bank_reference"])

    with house.unchanged():
        response = house.notify(back | {"amount": {"amount": "1.00"}})

    problem_of(response, 409, "reversal_amount_differs")


def test_notice__taken_back_of_another_order__is_refused(
    house: House, order: Any, sale: Any, who: Buyer
) -> None:
    came = notice(order)
    house.notify(came)
    with house.desk() as desk:
        other = sales.order(desk, sale, who, units=1)
    back = notice(other, bank_reference=f"REV-{order.id}", reverses=came["bank_reference"])

    with house.unchanged():
        problem_of(house.notify(back), 409, "payment_not_reversible")


@pytest.mark.parametrize("said", ["MLK000000000000", "x' OR 1=1", None])
def test_notice__of_no_order__is_kept_apart(house: House, order: Any, said: str | None) -> None:
    reference = secrets.token_hex(8)
    response = house.notify(
        notice(order, order_reference=said, bank_reference=reference, payer="Ayesha Khan")
    )

    assert response.status_code == 202, response.text
    shown = response.json()
    assert (shown["state"], shown["order_id"]) == ("UNALLOCATED", None)
    assert shown["payer_hint"] == "A*** K***"
