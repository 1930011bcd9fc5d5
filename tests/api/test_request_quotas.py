"""Quotas of requests: by principal for those we know, by address for those we do not."""

from __future__ import annotations

import base64
import itertools
import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import httpx
import pytest
from sqlalchemy import text

from api.rate_limits import network_of
from registry.api_key.secret import NewSecret
from registry.kernel.actor import Actor, Role
from registry.kernel.db import Database
from tests.api.house import House, house_settings, open_house, problem_of
from tests.factories import MAKER
from tests.keys import live_key

pytestmark = pytest.mark.db

QUOTA, STRANGERS = 6, 4
NEIGHBOURS = "203.0.113.7"


@pytest.fixture
def strict(fresh_database: Database, tmp_path: Path) -> Iterator[House]:
    """A house that lets each come six times a minute, and strangers four times."""
    with open_strict(fresh_database, tmp_path) as house:
        yield house


def open_strict(database: Database, folder: Path) -> AbstractContextManager[House]:
    settings = house_settings(
        folder,
        rate_limit_principal_per_minute=QUOTA,
        rate_limit_address_per_minute=STRANGERS,
    )
    return open_house(settings, database)


def ask(house: House, token: str | None, address: str = NEIGHBOURS) -> httpx.Response:
    """Ask who we are, from an address that a trusted proxy names."""
    return house.stranger(token).ask("GET", "/v1/me", headers={"X-Forwarded-For": address})


def use_up(call: Callable[[], httpx.Response]) -> int:
    """Call until it is refused, and return how often it was not."""
    for taken in range(QUOTA + 2):
        if call().status_code == 429:
            return taken
    raise AssertionError("a quota has no end")


def person(name: str) -> Actor:
    return Actor(name, frozenset({Role.REGISTRAR_MAKER}))


def test_principal__over_their_quota__is_refused_from_everywhere(strict: House) -> None:
    token = strict.token(person("REG-7"))

    answers = [ask(strict, token, f"198.51.100.{number}") for number in range(QUOTA + 1)]

    assert [answer.status_code for answer in answers[:-1]] == [200] * QUOTA
    problem_of(answers[-1], 429, "rate_limited")
    assert answers[-1].headers["retry-after"] == "10"
    assert answers[0].headers["ratelimit-policy"] == f'"principal";q={QUOTA};w=60'
    assert answers[0].headers["ratelimit"] == f'"principal";r={QUOTA - 1};t=10'
    assert answers[-1].headers["ratelimit"].startswith('"principal";r=0;t=')


def test_principal__over_their_quota__is_let_in_when_retry_after_is_over(strict: House) -> None:
    token = strict.token(person("REG-7"))
    use_up(lambda: ask(strict, token))

    let_time_pass(strict, 10)

    assert ask(strict, token).status_code == 200
    assert ask(strict, token).status_code == 429


def test_principal__over_their_quota__leaves_others_alone(strict: House) -> None:
    """Also at the same address: a whole town may come from one."""
    use_up(lambda: ask(strict, strict.token(person("REG-7"))))

    assert ask(strict, strict.token(person("REG-8"))).status_code == 200


def test_principal__with_another_token__has_the_same_quota(strict: House) -> None:
    roles = (f"role-{number}" for number in itertools.count())

    used = use_up(lambda: ask(strict, strict.token_with("REG-7", [next(roles)])))

    assert used == QUOTA
    assert ask(strict, strict.token(person("REG-7"))).status_code == 429


def test_system__with_a_second_key__has_the_same_quota_and_not_its_maker_s(strict: House) -> None:
    with strict.desk() as desk:
        keys = [live_key(desk.session, name="desk")[1] for _ in range(2)]

    answers = [ask(strict, keys[number % 2]).status_code for number in range(QUOTA + 1)]

    assert answers == [200] * QUOTA + [429]
    assert ask(strict, strict.token(MAKER)).status_code == 200


@pytest.mark.parametrize("wrong", [None, "nonsense", "mk_0123456789ab_" + "x" * 43, "mk_"])
def test_address__without_credentials_that_count__is_refused_in_the_end(
    strict: House, wrong: str | None
) -> None:
    answers = [ask(strict, wrong) for _ in range(STRANGERS + 1)]

    assert [answer.status_code for answer in answers] == [401] * STRANGERS + [429]
    problem_of(answers[-1], 429, "rate_limited")
    assert answers[-1].headers["retry-after"] == "15"
    assert answers[0].headers["ratelimit-policy"] == f'"address";q={STRANGERS};w=60'
    assert ask(strict, wrong, "203.0.113.8").status_code == 401, "another address is another's"


