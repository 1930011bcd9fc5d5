"""Several nodes that lag, lie, refuse and disagree, over real HTTP in front of a real chain."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest

from chain.errors import NoQuorum, RpcUnavailable, WrongChain
from chain.node import panel, pooled_node, quorum
from chain.node.client import ChainClient
from chain.node.nodes import NodePool, connect
from chain.node.pooled_node import NodeState
from chain.sync.indexer import Indexer
from registry.operation.models import OperationState
from tests.chain.market import Market
from tests.chain.mirror import (
    Mirror,
    a_receipt_for_everything,
    of_another_branch,
    of_chain,
    without_receipts,
)
from tests.chain.nodes import CHAIN_ID, Node
from tests.chain.outcomes import assert_each_once, everything
from tests.chain.pools import mirrors, pool, states
from tests.chain.suite import Suite, catch_up, cursor_of, shuffle

pytestmark = [pytest.mark.chain, pytest.mark.usefixtures("quickly")]

REGISTRATIONS = 3
"""What a market may send first; all else waits for them."""


@pytest.fixture
def two(three: list[Mirror]) -> list[Mirror]:
    return three[:2]


def test_connect__one_address__is_the_plain_client() -> None:
    assert type(connect("http://node.example", CHAIN_ID)) is ChainClient
    with pytest.raises(RpcUnavailable, match="RPC_URL"):
        connect("http://node.example,ws://other.example", CHAIN_ID)


def test_pool__all_agree__projects_like_one_node(suite: Suite, three: list[Mirror]) -> None:
    shuffle_with_holders(suite, seed=1)
    found = pool(three)
    found.check()

    catch_up(Indexer(suite.world.database, found))

    suite.assert_exact()
    assert states(found) == [NodeState.HEALTHY] * 3
    assert three[1].count("eth_getLogs") > 0
    assert three[2].count("eth_getLogs") == 0, "two of three are enough while they say the same"


def test_pool__one_lies_about_its_blocks__is_left_out_and_loses_nothing(
    suite: Suite, three: list[Mirror]
) -> None:
    shuffle_with_holders(suite, seed=2)
    three[0].lie = of_another_branch(suite.world.client.block_number() - 3)
    found = pool(three)

    catch_up(Indexer(suite.world.database, found))

    suite.assert_exact()
    assert states(found)[0] == NodeState.OTHER_BRANCH
    assert three[0].count("eth_getLogs") == 0


def test_pool__one_leaves_logs_out__is_left_out_and_another_is_read(
    suite: Suite, three: list[Mirror], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pooled_node, "FIRST_REST_SECONDS", 60.0)
    monkeypatch.setattr(pooled_node, "LONGEST_REST_SECONDS", 60.0)
    shuffle_with_holders(suite, seed=3)
    three[0].lie = lambda request, result: [] if request["method"] == "eth_getLogs" else result
    found = pool(three)
    indexer = Indexer(suite.world.database, found)

    catch_up(indexer)

    suite.assert_exact()
    assert states(found) == [NodeState.INCONSISTENT, NodeState.HEALTHY, NodeState.HEALTHY]


@pytest.mark.parametrize("trouble", ["away", "html", "refuses", "other chain", "slow"])
def test_pool__one_does_not_serve__is_left_out_and_told_why(
    suite: Suite, three: list[Mirror], trouble: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pooled_node, "FIRST_REST_SECONDS", 60.0)
    monkeypatch.setattr(pooled_node, "LONGEST_REST_SECONDS", 60.0)
    monkeypatch.setattr(panel, "PROBE_SECONDS", 1.0)
    first = three[0]
    found = pool(three)
    shuffle_with_holders(suite, seed=4)
    expected = NodeState.UNAVAILABLE
    if trouble == "away":
        found = pool_with(three, f"{first.url.rsplit(':', 1)[0]}:9")
    elif trouble == "html":
        first.status = 502
    elif trouble == "refuses":
        first.status, first.headers, expected = 429, {"Retry-After": "60"}, NodeState.RATE_LIMITED
    elif trouble == "other chain":
        first.lie, expected = of_chain(1), NodeState.OTHER_CHAIN
    else:
        first.delay = 1.5

    found.check()
    catch_up(Indexer(suite.world.database, found))

    suite.assert_exact()
    assert states(found) == [expected, NodeState.HEALTHY, NodeState.HEALTHY]
    assert found.statuses()[0].detail


def pool_with(nodes: list[Mirror], first: str) -> NodePool:
    found = connect(",".join([first, *(node.url for node in nodes[1:])]), CHAIN_ID)
    assert isinstance(found, NodePool)
    return found


def test_pool__key_in_the_address__is_never_told(two: list[Mirror]) -> None:
    found = connect(f"{two[0].url},{two[1].url}/v3/a-secret?key=another", CHAIN_ID)
    assert isinstance(found, NodePool)
    two[1].status = 403

    found.check()

    told = str(found.statuses()[1])
    assert "403" in told
    assert "secret" not in told
    assert "another" not in told


def test_pool__fails_between_two_questions__asks_the_next_node(
    suite: Suite, two: list[Mirror]
) -> None:
    found = pool(two)
    wanted = found.block(1)
    two[0].status = 500

    assert found.block(1) == wanted
    assert states(found)[0] == NodeState.UNAVAILABLE
    two[0].status = 200
    found.head()
    assert states(found) == [NodeState.HEALTHY] * 2


def test_pool__rate_limit__is_obeyed(two: list[Mirror]) -> None:
    found = pool(two)
    found.head()
    two[0].status, two[0].headers = 429, {"Retry-After": "60"}
    found.head()
    two[0].status, asked = 200, len(two[0].asked)

    for _ in range(5):
        found.head()

    assert len(two[0].asked) == asked
    assert states(found) == [NodeState.RATE_LIMITED, NodeState.HEALTHY]


def test_pool__every_node_on_another_chain__is_refused(three: list[Mirror]) -> None:
    for node in three:
        node.lie = of_chain(5)
    with pytest.raises(WrongChain, match="serves chain 5"):
        pool(three).check()


def test_pool__nobody_answers__names_the_setting(two: list[Mirror]) -> None:
    for node in two:
        node.status = 500
    with pytest.raises(RpcUnavailable, match="RPC_URL"):
        pool(two).check()


def test_pool__two_disagree__projects_nothing_until_they_agree(
    suite: Suite, two: list[Mirror]
) -> None:
    database = suite.world.database
    found = pool(two)
    catch_up(Indexer(database, found))
    before = everything(database)
    shuffle_with_holders(suite, seed=5)
    two[1].lie = of_another_branch(cursor_of(database).number)

    for _ in range(3):
        with pytest.raises(NoQuorum) as fault:
            Indexer(database, found).advance()
        assert fault.value.code == "nodes_disagree"

    assert everything(database) == before
    assert states(found) == [NodeState.DISAGREES] * 2
    two[1].lie = lambda _, result: result
    catch_up(Indexer(database, found))
    suite.assert_exact()


def test_pool__head_goes_back_between_nodes__is_no_reorg(
    suite: Suite, two: list[Mirror], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fault 10: the node that was read dies, and the other has not come so far."""
    monkeypatch.setattr(quorum, "YOUNG_SECONDS", -math.inf)
    database = suite.world.database
    shuffle_with_holders(suite, seed=6)
    two[1].held_at = suite.world.client.block_number() - 9
    found = pool(two)
    catch_up(Indexer(database, found))
    before = everything(database)

    two[0].status = 500
    for client in (found, pool(two)):
        with pytest.raises(NoQuorum) as fault:
            Indexer(database, client).advance()
        assert fault.value.code == "nodes_behind"
    assert everything(database) == before

    two[1].held_at = None
    assert not Indexer(database, found).advance()
    suite.assert_exact()


