"""Treasury and those who look on: money of no order, refunds in parts, ledgers and the balance."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest

from registry.kernel.actor import Role
from registry.offering.models import Order, OrderState
from tests import factories as make
from tests import sales
from tests.api.house import House, problem_of
from tests.api.reports import WHY
from tests.factories import Buyer

pytestmark = pytest.mark.db


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


def money(paisa: int) -> dict[str, str]:
    return {"amount": f"{paisa // 100}.{paisa % 100:02}", "currency": "PKR"}


def come(house: House, said: str, paisa: int) -> Mapping[str, Any]:
    response = house.notify(
        {
            "bank_reference": secrets.token_hex(8),
            "order_reference": said,
            "amount": money(paisa),
            "received_at": datetime.now(UTC).isoformat(),
        }
    )
    assert response.is_success, response.text
    shown: dict[str, Any] = response.json()
    return shown


def test_unallocated__seen_and_assigned_by_treasury__pays_the_order(
    house: House, order: Any, who: Buyer
) -> None:
    payment = come(house, order.reference[:-1], order.amount_paisa)
    treasury = house.caller(Role.TREASURY)
    path = f"/v1/payments/{payment['id']}"

    seen = treasury.get(path).json()
    assert order.reference in [item["reference"] for item in seen["candidates"]]
    answer = treasury.post(f"{path}/assign", {"order_id": str(order.id)}, key="assign-1")
    again = treasury.post(f"{path}/assign", {"order_id": str(order.id)}, key="assign-1")

    assert answer.json() == again.json()
    assert (answer.json()["state"], answer.json()["order_id"]) == ("ALLOCATED", str(order.id))
    assert house.caller(who.actor).get(f"/v1/orders/{order.id}").json()["state"] == "PAID"
    assert treasury.get(path).json()["candidates"] == []
    problem_of(
        treasury.post(f"{path}/return", {"rail_reference": "BACK"}), 409, "payment_not_unallocated"
    )


def test_unallocated__returned__is_listed_as_returned(house: House) -> None:
    payment = come(house, "rent", 12_345)
    treasury = house.caller(Role.TREASURY)

    answer = treasury.post(
        f"/v1/payments/{payment['id']}/return", {"rail_reference": secrets.token_hex(4)}
    )

    assert answer.json()["state"] == "RETURNED"
    listed = house.caller(Role.AUDITOR).get("/v1/payments", state="RETURNED", **WHY).json()["items"]
    assert payment["id"] in [item["id"] for item in listed]


def test_assign__to_what_is_no_order__is_refused(house: House) -> None:
    payment = come(house, "rent", 100)
    treasury = house.caller(Role.TREASURY)
    path = f"/v1/payments/{payment['id']}/assign"

    with house.unchanged():
        problem_of(treasury.post(path, {"order_id": str(uuid4())}), 404, "not_found")
        problem_of(treasury.post(path, {"order_id": "x"}), 422, "request_invalid")
        problem_of(treasury.post(path, {}), 422, "request_invalid")
        missing = f"/v1/payments/{uuid4()}"
        problem_of(treasury.post(f"{missing}/assign", {"order_id": str(uuid4())}), 404, "not_found")
        problem_of(treasury.get(missing), 404, "not_found")


def test_refund__in_parts__is_shown_to_the_buyer(house: House, order: Any, who: Buyer) -> None:
    come(house, order.reference, order.amount_paisa + 500)
    treasury = house.caller(Role.TREASURY)
    path = f"/v1/orders/{order.id}/refund"

    part = treasury.post(path, {"rail_reference": secrets.token_hex(4), "amount": money(200)})
    too_much = treasury.post(path, {"rail_reference": "B", "amount": money(301)})
    rest = treasury.post(path, {"rail_reference": secrets.token_hex(4)})

    assert part.json()["refund_due"] == money(300)
    problem_of(too_much, 409, "refund_exceeds_due")
    assert rest.json()["state"] == "PAID"
    mine = house.caller(who.actor).get("/v1/me/orders", limit=200).json()["items"]
    [shown] = [item for item in mine if item["id"] == str(order.id)]
    assert (shown["refunded"], shown["refund_due"]) == (money(500), money(0))


def test_order_ledger__own_and_of_the_books__sums_to_nothing(
    house: House, order: Any, who: Buyer
) -> None:
    come(house, order.reference, order.amount_paisa + 500)
    path = f"/v1/orders/{order.id}/ledger"

    mine = house.caller(who.actor).get(path).json()

    assert mine == house.caller(Role.AUDITOR).get(path, **WHY).json()
    assert "investor_id" not in mine[0]
    [entry] = mine
    sides = {side["account"]: side["amount"]["amount"] for side in entry["postings"]}
    price = money(order.amount_paisa)["amount"]
    total = money(order.amount_paisa + 500)["amount"]
    assert sides == {"BANK": total, "ORDER": f"-{price}", "REFUND_DUE": "-5.00"}
    with house.desk() as desk:
        stranger = make.buyer(desk)
    problem_of(house.caller(stranger.actor).get(path), 404, "not_found")


def test_trial_balance__any_moment__has_equal_sides(house: House, order: Any) -> None:
    before = datetime.now(UTC).isoformat()
    auditor = house.caller(Role.AUDITOR)
    then = auditor.get("/v1/ledger/trial_balance", recorded_until=before).json()
    come(house, order.reference, 700)

    now = auditor.get("/v1/ledger/trial_balance").json()

    assert now["debits"] == now["credits"]
    assert auditor.get("/v1/ledger/trial_balance", recorded_until=before).json() == then
    problem_of(
        auditor.get("/v1/ledger/trial_balance", recorded_until="yesterday"), 422, "request_invalid"
    )


def test_receivables__taken_back_while_minted__are_listed_to_compliance(
    house: House, order: Any
) -> None:
    come(house, order.reference, order.amount_paisa)
    reference = str(house.one("SELECT rail_reference FROM payment WHERE order_id = :id",
                              id=order.id))  # fmt: skip
    with house.desk() as desk:
        desk.session.get_one(Order, order.id).state = OrderState.MINTING

    response = house.notify(
        {
            "bank_reference": secrets.token_hex(8),
            "reverses": reference,
            "amount": money(order.amount_paisa),
            "received_at": datetime.now(UTC).isoformat(),
        }
    )

    assert response.json()["owed"] == money(order.amount_paisa)
    listed = house.caller(Role.COMPLIANCE).get("/v1/receivables").json()["items"]
    owed = {item["subject_id"]: item["owed"] for item in listed}
    assert owed[str(order.id)] == money(order.amount_paisa)


def test_receivables__of_a_payment__end_by_a_new_one_that_two_people_assign(house: House) -> None:
    treasury = house.caller(Role.TREASURY)
    colleague = house.caller(make.actor(Role.TREASURY, subject="the-other-treasury"))
    owing, payment, larger = (come(house, "rent", paisa) for paisa in (700, 700, 701))
    returned = {"rail_reference": secrets.token_hex(4)}
    assert treasury.post(f"/v1/payments/{owing['id']}/return", returned).is_success
    back = house.notify(
        {
            "bank_reference": secrets.token_hex(8),
            "reverses": owing["rail_reference"],
            "amount": money(700),
            "received_at": datetime.now(UTC).isoformat(),
        }
    )
    assert back.json()["state"] == "REVERSED"
    path, debt = f"/v1/payments/{payment['id']}/assign", {"payment_id": owing["id"]}

    with house.unchanged():
        both = debt | {"order_id": str(uuid4())}
        problem_of(treasury.post(path, both), 422, "request_invalid")
        too_much = treasury.post(f"/v1/payments/{larger['id']}/assign", debt)
        problem_of(too_much, 409, "payment_exceeds_debt")
        of_none = treasury.post(path, {"payment_id": larger["id"]})
        problem_of(of_none, 409, "payment_owes_nothing")
    assert treasury.post(path, debt).json()["proposed_payment_id"] == owing["id"]
    problem_of(treasury.post(path, debt), 403, "checker_is_maker")
    answer = colleague.post(path, debt).json()

    assert (answer["state"], answer["owing_payment_id"]) == ("PAID_DEBT", owing["id"])
    listed = treasury.get("/v1/receivables").json()["items"]
    assert owing["id"] not in [item["subject_id"] for item in listed]


def everything(house: House, role: Role, path: str, **query: Any) -> list[dict[str, Any]]:
    """Read a list to its end, two at a time."""
    found, more = [], house.caller(role).get(path, limit=2, **WHY, **query).json()
    found += more["items"]
    while more["next"]:
        more = house.caller(role).get(path, limit=2, cursor=more["next"], **WHY, **query).json()
        found += more["items"]
    return found


def refund(house: House, order: Any) -> None:
    path = f"/v1/orders/{order.id}/refund"
    said = {"rail_reference": secrets.token_hex(8)}
    assert house.caller(Role.TREASURY).post(path, said).status_code == 200


@pytest.mark.parametrize("role", [Role.TREASURY, Role.COMPLIANCE, Role.AUDITOR])
def test_refunds_due__of_several_sales__are_listed_who_waits_longest_first(
    house: House, sale: Any, who: Buyer, role: Role
) -> None:
    with house.desk() as desk:
        made = [sales.order(desk, sale, who, units=1) for _ in range(3)]
        elsewhere = sales.offering(desk, sales.wrapped_apartment(desk))
        made += [sales.order(desk, elsewhere, make.buyer(desk), units=1) for _ in range(2)]
    for order in reversed(made):
        come(house, order.reference, order.amount_paisa + 100)
    refund(house, made[4])
    come(house, made[4].reference, 50)

    path = "/v1/refunds_due"
    due = {each["order_id"]: each for each in everything(house, role, path)}

    expected = [str(made[place].id) for place in (3, 2, 1, 0, 4)]
    assert [order_id for order_id in due if order_id in expected] == expected
    shown = due[str(made[4].id)]
    assert shown["refund_due"] == money(50)
    assert shown["state"] == "PAID"
    assert shown["investor_id"] == str(made[4].investor_id)
    assert "*" in shown["party_name"]
    assert datetime.fromisoformat(shown["since"]) > datetime.fromisoformat(
        due[str(made[0].id)]["since"]
    )
    refund(house, made[0])
    assert str(made[0].id) not in {each["order_id"] for each in everything(house, role, path)}


def test_orders_of_a_sale__by_state__are_listed_with_their_buyers(house: House) -> None:
    with house.desk() as desk:
        sale = sales.offering(desk, sales.wrapped_apartment(desk))
        made = [sales.order(desk, sale, make.buyer(desk), units=1) for _ in range(3)]
        sales.pay(desk, made[0])
    path = f"/v1/offerings/{sale.id}/orders"

    assert [each["id"] for each in everything(house, Role.TREASURY, path)] == [
        str(order.id) for order in made
    ]
    [paid] = everything(house, Role.TREASURY, path, state="PAID")
    assert (paid["id"], paid["investor_id"]) == (str(made[0].id), str(made[0].investor_id))
    nowhere = house.caller(Role.TREASURY).get(f"/v1/offerings/{uuid4()}/orders")
    problem_of(nowhere, 404, "not_found")
