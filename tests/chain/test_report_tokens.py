"""R-04, R-07, R-08, R-10, R-11, R-12 and R-17 against the node and the journal."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any
from uuid import UUID

import pycountry
import pytest
from eth_utils.address import to_checksum_address

from chain.contracts.abi import contract
from chain.sync.indexer import Indexer
from registry.asset.law import law_of
from registry.asset.models import Asset
from registry.case.models import Case, CaseKind
from registry.kernel.actor import Role
from tests import liens, sales, standing
from tests.api.house import House, problem_of
from tests.api.reports import Replayed, ask, instant, read, rows_of
from tests.chain.bench import Bench
from tests.chain.market import FIRST, HELD, ISSUER, SECOND, SOLD, Market
from tests.chain.nodes import CHAIN_ID
from tests.chain.suite import catch_up
from tests.chain.test_eligibility_api import house_of
from tests.chain.test_redeeming import burn, paid
from tests.chain.test_report_holders import persons
from tests.chain.world import Hand, address_of, key_of
from tests.chain.world import ask as asked_of

pytestmark = pytest.mark.chain

TRANSFER = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"
RECOVERED = "0x" + contract("Token").events["RecoverySuccess"].topic.hex()
MOVED = 130
"""From the first to the second: who then is large, and was not."""


@dataclass(frozen=True)
class Told:
    """A market in which somebody sold to somebody, and the API on it."""

    market: Market
    house: House
    before: int
    """The block before that."""

    @property
    def token_id(self) -> str:
        return str(self.market.deal.tokenization_id)

    def balance(self, person: int, block: int | str = "latest") -> int:
        token = self.market.suite().token
        wallet = address_of(key_of(person))
        client = self.market.world.client
        return int(asked_of(client, "Token", token, "balanceOf", wallet, block=block))

    def supply(self, block: int | str = "latest") -> int:
        token, client = self.market.suite().token, self.market.world.client
        return int(asked_of(client, "Token", token, "totalSupply", block=block))

    def time(self, block: int) -> datetime:
        header = self.market.world.client.block(block)
        assert header is not None
        return datetime.fromtimestamp(header.timestamp, UTC)

    def first_in(self, person: int) -> datetime:
        """Return when the first transfer to a wallet was mined: they have held since."""
        topic = "0x" + address_of(key_of(person)).rjust(32, b"\0").hex()
        [first, *_] = [log for log in self.logs() if log["topics"][2] == topic]
        return self.time(int(first["blockNumber"], 16))

    def logs(self, topic: str = TRANSFER) -> list[dict[str, Any]]:
        """Ask the node for every event of a kind of the token."""
        found: list[dict[str, Any]] = self.market.world.client.request(
            "eth_getLogs",
            {
                "address": "0x" + self.market.suite().token.hex(),
                "fromBlock": "0x0",
                "toBlock": "latest",
                "topics": [topic],
            },
        )
        return found


@pytest.fixture
def told(minted: Market, tmp_path: Path) -> Iterator[Told]:
    bench = Bench(minted)
    bench.index()
    bench.done(CaseKind.FORCED_TRANSFER)
    minted.open()
    world, token = minted.world, minted.suite().token
    before = world.client.block_number()
    # What comes now comes at another time.
    world.node.rpc("evm_increaseTime", 60)
    world.node.fund(address_of(key_of(FIRST)))
    seller = Hand(world.node, key_of(FIRST))
    seller.call("Token", token, "transfer", address_of(key_of(SECOND)), MOVED)
    catch_up(Indexer(world.database, world.client))
    with house_of(world, tmp_path / "api", **persons()) as house:
        yield Told(minted, house, before)


def wallet_of(person: int) -> str:
    return to_checksum_address(address_of(key_of(person)))


def money(amount: dict[str, str] | None) -> int | None:
    return None if amount is None else int(amount["amount"].replace(".", ""))


def party_of(told: Told, person: int) -> str:
    investor = told.market.wallet(person).investor_id
    query = "SELECT party_id FROM investor WHERE id = :id"
    return str(told.house.one(query, id=investor))


def worth_by_journal(told: Told) -> int:
    """Return what the asset is worth by the journal's valuation."""
    journal = Replayed.of(told.house)
    [valued] = journal.rows("valuation", asset_id=told.market.deal.asset_id, state="ACCEPTED")
    return int(valued["amount_paisa"])


