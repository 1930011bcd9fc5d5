"""Reports that tell the largest first, page by page, while what they tell changes."""

from __future__ import annotations

from typing import Any

import pytest

from tests import deeds
from tests import factories as make
from tests.api.house import House
from tests.api.moves import Moves, minted, moved, moves
from tests.api.reports import read, rows_of

pytestmark = pytest.mark.db


@pytest.fixture
def chain(house: House) -> Moves:
    """A token of three, of whom each has less than the one before."""
    chain = moves(house, 3)
    one, two, three = (who.wallet.address for who in chain.buyers)
    chain.mine(minted(one, 50), minted(two, 30), minted(three, 20))
    return chain


def following(house: House, code: str, page: dict[str, Any], **query: Any) -> list[dict[str, Any]]:
    """Read what comes behind a page, which is of the same moment and block."""
    rows = []
    envelope = page["envelope"]
    while page["next"] is not None:
        page = read(house, code, cursor=page["next"], **query)
        rows += page["items"]
        said = page["envelope"]
        assert said["as_of"] == envelope["as_of"]
        block, first = said["block"], envelope["block"]
        assert (block and block["hash"]) == (first and first["hash"])
    return rows


def test_r_06__shares_change_between_pages__every_owner_is_told_once(chain: Moves) -> None:
    house = chain.house
    asked: dict[str, Any] = {"token": chain.token_id, "threshold": "1/100"}
    whole = rows_of(house, "R-06", **asked)
    page = read(house, "R-06", limit=1, **asked)
    three = chain.buyers[2].wallet.address
    chain.mine(minted(three, 900))

    assert page["items"] + following(house, "R-06", page, limit=1, **asked) == whole
    assert [row["effective"] for row in whole] == ["1/2", "3/10", "1/5"]
    assert rows_of(house, "R-06", **asked)[0]["party"] == whole[-1]["party"]


def test_r_06__reorg_between_pages__goes_on_as_it_was_known(chain: Moves) -> None:
    house = chain.house
    asked: dict[str, Any] = {"token": chain.token_id, "threshold": "1/100"}
    one, _, three = (who.wallet.address for who in chain.buyers)
    last = chain.mine(moved(one, three, 40))
    whole = rows_of(house, "R-06", **asked)
    page = read(house, "R-06", limit=1, **asked)
    chain.take_back_to(last - 1, "second")

    assert page["items"] + following(house, "R-06", page, limit=1, **asked) == whole
    assert [row["effective"] for row in whole] == ["3/5", "3/10", "1/10"]


def test_r_25__land_changes_between_pages__every_holder_is_told_once(house: House) -> None:
    with house.desk() as desk:
        for kanal in (8, 4, 2):
            deeds.farm(desk, make.owned_by(make.person(desk)), area=(kanal, 0, "0"))
    whole = rows_of(house, "R-25")
    page = read(house, "R-25", limit=1)
    with house.desk() as desk:
        deeds.farm(desk, make.owned_by(make.person(desk)), area=(16, 0, "0"))

    assert page["items"] + following(house, "R-25", page, limit=1) == whole
    assert len(rows_of(house, "R-25")) == len(whole) + 1
