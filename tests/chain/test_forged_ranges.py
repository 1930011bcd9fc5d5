"""One of several nodes that tells the truth of the head, and lies about what is below it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from chain.errors import NoQuorum, RpcInconsistent
from chain.node.client import hex_of
from chain.node.node_watch import NodeRecorder
from chain.node.nodes import connect
from chain.node.pooled_node import NodeState
from chain.sync.indexer import Indexer
from registry.captable.nodes import list_nodes
from tests.chain.mirror import Lie, Mirror, forged
from tests.chain.nodes import CHAIN_ID
from tests.chain.outcomes import everything
from tests.chain.pools import pool, states
from tests.chain.suite import ADDRESSES, Suite, catch_up, cursor_of

pytestmark = [pytest.mark.chain, pytest.mark.usefixtures("patiently")]

Places = Callable[[dict[str, Any]], bool]


def of_ranges(change: Callable[[list[dict[str, Any]]], list[dict[str, Any]]]) -> Lie:
    """Change the logs of every range; those of one block, and all headers, are true."""

    def lie(request: dict[str, Any], result: Any) -> Any:
        if request["method"] != "eth_getLogs" or "fromBlock" not in request["params"][0]:
            return result
        return change(result)

    return lie


def more_units(logs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [*logs[:-1], logs[-1] | {"data": "0x" + f"{10**6:064x}"}] if logs else logs


def another_receiver(logs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    thief = "0x" + ADDRESSES[7].hex().rjust(64, "0")
    return [log | {"topics": [*log["topics"][:2], thief]} for log in logs]


def one_left_out(logs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return logs[:1] + logs[2:]


def one_made_up(logs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [*logs, logs[-1] | {"logIndex": hex(int(logs[-1]["logIndex"], 16) + 1)}] if logs else []


LIES = [more_units, another_receiver, one_left_out, one_made_up]


@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize("change", LIES)
def test_pool__one_of_three_forges_the_logs_of_ranges__is_left_out_and_told(
    held: Suite, three: list[Mirror], change: Any, place: int
) -> None:
    """Whoever is read first: what two say is projected, and the third is named."""
    three[place].lie = of_ranges(change)
    found = pool(three)

    catch_up(Indexer(held.world.database, found))
    NodeRecorder(held.world.database, found).record()

    held.assert_exact()
    expected = [NodeState.HEALTHY] * 3
    expected[place] = NodeState.INCONSISTENT
    assert states(found) == expected
    with held.world.database.reading() as session:
        row = list_nodes(session, CHAIN_ID)[place]
    assert row.state == "inconsistent"
    assert "the logs of blocks" in row.detail


def test_pool__two_of_three_are_away__the_third_is_not_believed_alone(
    held: Suite, three: list[Mirror]
) -> None:
    """Also while it is still known that they agreed on the head, a moment ago."""
    found = pool(three)
    number = found.head().number - 1
    three[1].status = three[2].status = 503

    for _ in range(3):
        with pytest.raises(NoQuorum):
            found.block(number)


@pytest.mark.parametrize("change", LIES)
def test_pool__one_of_two_forges_the_logs_of_ranges__projects_nothing_and_says_so(
    held: Suite, three: list[Mirror], change: Any
) -> None:
    database = held.world.database
    before = everything(database)
    three[0].lie = of_ranges(change)
    found = pool(three[:2])

    for _ in range(2):
        with pytest.raises(NoQuorum, match="the logs of blocks") as fault:
            Indexer(database, found).advance()
        assert fault.value.code == "nodes_disagree"

    assert everything(database) == before
    found.head()
    assert states(found) == [NodeState.DISAGREES] * 2, "that they agree on the head is not all"
    three[0].lie = lambda _, result: result
    catch_up(Indexer(database, found))
    held.assert_exact()


def of_headers(name: str, change: Callable[[str], str], *, above: int) -> Lie:
    """Change headers that are asked for by number, but not the head's."""

    def lie(request: dict[str, Any], result: Any) -> Any:
        if request["method"] != "eth_getBlockByNumber" or request["params"][0] == "latest":
            return result
        if result is None or int(result["number"], 16) <= above:
            return result
        return result | {name: change(result[name])}

    return lie


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("hash", forged),
        ("timestamp", lambda told: hex(int(told, 16) + 3600)),
        ("logsBloom", lambda _: "0x" + "00" * 256),
    ],
)
def test_pool__one_of_three_forges_the_headers_of_ranges__is_left_out(
    held: Suite, three: list[Mirror], name: str, change: Callable[[str], str]
) -> None:
    three[0].lie = of_headers(name, change, above=cursor_of(held.world.database).number)
    found = pool(three)

    catch_up(Indexer(held.world.database, found))

    held.assert_exact()
    assert states(found)[0] == NodeState.INCONSISTENT


