"""Reading who holds what: now, at a block, at a time, and by whom it was read."""

from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import timedelta
from fractions import Fraction
from typing import Any

import pytest

from api.schemas.common import address_of
from registry.captable.models import EventKind
from registry.kernel.actor import Role
from tests.api import moves as move
from tests.api.house import House, problem_of
from tests.api.moves import Moves, moved, moves
from tests.api.projected import BLOCK_TIME, FIRST_BLOCK, FIRST_MINED, Minted, block, mint_to_many

pytestmark = pytest.mark.db

HOLDERS = 6
LAST_BLOCK = FIRST_BLOCK + HOLDERS
WHY = {"purpose": "inspection 7/2026", "legal_basis": "section 4"}


@pytest.fixture(scope="module")
def minted(house: House) -> Minted:
    return mint_to_many(house, HOLDERS)


LOW, MIDDLE, HIGH = (bytes([digit] * 20) for digit in (0x11, 0x88, 0xEE))


@pytest.fixture
def held(fresh_house: House) -> Moves:
    """A token of which the last two of three addresses have something."""
    chain = moves(fresh_house)
    chain.mine(move.minted(MIDDLE, 30), move.minted(HIGH, 70), {"kind": EventKind.UNPAUSED})
    chain.mine({"kind": EventKind.PAUSED}, moved(HIGH, MIDDLE, 5))
    return chain


PAGED = (
    "cap_table",
    "holders",
    "transfers",
    "control_changes",
    f"wallets/{address_of(HIGH)}/history",
)


def first_and_next(chain: Moves, what: str, **query: Any) -> tuple[dict[str, Any], str]:
    """Read a page of one row, and give it with the link to the next."""
    path = f"/v1/tokens/{chain.token_id}/{what}"
    response = chain.house.caller(Role.AUDITOR).get(path, limit=1, **WHY, **query)
    assert response.status_code == 200, response.text
    return response.json(), response.headers["link"].split(">")[0][1:]


def read(house: House, minted: Minted, what: str = "cap_table", **query: Any) -> Any:
    response = house.caller(Role.AUDITOR).get(f"/v1/tokens/{minted.token_id}/{what}", **query)
    assert response.status_code == 200, response.text
    return response.json()


def test_cap_table__now__shows_everybody_and_sums_to_the_supply(
    house: House, minted: Minted
) -> None:
    table = read(house, minted)

    units = [int(row["balance_units"]) for row in table["items"]]
    assert sorted(units) == [units for _, _, units in minted.mints]
    assert sum(units) == int(table["supply_units"])
    assert all(isinstance(row["balance_units"], str) for row in table["items"])
    assert sum(Fraction(*map(int, row["share"])) for row in table["items"]) == 1
    assert table["as_of_block"]["number"] == LAST_BLOCK
    assert table["as_of_block"]["hash"] == f"0x{block(LAST_BLOCK).hash.hex()}"
    assert all(row["account"] == f"eip155:31337:{row['wallet']}" for row in table["items"])


@pytest.mark.parametrize("what", ["cap_table", "holders"])
def test_share__beyond_2_to_the_53__is_two_strings_and_exact(fresh_house: House, what: str) -> None:
    chain = moves(fresh_house)
    chain.mine(move.minted(LOW, 2**60 + 1), move.minted(HIGH, 2**61))
    path = f"/v1/tokens/{chain.token_id}/{what}"

    low, high = fresh_house.caller(Role.AUDITOR).get(path, **WHY).json()["items"]

    supply = 2**60 + 1 + 2**61
    assert (low["share"], high["share"]) == (
        [str(2**60 + 1), str(supply)],
        [str(2**61), str(supply)],
    )


@pytest.mark.parametrize("after", range(HOLDERS + 1))
def test_cap_table__as_of_block_and_time__is_what_stood_then(
    house: House, minted: Minted, after: int
) -> None:
    number = FIRST_BLOCK + after
    moment = FIRST_MINED + after * BLOCK_TIME + timedelta(seconds=5)
    expected = sorted(units for at, _, units in minted.mints if at <= number)

    for as_of in (f"block:{number}", moment.isoformat(), moment.isoformat().replace("+00:00", "Z")):
        table = read(house, minted, as_of=as_of)
        assert sorted(int(row["balance_units"]) for row in table["items"]) == expected
        assert table["as_of_block"]["number"] == number
        assert int(table["supply_units"]) == sum(expected)
        supply = read(house, minted, "supply", as_of=as_of)
        assert int(supply["supply_units"]) == sum(expected)