#


def test_r_04__of_each_holder__is_what_node_and_journal_say(told: Told) -> None:
    worth = worth_by_journal(told)
    for number in HELD:
        rows = rows_of(told.house, "R-04", wallet=wallet_of(number), limit=1)
        by_party = rows_of(told.house, "R-04", party=party_of(told, number))
        assert rows == by_party
        [row] = [row for row in rows if row["kind"] == "TOKEN"]
        units, supply = told.balance(number), told.supply()
        assert row["fractions"] == str(units)
        assert Fraction(row["share"]) == Fraction(units, supply)
        assert money(row["value"]) == worth * units // sales.FRACTIONS
        assert row["frozen"] == "0"


def test_r_04__of_the_vehicle__is_the_title_that_the_journal_says(told: Told) -> None:
    journal = Replayed.of(told.house)
    title = journal.one("title", asset_id=told.market.deal.asset_id)
    [version] = [
        row
        for row in journal.rows("title_version", title_id=title["id"])
        if row["superseded_at"] is None and row["valid_to"] is None
    ]
    [share] = journal.rows("title_share", version_id=version["id"])
    rows = rows_of(told.house, "R-04", party=share["party_id"])

    [row] = [row for row in rows if row["kind"] == "DIRECT_TITLE"]
    assert row["title"] == title["id"]
    assert Fraction(row["share"]) == Fraction(share["hissa"], version["kul_hissay"])
    assert money(row["value"]) == worth_by_journal(told)
    # The vehicle keeps what was not sold.
    assert [row["wallet"] for row in rows if row["kind"] == "TOKEN"] == [wallet_of(ISSUER)]


def test_r_04__behind_the_vehicle__began_when_node_and_journal_say(told: Told) -> None:
    journal = Replayed.of(told.house)
    title = journal.one("title", asset_id=told.market.deal.asset_id)
    version = journal.one("title_version", title_id=title["id"])
    rows = rows_of(told.house, "R-04", party=party_of(told, SECOND))
    since = {row["kind"]: instant(row["since"]) for row in rows}

    began = datetime.fromisoformat(version["valid_from"])
    assert since["TOKEN"] == told.first_in(SECOND)
    assert since["UBO_TITLE"] == max(began, told.first_in(SECOND))
    # What the vehicle kept is behind it too.
    assert since["UBO_TOKEN"] == max(told.first_in(ISSUER), told.first_in(SECOND))


def test_r_04__as_of_a_block__is_what_was_held_then(told: Told) -> None:
    asked = {"wallet": wallet_of(FIRST), "as_of": f"block:{told.before}", "beneficial": False}
    [row] = rows_of(told.house, "R-04", **asked)

    assert row["fractions"] == str(told.balance(FIRST, told.before))
    assert int(row["fractions"]) == told.balance(FIRST) + MOVED


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ({}, 422, "person_required"),
        ({"cnic": "35202-1234567-1", "lei": "x"}, 422, "person_required"),
        ({"cnic": "1234"}, 422, "cnic_malformed"),
        ({"ntn": "9999999-9"}, 404, "not_found"),
        ({"cnic": "35202-9999999-1"}, 404, "not_found"),
        ({"wallet": "0x12"}, 422, "request_invalid"),
        ({"party": "00000000-0000-7000-8000-000000000000"}, 404, "not_found"),
    ],
)
def test_r_04__nobody_that_is_known__is_refused(
    told: Told, query: dict[str, Any], status: int, code: str
) -> None:
    problem = problem_of(ask(told.house, "R-04", **query), status, code)
    assert "9999999" not in str(problem)


def test_r_04__address_of_nobody__holds_nothing(told: Told) -> None:
    assert rows_of(told.house, "R-04", wallet="0x" + "77" * 20) == []


#


