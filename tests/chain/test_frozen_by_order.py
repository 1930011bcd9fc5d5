"""An order over HTTP, carried out by the chain without anybody opening a case, and lifted so."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from eth_utils.address import to_checksum_address

from chain.contracts.abi import contract
from registry.asset.models import Asset
from registry.kernel.actor import Role
from registry.kernel.clock import now, today
from registry.sweep.service import sweep
from tests import court as orders
from tests.api.house import House
from tests.api.reports import WHY, rows_of
from tests.chain.bench import Bench
from tests.chain.market import FIRST, Market
from tests.chain.test_eligibility_api import house_of
from tests.chain.test_redeeming import go_live
from tests.chain.test_report_holders import persons
from tests.chain.world import address_of, ask, key_of
from tests.court import SECOND_COMPLIANCE

pytestmark = pytest.mark.chain

WALLET = address_of(key_of(FIRST))
LATE = timedelta(minutes=12)
"""So long ago the order reached us."""


@dataclass(frozen=True)
class Court:
    """A market, and the API on it."""

    bench: Bench
    house: House

    def receive(self, **said: Any) -> str:
        body = {
            "kind": "FREEZE_ORDER", "authority": "Lahore High Court", "case_no": "W.P. 7/2026",
            "issued_on": today().isoformat(), "received_at": (now() - LATE).isoformat(),
            "document_sha256": secrets.token_hex(32), "wallet": to_checksum_address(WALLET),
        }  # fmt: skip
        made = self.house.caller(Role.REGULATOR).post("/v1/court_orders", body | said)
        assert made.status_code == 201, made.text
        return str(made.headers["Location"])

    def post(self, who: Any, path: str, body: Any = None) -> dict[str, Any]:
        answer = self.house.caller(who).post(path, body)
        assert answer.status_code == 200, answer.text
        said: dict[str, Any] = answer.json()
        return said

    def apply(self, path: str) -> None:
        self.post(Role.COMPLIANCE, f"{path}/authenticate", {"confirmation": "Cause list of today"})
        assert self.post(SECOND_COMPLIANCE, f"{path}/apply")["state"] == "APPLYING"

    def vacate(self, path: str) -> None:
        body = {"vacating_sha256": secrets.token_hex(32)}
        for role in (Role.COMPLIANCE, Role.REGISTRAR_CHECKER):
            said = self.post(role, f"{path}/vacate", body | {"role": role.value})
        assert said["state"] == "LIFTING"

    def follow(self) -> None:
        """Let the chain do what is planned, and the clock look."""
        self.bench.market.world.settle()
        self.bench.index()
        sweep(self.house.database)

    def read(self, path: str) -> dict[str, Any]:
        said: dict[str, Any] = self.house.caller(Role.REGULATOR).get(path, **WHY).json()
        return said

    def on_token(self, function: str) -> Any:
        market = self.bench.market
        return ask(market.world.client, "Token", market.suite().token, function, WALLET)

    def ord_01(self) -> list[str]:
        return [subject for rule, subject in self.bench.differences() if rule == "ORD-01"]


@pytest.fixture
def court(minted: Market, tmp_path: Path) -> Iterator[Court]:
    bench = Bench(minted)
    bench.index()
    with house_of(minted.world, tmp_path / "api", **persons()) as house:
        yield Court(bench, house)


def test_order_on_a_wallet__applied_and_vacated__the_chain_follows_by_itself(court: Court) -> None:
    path = court.receive(scope="WALLET")
    court.apply(path)
    assert court.on_token("isFrozen") is False
    assert court.read(path)["minutes_to_apply"] is None
    court.follow()

    assert court.on_token("isFrozen") is True
    order = court.read(path)
    assert order["state"] == "IN_FORCE"
    assert order["minutes_to_apply"] == LATE // timedelta(minutes=1)
    assert court.ord_01() == []
    [row] = rows_of(court.house, "R-16", state="IN_FORCE")
    receipt = court.bench.market.world.client.request("eth_getTransactionReceipt", row["tx"])
    frozen = "0x" + contract("Token").events["AddressFrozen"].topic.hex()
    assert frozen in {log["topics"][0] for log in receipt["logs"]}
    [case] = court.house.caller(Role.COMPLIANCE).get("/v1/cases").json()["items"]
    assert (case["order_id"], case["state"], case["document_id"]) == (
        order["id"], "EXECUTED", None,
    )  # fmt: skip

    court.vacate(path)
    court.follow()
    assert court.on_token("isFrozen") is False
    assert court.read(path)["state"] == "VACATED"
    assert court.ord_01() == []
    assert court.bench.breaks() == []


def test_order_on_an_asset__applied__pauses_its_token_by_the_transaction_that_r_16_names(
    court: Court,
) -> None:
    market = court.bench.market
    go_live(market)
    with market.world.database.transaction() as session:
        desk = market.desk(session)
        asset = session.get_one(Asset, market.deal.asset_id)
        order_id = str(orders.apply(desk, orders.on_asset(desk, asset)).id)

    def told() -> Any:
        [row] = rows_of(court.house, "R-16")
        assert row["order"] == order_id
        return row["tx"]

    assert told() is None
    court.follow()
    paused = {
        "address": "0x" + market.suite().token.hex(),
        "fromBlock": "0x0",
        "toBlock": "latest",
        "topics": ["0x" + contract("Token").events["Paused"].topic.hex()],
    }
    *_, last = market.world.client.request("eth_getLogs", paused)
    assert told() == last["transactionHash"]


def test_order_on_an_amount__applied_and_vacated__freezes_and_frees_so_many_units(
    court: Court,
) -> None:
    token_id = str(court.bench.market.deal.tokenization_id)
    path = court.receive(scope="AMOUNT", tokenization_id=token_id, amount_units="40")
    court.apply(path)
    court.follow()
    assert court.on_token("getFrozenTokens") == 40
    assert court.read(path)["state"] == "IN_FORCE"
    assert court.ord_01() == []

    court.vacate(path)
    court.follow()
    assert court.on_token("getFrozenTokens") == 0
    assert court.read(path)["state"] == "VACATED"
    assert court.bench.watch() == 0
    assert court.bench.breaks() == []


def test_two_orders_on_amounts__older_one_vacated__leaves_its_units_to_the_other(
    court: Court,
) -> None:
    token_id = str(court.bench.market.deal.tokenization_id)
    all_of_it = court.on_token("balanceOf")

    def applied(units: int) -> str:
        path = court.receive(scope="AMOUNT", tokenization_id=token_id, amount_units=str(units))
        court.apply(path)
        court.follow()
        return path

    def told() -> Any:
        return {row["order"]: row["tx"] for row in rows_of(court.house, "R-16")}

    first, second = applied(all_of_it - 10), applied(40)
    assert court.on_token("getFrozenTokens") == all_of_it
    assert court.read(second)["state"] == "APPLYING"
    by_whom = told()

    court.vacate(first)
    court.follow()
    assert court.on_token("getFrozenTokens") == 40
    assert court.read(first)["state"] == "VACATED"
    court.follow()
    assert court.read(second)["state"] == "IN_FORCE"
    assert told() == by_whom, "each by what it froze itself"
    assert court.ord_01() == []

    court.vacate(second)
    court.follow()
    assert court.on_token("getFrozenTokens") == 0
    assert court.read(second)["state"] == "VACATED"
    assert court.bench.watch() == 0
    assert court.bench.breaks() == []