@pytest.mark.parametrize(
    ("as_of", "status", "code"),
    [
        ("rubbish", 422, "as_of_malformed"),
        ("", 422, "as_of_malformed"),
        ("block:", 422, "as_of_malformed"),
        ("block:-1", 422, "as_of_malformed"),
        ("block:1e3", 422, "as_of_malformed"),
        ("block:\u0661", 422, "as_of_malformed"),
        ("block:" + "9" * 16, 422, "as_of_malformed"),
        ("2026-07-28", 422, "as_of_malformed"),
        ("2026-07-28T09:00:00", 422, "as_of_malformed"),
        ("2026-13-28T09:00:00Z", 422, "as_of_malformed"),
        ("x" * 65, 422, "request_invalid"),
        ("block:" + "9" * 15, 409, "block_not_synced"),
        (f"block:{LAST_BLOCK + 1}", 409, "block_not_synced"),
        (f"block:{FIRST_BLOCK - 1}", 404, "not_found"),
        ("block:0", 404, "not_found"),
        ("2020-01-01T00:00:00Z", 404, "not_found"),
        ("0001-01-01T00:00:00+23:59", 404, "not_found"),
    ],
)
def test_as_of__no_block_that_we_know__is_refused(
    house: House, minted: Minted, as_of: str, status: int, code: str
) -> None:
    for what in ("", "/cap_table", "/supply"):
        path = f"/v1/tokens/{minted.token_id}{what}"
        response = house.caller(Role.AUDITOR).get(path, as_of=as_of)
        problem_of(response, status, code)


@pytest.mark.parametrize("as_of", ["9999-12-31T23:59:59Z", "9999-12-31T23:59:59-23:59"])
def test_as_of__far_future__is_the_newest(house: House, minted: Minted, as_of: str) -> None:
    assert read(house, minted, as_of=as_of)["as_of_block"]["number"] == LAST_BLOCK


def test_holders__asked_with_a_purpose__show_people_with_masked_numbers(
    house: House, minted: Minted
) -> None:
    rows = read(house, minted, "holders", **WHY)["items"]

    people = [row for row in rows if row["name"] is not None]
    assert len(people) == len(minted.known)
    assert all(row["cnic_masked"].startswith("61101-*****") for row in people)
    assert "61101-0" not in str(rows)


def test_holders__read__is_journalled_with_its_purpose(house: House, minted: Minted) -> None:
    count = "SELECT count(*) FROM journal_entry WHERE act = 'personal_data_read'"
    before = house.one(count)

    response = house.caller(Role.REGULATOR).get(f"/v1/tokens/{minted.token_id}/holders", **WHY)

    assert response.is_success
    assert house.one(count) == before + 1
    journal = house.caller(Role.AUDITOR).get("/v1/journal", subject_id=str(minted.token_id))
    entry = [item for item in journal.json()["items"] if item["act"] == "personal_data_read"][-1]
    assert entry["actor"] == "the-regulator"
    assert WHY.items() <= entry["facts"].items()
    assert entry["facts"]["rows"] == HOLDERS


@pytest.mark.parametrize(
    "query",
    [{}, {"purpose": "inspection"}, {"legal_basis": "section 4"}, WHY | {"purpose": ""},
     WHY | {"purpose": "x" * 501}],
    ids=str,
)  # fmt: skip
def test_holders__asked_without_a_purpose__are_not_shown(
    house: House, minted: Minted, query: dict[str, str]
) -> None:
    with house.unchanged():
        path = f"/v1/tokens/{minted.token_id}/holders"
        response = house.caller(Role.AUDITOR).get(path, **query)

    problem_of(response, 422, "request_invalid")


@pytest.mark.parametrize("text", ["a\0bc", "\ud7ff\u202eabc"])
def test_holders__purpose_with_control_characters__is_refused_or_stored_as_it_is(
    house: House, minted: Minted, text: str
) -> None:
    path = f"/v1/tokens/{minted.token_id}/holders"
    response = house.caller(Role.AUDITOR).get(path, **WHY | {"purpose": text})

    assert response.status_code in {200, 422}, response.text


def test_portfolio__of_a_holder__is_what_the_chain_told(house: House, minted: Minted) -> None:
    for who in minted.known:
        portfolio = house.caller(who.actor).get("/v1/me/portfolio").json()
        expected = [units for _, address, units in minted.mints if address == who.wallet.address]
        assert [int(item["balance_units"]) for item in portfolio["holdings"]] == expected
        assert portfolio["as_of_block"]["number"] == minted.mints[-1][0]


def test_token__seen_by_an_investor__has_no_people_in_it(house: House, minted: Minted) -> None:
    investor = house.caller(minted.known[0].actor)
    path = f"/v1/tokens/{minted.token_id}"

    assert investor.get(path).json()["supply_units"] == str(sum(m[2] for m in minted.mints))
    for what in ("cap_table", "holders", "transfers", "reconciliations"):
        problem_of(investor.get(f"{path}/{what}", **WHY), 403, "role_missing")


