"""Tokens that were adopted, here or on another chain: the same reads, by address and chain."""

from __future__ import annotations

from typing import Any

import pytest

from api.schemas.common import address_of
from registry.captable.models import SyncCursor
from registry.captable.rewind import rewind
from registry.kernel.actor import Role
from tests.api.house import House, problem_of
from tests.api.moves import Moves, minted, wallet_no
from tests.api.other_chain import IDENTITY, ONE, OTHER, TWO, UNREAD, block, mine

pytestmark = pytest.mark.db

READS = (
    "cap_table",
    "transfers",
    "concentration",
    "control_changes",
    "reconciliations",
    "exports",
)
OF_WALLET = ("", "/history", "/claims")


def get(house: House, token: object, what: str, **query: Any) -> Any:
    return house.caller(Role.REGULATOR).get(f"/v1/tokens/{token}/{what}", **query)


def ours_named(house: House, ours: Moves) -> str:
    token = house.caller(Role.REGULATOR).get(f"/v1/tokens/{ours.token_id}").json()
    return str(token["symbol"])


def units(answer: Any) -> dict[str, int]:
    assert answer.status_code == 200, answer.text
    return {row["wallet"]: int(row["balance_units"]) for row in answer.json()["items"]}


def test_cap_table__same_address_on_two_chains__is_that_of_the_chain_asked_for(
    house: House, ours: Moves, there: str
) -> None:
    mine_here = {address_of(ONE): 7}

    assert units(get(house, there, "cap_table")) == mine_here
    assert units(get(house, ours.token_id, "cap_table")) == mine_here
    assert units(get(house, ours.token_id, "cap_table", chain_id=ours.chain_id)) == mine_here
    other = get(house, there, "cap_table", chain_id=OTHER)
    assert units(other) == {address_of(ONE): 20, address_of(TWO): 10}
    assert {row["account"].split(":")[1] for row in other.json()["items"]} == {str(OTHER)}
    assert other.json()["supply_units"] == "30"
    early = get(house, there, "cap_table", chain_id=OTHER, as_of="block:2")
    assert units(early) == {address_of(ONE): 20}
    assert early.json()["as_of_block"]["hash"] == f"0x{block(2).hash.hex()}"


def test_reads__of_another_chain__all_answer(house: House, there: str) -> None:
    for what in READS:
        answer = get(house, there, what, chain_id=OTHER)
        assert answer.status_code == 200, (what, answer.text)
    for what in OF_WALLET:
        answer = get(house, there, f"wallets/{address_of(ONE)}{what}", chain_id=OTHER)
        assert answer.status_code == 200, (what, answer.text)
    wallet = get(house, there, f"wallets/{address_of(ONE)}", chain_id=OTHER).json()
    assert (wallet["identity"], wallet["country"]) == (address_of(IDENTITY), 528)
    transfers = get(house, there, "transfers", chain_id=OTHER, limit=1)
    assert f"chain_id={OTHER}" in transfers.headers["link"]


def test_finality__of_another_chain__is_what_its_sync_noted(house: House, there: str) -> None:
    def finality(number: int) -> str:
        answer = get(house, there, "cap_table", chain_id=OTHER, as_of=f"block:{number}")
        return str(answer.json()["as_of_block"]["finality"])

    assert finality(2) == "latest"
    with house.database.transaction() as session:
        cursor = session.get_one(SyncCursor, OTHER)
        cursor.finalized_number, cursor.finalized_hash = 2, block(2).hash
        session.add(cursor)
    assert (finality(2), finality(3)) == ("finalized", "latest")


def test_chain__that_is_not_followed__is_told_with_those_that_are(
    house: House, ours: Moves, there: str
) -> None:
    for token in (there, ours.token_id):
        for what in (*READS, *(f"wallets/{address_of(ONE)}{more}" for more in OF_WALLET)):
            answer = get(house, token, what, chain_id=UNREAD)
            found = problem_of(answer, 422, "chain_not_followed")
            assert f"{ours.chain_id}, {OTHER}" in found["remedy"]
    answer = house.caller(Role.REGULATOR).get("/v1/followed_tokens", chain_id=UNREAD)
    problem_of(answer, 422, "chain_not_followed")
    problem_of(get(house, there, "cap_table", chain_id=0), 422, "request_invalid")


def test_token__not_on_the_chain__is_not_found(house: House, ours: Moves, there: str) -> None:
    problem_of(get(house, ours.token_id, "cap_table", chain_id=OTHER), 404, "not_found")
    stranger = address_of(wallet_no(99))
    problem_of(get(house, stranger, "cap_table", chain_id=OTHER), 404, "not_found")
    problem_of(get(house, stranger, "cap_table"), 404, "not_found")
    problem_of(get(house, there.lower(), "cap_table"), 422, "request_invalid")
    # What only a tokenization has is not asked for by an address.
    problem_of(get(house, there, "supply"), 422, "request_invalid")


def test_tokens__of_each_chain__are_listed_with_their_tokenization(
    house: House, ours: Moves, there: str
) -> None:
    caller = house.caller(Role.REGULATOR)
    here = caller.get("/v1/followed_tokens", limit=200).json()["items"]
    (other,) = caller.get("/v1/followed_tokens", chain_id=OTHER).json()["items"]

    (found,) = [row for row in here if row["address"] == there]
    assert (found["id"], found["chain"]) == (str(ours.token_id), f"eip155:{ours.chain_id}")
    assert (other["id"], other["chain"], other["address"]) == (None, f"eip155:{OTHER}", there)
    assert (other["supply_units"], other["first_block"]) == ("30", 2)
    assert (found["symbol"], found["decimals"]) == (ours_named(house, ours), 0)
    assert (other["symbol"], other["name"], other["decimals"]) == (None, None, None)
    problem_of(house.caller(Role.INVESTOR).get("/v1/followed_tokens"), 403, "role_missing")


def test_known_at__after_a_reorg_of_the_other_chain__is_its_branch_of_then(
    house: House, ours: Moves, there: str
) -> None:
    moment = house.one("SELECT clock_timestamp()").isoformat().replace("+00:00", "Z")
    with house.database.transaction() as session:
        rewind(session, OTHER, block(2))
    mine(house, ours.token, 3, minted(TWO, 1), branch="second")

    assert units(get(house, there, "cap_table", chain_id=OTHER))[address_of(TWO)] == 1
    known = get(house, there, "cap_table", chain_id=OTHER, known_at=moment)
    assert units(known)[address_of(TWO)] == 10
    assert known.json()["as_of_block"]["finality"] == "orphaned"
    assert units(get(house, there, "cap_table")) == {address_of(ONE): 7}
