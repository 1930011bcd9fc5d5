"""Lists: every item once, in pages that link to each other."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from typing import Any

import pytest

from registry.kernel.actor import Role
from tests import factories as make
from tests import sales
from tests.api.house import Caller, House, problem_of
from tests.api.projected import Minted, mint_to_many

pytestmark = pytest.mark.db

LINK = re.compile(r'^<(/v1/[^>]+)>; rel="next"$')
HOLDERS = 7


@pytest.fixture(scope="module")
def minted(house: House) -> Minted:
    return mint_to_many(house, HOLDERS)


@pytest.fixture(scope="module")
def sale(house: House) -> Any:
    """An offering with five orders of one buyer."""
    with house.desk() as desk:
        sale = sales.offering(desk, sales.wrapped_apartment(desk))
        who = make.buyer(desk)
        for _ in range(5):
            sales.order(desk, sale, who, units=1)
        return who


@pytest.fixture(scope="module")
def full(house: House, minted: Minted, sale: Any) -> House:
    """A register in which every list has several items."""
    with house.desk() as desk:
        for _ in range(4):
            make.open_apartment(desk)
    return house


def pages(caller: Caller, path: str, limit: int, **query: Any) -> list[list[dict[str, Any]]]:
    """Follow the Link headers to the end."""
    found = []
    response = caller.get(path, limit=limit, **query)
    while True:
        assert response.status_code == 200, response.text
        page = response.json()
        found.append(page["items"])
        link = response.headers.get("link")
        assert (link is None) == (page["next"] is None)
        if link is None:
            return found
        following = LINK.match(link)
        assert following is not None, link
        assert len(page["items"]) == limit
        assert len(found) < 1000, "the pages have no end"
        response = caller.ask("GET", following[1])


LISTS: dict[str, tuple[Role, str, str]] = {
    "parties": (Role.REGISTRAR_MAKER, "/v1/parties", "id"),
    "assets": (Role.REGISTRAR_MAKER, "/v1/assets", "id"),
    "investors": (Role.COMPLIANCE, "/v1/investors", "id"),
    "operations": (Role.AUDITOR, "/v1/operations", "id"),
    "journal": (Role.AUDITOR, "/v1/journal", "id"),
    "cap_table": (Role.AUDITOR, "/v1/tokens/{token}/cap_table", "wallet"),
    "transfers": (Role.AUDITOR, "/v1/tokens/{token}/transfers", "block_number"),
}


@pytest.mark.parametrize("limit", [1, 3, 200])
@pytest.mark.parametrize("name", LISTS)
def test_list__followed_to_its_end__has_every_item_once(
    full: House, minted: Minted, name: str, limit: int
) -> None:
    role, path, key = LISTS[name]
    caller = full.caller(role)
    path = path.format(token=minted.token_id)
    whole = [item[key] for page in pages(caller, path, 200) for item in page]

    found = [item[key] for page in pages(caller, path, limit) for item in page]

    assert found == whole
    assert len(set(found)) == len(found) > 3


def test_list__orders_of_ones_own__has_every_item_once(full: House, sale: Any) -> None:
    caller = full.caller(sale.actor)

    found = [item["id"] for page in pages(caller, "/v1/me/orders", 2) for item in page]

    assert len(set(found)) == len(found) == 5


def test_list__item_added_between_pages__repeats_and_loses_none(full: House) -> None:
    caller = full.caller(Role.REGISTRAR_MAKER)
    first = caller.get("/v1/parties", limit=2)
    with full.desk() as desk:
        make.person(desk)

    rest = pages(caller, "/v1/parties", 200, cursor=first.json()["next"])

    found = [item["id"] for page in [first.json()["items"], *rest] for item in page]
    assert found == sorted(set(found))
    assert len(found) == full.one("SELECT count(*) FROM party")


def test_list__filter__is_kept_by_the_link(full: House) -> None:
    caller = full.caller(Role.REGISTRAR_MAKER)

    found = [item for page in pages(caller, "/v1/assets", 1, state="DRAFT") for item in page]

    assert {item["state"] for item in found} == {"DRAFT"}
    assert len(found) == full.one("SELECT count(*) FROM asset WHERE state = 'DRAFT'")


def test_list__filter_given_twice__is_kept_whole_by_the_link(full: House, minted: Minted) -> None:
    caller = full.caller(Role.AUDITOR)
    path = f"/v1/tokens/{minted.token_id}/transfers"
    whole = [item["block_number"] for page in pages(caller, path, 200) for item in page]

    found = pages(caller, path, 1, nature=["MINTED", "BURNED"])

    assert [item["block_number"] for page in found for item in page] == whole


def test_list__own_orders_of_two_states__are_kept_by_the_link(full: House, sale: Any) -> None:
    caller = full.caller(sale.actor)

    found = pages(caller, "/v1/me/orders", 2, state=["AWAITING_PAYMENT", "CANCELLED"])

    assert sum(map(len, found)) == 5


@pytest.fixture(scope="module")
def cursor(full: House) -> str:
    caller = full.caller(Role.REGISTRAR_MAKER)
    return str(caller.get("/v1/parties", limit=1).json()["next"])


def flip(text: str) -> str:
    raw = bytearray(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    raw[-1] ^= 1
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


@pytest.mark.parametrize(
    "forge",
    [
        lambda _: "",
        lambda _: "rubbish",
        lambda _: "é",
        lambda _: "!!!!",
        lambda _: base64.urlsafe_b64encode(b"\0" * 12 + b"0" * 36).decode(),
        lambda cursor: cursor[:-1],
        lambda cursor: cursor[1:],
        flip,
    ],
    ids=["empty", "rubbish", "not_ascii", "no_base64", "unsigned", "cut", "shifted", "flipped"],
)
def test_cursor__forged__is_refused(full: House, cursor: str, forge: Callable[[str], str]) -> None:
    response = full.caller(Role.REGISTRAR_MAKER).get("/v1/parties", cursor=forge(cursor))

    problem_of(response, 422, "cursor_invalid")


def test_cursor__very_long__is_refused(full: House) -> None:
    response = full.caller(Role.REGISTRAR_MAKER).get("/v1/parties", cursor="A" * 401)

    problem_of(response, 422, "request_invalid")


def test_cursor__of_another_list__is_refused(full: House, cursor: str) -> None:
    for role, path in ((Role.REGISTRAR_MAKER, "/v1/assets"), (Role.AUDITOR, "/v1/journal")):
        problem_of(full.caller(role).get(path, cursor=cursor), 422, "cursor_invalid")


def test_cursor__of_another_token__is_refused(full: House, minted: Minted) -> None:
    with full.desk() as desk:
        other = sales.deployed(desk, sales.wrapped_apartment(desk))
        desk.session.connection().exec_driver_sql(
            "INSERT INTO token (chain_id, address, identity_registry, compliance, block_number,"
            " supply_units, paused) SELECT 31337, token_address, '', '', 101, 0, true"
            " FROM tokenization WHERE id = %s",
            (other.id,),
        )
    caller = full.caller(Role.AUDITOR)
    following = caller.get(f"/v1/tokens/{minted.token_id}/cap_table", limit=1).json()["next"]

    response = caller.get(f"/v1/tokens/{other.id}/cap_table", cursor=following)

    problem_of(response, 422, "cursor_invalid")
