"""A phone without a wallet asks for one in our custody, and nobody else sees or uses it."""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import Any

import pytest

from registry.investor import custody
from registry.investor.models import Wallet
from registry.kernel.actor import Actor, Role
from tests import factories as make
from tests import kyc, sales
from tests.api.house import Caller, House, problem_of
from tests.api.reports import WHY

pytestmark = pytest.mark.db

MINE = "/v1/me/wallets"
CUSTODY = {"custodial": True}
SIGNATURE = "0x" + "11" * 65


@pytest.fixture
def holder(house: House) -> tuple[Actor, Caller]:
    with house.desk() as desk:
        who, _ = make.enrolled(desk)
    return who, house.caller(who)


def made(house: House, who: Actor) -> Wallet:
    """Make the key that somebody asked for, as the worker does."""
    with house.desk() as desk:
        chain_id = house.services.settings.chain_id
        key = custody.request_wallet(desk.session, who, chain_id)
        address = secrets.token_bytes(20)
        wallet = custody.record_key(
            desk.session, key.id, key_uri=f"file:wallet-{key.id}.json", address=address
        )
        desk.session.expunge_all()
        return wallet


def test_custodial_wallet__asked_for_again_and_again__is_one(
    house: House, holder: tuple[Actor, Caller]
) -> None:
    who, caller = holder
    first = caller.post(MINE, CUSTODY, key="wallet-1")
    assert (first.status_code, first.json()["state"]) == (202, "REQUESTED"), first.text
    with house.unchanged():
        assert caller.post(MINE, CUSTODY, key="wallet-1").text == first.text
    assert caller.post(MINE, CUSTODY).json() == first.json()

    wallet = made(house, who)

    [read] = caller.get(MINE).json()
    assert (read["state"], read["wallet_state"]) == ("MADE", "PROVEN")
    assert bytes.fromhex(read["address"][2:]) == wallet.address
    assert caller.post(MINE, CUSTODY).json() == read
    [enrolled] = caller.get("/v1/me").json()["investor"]["wallets"]
    assert (enrolled["is_custodial"], enrolled["state"]) == (True, "PROVEN")
    assert "wallet-" not in caller.get(MINE).text  # where the key lies is nobody's business


@pytest.mark.parametrize(
    "body", [{}, {"custodial": False}, {"custodial": True, "address": "0x" + "11" * 20}, []]
)
def test_custodial_wallet__asked_for_otherwise__is_invalid(
    house: House, holder: tuple[Actor, Caller], body: Any
) -> None:
    with house.unchanged():
        assert holder[1].post(MINE, body).status_code == 422


def test_custodial_wallet__who_is_not_enrolled__has_none(house: House) -> None:
    caller = house.caller(make.actor(Role.INVESTOR))

    with house.unchanged():
        problem_of(caller.post(MINE, CUSTODY), 404, "not_found")
    problem_of(caller.get(MINE), 404, "not_found")


def test_custodial_wallet__where_none_are_kept__is_refused(
    house: House, holder: tuple[Actor, Caller]
) -> None:
    before = house.app.state.services
    production = before.settings.model_copy(update={"environment": "production"})
    house.app.state.services = replace(before, settings=production)
    try:
        with house.unchanged():
            problem_of(holder[1].post(MINE, CUSTODY), 409, "custody_not_offered")
    finally:
        house.app.state.services = before


def test_custodial_wallet__as_overseer_and_as_another__is_seen_as_any_wallet_is(
    house: House, holder: tuple[Actor, Caller]
) -> None:
    who, caller = holder
    made(house, who)
    investor = caller.get("/v1/me").json()["investor"]["id"]
    path = f"/v1/investors/{investor}"

    for role in (Role.COMPLIANCE, Role.REGULATOR, Role.AUDITOR):
        [seen] = house.caller(role).get(path, **WHY).json()["wallets"]
        assert seen["is_custodial"]
        problem_of(house.caller(role).post(MINE, CUSTODY), 403, "role_missing")
    with house.desk() as desk:
        other, _ = make.enrolled(desk)
    problem_of(house.caller(other).get(path), 404, "not_found")
    assert house.caller(other).get(MINE).json() == []


# Confirming a purchase


@pytest.fixture
def purchase(house: House) -> dict[str, Any]:
    """An order into a custodial wallet, that waits for its money."""
    with house.desk() as desk:
        who, investor = make.enrolled(desk)
    wallet = made(house, who)
    with house.desk() as desk:
        kyc.passed(desk, who, investor)
        mine = desk.session.get_one(Wallet, wallet.id)
        mine.identity = secrets.token_bytes(20)
        order = sales.on_chain(desk, make.Buyer(who, investor, mine))
        unsigned = sales.on_chain(desk, make.Buyer(who, investor, mine), signed=False)
        first = sales.offering(desk, sales.wrapped_apartment(desk))
        by_bank = sales.order(desk, first, make.Buyer(who, investor, mine))
        found = {
            "who": who,
            "path": f"/v1/orders/{order.id}/settlement",
            "unsigned": f"/v1/orders/{unsigned.id}/settlement",
            "by_bank": f"/v1/orders/{by_bank.id}/settlement",
        }
        paisa = order.amount_paisa
    body = {
        "units": "10",
        "price": {"amount": f"{paisa // 100}.{paisa % 100:02}", "currency": "PKR"},
    }
    return found | {"body": body}


def test_purchase__of_another_or_stale__is_refused_and_nothing_is_planned(
    house: House, purchase: dict[str, Any]
) -> None:
    mine, path, body = house.caller(purchase["who"]), purchase["path"], purchase["body"]
    with house.desk() as desk:
        other = house.caller(make.enrolled(desk)[0])
    stale = house.stranger(house.token_with(purchase["who"].subject, ["investor"]))

    with house.unchanged():
        problem_of(other.post(path, body), 404, "not_found")
        problem_of(stale.post(path, body), 403, "sign_in_not_recent")
        for change, code in (
            ({"units": "11"}, "settlement_terms_differ"),
            ({"price": {"amount": "1.00", "currency": "PKR"}}, "settlement_terms_differ"),
            ({"buyer_signature": SIGNATURE}, "wallet_custodial"),
        ):
            problem_of(mine.post(path, body | change), 409, code)
        problem_of(mine.post(purchase["unsigned"], body), 409, "trade_not_signed")
        problem_of(mine.post(purchase["by_bank"], body), 409, "order_of_other_rail")


BAD: dict[str, list[Any]] = {
    "buyer_signature": ["", "0x", "0x1", "0x" + "00" * 8193, "0xzz"],
    "units": ["0.5", "-1", 10],
    "permit": [
        {},
        {"deadline": 1, "v": 0, "r": "0x", "s": "0x"},
        *(
            {"deadline": wrong, "v": 27, "r": f"0x{'0' * 64}", "s": f"0x{'0' * 64}"}
            for wrong in (True, "one", -1, 2**60, None)
        ),
    ],
    "state": ["SETTLED"],
}


@pytest.mark.parametrize("field", BAD)
def test_purchase__malformed__is_invalid(
    house: House, purchase: dict[str, Any], field: str
) -> None:
    mine = house.caller(purchase["who"])
    with house.unchanged():
        for value in BAD[field]:
            response = mine.post(purchase["path"], purchase["body"] | {field: value})
            assert response.status_code == 422, (value, response.text)
