"""Reports while a token is read again, or the chain was never read: no figure is signed of it."""

from __future__ import annotations

from typing import Any

import pytest

from registry.asset.models import Asset
from registry.captable.catching_up import begin_again
from registry.captable.service import find_token
from registry.tokenization.models import Tokenization
from tests import factories as make
from tests import intakes, sales, standing
from tests.api.house import House, problem_of
from tests.api.projected import Minted, mint_to_many
from tests.api.reports import ask, rows_of
from tests.factories import Buyer, Desk

pytestmark = pytest.mark.db


def questions(house: House, minted: Minted) -> dict[str, dict[str, Any]]:
    """Ask every report that counts holders of it, in each way."""
    with house.desk() as desk:
        tokenization = desk.session.get_one(Tokenization, minted.token_id)
        asset = standing.suspend(desk, desk.session.get_one(Asset, tokenization.asset_id))
        code = asset.code
        _look_like_one_listed(desk, minted.known[1])
    holder = {"party": minted.known[0].investor.party_id}
    return {
        "R-04": holder,
        "R-05": {"token": minted.token_id},
        "R-06": {"asset": code},
        "R-11": {},
        "R-12": {},
        "R-15": {},
        "R-17": {},
    }


def _look_like_one_listed(desk: Desk, holder: Buyer) -> None:
    """Let a hit be of a holder."""
    listed_id = intakes.listed_party(desk)
    desk.session.connection().exec_driver_sql(
        "UPDATE investor SET party_id = %s WHERE id = %s", (listed_id, holder.investor.id)
    )


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ("caught_up_to = 3", 503, "token_catching_up"),
        (
            "refusal = 'it cannot be', refused_at = 3, caught_up_to = 3",
            409,
            "token_refused",
        ),
    ],
)
def test_reports__of_a_token_behind_or_refused__are_refused(
    fresh_house: House, change: str, status: int, code: str
) -> None:
    minted = mint_to_many(fresh_house, 3)
    asked = questions(fresh_house, minted)
    for report, query in asked.items():
        rows_of(fresh_house, report, **query)
    with fresh_house.desk() as desk:
        desk.session.connection().exec_driver_sql(f"UPDATE token SET {change}")

    found = {name: ask(fresh_house, name, **query) for name, query in asked.items()}
    assert {name: answer.status_code for name, answer in found.items()} == dict.fromkeys(
        asked, status
    )
    for answer in found.values():
        problem_of(answer, status, code)


def test_r_04__token_read_from_its_first_block_again__is_not_told_as_held_by_nobody(
    fresh_house: House,
) -> None:
    minted = mint_to_many(fresh_house, 3)
    holder: dict[str, Any] = {"party": minted.known[0].investor.party_id}
    assert len(rows_of(fresh_house, "R-04", **holder)) == 1
    with fresh_house.desk() as desk:
        tokenization = desk.session.get_one(Tokenization, minted.token_id)
        assert tokenization.token_address is not None
        token = find_token(desk.session, tokenization.token_address)
        assert token is not None
        begin_again(desk.session, token, after=token.block_number - 1)
        somebody = make.person(desk).id

    problem_of(ask(fresh_house, "R-04", **holder), 503, "token_catching_up")
    problem_of(ask(fresh_house, "R-04", party=somebody), 503, "token_catching_up")


def test_r_06_and_r_17__chain_never_read__are_refused_once_a_token_stands(
    fresh_house: House,
) -> None:
    with fresh_house.desk() as desk:
        wrapped = sales.wrapped_apartment(desk)
        code = standing.suspend(desk, wrapped.asset).code
    assert rows_of(fresh_house, "R-06", asset=code)
    assert rows_of(fresh_house, "R-17")

    with fresh_house.desk() as desk:
        other = sales.wrapped_apartment(desk)
        token_id, other_code = sales.deployed(desk, other).id, other.asset.code

    asked: tuple[dict[str, Any], ...] = ({"token": token_id}, {"asset": other_code})
    for query in asked:
        problem_of(ask(fresh_house, "R-06", **query), 503, "sync_not_started")
    problem_of(ask(fresh_house, "R-17"), 503, "sync_not_started")
    # A title stands in the register, whatever the chain says.
    assert rows_of(fresh_house, "R-01", asset=other_code)
