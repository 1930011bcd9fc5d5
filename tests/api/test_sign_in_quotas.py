"""Ceremonies and quotas: what strangers ask counts for their address, and locks nobody out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from registry.kernel.db import Database
from registry.passkey.secret import CODE_MARK, REFRESH_MARK, new_secret
from tests.api.house import House, house_settings, open_house, problem_of
from tests.api.people import Person, linked, ok

pytestmark = pytest.mark.db

STRANGERS = 6
HERE, ELSEWHERE = "203.0.113.7", "198.51.100.9"


@pytest.fixture
def strict(fresh_database: Database, tmp_path: Path) -> Iterator[House]:
    settings = house_settings(tmp_path, rate_limit_address_per_minute=STRANGERS)
    with open_house(settings, fresh_database) as house:
        yield house


def post(house: House, path: str, body: Any = None, address: str = HERE) -> httpx.Response:
    return house.stranger().post(path, body, headers={"X-Forwarded-For": address})


def use_up(call: Callable[[], httpx.Response]) -> int:
    for taken in range(STRANGERS + 2):
        answer = call()
        if answer.status_code == 429:
            problem_of(answer, 429, "rate_limited")
            return taken
    raise AssertionError("a quota has no end")


ATTEMPTS: dict[str, Callable[[], Any]] = {
    "/v1/sessions/challenges": lambda: None,
    "/v1/sessions": lambda: {"credential": {}},
    "/v1/sessions/refresh": lambda: {"refresh_token": new_secret(REFRESH_MARK)},
    "/v1/invitations/registrations": lambda: {"code": new_secret(CODE_MARK)},
    "/v1/invitations/passkeys": lambda: {
        "code": new_secret(CODE_MARK), "credential": {}, "name": "x",
    },
}  # fmt: skip


@pytest.mark.parametrize("path", ATTEMPTS)
def test_stranger__trying_on__is_refused_in_the_end(strict: House, path: str) -> None:
    said = ATTEMPTS[path]

    assert use_up(lambda: post(strict, path, said())) == STRANGERS
    assert post(strict, path, said(), ELSEWHERE).status_code != 429


def test_address__used_up_by_a_neighbour__keeps_nobody_from_their_session(strict: House) -> None:
    person = linked(strict)
    tokens = person.sign_in()
    credential = person.device.get(person.options())
    use_up(lambda: post(strict, "/v1/sessions/refresh", {"refresh_token": "mr_guess"}))

    again = ok(post(strict, "/v1/sessions/refresh", {"refresh_token": tokens["refresh_token"]}))
    assert post(strict, "/v1/sessions", {"credential": credential}).status_code == 201
    me = strict.stranger(again["access_token"])
    assert me.ask("GET", "/v1/me", headers={"X-Forwarded-For": HERE}).status_code == 200


def test_failures__at_somebody_s_passkey__never_count_against_them(strict: House) -> None:
    person, thief = linked(strict), Person(strict)
    thief.device.credential_id = person.device.credential_id
    thief.device.user_handle = person.device.user_handle
    for number in range(STRANGERS * 2):
        address = f"198.51.100.{number}"
        asked = post(strict, "/v1/sessions/challenges", None, address)
        credential = thief.device.get(asked.json()["public_key"])
        answer = post(strict, "/v1/sessions", {"credential": credential}, address)
        problem_of(answer, 401, "passkey_not_believed")

    person.sign_in()


def test_reuse__beyond_the_quota__ends_the_session_all_the_same(strict: House) -> None:
    person = linked(strict)
    first = person.sign_in()
    second = ok(post(strict, "/v1/sessions/refresh", {"refresh_token": first["refresh_token"]}))
    ok(post(strict, "/v1/sessions/refresh", {"refresh_token": second["refresh_token"]}))
    use_up(lambda: post(strict, "/v1/sessions/refresh", {"refresh_token": "mr_guess"}))

    refused = post(strict, "/v1/sessions/refresh", {"refresh_token": first["refresh_token"]})

    problem_of(refused, 429, "rate_limited")
    ended = "SELECT ended_for FROM user_session WHERE id = :id"
    assert strict.one(ended, id=first["session_id"]) == "REUSE"


def test_refusals__are_counted_for_the_operator(strict: House) -> None:
    post(strict, "/v1/sessions/refresh", {"refresh_token": new_secret(REFRESH_MARK)})

    metrics = strict.stranger().get("/metrics").text

    assert 'milkiyat_sign_ins_refused_total{code="refresh_token_invalid"}' in metrics