def test_pool__true_reorg__is_followed(suite: Suite, three: list[Mirror]) -> None:
    shuffle_with_holders(suite, seed=7)
    found = pool(three)
    indexer = Indexer(suite.world.database, found)
    catch_up(indexer)

    suite.world.node.roll_back(4)
    shuffle(suite, seed=8, blocks=6)
    catch_up(indexer)

    suite.assert_exact()
    assert states(found) == [NodeState.HEALTHY] * 3


def test_pool__receipt_on_one_node_only__waits_and_nothing_is_doubled(market: Market) -> None:
    """Fault 43; the end is told when both have it."""
    with mirrors(market.world.node, 2) as nodes:
        world = market.world.through(pool(nodes))
        world.turn()
        assert [node.count("eth_sendRawTransaction") for node in nodes] == [REGISTRATIONS] * 2
        world.node.mine(2)
        nodes[1].lie = without_receipts

        for _ in range(3):
            with pytest.raises(NoQuorum):
                world.turn()
        assert world.count(OperationState.BROADCAST) == REGISTRATIONS

        nodes[1].lie = lambda _, result: result
        assert_each_once(replace(market, world=world))


def test_pool__receipt_lost_and_made_up_by_one_of_three__is_what_two_say(market: Market) -> None:
    with mirrors(market.world.node, 3) as nodes:
        world = market.world.through(pool(nodes))
        world.turn()
        nodes[0].lie = a_receipt_for_everything
        world.turn()
        assert world.count(OperationState.BROADCAST) == REGISTRATIONS, "nothing is mined yet"

        nodes[0].lie = without_receipts
        assert_each_once(replace(market, world=world))


def test_pool__two_real_nodes_part__no_side_is_taken(suite: Suite, tmp_path: Path) -> None:
    """Two anvils with the same past; then each mines its own blocks."""
    node = suite.world.node
    shuffle_with_holders(suite, seed=9)
    with Node(tmp_path, state=node.dump(tmp_path / "state.json", history=True)) as other:
        assert other.client.head().hash == node.client.head().hash
        found = connect(f"{node.url},{other.url}", CHAIN_ID)
        catch_up(Indexer(suite.world.database, found))
        suite.assert_exact()
        before = everything(suite.world.database)

        shuffle(suite, seed=10, blocks=2)
        other.mine(2)
        with pytest.raises(NoQuorum, match="disagree"):
            Indexer(suite.world.database, found).advance()

    assert everything(suite.world.database) == before


def shuffle_with_holders(suite: Suite, seed: int) -> None:
    for person in range(5):
        suite.mint(person, 10_000)
    shuffle(suite, seed=seed, blocks=6)
