"""Reports that tell of one moment, page by page, while what they tell changes."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from registry.kernel.actor import Role
from registry.kernel.clock import today
from registry.reconciliation import statements
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


def changed_between(chain: Moves, code: str, **query: Any) -> None:
    """Read a page, let units move to who was told already, and to who is told yet; read on."""
    house = chain.house
    asked = {"token": chain.token_id, "limit": 1, **query}
    whole = rows_of(house, code, **asked)
    page = read(house, code, **asked)
    by_place = sorted(chain.buyers, key=lambda who: who.wallet.address)
    if code != "R-05":
        by_place.sort(key=lambda who: who.investor.party_id)
    first, second, third = (who.wallet.address for who in by_place)
    chain.mine(moved(third, first, 10), moved(second, third, 5))

    assert page["items"] + following(house, code, page, **asked) == whole
    assert len(whole) == len(chain.buyers)
    assert rows_of(house, code, **asked) != whole


def test_r_05__units_move_between_pages__add_up_to_the_supply_once(chain: Moves) -> None:
    changed_between(chain, "R-05")


def test_r_05__reorg_between_pages__goes_on_as_it_was_known(chain: Moves) -> None:
    house = chain.house
    asked: dict[str, Any] = {"token": chain.token_id, "limit": 1}
    one, _, three = (who.wallet.address for who in chain.buyers)
    last = chain.mine(moved(one, three, 40))
    whole = rows_of(house, "R-05", **asked)
    page = read(house, "R-05", **asked)
    chain.take_back_to(last - 1, "second")

    assert page["items"] + following(house, "R-05", page, **asked) == whole
    assert sum(int(row["balance"]) for row in whole) == 100


def test_r_07__units_move_between_pages__are_of_the_first_page(chain: Moves) -> None:
    changed_between(chain, "R-07", since="2025-12-01T00:00:00Z", threshold_percent="1")


def test_r_09__units_move_between_pages__are_of_the_first_page(chain: Moves) -> None:
    changed_between(chain, "R-09")


def test_r_09__statement_filed_between_pages__is_not_that_of_the_next(chain: Moves) -> None:
    house = chain.house
    asked: dict[str, Any] = {"token": chain.token_id, "limit": 1}
    whole = rows_of(house, "R-09", **asked)
    page = read(house, "R-09", **asked)
    file_statement(chain, {who.investor.party_id: 7 for who in chain.buyers})

    assert page["items"] + following(house, "R-09", page, **asked) == whole
    assert {row["register_of_record"] for row in whole} == {None}
    assert {row["register_of_record"] for row in rows_of(house, "R-09", **asked)} == {"7"}


def file_statement(chain: Moves, stated: dict[UUID, int]) -> None:
    with chain.house.desk() as desk:
        statements.file_statement(
            desk.session,
            make.actor(Role.OPERATIONS),
            chain.token_id,
            as_of=today() - timedelta(days=1),
            rows=list(stated.items()),
        )