def test_cap_table__projection_in_doubt__every_answer_says_so(fresh_house: House) -> None:
    minted = mint_to_many(fresh_house, 3)
    assert read(fresh_house, minted)["as_of_block"]["degraded"] is None
    with fresh_house.desk() as desk:
        desk.session.connection().exec_driver_sql("UPDATE sync_cursor SET degraded = 'a reorg'")
    for what in ("cap_table", "supply"):
        assert read(fresh_house, minted, what)["as_of_block"]["degraded"] == "a reorg"


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ("caught_up_to = 3", 503, "token_catching_up"),
        ("refusal = 'it moved what cannot be', refused_at = 3", 409, "token_refused"),
    ],
)
def test_cap_table__token_behind_or_refused__is_not_shown(
    fresh_house: House, change: str, status: int, code: str
) -> None:
    minted = mint_to_many(fresh_house, 3)
    with fresh_house.desk() as desk:
        desk.session.connection().exec_driver_sql(f"UPDATE token SET {change}")
    response = fresh_house.caller(Role.AUDITOR).get(f"/v1/tokens/{minted.token_id}/cap_table")
    assert (response.status_code, response.json()["code"]) == (status, code)


@pytest.mark.parametrize("what", ["cap_table", "holders"])
def test_cap_table__units_move_between_two_pages__both_are_of_one_block(
    held: Moves, what: str
) -> None:
    first, following = first_and_next(held, what)
    held.mine(moved(HIGH, LOW, 65))

    second = held.house.caller(Role.AUDITOR).ask("GET", following).json()

    rows = [(row["wallet"], row["balance_units"]) for row in (*first["items"], *second["items"])]
    assert rows == [(address_of(MIDDLE), "35"), (address_of(HIGH), "65")]
    assert second["next"] is None
    for name in ("number", "hash", "time"):
        assert second["as_of_block"][name] == first["as_of_block"][name]
    assert second["as_of_block"]["confirmations"] == first["as_of_block"]["confirmations"] + 1


@pytest.mark.parametrize("is_mined_again", [True, False])
@pytest.mark.parametrize("what", PAGED)
def test_list__block_of_the_first_page_lost__says_so(
    held: Moves, what: str, is_mined_again: bool
) -> None:
    _, following = first_and_next(held, what)
    held.take_back_to(FIRST_BLOCK + 2, "second")
    if is_mined_again:
        held.mine(moved(HIGH, LOW, 9))

    answer = held.house.caller(Role.AUDITOR).ask("GET", following)

    problem_of(answer, 409, "page_block_lost")


@pytest.mark.parametrize("what", PAGED)
def test_list__block_kept_or_known_at_given__goes_on_over_a_reorg(held: Moves, what: str) -> None:
    moment = held.house.one("SELECT clock_timestamp()").isoformat()
    ways = [{"known_at": moment}]
    if what not in {"control_changes", f"wallets/{address_of(HIGH)}/history"}:
        ways.append({"as_of": f"block:{FIRST_BLOCK + 2}"})
    links = [first_and_next(held, what, **way)[1] for way in ways]
    held.take_back_to(FIRST_BLOCK + 2, "second")
    held.mine(moved(HIGH, LOW, 70))

    for link in links:
        answer = held.house.caller(Role.AUDITOR).ask("GET", link)

        assert answer.status_code == 200, answer.text
        assert answer.json()["items"]


@pytest.mark.parametrize("what", PAGED)
def test_list__token_is_read_again_between_two_pages__says_so(held: Moves, what: str) -> None:
    wrong = FIRST_BLOCK + 3
    link = first_and_next(held, what)[1]
    moment = held.house.one("SELECT clock_timestamp()").isoformat()
    known = first_and_next(held, what, known_at=moment)[1]
    held.read_again(wrong - 1)
    caller = held.house.caller(Role.AUDITOR)
    problem_of(caller.ask("GET", link), 503, "token_catching_up")
    said = ({"kind": EventKind.PAUSED}, moved(HIGH, MIDDLE, 6))
    held.read_apart(said, first=wrong, joins=True)

    problem_of(caller.ask("GET", link), 409, "page_read_anew")
    problem_of(caller.ask("GET", known), 409, "token_read_since")
    anew = first_and_next(held, what)[1]
    assert caller.ask("GET", anew).status_code == 200


def test_list__token_is_read_again_above_its_block__goes_on(held: Moves) -> None:
    table = {"as_of": f"block:{FIRST_BLOCK + 2}"}
    first, following = first_and_next(held, "cap_table", **table)
    held.read_again(FIRST_BLOCK + 2)
    held.read_apart((moved(HIGH, MIDDLE, 6),), first=FIRST_BLOCK + 3, joins=True)

    answer = held.house.caller(Role.AUDITOR).ask("GET", following)

    assert answer.status_code == 200, answer.text
    rows = [*first["items"], *answer.json()["items"]]
    assert [row["balance_units"] for row in rows] == ["30", "70"]


def test_cursor__from_before_it_named_a_block__is_refused(held: Moves) -> None:
    path = f"/v1/tokens/{held.token_id}/cap_table"
    key = held.house.services.settings.token_key
    assert key is not None
    secret = hashlib.sha256((key.get_secret_value() + path).encode()).digest()
    said = MIDDLE.hex().encode()
    mac = hmac.new(secret, said, hashlib.sha256).digest()[:12]
    cursor = base64.urlsafe_b64encode(mac + said).decode().rstrip("=")

    answer = held.house.caller(Role.AUDITOR).get(path, cursor=cursor)

    problem_of(answer, 422, "cursor_invalid")