def test_r_07__over_a_sale__is_what_the_node_says_of_both_blocks(told: Told) -> None:
    since = told.time(told.before)
    rows = rows_of(told.house, "R-07", token=told.token_id, since=since.isoformat(), limit=1)
    last = told.logs()[-1]
    expected = {}
    for number in HELD:
        before = Fraction(told.balance(number, told.before), told.supply(told.before))
        after = Fraction(told.balance(number), told.supply())
        if max(before, after) >= Fraction(1, 10):
            expected[party_of(told, number)] = (before, after)

    assert {
        row["party"]: (Fraction(row["before"]), Fraction(row["after"])) for row in rows
    } == expected
    changed = {row["party"]: row for row in rows if row["change"] != "0"}
    for row in changed.values():
        assert row["tx"] == last["transactionHash"]
        assert row["changed_at"] is not None
    assert all(row["tx"] is None for row in rows if row["change"] == "0")


def test_r_07__from_before_the_chain__begins_with_nothing(told: Told) -> None:
    rows = rows_of(told.house, "R-07", token=told.token_id, since="2001-01-01T00:00:00Z")

    assert {row["before"] for row in rows} == {"0/1"}
    assert all(row["tx"] for row in rows)


def test_r_07__period_that_is_none__is_refused(told: Told) -> None:
    query: dict[str, Any] = {"token": told.token_id, "since": "2999-01-01T00:00:00Z"}
    problem_of(ask(told.house, "R-07", **query), 422, "period_empty")


#


def title_checked_by_journal(told: Told) -> datetime:
    """Return when a paper that proves the title was verified last."""
    asset_id = told.market.deal.asset_id
    with told.market.world.database.reading() as session:
        proofs = law_of(session.get_one(Asset, asset_id)).regime.title_proof
    papers = Replayed.of(told.house).rows("document", asset_id=asset_id, state="VERIFIED")
    times = [instant(paper["verified_at"]) for paper in papers if paper["kind"] in proofs]
    return max(at for at in times if at)


def test_r_08__with_a_mortgage__is_what_node_and_journal_say(told: Told) -> None:
    with told.market.world.database.transaction() as session:
        asset = session.get_one(Asset, told.market.deal.asset_id)
        liens.active(told.market.desk(session), asset, lender_consent=False)
    [row] = rows_of(told.house, "R-08", token=told.token_id)
    journal = Replayed.of(told.house)
    terms = journal.one("tokenization", id=told.token_id)
    title = journal.one("title", asset_id=told.market.deal.asset_id)
    debts = [
        int(each["amount_paisa"])
        for lien in journal.rows("encumbrance", title_id=title["id"], kind="MORTGAGE")
        for each in journal.rows("encumbrance_terms", encumbrance_id=lien["id"])
    ]
    part = Fraction(terms["economic_share_num"], terms["economic_share_den"])
    net = (worth_by_journal(told) - sum(debts)) * part
    issued = told.supply() * int(terms["price_paisa"])

    assert row["supply"] == str(told.supply())
    assert money(row["value"]) == worth_by_journal(told)
    assert money(row["debt"]) == sum(debts) > 0
    assert money(row["net"]) == net.numerator // net.denominator
    assert Fraction(row["coverage"]) == net / issued
    assert Fraction(row["registered_share"]) == 1
    assert row["wrapper"] is not None
    assert instant(row["title_checked_at"]) == title_checked_by_journal(told)


#


def seen_by_the_node(told: Told) -> list[dict[str, str | None]]:
    """Every Transfer that the node has, in the order of the chain."""
    nobody = "0x" + "0" * 64

    def address(topic: str) -> str | None:
        return None if topic == nobody else to_checksum_address("0x" + topic[-40:])

    return [
        {
            "from_wallet": address(log["topics"][1]),
            "to_wallet": address(log["topics"][2]),
            "units": str(int(log["data"], 16)),
            "tx": log["transactionHash"],
        }
        for log in told.logs()
    ]


def shown(rows: list[dict[str, Any]]) -> list[dict[str, str | None]]:
    names = ("from_wallet", "to_wallet", "units", "tx")
    return [{name: row[name] for name in names} for row in rows]


