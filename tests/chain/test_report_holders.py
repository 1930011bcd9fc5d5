"""R-05, and R-04 of each holder, against the node: who holds what, since when, what is frozen."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from eth_utils.address import to_checksum_address
from pydantic import SecretStr

from chain.node.client import BlockId
from chain.sync.contract_catch_up import ContractCatchUp
from registry.case.models import CaseKind
from registry.investor.service import KYC_TOPIC
from tests.api.house import House
from tests.api.reports import person, read, rows_of
from tests.chain.bench import Bench
from tests.chain.market import FIRST, HELD, KEYS, SECOND, Market
from tests.chain.test_eligibility_api import house_of
from tests.chain.world import address_of, ask, key_of

pytestmark = pytest.mark.chain


FROZEN = 100
"""Of FIRST, by a case."""


@dataclass(frozen=True)
class Frozen:
    """The API on a market in which units and a wallet were frozen, and the block before that."""

    house: House
    before: int


@pytest.fixture
def frozen(minted: Market, tmp_path: Path) -> Iterator[Frozen]:
    bench = Bench(minted)
    bench.index()
    before = minted.world.client.block_number()
    bench.done(CaseKind.FREEZE_UNITS)
    bench.done(CaseKind.FREEZE_WALLET, wallet=minted.wallet(SECOND).address)
    claims = ContractCatchUp(minted.world.database, minted.world.client)
    while claims.advance():
        continue
    with house_of(minted.world, tmp_path / "api", **persons()) as house:
        yield Frozen(house, before)


def persons() -> dict[str, SecretStr]:
    """Give the settings by which an API opens the persons of the market."""
    return {"pii_key": SecretStr(KEYS[0]), "pii_index_key": SecretStr(KEYS[1])}


def by_the_node(house: House, market: Market, block: BlockId) -> dict[str, dict[str, Any]]:
    """Compute R-05 a second time: from the node's answers, and from no table of ours."""
    suite, client = market.suite(), market.world.client
    store, issuer = market.world.place("ClaimStore"), market.world.place("ClaimIssuer")
    supply = ask(client, "Token", suite.token, "totalSupply", block=block)
    found: dict[str, dict[str, Any]] = {}
    for number in HELD:
        wallet = address_of(key_of(number))
        balance = ask(client, "Token", suite.token, "balanceOf", wallet, block=block)
        identity = ask(client, "IdentityRegistry", suite.registry, "identity", wallet, block=block)
        subject = (issuer, identity, KYC_TOPIC)
        claim = ask(client, "ClaimStore", store, "claimOf", *subject, block=block)
        if not balance:
            continue
        with market.world.database.reading() as session:
            investor = market.wallet(number).investor_id
            party = (
                session.connection()
                .exec_driver_sql("SELECT party_id FROM investor WHERE id = %s", (investor,))
                .scalar_one()
            )
        who = person(house, party)
        found[to_checksum_address(wallet)] = {
            "party": str(party),
            "name": who["name"],
            "cnic": who["cnic"],
            "country": {586: "PK"}[
                ask(client, "IdentityRegistry", suite.registry, "investorCountry", wallet)
            ],
            "wallet": to_checksum_address(wallet),
            "balance": str(balance),
            "share": "{0.numerator}/{0.denominator}".format(Fraction(balance, supply)),
            "frozen": str(
                ask(client, "Token", suite.token, "getFrozenTokens", wallet, block=block)
            ),
            "address_frozen": ask(client, "Token", suite.token, "isFrozen", wallet, block=block),
            "acquired": _first_in(market, wallet),
            "kyc_expiry": _written(claim[1]),
        }
    return found


def _written(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


def _first_in(market: Market, wallet: bytes) -> str:
    """Return when the first transfer to a wallet was mined, as the node's logs tell."""
    topic = "0x" + wallet.rjust(32, b"\0").hex()
    transfer = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"
    logs = market.world.client.request(
        "eth_getLogs",
        {
            "address": "0x" + market.suite().token.hex(),
            "fromBlock": "0x0",
            "toBlock": "latest",
            "topics": [transfer, None, topic],
        },
    )
    header = market.world.client.request("eth_getBlockByNumber", logs[0]["blockNumber"], False)
    return _written(int(header["timestamp"], 16))


def same(rows: dict[str, Any], expected: dict[str, Any]) -> None:
    assert rows.keys() == expected.keys()
    for wallet, row in rows.items():
        assert sorted(row.items()) == sorted(expected[wallet].items())


def test_r_05__now__is_what_the_node_says(frozen: Frozen, minted: Market) -> None:
    house = frozen.house
    asked: dict[str, Any] = {"token": minted.deal.tokenization_id, "reveal": True}
    page = read(house, "R-05", **asked)

    block = page["envelope"]["block"]
    rows = {row["wallet"]: row for row in page["items"]}
    same(rows, by_the_node(house, minted, block["number"]))
    assert sum(Fraction(row["share"]) for row in page["items"]) == 1
    assert rows[to_checksum_address(address_of(key_of(FIRST)))]["frozen"] == str(FROZEN)
    stopped = [wallet for wallet, row in rows.items() if row["address_frozen"]]
    assert stopped == [to_checksum_address(address_of(key_of(SECOND)))]
    assert rows[stopped[0]]["frozen"] == "0"
    header = minted.world.client.block(block["number"])
    assert header is not None
    assert block["hash"] == "0x" + header.hash.hex()
    assert rows_of(house, "R-05", **asked, limit=1) == page["items"]


def test_r_05__as_of_a_block__is_what_the_node_says_of_it(frozen: Frozen, minted: Market) -> None:
    asked: dict[str, Any] = {"token": minted.deal.tokenization_id, "reveal": True}
    page = read(frozen.house, "R-05", **asked, as_of=f"block:{frozen.before}")

    number = page["envelope"]["block"]["number"]
    rows = {row["wallet"]: row for row in page["items"]}
    same(rows, by_the_node(frozen.house, minted, number))
    assert len(rows) == len(HELD)
    assert {row["frozen"] for row in page["items"]} == {"0"}
    assert {row["address_frozen"] for row in page["items"]} == {False}


@pytest.mark.parametrize("is_past", [False, True])
def test_r_04__of_each_wallet__is_frozen_as_the_node_says(
    frozen: Frozen, minted: Market, *, is_past: bool
) -> None:
    when = {"as_of": f"block:{frozen.before}"} if is_past else {}
    expected = by_the_node(frozen.house, minted, frozen.before if is_past else "latest")
    names = {"wallet": "wallet", "fractions": "balance", "frozen": "frozen"}
    names |= {"address_frozen": "address_frozen", "since": "acquired"}

    assert len(expected) == len(HELD)
    for wallet, row in expected.items():
        [told] = [
            each
            for each in rows_of(frozen.house, "R-04", wallet=wallet, **when)
            if each["kind"] == "TOKEN"
        ]
        assert {name: told[name] for name in names} == {
            name: row[other] for name, other in names.items()
        }
