"""What holders have, asked at once and one by one: the same, at the block that is asked for."""

from __future__ import annotations

from typing import Any

import pytest

from chain.errors import RpcRefused
from chain.node.client import ChainClient, hex_of
from chain.proving import holdings
from chain.proving.holdings import HoldingReader
from tests.chain.nodes import CHAIN_ID
from tests.chain.suite import ADDRESSES, Suite

pytestmark = pytest.mark.chain


class Counting(ChainClient):
    """Counts the calls of each form."""

    overriding = 0
    plain = 0

    def request(self, method: str, *params: Any) -> Any:
        if method == "eth_call":
            self.overriding += len(params) > 2
        return super().request(method, *params)

    def batch(self, calls: Any) -> list[Any]:
        self.plain += len(calls)
        return super().batch(calls)


class Refusing(Counting):
    """A node that takes no overrides."""

    def request(self, method: str, *params: Any) -> Any:
        if method == "eth_call" and len(params) > 2:
            self.overriding += 1
            raise RpcRefused(method, -32602, "too many arguments, want at most 2", None)
        return super().request(method, *params)


class Limiting(Counting):
    """A node that lets one call read one holder."""

    refused = 0
    LONGEST = 2 + 2 * (4 + 4 * 32)
    """Characters of the calldata: token, offset, length, one holder."""

    def request(self, method: str, *params: Any) -> Any:
        if method == "eth_call" and len(params[0]["data"]) > self.LONGEST:
            self.refused += 1
            raise RpcRefused(method, -32000, "out of gas", None)
        return super().request(method, *params)


class Ignoring(Counting):
    """A node that reads the first two parameters only."""

    def request(self, method: str, *params: Any) -> Any:
        return super().request(method, *params[:2])


@pytest.fixture
def held(suite: Suite, monkeypatch: pytest.MonkeyPatch) -> Suite:
    monkeypatch.setattr(holdings, "HOLDERS_AT_ONCE", 2)
    monkeypatch.setattr(holdings, "FEWEST_HOLDERS", 1)
    for number in range(3):
        suite.mint(number, 1_000 + number)
    suite.do("freezePartialTokens", ADDRESSES[1], 10)
    return suite


EXPECTED = [1_000, 0, 1_001, 10, 1_002, 0]


def read(suite: Suite, client: ChainClient, token: bytes | None = None) -> list[int]:
    head = suite.world.client.head()
    return HoldingReader(client).read(token or suite.token, ADDRESSES[:3], head.hash)


def test_read__overrides_are_known__takes_a_call_for_each_group(held: Suite) -> None:
    client = Counting(held.world.node.url, CHAIN_ID)

    assert read(held, client) == EXPECTED
    assert (client.overriding, client.plain) == (1 + 2, 0), "of nobody first"


def test_read__overrides_are_refused__asks_for_each_and_never_tries_again(held: Suite) -> None:
    client = Refusing(held.world.node.url, CHAIN_ID)
    reader, head = HoldingReader(client), held.world.client.head()

    assert reader.read(held.token, ADDRESSES[:3], head.hash) == EXPECTED
    assert (client.overriding, client.plain) == (1, 6)

    assert reader.read(held.token, ADDRESSES[:3], head.hash) == EXPECTED
    assert (client.overriding, client.plain) == (1, 12)


def test_read__token_is_too_expensive_for_many__asks_for_fewer_at_once(held: Suite) -> None:
    client = Limiting(held.world.node.url, CHAIN_ID)
    reader, head = HoldingReader(client), held.world.client.head()

    assert reader.read(held.token, ADDRESSES[:3], head.hash) == EXPECTED
    assert (client.overriding, client.plain, client.refused) == (1 + 3, 0, 1)

    assert reader.read(held.token, ADDRESSES[:3], head.hash) == EXPECTED
    assert (client.overriding, client.plain, client.refused) == (1 + 6, 0, 1)


def test_read__overrides_are_ignored__asks_for_each(held: Suite) -> None:
    client = Ignoring(held.world.node.url, CHAIN_ID)

    assert read(held, client) == EXPECTED
    assert client.plain == 6


def test_read__at_an_older_block__tells_what_was_then(held: Suite) -> None:
    before = held.world.client.head()
    held.move(0, 2, 400)

    found = HoldingReader(held.world.client).read(held.token, ADDRESSES[:3], before.hash)

    assert found == EXPECTED


@pytest.mark.parametrize("kind", [Counting, Refusing])
def test_read__address_without_a_token__is_refused(held: Suite, kind: type[Counting]) -> None:
    with pytest.raises(RpcRefused, match="tells no amount"):
        read(held, kind(held.world.node.url, CHAIN_ID), token=b"\x77" * 20)


def test_read__token_tells_less_than_a_word__is_refused(held: Suite) -> None:
    held.world.node.rpc("anvil_setCode", hex_of(held.token), "0x600760005360016000f3")

    with pytest.raises(RpcRefused, match="tells no amount"):
        read(held, Refusing(held.world.node.url, CHAIN_ID))


def test_read__unknown_block__is_refused(held: Suite) -> None:
    reader = HoldingReader(held.world.client)

    with pytest.raises(RpcRefused):
        reader.read(held.token, ADDRESSES[:3], b"\x13" * 32)
    assert reader.read(held.token, ADDRESSES[:3], held.world.client.head().hash) == EXPECTED
