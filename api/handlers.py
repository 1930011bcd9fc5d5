"""Running a handler: one thread for all of it, the end of what it read included."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from fastapi.concurrency import run_in_threadpool

from registry.kernel.db import ReadSession

Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class Later(Generic[Found]):
    """What a dependency gives that has to ask the database: it is asked in the handler's thread."""

    find: Callable[[], Found]


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
        return await run_in_threadpool(_run, endpoint, values)

    return handle


def _run(endpoint: Callable[..., Any], values: dict[str, Any]) -> Any:
    found = {
        name: value.find() if isinstance(value, Later) else value for name, value in values.items()
    }
    answer = endpoint(**found)
    for value in values.values():
        if isinstance(value, ReadSession):
            value.finish()
    return answer
