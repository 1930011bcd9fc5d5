"""Running a handler: one turn and one thread for all of it, the end of what it read included."""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from fastapi import Request
from fastapi.concurrency import run_in_threadpool
from fastapi.routing import APIRoute
from sqlalchemy import Engine

from registry.kernel.db import ReadSession

Found = TypeVar("Found")


class RequestReading(ReadSession):
    """The reading of one request: begun, and ended, in the thread of its handler.

    Until then it waits for nothing; so a request that is refused before has nothing to end.
    """

    def __init__(self, engine: Engine, request: Request) -> None:
        super().__init__(engine)
        self._request = request

    @property
    def turns(self) -> asyncio.Semaphore | None:
        """Of whom to have a turn before it is asked; None where the request has one already."""
        if getattr(self._request.state, "has_turn", False):
            return None
        turns: asyncio.Semaphore = self._request.app.state.turns
        return turns


@dataclass(frozen=True, slots=True)
class Later(Generic[Found]):
    """What a dependency gives that has to ask the database: it is asked in the handler's thread."""

    session: ReadSession
    find: Callable[[], Found]


class PlainRoute(APIRoute):
    """Has its handler run in one thread."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        super().__init__(path, in_one_thread(endpoint), **options)


def in_one_thread(endpoint: Callable[..., Any]) -> Callable[..., Any]:
    """Give a handler that takes a thread once.

    FastAPI takes one for a plain function, another to check its answer, and one more to end its
    transaction; each waits for its turn beside all other requests.
    """
    kinds = (
        inspect.iscoroutinefunction,
        inspect.isgeneratorfunction,
        inspect.isasyncgenfunction,
    )
    if any(is_kind(endpoint) for is_kind in kinds):
        return endpoint

    @functools.wraps(endpoint)
    async def handle(**values: Any) -> Any:
        readings = {*_readings_in(values)}
        turns = next((each.turns for each in readings if isinstance(each, RequestReading)), None)
        if turns is None:
            return await run_in_threadpool(_run, endpoint, values, readings)
        async with turns:
            return await run_in_threadpool(_run, endpoint, values, readings)

    return handle


def _readings_in(values: Mapping[str, Any]) -> Iterable[ReadSession]:
    for value in values.values():
        if isinstance(value, ReadSession):
            yield value
        elif isinstance(value, Later):
            yield value.session


def _run(
    endpoint: Callable[..., Any], values: dict[str, Any], readings: Iterable[ReadSession]
) -> Any:
    with ExitStack() as ends:
        for reading in readings:
            ends.callback(reading.close)  # what is open still after a refusal
        found = {
            name: value.find() if isinstance(value, Later) else value
            for name, value in values.items()
        }
        answer = endpoint(**found)
        for reading in readings:
            reading.finish()
        return answer
