"""Transfers by what they were, one wallet's history, and how a token is spread, over HTTP."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any
from uuid import UUID

import pytest

from api.schemas.common import address_of
from registry.captable.models import ForcedAct
from registry.kernel.actor import Role
from tests.api.house import House, problem_of
from tests.api.moves import (
    BLOCK_TIME,
    FIRST_BLOCK,
    FIRST_MINED,
    Moves,
    burned,
    case_act,
    frozen,
    frozen_whole,
    minted,
    moved,
    moves,
    recovered,
    wallet_no,
)

pytestmark = pytest.mark.db

CASE = UUID("01890000-0000-7000-8000-000000000001")
ONE, TWO, THREE, LOST = (wallet_no(number) for number in range(4))


@dataclass(frozen=True)
class Story:
    """A token that everything was done to, and the block in which each thing was."""

    chain: Moves
    at: dict[str, int]

    def read(self, what: str, **query: Any) -> Any:
        response = self.chain.house.caller(Role.REGULATOR).get(self.path(what), **query)
        assert response.status_code == 200, response.text
        return response.json()

    def path(self, what: str) -> str:
        return f"/v1/tokens/{self.chain.token_id}/{what}"


@pytest.fixture(scope="module")
def story(house: House) -> Story:
    chain = moves(house, buyers=2)
    mine, other = (buyer.wallet.address for buyer in chain.buyers)
    at = {}
    at["minted"] = chain.mine(minted(ONE, 1000), minted(LOST, 50), minted(mine, 7))
    at["moved"] = chain.mine(moved(ONE, TWO, 300), moved(ONE, ONE, 5))
    at["frozen"] = chain.mine(frozen(TWO, 120))
    at["forced"] = chain.mine(
        case_act(CASE, ForcedAct.FORCED_TRANSFER, TWO, THREE), moved(TWO, THREE, 10, forced=True)
    )
    at["strange"] = chain.mine(moved(TWO, THREE, 1, forced=True))
    at["recovered"] = chain.mine(moved(LOST, other, 50, forced=True), recovered(LOST, other))
    at["burned"] = chain.mine(burned(ONE, 195))
    at["whole"] = chain.mine(frozen_whole(THREE))
    return Story(chain, at)


def seen(rows: Sequence[dict[str, Any]]) -> list[tuple[str, int, int]]:
    return [(row["nature"], row["block_number"], int(row["units"])) for row in rows]


def test_transfers__all__are_told_apart(story: Story) -> None:
    rows = story.read("transfers")["items"]

    assert seen(rows) == [
        ("MINTED", story.at["minted"], 1000),
        ("MINTED", story.at["minted"], 50),
        ("MINTED", story.at["minted"], 7),
        ("TRANSFERRED", story.at["moved"], 300),
        ("TRANSFERRED", story.at["moved"], 5),
        ("FORCED", story.at["forced"], 10),
        ("FORCED", story.at["strange"], 1),
        ("RECOVERED", story.at["recovered"], 50),
        ("BURNED", story.at["burned"], 195),
    ]
    assert [row["case_id"] for row in rows if row["case_id"]] == [str(CASE)]
    assert rows[-1]["time"] == "2026-01-01T00:01:36Z"
    assert rows[0]["source"] is None
    assert rows[0]["target"] == address_of(ONE)
    assert rows[-1]["target"] is None


@pytest.mark.parametrize(
    ("natures", "units"),
    [
        (["MINTED"], [1000, 50, 7]),
        (["BURNED"], [195]),
        (["FORCED"], [10, 1]),
        (["RECOVERED"], [50]),
        (["TRANSFERRED"], [300, 5]),
        (["FORCED", "RECOVERED", "BURNED"], [10, 1, 50, 195]),
        (["TRANSFERRED", "BURNED"], [300, 5, 195]),
    ],
    ids=str,
)
def test_transfers__of_some_natures__are_those(
    story: Story, natures: list[str], units: list[int]
) -> None:
    rows = story.read("transfers", nature=natures)["items"]

    assert [int(row["units"]) for row in rows] == units
    assert {row["nature"] for row in rows} == set(natures)


def test_transfers__of_a_wallet_and_a_time__are_those(story: Story) -> None:
    of_two = story.read("transfers", wallet=address_of(TWO))["items"]
    assert [int(row["units"]) for row in of_two] == [300, 10, 1]
    since = FIRST_MINED + (story.at["forced"] - FIRST_BLOCK) * BLOCK_TIME
    begin = since.isoformat().replace("+00:00", "Z")
    for first in (begin, f"block:{story.at['forced']}"):
        some = story.read("transfers", wallet=address_of(TWO), since=first)["items"]
        assert [int(row["units"]) for row in some] == [10, 1]
    early = story.read("transfers", as_of=f"block:{story.at['moved']}", nature="TRANSFERRED")
    assert [int(row["units"]) for row in early["items"]] == [300, 5]
    assert story.read("transfers", wallet=address_of(wallet_no(99)))["items"] == []
    assert story.read("transfers", since="2999-01-01T00:00:00Z")["items"] == []


def test_transfers__page_by_page__are_all_of_them_once(story: Story) -> None:
    for query in ({}, {"wallet": address_of(ONE)}, {"nature": ["MINTED", "FORCED"]}):
        whole, paged, cursor = story.read("transfers", **query)["items"], [], None
        while True:
            page = story.read(
                "transfers", limit=2, **query, **({"cursor": cursor} if cursor else {})
            )
            paged += page["items"]
            cursor = page["next"]
            if cursor is None:
                break
        assert paged == whole


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"wallet": "0x00"}, "request_invalid"),
        ({"wallet": address_of(ONE).lower()}, "request_invalid"),
        ({"nature": "STOLEN"}, "request_invalid"),
        ({"since": "yesterday"}, "as_of_malformed"),
    ],
    ids=str,
)
def test_transfers__asked_wrongly__are_refused(
    story: Story, query: dict[str, str], code: str
) -> None:
    caller = story.chain.house.caller(Role.REGULATOR)

    problem_of(caller.get(story.path("transfers"), **query), 422, code)


def test_wallet__history__is_every_change_and_sums_up(story: Story) -> None:
    found = story.read(f"wallets/{address_of(TWO)}/history")

    changes = [
        (row["block_number"], int(row["balance_units"]), int(row["frozen_units"]))
        for row in found["items"]
    ]
    assert changes == [
        (story.at["moved"], 300, 0),
        (story.at["frozen"], 300, 120),
        (story.at["forced"], 290, 120),
        (story.at["strange"], 289, 120),
    ]
    assert [int(row["balance_change"]) for row in found["items"]] == [300, 0, -10, -1]
    assert [int(row["frozen_change"]) for row in found["items"]] == [0, 120, 0, 0]
    first = story.read(f"wallets/{address_of(TWO)}/history", limit=2)
    second = story.read(f"wallets/{address_of(TWO)}/history", limit=2, cursor=first["next"])
    assert first["items"] + second["items"] == found["items"]


def test_wallet__at_each_block__holds_what_the_cap_table_says(story: Story) -> None:
    for number in range(FIRST_BLOCK + 1, story.at["burned"] + 1):
        query = {"as_of": f"block:{number}"}
        table = story.read("cap_table", **query)
        held = {row["wallet"]: row for row in table["items"]}
        for wallet in (ONE, TWO, THREE, LOST):
            said = story.read(f"wallets/{address_of(wallet)}", **query)
            row = held.get(address_of(wallet), {"balance_units": "0", "frozen_units": "0"})
            assert said["balance_units"] == row["balance_units"]
            assert said["frozen_units"] == row["frozen_units"]
        assert sum(int(row["balance_units"]) for row in table["items"]) == int(
            table["supply_units"]
        )


def test_wallet__frozen_whole__says_so_from_that_block_on(story: Story) -> None:
    told = {
        number: story.read(f"wallets/{address_of(THREE)}", as_of=f"block:{number}")
        for number in (story.at["burned"], story.at["whole"])
    }

    assert [row["wallet_frozen"] for row in told.values()] == [False, True]
    assert {row["frozen_units"] for row in told.values()} == {"0"}


def test_wallet__asked_by_an_investor__is_only_their_own(story: Story) -> None:
    me, other = story.chain.buyers
    caller = story.chain.house.caller(me.actor)

    mine = caller.get(story.path(f"wallets/{address_of(me.wallet.address)}"))
    assert mine.json()["balance_units"] == "7"
    for wallet in (other.wallet.address, ONE, wallet_no(99)):
        for what in ("", "/history"):
            answer = caller.get(story.path(f"wallets/{address_of(wallet)}{what}"))
            problem_of(answer, 404, "not_found")
    problem_of(caller.get(story.path("concentration")), 403, "role_missing")


def test_concentration__at_each_block__is_that_of_the_cap_table(story: Story) -> None:
    for number in range(FIRST_BLOCK + 1, story.at["burned"] + 1):
        query = {"as_of": f"block:{number}"}
        table = story.read("cap_table", **query)["items"]
        units = sorted((int(row["balance_units"]) for row in table), reverse=True)
        found = story.read("concentration", **query)
        total = sum(units)
        assert (found["holders"], int(found["units"])) == (len(units), total)
        if not units:
            assert found["top"] == found["sizes"] == []
            continue
        shares = [Fraction(each, total) for each in units]
        assert Fraction(*map(int, found["herfindahl"])) == sum(share**2 for share in shares)
        assert Fraction(*map(int, found["gini"])) == gini(units)
        for top in found["top"]:
            assert int(top["units"]) == sum(units[: top["holders"]])
            assert Fraction(*map(int, top["share"])) == sum(shares[: top["holders"]])
        for band in found["sizes"]:
            low, below = int(band["from_units"]), int(band["below_units"])
            inside = [each for each in units if low <= each < below]
            assert (band["holders"], int(band["units"])) == (len(inside), sum(inside))
        assert sum(band["holders"] for band in found["sizes"]) == len(units)


def gini(units: Sequence[int]) -> Fraction:
    """Reckon it as it is defined: half the mean difference of all pairs, relative to the mean."""
    differences = sum(abs(one - two) for one in units for two in units)
    return Fraction(differences, 2 * len(units) * sum(units))


def test_concentration__by_party__adds_the_wallets_of_one_person(house: House) -> None:
    chain = moves(house, buyers=1)
    (buyer,) = chain.buyers
    second = wallet_no(1000)
    chain.mine(minted(buyer.wallet.address, 60), minted(second, 30), minted(ONE, 10))
    path = f"/v1/tokens/{chain.token_id}/concentration"
    caller = house.caller(Role.AUDITOR)
    assert caller.get(path, by="party").json()["holders"] == 3
    with house.desk() as desk:
        wallet = type(buyer.wallet)(**buyer.wallet.model_dump(exclude={"id", "address"}))
        wallet.address = second
        desk.session.add(wallet)

    assert caller.get(path).json()["holders"] == 3
    found = caller.get(path, by="party").json()
    assert (found["holders"], found["top"][0]["units"]) == (2, "90")
