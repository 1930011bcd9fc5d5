"""A reading begins and ends with its handler, in one turn and one thread."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute, iter_route_contexts

from api.deps import get_read_session
from api.handlers import RequestReading
from registry.kernel.actor import Role
from registry.kernel.reading import ReadSession
from tests.api.house import House, problem_of

pytestmark = pytest.mark.db


def calls_of(dependant: Dependant) -> Iterator[Any]:
    yield dependant.call
    for below in dependant.dependencies:
        yield from calls_of(below)


def lent(house: House) -> int:
    return int(house.database.engine.pool.checkedout())  # type: ignore[attr-defined]


def test_route__that_reads__ends_its_reading_in_the_handlers_thread(house: House) -> None:
    routes = [context.original_route for context in iter_route_contexts(house.app.routes)]
    reading = [
        route
        for route in routes
        if isinstance(route, APIRoute) and get_read_session in calls_of(route.dependant)
    ]

    assert len(reading) > 50
    for route in reading:
        # Wrapped by `in_one_thread`, and told of the reading, or of what is to be found by it.
        assert inspect.iscoroutinefunction(route.endpoint), route.name
        assert hasattr(route.endpoint, "__wrapped__"), route.name


@pytest.mark.parametrize(
    ("path", "query", "status"),
    [
        ("/v1/offerings", {}, 200),
        (f"/v1/offerings/{uuid4()}", {}, 404),
        (f"/v1/tokens/{uuid4()}/cap_table", {}, 404),
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
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns = asyncio.Semaphore(1)
    monkeypatch.setattr(house.app.state, "turns", turns)
    asked: list[int] = []
    begin = ReadSession.cursor

    def counted(self: ReadSession) -> Any:
        if isinstance(self, RequestReading):
            asked.append(turns._value)
        return begin(self)

    monkeypatch.setattr(ReadSession, "cursor", counted)
    for _ in range(3):
        assert house.caller(Role.AUDITOR).get("/v1/offerings").status_code == 200

    # Whoever asks has the one turn; afterwards it is free again.
    assert set(asked) == {0}
    assert turns._value == 1