def test_r_10__of_a_token__is_every_mint_and_forced_act_that_the_node_has(told: Told) -> None:
    rows = rows_of(told.house, "R-10", token=told.token_id, limit=1)
    *instructed, _ = seen_by_the_node(told)

    # All but the sale, which nobody of ours instructed.
    assert shown(rows) == instructed
    minted = [row for row in rows if row["kind"] == "MINT"]
    assert sum(int(row["units"]) for row in minted) == told.supply()
    assert all(row["instruction"] for row in rows)
    journal = Replayed.of(told.house)
    approved = journal.rows("approval", subject_id=told.token_id)
    assert {row["approvers"] for row in minted} == {
        ", ".join(sorted({each["person"] for each in approved}))
    }
    [forced] = [row for row in rows if row["kind"] == "FORCED"]
    case = journal.one("legal_case", id=forced["case"])
    assert forced["approvers"] == f"{case['maker']}, {case['approved_by']}"


@pytest.fixture
def ended(minted: Market, tmp_path: Path) -> Iterator[tuple[Told, Case, UUID]]:
    """A market whose first holder lost a wallet, and whose token was redeemed and burned."""
    bench = Bench(minted)
    bench.index()
    case = bench.done(CaseKind.RECOVERY)
    redemption_id = paid(minted)
    burn(minted, redemption_id)
    with house_of(minted.world, tmp_path / "api", **persons()) as house:
        yield Told(minted, house, before=0), case, redemption_id


def test_r_10__of_a_token_that_ended__is_what_was_recovered_and_burned_on_the_node(
    ended: tuple[Told, Case, UUID],
) -> None:
    told, case, redemption_id = ended
    rows = rows_of(told.house, "R-10", token=told.token_id, limit=2)
    recovered = {log["transactionHash"] for log in told.logs(RECOVERED)}

    def kind(seen: dict[str, str | None]) -> str:
        if seen["from_wallet"] is None:
            return "MINT"
        if seen["to_wallet"] is None:
            return "BURN"
        return "RECOVERY" if seen["tx"] in recovered else "FORCED"

    seen = seen_by_the_node(told)
    assert shown(rows) == seen
    kinds = [kind(each) for each in seen]
    assert [row["kind"] for row in rows] == kinds
    assert sorted(set(kinds)) == ["BURN", "MINT", "RECOVERY"]
    burned = [row for row in rows if row["kind"] == "BURN"]
    assert sum(int(row["units"]) for row in burned) == sales.FRACTIONS
    assert told.supply() == 0

    journal = Replayed.of(told.house)
    redemption = journal.one("redemption", id=redemption_id)
    agreed = sorted(journal.rows("approval", subject_id=redemption_id), key=lambda row: row["id"])
    behind = [redemption["maker"], *(row["person"] for row in agreed)]
    for row in burned:
        assert (row["case"], row["approvers"]) == (str(redemption_id), ", ".join(behind))
    [recovery] = [row for row in rows if row["kind"] == "RECOVERY"]
    lost = journal.one("legal_case", id=case.id)
    assert recovery["case"] == lost["id"]
    assert recovery["approvers"] == f"{lost['maker']}, {lost['approved_by']}"
    assert all(row["instruction"] for row in rows)


def test_r_11__of_all_tokens__is_every_transfer_that_the_node_has(told: Told) -> None:
    rows = rows_of(told.house, "R-11", limit=2)

    assert shown(rows) == seen_by_the_node(told)
    assert rows == rows_of(told.house, "R-11", token=told.token_id)
    assert {row["kind"] for row in rows} == {"MINTED", "FORCED", "TRANSFERRED"}
    [sold] = [row for row in rows if row["kind"] == "TRANSFERRED"]
    assert sold["price"] is None
    price = int(Replayed.of(told.house).one("tokenization", id=told.token_id)["price_paisa"])
    assert money(sold["value"]) == MOVED * price
    paid = {row["to_wallet"]: money(row["price"]) for row in rows if row["kind"] == "MINTED"}
    for number, units in SOLD.items():
        assert paid[wallet_of(number)] == units * price


