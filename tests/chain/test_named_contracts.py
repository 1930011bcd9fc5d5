"""Contracts that a token names for its suite, as it likes: they hold up that token at most."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from msgspec import Raw
from sqlmodel import col, select

from chain.errors import RpcRefused, RpcUnavailable
from chain.node.client import ChainClient, hex_of
from chain.sync import catch_up as catch_up_module
from chain.sync import pace
from chain.sync.adoption import first_block_of
from chain.sync.catch_up import CatchUp
from chain.sync.indexer import Indexer
from registry.captable import catching_up
from registry.captable import service as captable
from registry.captable.branches import known_block_at
from registry.captable.models import Token
from registry.captable.registered import registered_at
from registry.kernel.errors import Conflict
from tests.chain.nodes import CHAIN_ID
from tests.chain.suite import ADDRESSES, COUNTRIES, Suite, catch_up
from tests.chain.test_adoption import read_all
from tests.chain.test_control import changes, on_chain
from tests.chain.test_garbled_logs import RefusesOne
from tests.chain.test_replaced_suites import (
    assert_proven,
    emits,
    now_of,
    replace_registry,
    with_others,
)

pytestmark = pytest.mark.chain

NAMED = b"\x77" * 20
SOMEBODY = b"\x99" * 20


def row_of(suite: Suite) -> Token:
    with suite.world.database.reading() as session:
        return session.exec(select(Token).where(col(Token.address) == suite.token)).one()


class Pruned(ChainClient):
    """A node that keeps the state of its newest blocks alone."""

    oldest = 0

    def request(self, method: str, *params: Any, **more: Any) -> Any:
        if method == "eth_getCode" and int(params[1], 16) < self.oldest:
            raise RpcRefused(method, -32000, "missing trie node", None)
        return super().request(method, *params, **more)


@pytest.mark.parametrize("later", [0, 1, 7, 40])
def test_first_block__of_a_contract_whose_state_is_kept__is_found_on_a_pruned_node(
    suite: Suite, later: int
) -> None:
    suite.world.node.mine(60)
    other = suite.deploy("second")
    block = suite.world.client.head().number
    if later:
        suite.world.node.mine(later)
    client = Pruned(suite.world.node.url, CHAIN_ID)
    assert first_block_of(client, other.token) == block

    client.oldest = block - later - 2
    assert first_block_of(client, other.token) == block
    client.oldest = block + 1
    assert first_block_of(client, other.token) == 0


def test_catch_up__no_time_for_all__goes_on_with_the_others(
    suite: Suite, monkeypatch: pytest.MonkeyPatch
) -> None:
    suite.deploy("second")
    suite.index()
    with suite.world.database.transaction() as session:
        for token in session.exec(select(Token)).all():
            catching_up.begin_again(session, token, after=token.block_number - 1)
    read: list[bytes] = []

    def try_on(_: CatchUp, token: Token) -> bool:
        read.append(token.address)
        return True

    monkeypatch.setattr(catch_up_module, "ADVANCE_SECONDS", -1.0)
    monkeypatch.setattr(CatchUp, "_try_on", try_on)
    behind = CatchUp(suite.world.database, suite.world.client)
    assert [behind.advance() for _ in range(4)] == [True] * 4
    assert read[:2] == read[2:]
    assert len(set(read)) == 2


@pytest.mark.parametrize("named", ["compliance", "token"])
def test_contract_that_is_two_parts_of_one_suite__says_each_log_once(
    suite: Suite, named: str
) -> None:
    other = suite.deploy("second")
    other.register(0, 40)
    suite.index()
    compliance = on_chain(suite, "Token", suite.token, "compliance")
    suite.do("setIdentityRegistry", compliance if named == "compliance" else suite.token)
    suite.index()
    read_all(suite)

    if named == "compliance":
        suite.agent.call("ModularCompliance", compliance, "transferOwnership", ADDRESSES[7])
    else:
        suite.do("addAgent", ADDRESSES[7])
    other.mint(0, 55)
    suite.index()
    read_all(suite)

    other.assert_exact()
    said = {"compliance": ("ModularCompliance", "OwnershipTransferred")}
    last = changes(suite)[-1]
    assert (last.contract, last.event) == said.get(named, ("Token", "AgentAdded"))
    assert row_of(suite).refusal is None


def test_new_contract_that_logs_nonsense_later__stops_that_token_alone(suite: Suite) -> None:
    other = suite.deploy("second")
    other.register(0, 40)
    suite.index()
    node = suite.world.node
    suite.do("setIdentityRegistry", NAMED)
    node.rpc("anvil_setCode", hex_of(NAMED), emits("IdentityRegistered(address,address)"))
    node.act_as(SOMEBODY, NAMED, b"")
    other.mint(0, 55)

    suite.index()
    read_all(suite)

    other.assert_exact()
    with (
        suite.world.database.reading() as session,
        pytest.raises(Conflict, match="its ABI does not have"),
    ):
        captable.get_token(session, suite.token)


class SlowOf(ChainClient):
    """A node that gives the logs of one contract too late, unless few blocks are asked for."""

    named: bytes
    blocks = 3

    def __init__(self, suite: Suite, named: bytes) -> None:
        super().__init__(suite.world.node.url, CHAIN_ID)
        self.named = named
        self.late = 0
        self.given: list[tuple[int, int]] = []

    def logs(self, addresses: Sequence[bytes], first: int, last: int) -> list[Raw]:
        if list(addresses) == [self.named]:
            if last - first >= self.blocks:
                self.late += 1
                raise RpcUnavailable("ReadTimeout: it took too long")
            self.given.append((first, last))
        return super().logs(addresses, first, last)


def test_past_that_a_node_tells_slowly__holds_the_chain_up_never_and_is_read_once(
    suite: Suite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pace, "MOST_BLOCKS", 5)
    other = with_others(suite)
    suite.index()
    replace_registry(suite, other)
    slow = SlowOf(suite, other.registry)

    catch_up(Indexer(suite.world.database, slow))

    assert (slow.late, slow.given) == (0, []), "it is not read while the chain is"
    other.assert_exact()
    behind = CatchUp(suite.world.database, slow)
    behind._pasts._turn_seconds = 0
    for _ in range(100):
        behind._rest_until.clear()
        behind.advance()
        if row_of(suite).caught_up_to is None:
            break
    assert_proven(now_of(suite))
    assert 0 < slow.late < 20
    assert len(slow.given) == len(set(slow.given))


def test_past_that_a_node_refuses__lets_the_token_rest_and_is_asked_again(suite: Suite) -> None:
    other = with_others(suite)
    suite.index()
    replace_registry(suite, other)
    client = RefusesPast(suite.world.node.url, CHAIN_ID)
    client.refused = other.registry
    catch_up(Indexer(suite.world.database, client))

    behind = CatchUp(suite.world.database, client)
    for _ in range(20):
        if not behind.advance():
            break
    else:
        raise AssertionError("it does not rest")
    assert row_of(suite).refusal is None
    read_all(suite)

    assert_proven(now_of(suite))


class RefusesPast(RefusesOne):
    """A node that gives nothing of one contract where only that one is asked about."""

    def logs(self, addresses: Sequence[bytes], first: int, last: int) -> list[Raw]:
        if list(addresses) == [self.refused]:
            raise RpcRefused("eth_getLogs", -32000, "history of that contract is gone", None)
        return ChainClient.logs(self, addresses, first, last)


def test_token_that_is_deployed_and_replaced_in_one_range__is_read_by_itself(suite: Suite) -> None:
    other = with_others(suite)
    suite.index()
    late = suite.deploy("third")
    replace_registry(late, other)
    other.mint(1, 7)

    suite.index()

    other.assert_exact()
    assert row_of(late).caught_up_to is not None
    read_all(suite)
    assert_proven(Suite(suite.world, suite.agent, "third"))


def test_registry_without_a_storage__who_was_registered_at_a_block_is_known(suite: Suite) -> None:
    suite.index()
    moment = suite.world.client.head().number
    suite.world.node.rpc("anvil_setCode", hex_of(NAMED), "0x00")
    suite.do("setIdentityRegistry", NAMED)
    suite.world.node.mine()
    suite.index()
    read_all(suite)

    def told(number: int) -> dict[bytes, int]:
        with suite.world.database.reading() as session:
            token = captable.get_token(session, suite.token)
            assert token.identity_storage is None
            block = known_block_at(session, CHAIN_ID, number, None)
            found = registered_at(session, token, block, ADDRESSES)
        return {address: each.country for address, each in found.items()}

    assert told(moment) == dict(zip(ADDRESSES, COUNTRIES, strict=False))
    assert told(moment + 1) == {}
