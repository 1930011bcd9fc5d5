"""Nodes that are asked too often: obeyed when they say so, and paced where the operator says so."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chain.errors import RateLimited, RpcRefused
from chain.node import limits
from chain.node.client import ChainClient
from chain.node.limits import LONGEST_REST_SECONDS, REST_SECONDS, RateLimit
from tests.chain.mirror import Mirror
from tests.chain.nodes import CHAIN_ID, Node

pytestmark = pytest.mark.chain


@pytest.fixture
def empty_node(tmp_path: Path) -> Iterator[Node]:
    with Node(tmp_path) as node:
        yield node


class Clock:
    """Time that passes only when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.slept: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(round(seconds, 6))
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(limits, "time", found)
    return found


def spend(limit: RateLimit, *calls: int) -> None:
    for number in calls:
        with limit.spent(number):
            pass


def test_limit__none_set__nobody_waits(clock: Clock) -> None:
    spend(RateLimit(), 1, 200, 1)
    assert clock.slept == []


def test_limit__of_ten_a_second__a_second_at_once_then_one_by_one(clock: Clock) -> None:
    spend(RateLimit(10), 10, 1, 1, 5)
    assert clock.slept == [0.0, 0.1, 0.1, 0.5]


def test_limit__idle_for_long__saves_no_more_than_a_second(clock: Clock) -> None:
    limit = RateLimit(10)
    clock.now += 3_600
    spend(limit, 10, 1)
    assert clock.slept == [0.0, 0.1]


def test_limit__urgent_calls__do_not_wait_and_are_counted(clock: Clock) -> None:
    limit = RateLimit(10)
    spend(limit, 10)
    spend(limit.urgent(), 5)
    assert clock.slept == [0.0]
    spend(limit, 1)
    assert clock.slept == [0.0, 0.6]


def test_limit__node_had_enough__is_left_alone_for_so_long(clock: Clock) -> None:
    limit = RateLimit()
    with pytest.raises(RateLimited), limit.spent():
        raise RateLimited("slow down", 7.0)

    clock.now += 6.0
    with pytest.raises(RateLimited) as early:
        spend(limit, 1)
    assert early.value.retry_after == pytest.approx(1.0)
    clock.now += 1.0
    spend(limit, 1)


@pytest.mark.parametrize(
    ("code", "message", "is_rate"),
    [
        (429, "Your app has exceeded its compute units per second capacity", True),
        (-32005, "daily request count exceeded, request rate limited", True),
        (-32005, "Too Many Requests", True),
        (-32029, "requests per second exceeded", True),
        (-32005, "query returned more than 10000 results", False),
        (-32005, "limit exceeded", False),
        (-32005, "eth_getLogs is limited to a 1024 block range, rate", False),
        (-32000, "too many requests", False),
    ],
)
def test_refusal__of_a_node__too_often_or_too_much(code: int, message: str, is_rate: bool) -> None:
    """What is too much is asked for again in narrower ranges; what is too often, later."""
    found = limits.refusal("eth_getLogs", code, message, None)
    assert type(found) is (RateLimited if is_rate else RpcRefused)


@pytest.mark.parametrize(
    ("after", "seconds"),
    [
        ("7", 7.0),
        (None, REST_SECONDS),
        ("soon", REST_SECONDS),
        ("-5", REST_SECONDS),
        ("999999999", LONGEST_REST_SECONDS),
        ("Wed, 21 Oct 2015 07:28:00 GMT", REST_SECONDS),
        ("Wed, 21 Oct 2093 07:28:00 GMT", LONGEST_REST_SECONDS),
    ],
)
def test_client__http_429__waits_as_long_as_it_says(
    empty_node: Node, after: str | None, seconds: float
) -> None:
    with Mirror(empty_node) as mirror:
        mirror.status, mirror.headers = 429, {"Retry-After": after} if after else {}
        client = ChainClient(mirror.url, CHAIN_ID)
        ways: list[Any] = [
            lambda: ChainClient(mirror.url, CHAIN_ID).head(),
            lambda: ChainClient(mirror.url, CHAIN_ID).batch([("eth_chainId", ())]),
            lambda: ChainClient(mirror.url, CHAIN_ID).headers([0]),
            lambda: ChainClient(mirror.url, CHAIN_ID).logs([], 0, 0),
            client.head,
        ]
        for way in ways:
            with pytest.raises(RateLimited) as limited:
                way()
            assert limited.value.retry_after == pytest.approx(seconds)

        mirror.status, asked = 200, len(mirror.asked)
        with pytest.raises(RateLimited):
            client.head()
        assert len(mirror.asked) == asked, "it is left alone"


def test_client__so_many_a_second__splits_its_batches(empty_node: Node) -> None:
    with Mirror(empty_node) as mirror:
        client = ChainClient(mirror.url, CHAIN_ID, limit=RateLimit(4))
        assert len(client.batch([("eth_chainId", ())] * 6)) == 6
        assert client.headers([0, 0, 0]) == [client.block(0)] * 3
