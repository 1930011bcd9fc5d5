"""Reports of what was known before a reorg: also what only the blocks told that it took."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from fractions import Fraction
from typing import Any

import pytest
from eth_utils.address import to_checksum_address

from registry.investor.models import Investor
from registry.kernel.actor import Role
from registry.kernel.clock import now, today
from registry.party.models import Party
from registry.reconciliation import statements
from registry.tokenization.models import Tokenization
from tests import factories as make
from tests import intakes, owning
from tests.api.house import House
from tests.api.moves import Moves, frozen, frozen_whole, minted, moved, moves
from tests.api.reports import read, rows_of
from tests.factories import Buyer
from tests.owning import shares

pytestmark = pytest.mark.db


@dataclass(frozen=True)
class Lost:
    """Somebody bought, and a company did, in blocks that a reorg has taken since.

    The seller's wallet, which was frozen, was freed in them, save for 7 units, and the company's
    frozen. The register of record was told of them.

    Parameters
    ----------
    known_at
        When they were believed in.
    kept, first, last
        The last block that is still the chain's, and the lost ones.
    """

    chain: Moves
    seller: Buyer
    buyer: Buyer
    company: Buyer
    owner: Party
    known_at: str
    kept: int
    first: int
    last: int

    def rows(self, code: str, **query: Any) -> list[dict[str, Any]]:
        return rows_of(self.chain.house, code, known_at=self.known_at, limit=1, **query)

    def time(self, number: int) -> str:
        return self.chain.block(number).mined_at.isoformat().replace("+00:00", "Z")


@pytest.fixture(scope="module")
def lost(house: House) -> Lost:
    chain = moves(house, 2)
    seller, buyer = chain.buyers
    with house.desk() as desk:
        party, owner = make.company(desk), make.person(desk)
        owning.declare(desk, party, shares(1, (owner, 1)))
        company = make.issuer(desk, party)
        # The seller bears a name on the list.
        party_id = intakes.listed_party(desk)
        desk.session.get_one(Investor, seller.investor.id).party_id = party_id
    seller.investor.party_id = party_id
    one, two, three = (who.wallet.address for who in (seller, buyer, company))
    chain.mine(minted(one, 100))
    kept = chain.mine(frozen_whole(one))
    first = chain.mine(moved(one, two, 40))
    last = chain.mine(
        moved(two, one, 40),
        moved(one, three, 25),
        moved(one, two, 30),
        frozen_whole(one, freed=True),
        frozen_whole(three),
        frozen(one, 7),
    )
    with house.desk() as desk:
        held = ((seller, 45), (buyer, 30), (company, 25))
        stated = [(who.investor.party_id, units) for who, units in held]
        day = today() - timedelta(days=1)
        statements.file_statement(
            desk.session, make.actor(Role.OPERATIONS), chain.token_id, as_of=day, rows=stated
        )
    moment = house.one("SELECT clock_timestamp()").isoformat()
    chain.take_back_to(kept, "second")
    return Lost(chain, seller, buyer, company, owner, moment, kept, first, last)


def test_r_12__of_lost_blocks__has_every_transfer_that_was_told(lost: Lost) -> None:
    asked = {"token": lost.chain.token_id}
    rows = lost.rows("R-12", min_rupees=0, **asked)

    assert [row["units"] for row in rows] == ["40", "40", "25", "30"]
    told = [
        (row["time"], row["tx"], row["units"])
        for row in lost.rows("R-11", **asked)
        if row["kind"] == "TRANSFERRED"
    ]
    assert [(row["time"], row["tx"], row["units"]) for row in rows] == told
    assert rows_of(lost.chain.house, "R-12", min_rupees=0, **asked) == []


@pytest.mark.parametrize("code", ["R-11", "R-12"])
def test_r_11_and_r_12__since_a_lost_block__begin_with_it(lost: Lost, code: str) -> None:
    least = {"min_rupees": 0} if code == "R-12" else {}
    since = lost.time(lost.last)
    rows = lost.rows(code, token=lost.chain.token_id, since=since, **least)

    assert [row["units"] for row in rows] == ["40", "25", "30"]
    path = f"/v1/tokens/{lost.chain.token_id}/transfers"
    asked = {"since": since, "known_at": lost.known_at}
    listed = lost.chain.house.caller(Role.REGULATOR).get(path, **asked).json()["items"]
    assert [row["units"] for row in listed] == ["40", "25", "30"]


def test_r_04__first_received_in_a_lost_block__is_told_with_since_when(lost: Lost) -> None:
    [row] = lost.rows("R-04", party=lost.buyer.investor.party_id, beneficial=False)

    assert (row["kind"], row["fractions"]) == ("TOKEN", "30")
    assert Fraction(row["share"]) == Fraction(30, 100)
    # What went in the second block came again in it: nobody is without anything within a block.
    assert row["since"] == lost.time(lost.first)
    assert rows_of(lost.chain.house, "R-04", party=lost.buyer.investor.party_id) == []


def test_r_04__company_that_received_in_a_lost_block__is_told_of_its_owner(lost: Lost) -> None:
    title, row = lost.rows("R-04", party=lost.owner.id)

    # By the token they are behind a quarter of its vehicle too.
    assert (title["kind"], Fraction(title["share"])) == ("UBO_TITLE", Fraction(1, 4))
    assert (row["kind"], row["fractions"]) == ("UBO_TOKEN", "25")
    assert Fraction(row["share"]) == Fraction(25, 100)
    assert row["holder"] == str(lost.company.investor.party_id)


def test_r_05__acquired_in_a_lost_block__is_told_of_that_branch(lost: Lost) -> None:
    rows = lost.rows("R-05", token=lost.chain.token_id)
    acquired = {row["wallet"]: row["acquired"] for row in rows}

    def wallet(who: Buyer) -> str:
        return to_checksum_address(who.wallet.address)

    assert acquired == {
        wallet(lost.seller): lost.time(lost.kept - 1),
        wallet(lost.buyer): lost.time(lost.first),
        wallet(lost.company): lost.time(lost.last),
    }


def test_r_05_and_r_04__frozen_or_freed_in_a_lost_block__are_told_of_that_branch(
    lost: Lost,
) -> None:
    def wallets(rows: list[dict[str, Any]]) -> dict[str, bool]:
        return {row["wallet"]: row["address_frozen"] for row in rows if row["wallet"]}

    who = (lost.seller, lost.buyer, lost.company)
    seller, buyer, company = (to_checksum_address(each.wallet.address) for each in who)
    frozen = {seller: False, buyer: False, company: True}
    assert wallets(lost.rows("R-05", token=lost.chain.token_id)) == frozen
    for each in who:
        held = lost.rows("R-04", wallet=f"0x{each.wallet.address.hex()}", beneficial=False)
        assert wallets(held).items() <= frozen.items()
        assert len(wallets(held)) == 1
    # On the chain of today nobody has moved anything, nor freed the seller.
    today_s = rows_of(lost.chain.house, "R-05", token=lost.chain.token_id)
    assert wallets(today_s) == {seller: True}
    party = lost.seller.investor.party_id
    held = rows_of(lost.chain.house, "R-04", party=party, beneficial=False)
    assert wallets(held) == {seller: True}


def test_r_07__changed_in_a_lost_block__names_its_time_and_transaction(lost: Lost) -> None:
    since = lost.time(lost.kept)
    rows = lost.rows("R-07", token=lost.chain.token_id, since=since, threshold_percent="1")
    moved_in = {row["tx"]: row["time"] for row in lost.rows("R-11", token=lost.chain.token_id)}

    assert {row["change"] for row in rows} == {"-55", "30", "25"}
    assert {row["changed_at"] for row in rows} == {lost.time(lost.last)}
    [tx] = {row["tx"] for row in rows}
    assert moved_in[tx] == lost.time(lost.last)


def test_r_07__changed_before_the_period__was_not_changed_in_it(lost: Lost) -> None:
    since = lost.time(lost.last)
    rows = lost.rows("R-07", token=lost.chain.token_id, since=since, threshold_percent="1")

    assert {(row["change"], row["changed_at"], row["tx"]) for row in rows} == {("0", None, None)}


def test_r_15__frozen_or_freed_in_a_lost_block__is_worth_what_that_branch_froze(lost: Lost) -> None:
    house, party = lost.chain.house, str(lost.seller.investor.party_id)
    with house.database.reading() as session:
        price_paisa = session.get_one(Tokenization, lost.chain.token_id).price_paisa

    def units(rows: list[dict[str, Any]]) -> set[Fraction]:
        found = [row["frozen_value"]["amount"] for row in rows if row["party"] == party]
        return {Fraction(amount) * 100 / price_paisa for amount in found}

    assert units(lost.rows("R-15")) == {7}
    assert units(rows_of(house, "R-15")) == {100}


def test_r_09__of_lost_blocks__holds_the_statement_against_that_branch(lost: Lost) -> None:
    rows = lost.rows("R-09", token=lost.chain.token_id)

    assert {row["block"] for row in rows} == {lost.last}
    assert sorted(row["cap_table"] for row in rows) == ["25", "30", "45"]
    assert {row["difference"] for row in rows} == {"0"}
    today_s = rows_of(lost.chain.house, "R-09", token=lost.chain.token_id)
    assert {row["block"] for row in today_s} == {lost.kept}
    assert sorted(row["cap_table"] for row in today_s) == ["0", "0", "100"]


def test_known_at__projection_in_doubt__is_told_of_the_past_too(lost: Lost) -> None:
    def degraded() -> list[str | None]:
        pages = (
            read(lost.chain.house, "R-05", token=lost.chain.token_id, known_at=moment)
            for moment in (lost.known_at, now().isoformat())
        )
        return [page["envelope"]["block"]["degraded"] for page in pages]

    assert degraded() == [None, None]
    doubt(lost.chain.house, "'a reorg'")
    assert degraded() == ["a reorg", "a reorg"]
    doubt(lost.chain.house, "NULL")


def doubt(house: House, why: str) -> None:
    with house.desk() as desk:
        run = desk.session.connection().exec_driver_sql
        run(f"UPDATE sync_cursor SET degraded = {why}")