def test_pool__one_of_three_denies_our_own_block__nothing_is_taken_back(
    held: Suite, three: list[Mirror]
) -> None:
    """A hash of the cursor's block that one node gives is no reorg."""
    database = held.world.database
    cursor = cursor_of(database)
    three[0].lie = of_headers("hash", forged, above=cursor.number - 1)
    found = pool(three)

    assert found.block(cursor.number) == held.world.client.block(cursor.number)
    catch_up(Indexer(database, found))

    held.assert_exact()


def test_pool__one_of_three_forges_the_newest_block__is_left_out(
    held: Suite, three: list[Mirror]
) -> None:
    """The next block is read by its hash, where nodes that give no logs were thought to lag."""
    held.index()
    held.mint(0, 7)

    def lie(request: dict[str, Any], result: Any) -> Any:
        return more_units(result) if request["method"] == "eth_getLogs" else result

    three[0].lie = lie
    found = pool(three)

    catch_up(Indexer(held.world.database, found))

    held.assert_exact()
    assert states(found)[0] == NodeState.INCONSISTENT


def test_pool__one_of_three_makes_logs_up_where_there_are_none__is_not_believed(
    held: Suite, three: list[Mirror]
) -> None:
    held.index()
    head = held.world.node.mine()
    node = held.world.node.client
    told = node.request("eth_getLogs", {"fromBlock": "0x0", "toBlock": "latest"})[-1]
    made_up = told | {"blockHash": hex_of(head.hash), "blockNumber": hex(head.number)}

    def lie(request: dict[str, Any], result: Any) -> Any:
        return [made_up] if request["method"] == "eth_getLogs" else result

    three[0].lie = lie
    found = pool(three)
    assert found.logs_of_block([held.token], head.hash) == []
    assert states(found)[0] == NodeState.INCONSISTENT


def test_pool__most_leave_the_logs_of_a_new_block_out__nothing_is_skipped(
    held: Suite, three: list[Mirror]
) -> None:
    """Nodes were seen to give none of a block that they had just imported."""
    held.index()
    before = everything(held.world.database)
    held.mint(0, 7)
    for late in three[:2]:
        late.lie = lambda request, told: [] if request["method"] == "eth_getLogs" else told
    found = pool(three)

    with pytest.raises(RpcInconsistent, match="left out"):
        Indexer(held.world.database, found).advance()
    assert everything(held.world.database) == before

    for late in three[:2]:
        late.lie = lambda _, told: told
    catch_up(Indexer(held.world.database, found))
    held.assert_exact()
    assert states(found) == [NodeState.HEALTHY] * 3


def test_pool__one_of_three_forges_the_newest_header__is_left_out(
    held: Suite, three: list[Mirror]
) -> None:
    """An empty filter would have the logs of the block never asked for."""
    held.index()
    held.mint(0, 7)

    def lie(request: dict[str, Any], result: Any) -> Any:
        is_header = request["method"] == "eth_getBlockByNumber"
        return result | {"logsBloom": "0x" + "00" * 256} if is_header and result else result

    three[0].lie = lie
    found = pool(three)

    catch_up(Indexer(held.world.database, found))

    held.assert_exact()
    assert states(found)[0] == NodeState.OTHER_BRANCH


def test_pool__nodes_write_the_same_in_their_own_ways__all_are_believed(
    held: Suite, three: list[Mirror]
) -> None:
    def lie(request: dict[str, Any], result: Any) -> Any:
        if request["method"] != "eth_getLogs":
            return result
        return [
            dict(reversed(log.items())) | {"address": "0x" + log["address"][2:].upper()}
            for log in result
        ]

    three[1].lie = lie
    found = pool(three[:2])

    catch_up(Indexer(held.world.database, found))

    held.assert_exact()
    assert states(found) == [NodeState.HEALTHY] * 2


def test_pool__the_second_gives_narrow_ranges_only__all_are_asked_for_narrow_ones(
    held: Suite, three: list[Mirror]
) -> None:
    """Otherwise a node that lies would be believed wherever an honest one has its limits."""
    widths = []

    def refuse_wide(request: dict[str, Any], result: Any) -> Any:
        if request["method"] != "eth_getLogs" or "fromBlock" not in request["params"][0]:
            return result
        query = request["params"][0]
        widths.append(int(query["toBlock"], 16) - int(query["fromBlock"], 16) + 1)
        return refused if widths[-1] > 2 else result

    refused = {"error": {"code": -32005, "message": "query returned too many results"}}
    three[1].lie = refuse_wide
    found = pool(three[:2])

    catch_up(Indexer(held.world.database, found))

    held.assert_exact()
    assert max(widths) > 2
    assert states(found) == [NodeState.HEALTHY] * 2


def test_connect__one_node__is_asked_nothing_twice(held: Suite, three: list[Mirror]) -> None:
    catch_up(Indexer(held.world.database, connect(three[0].url, CHAIN_ID)))

    held.assert_exact()
    assert three[0].count("eth_getLogs") == 1
