"""A reading begins and ends with its handler, in one turn and one thread."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute, iter_route_contexts

from api.deps import get_read_session
from api.handlers import RequestReading
from registry.kernel.actor import Role
from registry.kernel.reading import ReadSession
from tests.api.house import House, at_once, problem_of

pytestmark = pytest.mark.db

NOBODYS = "00000000-0000-7000-8000-000000000000"


def calls_of(dependant: Dependant) -> Iterator[Any]:
    yield dependant.call
    for below in dependant.dependencies:
        yield from calls_of(below)


def lent(house: House) -> int:
    return int(house.database.engine.pool.checkedout())  # type: ignore[attr-defined]


@pytest.fixture
def one_turn(house: House) -> Iterator[asyncio.Semaphore]:
    """Let one request after the other ask the database."""
    before = house.app.state.turns
    house.app.state.turns = turns = asyncio.Semaphore(1)
    yield turns
    house.app.state.turns = before


def test_route__that_reads__ends_its_reading_in_the_handlers_thread(house: House) -> None:
    routes = [context.original_route for context in iter_route_contexts(house.app.routes)]
    reading = [
        route
        for route in routes
        if isinstance(route, APIRoute) and get_read_session in calls_of(route.dependant)
    ]

    assert len(reading) > 50
    for route in reading:
        assert inspect.iscoroutinefunction(route.endpoint), route.name
        assert hasattr(route.endpoint, "__wrapped__"), route.name
        # Who is given it ends it; nobody else may ask for it alone.
        given = {each.call for each in route.dependant.dependencies}
        assert get_read_session in given, route.name


@pytest.mark.parametrize(
    ("path", "query", "status"),
    [
        ("/v1/offerings", {}, 200),
        (f"/v1/offerings/{NOBODYS}", {}, 404),
        (f"/v1/tokens/{NOBODYS}/cap_table", {}, 404),
        ("/v1/offerings", {"limit": 0}, 422),
        ("/v1/offerings", {"cursor": "forged"}, 422),
    ],
)
def test_answer__or_refusal__gives_the_connection_and_the_turn_back(
    house: House, path: str, query: dict[str, Any], status: int
) -> None:
    free = house.app.state.turns._value

    answer = house.caller(Role.AUDITOR).get(path, **query)

    assert answer.status_code == status, answer.text
    assert lent(house) == 0
    assert house.app.state.turns._value == free


def test_reading__that_fails_of_a_fault__gives_the_connection_back(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(ReadSession, "finish", broken)
    answer = house.caller(Role.AUDITOR).get("/v1/offerings")

    problem_of(answer, 500, "internal_error")
    assert lent(house) == 0


def test_requests__more_than_there_are_turns__wait_and_are_all_answered(
    house: House, one_turn: asyncio.Semaphore, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside: list[int] = []
    seen: list[int] = []
    begin, finish = ReadSession.cursor, ReadSession.finish

    def counted(self: ReadSession) -> Any:
        if isinstance(self, RequestReading) and self._lent is None:
            inside.append(1)
            seen.append(len(inside))
            time.sleep(0.05)  # long enough for the others to come
        return begin(self)

    def ended(self: ReadSession) -> None:
        finish(self)
        inside.pop()

    monkeypatch.setattr(ReadSession, "cursor", counted)
    monkeypatch.setattr(ReadSession, "finish", ended)
    callers = [house.caller(Role.AUDITOR) for _ in range(4)]
    answers = at_once(*(partial(caller.get, "/v1/offerings") for caller in callers))

    assert [answer.status_code for answer in answers] == [200] * 4
    assert seen == [1] * 4
    assert one_turn._value == 1


def test_request__that_reads_and_writes__takes_one_turn(
    house: House, one_turn: asyncio.Semaphore
) -> None:
    # The register of holders writes down who read it: with a turn of each it would wait for ever.
    answer = house.caller(Role.REGULATOR).get(
        f"/v1/tokens/{NOBODYS}/holders", purpose="inspection 1/2026", legal_basis="section 123A"
    )

    problem_of(answer, 404, "not_found")
    assert one_turn._value == 1