@pytest.mark.parametrize("head", ["!", "e30", "W10"])
def test_address__with_tokens_that_only_name_our_issuer__is_refused_in_the_end(
    strict: House, head: str
) -> None:
    said = json.dumps({"iss": strict.services.settings.session_issuer}).encode()
    token = f"{head}.{base64.urlsafe_b64encode(said).decode().rstrip('=')}.x"

    answers = [ask(strict, token) for _ in range(STRANGERS + 1)]

    problem_of(answers[0], 401, "token_invalid")
    assert [answer.status_code for answer in answers] == [401] * STRANGERS + [429]


def test_address__used_up_by_somebody__locks_none_of_its_neighbours_out(strict: House) -> None:
    """Not by any credentials: whoever is known is not counted by address."""
    with strict.desk() as desk:
        key, secret = live_key(desk.session)
    guess = f"mk_{key.prefix}_{NewSecret.make().text[16:]}"
    use_up(lambda: ask(strict, guess))

    assert ask(strict, guess).status_code == 429
    assert ask(strict, secret).status_code == 200
    assert ask(strict, strict.token(person("REG-8"))).status_code == 200


def test_key__guessed_at_by_others__never_counts_against_its_owner(strict: House) -> None:
    with strict.desk() as desk:
        key, secret = live_key(desk.session)
    for number in range(QUOTA + 5):
        guess = f"mk_{key.prefix}_{NewSecret.make().text[16:]}"
        assert ask(strict, guess, f"198.51.100.{number}").status_code == 401

    answer = ask(strict, secret)
    assert answer.headers["ratelimit"].startswith(f'"principal";r={QUOTA - 1};')


def test_notice__signed_wrongly__counts_for_its_address(strict: House) -> None:
    sent = {"content": b"{}", "headers": {"X-Forwarded-For": NEIGHBOURS}}
    path = "/v1/payments/webhooks/bank_transfer"

    answers = [strict.client.post(path, **sent) for _ in range(STRANGERS + 1)]  # type: ignore[arg-type]

    assert [answer.status_code for answer in answers] == [401] * STRANGERS + [429]


def test_refused__request__has_no_effect_and_keeps_its_idempotency_key(strict: House) -> None:
    caller = strict.caller(MAKER)
    body = {"kind": "LEGAL", "name": "A company", "cuin": "0000001"}
    use_up(lambda: caller.get("/v1/me"))
    with strict.unchanged():
        problem_of(caller.post("/v1/parties", body, key="later"), 429, "rate_limited")

    let_time_pass(strict, 10)

    answer = caller.post("/v1/parties", body, key="later")
    assert answer.status_code == 201
    assert "idempotent-replayed" not in answer.headers


def test_quota__two_processes__is_one(
    strict: House, fresh_database: Database, tmp_path: Path
) -> None:
    token = strict.token(person("REG-7"))
    with open_strict(fresh_database, tmp_path) as second:
        # The development issuer of each has a key of its own.
        tokens = [(strict, token), (second, second.token(person("REG-7")))] * QUOTA
        answers = [ask(house, token).status_code for house, token in tokens[: QUOTA + 1]]

    assert answers == [200] * QUOTA + [429]


def test_quota__of_nothing__limits_nothing(fresh_database: Database, tmp_path: Path) -> None:
    settings = house_settings(
        tmp_path, rate_limit_principal_per_minute=0, rate_limit_address_per_minute=0
    )
    with open_house(settings, fresh_database) as house:
        answer = ask(house, house.token(person("REG-7")))
        refused = ask(house, None)

    assert (answer.status_code, refused.status_code) == (200, 401)
    assert "ratelimit" not in answer.headers


@pytest.mark.parametrize(
    ("host", "network"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:aaaa::1", "2001:db8:1:2::"),
        ("2001:db8:1:2:bbbb::9", "2001:db8:1:2::"),
        ("fe80::1%eth0", "fe80::"),
        ("unix", "unix"),
        ("", ""),
    ],
)
def test_network_of__address__is_whose_it_is(host: str, network: str) -> None:
    assert network_of(host) == network


def let_time_pass(house: House, seconds: float) -> None:
    with house.database.transaction() as session:
        session.connection().execute(
            text("UPDATE rate_limit_bucket SET full_at = full_at - make_interval(secs => :s)"),
            {"s": seconds},
        )
