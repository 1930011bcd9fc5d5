"""Waiting for something to move on, also while the database does not answer."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

import pytest
from sqlalchemy.exc import TimeoutError as PoolTimeout

from api import live
from api.live import Live
from registry.kernel.errors import Unavailable

pytestmark = pytest.mark.unit

IT = "it"
SOON = 5.0
EXHAUSTED = PoolTimeout("no connection is left")


def reading(*found: int | Exception) -> Callable[[Sequence[str]], Mapping[str, int]]:
    """Give a read that finds these places one after the other, and then the last for good."""
    answers = itertools.chain(found, itertools.repeat(found[-1]))

    def read(_: Sequence[str]) -> Mapping[str, int]:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return {IT: answer}

    return read


def run(followed: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(followed, 2 * SOON))


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "LOOK_SECONDS", 0.01)


def test_look__pool_has_no_connection_left__is_tried_again() -> None:
    async def follow() -> None:
        seen = Live(reading(EXHAUSTED, EXHAUSTED, 2))
        async with seen.stream(IT, "somebody"):
            assert await seen.moved_from(IT, 1, SOON)

    run(follow())


def test_look__database_is_away__moves_nobody() -> None:
    """Where it stood before is not where it stands: whoever is further would ask without an end."""

    async def follow() -> None:
        seen = Live(reading(1, EXHAUSTED))
        async with seen.stream(IT, "somebody"):
            assert await seen.moved_from(IT, 0, SOON)
            await asyncio.sleep(0.2)
            assert not await seen.moved_from(IT, 2, 0.1)

    run(follow())


def test_stream__look_has_died__begins_another() -> None:
    async def follow() -> None:
        seen = Live(reading(AssertionError("a bug"), 2))
        async with seen.stream(IT, "somebody"):
            assert not await seen.moved_from(IT, 1, 0.2)
            async with seen.stream(IT, "somebody"):
                assert await seen.moved_from(IT, 1, SOON)

    run(follow())


def test_moved_from__place_that_nobody_has_looked_at_yet__is_not_asked_for_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def follow() -> None:
        seen = Live(reading(1))
        async with seen.stream(IT, "somebody"):
            assert await seen.moved_from(IT, 0, SOON)
            monkeypatch.setattr(live, "LOOK_SECONDS", 0.2)
            clock = asyncio.get_running_loop().time
            begun = clock()
            assert await seen.moved_from(IT, 2, SOON)
            assert clock() - begun >= 0.2

    run(follow())


def test_stream__process_is_full__newest_of_who_has_most_makes_room(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(live, "MOST_STREAMS", 4)
    monkeypatch.setattr(live, "MOST_OF_ONE", 3)

    async def follow() -> None:
        seen = Live(reading(1))
        ended: list[str] = []

        async def one(name: str) -> None:
            async with seen.stream(IT, name[:-1]):
                await asyncio.sleep(SOON)
            ended.append(name)

        async def come(name: str) -> asyncio.Task[None]:
            task = asyncio.create_task(one(name))
            await asyncio.sleep(0.01)
            return task

        tasks = [await come(name) for name in ("many1", "many2", "many3", "some1")]
        assert ended == []
        tasks.append(await come("many4"))  # in the place of their own oldest, as ever
        assert ended == ["many1"]
        tasks += [await come("new1"), await come("other1")]
        assert ended == ["many1", "many4", "many3"]
        for name in ("late1", "many5", "some2"):  # everybody has one
            with pytest.raises(Unavailable, match="too_many_streams"):
                await (await come(name))
        assert ended == ["many1", "many4", "many3"]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    run(follow())


def test_stream__one_too_many_of_a_caller__ends_the_oldest_that_is_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(live, "MOST_OF_ONE", 2)

    async def follow() -> None:
        seen = Live(reading(1))
        ended: list[int] = []

        async def one(number: int, caller: str) -> None:
            async with seen.stream(IT, caller):
                await asyncio.sleep(SOON)
            ended.append(number)

        tasks = []
        for number, caller in enumerate(["key:a@me", "me", "me", "me", "me", "key:a@me"]):
            tasks.append(asyncio.create_task(one(number, caller)))
            await asyncio.sleep(0.01)
        assert ended == [1, 2]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    run(follow())
