"""The countries of registrations on a node that has not the state of their blocks any more."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from sqlmodel import col, select

from chain.contracts.abi import contract
from chain.errors import NotKept, RpcInconsistent, RpcRefused
from chain.node.client import ChainClient, Sent, hex_of
from chain.sync.asked import SETTLED_BLOCKS
from chain.sync.indexer import Indexer
from registry.captable.models import EventKind, Holder, TokenEvent
from tests.chain.nodes import CHAIN_ID
from tests.chain.suite import ADDRESSES, Suite, catch_up
from tests.chain.test_adoption import Unindexed
from tests.chain.test_repair import edit, milkiyat

pytestmark = pytest.mark.chain

SOMEWHERE_ELSE = b"\x77" * 20
OF_REGISTRATION = f"kind = {EventKind.IDENTITY_REGISTERED:d} AND (extra->>'country')::int = 76"


class Pruned(ChainClient):
    """Has the state of its head and of what is mined on it from now on."""

    def __init__(self, suite: Suite, *, indirect: bool = False) -> None:
        super().__init__(suite.world.node.url, CHAIN_ID)
        self._first = self.block_number()
        self._indirect = indirect

    def batch(self, calls: Sequence[tuple[str, tuple[Any, ...]]]) -> list[Any]:
        for method, params in calls:
            if method == "eth_call" and self._number_of(params[1]) < self._first:
                raise RpcRefused(method, -32000, "missing trie node", None)
        return super().batch(calls)

    def kept_transactions(self, mined: Mapping[bytes, int]) -> dict[bytes, Sent]:
        found = super().kept_transactions(mined)
        if self._indirect:
            return {each: replace(sent, to=SOMEWHERE_ELSE) for each, sent in found.items()}
        return found

    def _number_of(self, block: Any) -> int:
        if isinstance(block, str):
            return int(block, 16)
        return int(self.request("eth_getBlockByHash", block["blockHash"], False)["number"], 16)


class Old(Unindexed, Pruned):
    """Besides, it no longer finds transactions by their hashes."""


@pytest.fixture
def registered(suite: Suite) -> Suite:
    """Number 5 was registered, and no block is projected yet."""
    suite.register(5, 76)
    return suite


def update(suite: Suite, country: int) -> None:
    suite.agent.call("IdentityRegistry", suite.registry, "updateCountry", ADDRESSES[5], country)


def countries_at_registration(suite: Suite) -> dict[bytes, int]:
    with suite.world.database.reading() as session:
        query = (
            select(Holder.address, TokenEvent.extra)
            .join(TokenEvent, col(TokenEvent.target) == col(Holder.holder_no))
            .where(col(TokenEvent.kind) == EventKind.IDENTITY_REGISTERED)
        )
        return {address: (extra or {})["country"] for address, extra in session.exec(query)}


def indexer_by(suite: Suite, node: ChainClient) -> Indexer:
    return Indexer(suite.world.database, node)


def test_countries__agent_called_the_registry__are_what_its_transactions_asked_for(
    registered: Suite,
) -> None:
    update(registered, 32)

    registered.index(indexer_by(registered, Pruned(registered)))

    registered.assert_exact()
    assert countries_at_registration(registered)[ADDRESSES[5]] == 76


def test_countries__node_indexes_no_old_transactions__are_what_those_of_the_blocks_asked_for(
    registered: Suite,
) -> None:
    update(registered, 32)

    registered.index(indexer_by(registered, Old(registered)))

    registered.assert_exact()
    assert countries_at_registration(registered)[ADDRESSES[5]] == 76


def test_countries__transactions_are_not_kept__are_those_of_a_settled_block(
    registered: Suite,
) -> None:
    update(registered, 32)
    node = Old(registered)
    node.keeps_blocks = False
    with pytest.raises(NotKept):
        catch_up(indexer_by(registered, node))
    registered.world.node.mine(SETTLED_BLOCKS)

    registered.index(indexer_by(registered, node))

    registered.assert_exact()


def test_countries__registered_in_one_batch__are_what_its_transaction_asked_for(
    suite: Suite,
) -> None:
    register = contract("IdentityRegistry").functions["batchRegisterIdentity"]
    wallets = [hex_of(ADDRESSES[number]) for number in (5, 6)]
    identities = [hex_of(suite.identity(number)) for number in (5, 6)]
    sent = suite.agent.send(suite.registry, register.encode(wallets, identities, [76, 4]))
    suite.world.node.mined(sent)
    update(suite, 32)

    suite.index(indexer_by(suite, Pruned(suite)))

    suite.assert_exact()
    found = countries_at_registration(suite)
    assert (found[ADDRESSES[5]], found[ADDRESSES[6]]) == (76, 4)


def test_countries__another_contract_called_and_nothing_came_since__are_the_heads(
    registered: Suite,
) -> None:
    """As of a development node that was started from a dump a moment ago."""
    registered.mint(0, 5)

    registered.index(indexer_by(registered, Pruned(registered, indirect=True)))

    registered.assert_exact()
    assert countries_at_registration(registered)[ADDRESSES[5]] == 76


def test_countries__changed_since_near_the_head__wait_until_no_reorg_takes_the_change(
    registered: Suite,
) -> None:
    update(registered, 32)
    node = Pruned(registered, indirect=True)
    # So near the head, what is read instead could be taken back while it stays with us.
    with pytest.raises(RpcRefused, match="missing trie node"):
        catch_up(indexer_by(registered, node))
    assert ADDRESSES[5] not in registered.projected().registered
    registered.world.node.mine(SETTLED_BLOCKS)

    registered.index(indexer_by(registered, node))

    registered.assert_exact()


def test_countries__head_replaced_while_it_is_asked__are_not_believed(registered: Suite) -> None:
    """Else a change on the other branch would be taken for what stood at the registration."""
    registered.mint(0, 5)
    node = Pruned(registered, indirect=True)
    asked: Callable[..., list[Any]] = node.batch

    def batch(calls: Sequence[tuple[str, tuple[Any, ...]]]) -> list[Any]:
        answers = asked(calls)
        if calls[0][0] == "eth_call":
            registered.world.node.roll_back(1)
            update(registered, 32)
        return answers

    setattr(node, "batch", batch)  # noqa: B010 (mypy knows no assignment to a method)

    with pytest.raises(RpcInconsistent, match="changed while"):
        catch_up(indexer_by(registered, node))


def test_countries__told_of_a_later_block__are_held_against_nothing(registered: Suite) -> None:
    """The wallet is gone by then, as after a recovery: its country is 0 there, and was not."""
    registered.index()
    registered.agent.call("IdentityRegistry", registered.registry, "deleteIdentity", ADDRESSES[5])
    node = Pruned(registered, indirect=True)
    registered.world.node.mine(SETTLED_BLOCKS)
    registered.index()

    found = milkiyat(registered, "reconcile", "--logs", "--repair", client=node)

    assert found.exit_code == 0, found.output
    assert "differs" not in found.output
    assert countries_at_registration(registered)[ADDRESSES[5]] == 76
    # All else of such an event is compared as ever.
    edit(registered, f"UPDATE token_event SET tx_hash = '\\x00' WHERE {OF_REGISTRATION}")
    found = milkiyat(registered, "reconcile", "--logs", client=node)
    assert found.exit_code == 1
    assert "differs since block" in found.output


def test_countries__altered_where_nothing_was_said_of_the_wallet_since__differ(
    registered: Suite,
) -> None:
    """Of a later block, and yet exact: what nobody changed since is what was registered."""
    registered.mint(0, 5)
    registered.index()
    node = Pruned(registered, indirect=True)
    registered.world.node.mine(SETTLED_BLOCKS)
    registered.index()
    alter = "UPDATE token_event SET extra = jsonb_set(extra, '{country}', '32') WHERE "
    edit(registered, alter + OF_REGISTRATION)

    found = milkiyat(registered, "reconcile", "--logs", client=node)

    assert found.exit_code == 1
    assert "differs since block" in found.output


def test_countries__changed_in_a_block_that_is_not_read_yet__are_held_against_nothing(
    registered: Suite,
) -> None:
    registered.mint(0, 5)
    registered.index()
    node = Pruned(registered, indirect=True)
    update(registered, 32)
    registered.world.node.mine(SETTLED_BLOCKS)

    found = milkiyat(registered, "reconcile", "--logs", client=node)

    assert "differs since block" not in found.output
