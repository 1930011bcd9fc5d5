"""A purchase in rupees on chain over HTTP, as a wrapper's backend and a buyer's phone make it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account

from chain.node.client import hex_of
from registry.kernel.actor import Role
from registry.sweep.service import sweep
from tests.api.house import Caller, House, problem_of
from tests.api.people import ok
from tests.chain.dealing import ON_SALE, UNITS, Dealing, actor_of
from tests.chain.market import FIRST, HELD, ISSUER, SECOND, Market
from tests.chain.test_eligibility_api import house_of, wallet_of
from tests.chain.world import key_of
from tests.factories import COMPLIANCE

pytestmark = pytest.mark.chain


@dataclass(frozen=True)
class Shop:
    """A sale of what the wrapper kept that nobody has ordered of."""

    house: House
    dealing: Dealing
    sale: dict[str, Any]

    @property
    def wrapper(self) -> Caller:
        return self.house.caller(actor_of(self.dealing.market, ISSUER))

    @property
    def buyer(self) -> Caller:
        return self.house.caller(actor_of(self.dealing.market, SECOND))

    def order(self, **changes: Any) -> dict[str, Any]:
        body = {"units": str(UNITS), "wallet": wallet_of(SECOND)} | changes
        placed: dict[str, Any] = ok(
            self.buyer.post(f"/v1/offerings/{self.sale['id']}/orders", body), 201
        )
        return placed


@pytest.fixture
def shop(minted: Market, tmp_path: Path) -> Iterator[Shop]:
    dealing = Dealing.live(minted)
    token = dealing.market.deal.tokenization_id
    with house_of(minted.world, tmp_path / "api") as house:
        body = {"offered_units": str(ON_SALE), "price": {"amount": "1200.50"}}
        path = f"/v1/tokenizations/{token}/secondary_offerings"
        problem_of(house.caller(Role.ISSUER).post(path, body), 403, "role_missing")
        sale = ok(house.caller(COMPLIANCE).post(path, body), 201)
        yield Shop(house, dealing, sale)


def sign(data: dict[str, Any], person: int) -> str:
    return hex_of(Account.sign_typed_data(key_of(person).key, full_message=data).signature)


def permit_in(data: dict[str, Any]) -> dict[str, Any]:
    signed = Account.sign_typed_data(key_of(SECOND).key, full_message=data)
    deadline = data["message"]["deadline"]
    return {
        "deadline": deadline,
        "v": signed.v,
        "r": f"0x{signed.r:064x}",
        "s": f"0x{signed.s:064x}",
    }


def kinds_of(caller: Caller) -> list[str]:
    return [event["kind"] for event in ok(caller.get("/v1/me/events"))["items"]]


def test_purchase__ordered_signed_paid__moves_fractions_and_rupees(shop: Shop) -> None:
    assert (shop.sale["kind"], shop.sale["left_units"]) == ("SECONDARY", str(ON_SALE))
    order = shop.order()
    assert (order["rail"], order["amount"]["amount"]) == ("onchain_rupee", "60025.00")
    path = f"/v1/orders/{order['id']}"
    pay = {"units": str(UNITS), "price": order["amount"]}
    problem_of(shop.buyer.post(f"{path}/settlement", pay), 409, "trade_not_signed")

    [waiting] = ok(shop.wrapper.get(f"/v1/offerings/{shop.sale['id']}/trades"))["items"]
    assert (waiting["order_id"], waiting["permit_typed_data"]) == (order["id"], None)
    body = {"seller_signature": sign(waiting["typed_data"], ISSUER)}
    problem_of(shop.wrapper.post(f"{path}/trade", body), 409, "seller_allowance_short")
    shop.dealing.allow(UNITS)
    forged = {"seller_signature": sign(waiting["typed_data"], FIRST)}
    problem_of(shop.wrapper.post(f"{path}/trade", forged), 409, "wallet_proof_refused")
    for who in (shop.buyer, shop.house.caller(actor_of(shop.dealing.market, FIRST))):
        problem_of(who.post(f"{path}/trade", body), 404, "not_found")
    signed = ok(shop.wrapper.post(f"{path}/trade", body, key="sign-1"), 201)
    assert ok(shop.wrapper.post(f"{path}/trade", body, key="sign-1"), 201) == signed
    problem_of(shop.wrapper.post(f"{path}/trade", body), 409, "trade_signed")
    assert ok(shop.wrapper.get(f"/v1/offerings/{shop.sale['id']}/trades"))["items"] == []

    stranger = shop.house.caller(actor_of(shop.dealing.market, FIRST))
    problem_of(stranger.get(f"{path}/trade"), 404, "not_found")
    problem_of(stranger.get(f"/v1/offerings/{shop.sale['id']}/trades"), 404, "not_found")
    trade = ok(shop.buyer.get(f"{path}/trade"))
    assert trade["seller_signature"] == body["seller_signature"]
    assert trade["typed_data"] == waiting["typed_data"]
    pay["buyer_signature"] = sign(trade["typed_data"], SECOND)
    pay["permit"] = permit_in(trade["permit_typed_data"])
    operation = ok(shop.buyer.post(f"{path}/settlement", pay), 202)
    assert operation["kind"] == "settle"
    problem_of(shop.buyer.post(f"{path}/cancel", {}), 409, "order_not_cancellable")

    shop.dealing.world.settle()
    sweep(shop.dealing.world.database)
    done = ok(shop.buyer.get(path))
    assert (done["state"], done["missing"]["amount"]) == ("SETTLED", "0.00")
    assert shop.dealing.units() == (HELD[ISSUER] - UNITS, HELD[SECOND] + UNITS)
    assert shop.dealing.rupees()[0] == 6_002_500
    shop.dealing.index()
    portfolio = ok(shop.buyer.get("/v1/me/portfolio"))
    [holding] = portfolio["holdings"]
    assert holding["balance_units"] == str(HELD[SECOND] + UNITS)
    told = ok(shop.buyer.get(f"{path}/ledger"))
    assert [entry["kind"] for entry in told] == ["RECEIPT", "SETTLEMENT"]


def test_order__of_the_first_sale__has_no_trade(shop: Shop) -> None:
    first = str(shop.dealing.market.deal.orders[SECOND])
    problem_of(shop.buyer.get(f"/v1/orders/{first}/trade"), 409, "order_of_other_rail")
    body = {"seller_signature": "0x" + "11" * 65}
    problem_of(shop.wrapper.post(f"/v1/orders/{first}/trade", body), 404, "not_found")


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"offered_units": "100000"}, 422, "offer_exceeds_held"),
        ({"price": {"amount": "0.00"}}, 422, "offer_price_zero"),
        ({"price": {"amount": "999999999999999.99"}}, 422, "offer_price_too_high"),
        ({"payment_hours": 0}, 422, "request_invalid"),
        ({"eligible_countries": ["US"]}, 422, "offer_countries_wider"),
        ({"closes_at": "2020-01-01T00:00:00Z"}, 422, "offer_terms_invalid"),
        ({"minimum_units": "1"}, 422, "unknown_field"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_open__terms_that_no_sale_can_have__is_refused(
    minted: Market, tmp_path: Path, changes: dict[str, Any], status: int, code: str
) -> None:
    dealing = Dealing.live(minted)
    token = dealing.market.deal.tokenization_id
    body = {"offered_units": "10", "price": {"amount": "1200.50"}} | changes
    with house_of(minted.world, tmp_path / "api") as house, house.unchanged():
        answer = house.caller(COMPLIANCE).post(
            f"/v1/tokenizations/{token}/secondary_offerings", body
        )
        problem_of(answer, status, code)