def test_r_11__countries__are_those_of_the_tokens_registry_on_the_node(told: Told) -> None:
    registry, client = told.market.suite().registry, told.market.world.client
    rows = rows_of(told.house, "R-11", token=told.token_id)
    seen = 0
    for row in rows:
        for side in ("from", "to"):
            wallet = row[f"{side}_wallet"]
            if wallet is None:
                assert row[f"{side}_country"] is None
                continue
            code = asked_of(client, "IdentityRegistry", registry, "investorCountry", wallet)
            country = pycountry.countries.get(numeric=f"{code:03}")
            assert country is not None
            assert row[f"{side}_country"] == country.alpha_2
            seen += 1
    assert seen > 3
    listed = told.house.caller(Role.REGULATOR).get("/v1/reports").json()
    [report] = [each for each in listed if each["code"] == "R-11"]
    says = {column["name"]: column["says"] for column in report["columns"]}
    assert "IP address" in says["from_country"]
    assert "ip_country" not in says


def test_r_11__of_a_period_and_a_value__leaves_the_others_out(told: Told) -> None:
    since = told.time(told.before) + timedelta(seconds=1)
    [sold] = rows_of(told.house, "R-11", since=since.isoformat())
    assert sold["kind"] == "TRANSFERRED"
    least = {"min_value": f"{(money(sold['value']) or 0) // 100 + 1}.00"}
    assert rows_of(told.house, "R-11", since=since.isoformat(), **least) == []
    problem_of(ask(told.house, "R-11", min_value="1,000"), 422, "money_malformed")
    page = read(told.house, "R-11", as_of=f"block:{told.before}")
    assert "TRANSFERRED" not in {row["kind"] for row in page["items"]}


#


@pytest.mark.parametrize("least_units", [0, 100, MOVED])
def test_r_12__above_a_value__is_every_transfer_between_holders_that_the_node_has(
    told: Told, least_units: int
) -> None:
    price = int(Replayed.of(told.house).one("tokenization", id=told.token_id)["price_paisa"])
    least_paisa = least_units * price
    asked = {"token": told.token_id, "min_rupees": least_paisa // 100}
    rows = rows_of(told.house, "R-12", **asked, limit=1)

    chain = f"eip155:{CHAIN_ID}"
    expected = [
        (
            told.time(int(log["blockNumber"], 16)),
            seen["tx"],
            seen["units"],
            int(seen["units"] or 0) * price,
            f"{chain}:{seen['from_wallet']}",
            f"{chain}:{seen['to_wallet']}",
        )
        for log, seen in zip(told.logs(), seen_by_the_node(told), strict=True)
        if seen["from_wallet"] and seen["to_wallet"]
        if int(seen["units"] or 0) * price > least_paisa
    ]
    assert [
        (instant(row["time"]), row["tx"], row["units"], money(row["amount"]),
         row["originator_account"], row["beneficiary_account"])
        for row in rows
    ] == expected  # fmt: skip
    # By force, and by the holder's own hand.
    assert len(expected) == {0: 2, 100: 1, MOVED: 0}[least_units]


#


def test_r_17__asset_of_a_live_token__touches_whoever_holds_it_on_the_node(told: Told) -> None:
    asset_id = told.market.deal.asset_id
    with told.market.world.database.transaction() as session:
        desk = told.market.desk(session)
        code = standing.suspend(desk, session.get_one(Asset, asset_id)).code
    [row] = [row for row in rows_of(told.house, "R-17") if row["asset"] == code]

    token, client = told.market.suite().token, told.market.world.client
    received = {seen["to_wallet"] for seen in seen_by_the_node(told)} - {None}
    holding = [
        wallet for wallet in received if asked_of(client, "Token", token, "balanceOf", wallet)
    ]
    assert row["holders_affected"] == len(holding) == len(HELD)
    journal = Replayed.of(told.house)
    cause = journal.one("suspension_cause", asset_id=asset_id)
    assert (row["cause"], instant(row["since"])) == (cause["kind"], instant(cause["recorded_at"]))
    assert money(row["value"]) == worth_by_journal(told)
