"""A node leaves a log out, deep below the head: another node is asked, and no token is blamed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import text
from sqlmodel import col, select

from chain.errors import RpcInconsistent
from chain.node import pooled_node
from chain.node.client import ChainClient, hex_of
from chain.node.pooled_node import NodeState
from chain.sync.catch_up import CatchUp
from chain.sync.indexer import Indexer
from chain.sync.near_head import NEAR_BLOCKS
from registry.captable.projection import CursorMoved
from registry.journal.models import JournalEntry
from tests.chain.mirror import Lie, Mirror
from tests.chain.nodes import CHAIN_ID
from tests.chain.pools import mirrors, pool, states
from tests.chain.suite import Suite, catch_up
from tests.chain.test_garbled_logs import topic

pytestmark = pytest.mark.chain

DEEP = NEAR_BLOCKS + 10
TURNS = 20


@pytest.fixture(autouse=True)
def patiently(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out for a minute whoever is not believed."""
    monkeypatch.setattr(pooled_node, "FIRST_REST_SECONDS", 60.0)


@pytest.fixture
def three(suite: Suite) -> Iterator[list[Mirror]]:
    with mirrors(suite.world.node, 3) as found:
        yield found


def without_transfers(number: int) -> Lie:
    """Leave the transfers of one block out of every answer."""
    transfer = hex_of(topic("Token", "Transfer"))

    def lie(request: dict[str, Any], result: Any) -> Any:
        if request["method"] != "eth_getLogs":
            return result
        return [
            log
            for log in result
            if int(log["blockNumber"], 16) != number or log["topics"][0] != transfer
        ]

    return lie


def registered(suite: Suite) -> Suite:
    """Give a new token of which two people may hold units."""
    found = suite.deploy("second")
    found.register(0, 40)
    found.register(1, 40)
    return found


def new_token_whose_mint_is_left_out(suite: Suite, liar: Mirror) -> Suite:
    """Have a token deployed, minted and moved in blocks that are not projected yet."""
    suite.index()
    other = registered(suite)
    at = other.mint(0, 100).block_number
    other.move(0, 1, 30)
    suite.world.node.mine(DEEP)
    liar.lie = without_transfers(at)
    return other


def settle(indexer: Indexer, behind: CatchUp) -> None:
    """Take turns of a sync until nothing is left to do."""
    for _ in range(TURNS):
        try:
            if not indexer.advance() and not behind.advance():
                return
        except CursorMoved:
            continue
    raise AssertionError("the sync does not come to an end")


def test_new_token__mint_left_out_by_one_node__is_what_the_others_say(
    suite: Suite, three: list[Mirror]
) -> None:
    other = new_token_whose_mint_is_left_out(suite, three[0])
    nodes = pool(three)

    catch_up(Indexer(suite.world.database, nodes))

    assert states(nodes)[0] is NodeState.INCONSISTENT
    other.assert_exact()


def test_new_token__mint_left_out_by_the_only_node__is_not_applied(
    suite: Suite, three: list[Mirror]
) -> None:
    other = new_token_whose_mint_is_left_out(suite, three[0])
    indexer = Indexer(suite.world.database, ChainClient(three[0].url, CHAIN_ID))

    with pytest.raises(RpcInconsistent):
        catch_up(indexer)
    three[0].lie = lambda _, result: result
    catch_up(indexer)

    other.assert_exact()


def test_known_token__mint_left_out_of_an_earlier_range__is_read_again_from_another_node(
    suite: Suite, three: list[Mirror]
) -> None:
    suite.index()
    other = registered(suite)
    at = other.mint(0, 100).block_number
    suite.world.node.mine(DEEP)
    other.move(0, 1, 30)
    three[0].lie = without_transfers(at)
    nodes = pool(three)

    settle(Indexer(suite.world.database, nodes), CatchUp(suite.world.database, nodes))

    other.assert_exact()
    assert states(nodes)[0] is NodeState.INCONSISTENT
    with suite.world.database.reading() as session:
        refused = col(JournalEntry.act) == "token_refused"
        assert session.exec(select(JournalEntry.id).where(refused)).first() is None


WRONG_AT_ONCE = """
CREATE FUNCTION wrong_at_once() RETURNS trigger LANGUAGE plpgsql AS
$$BEGIN NEW.held_units := 1; RETURN NEW; END$$;
CREATE TRIGGER wrong_at_once BEFORE INSERT ON token
FOR EACH ROW EXECUTE FUNCTION wrong_at_once();
"""


def test_new_token__sum_differs__is_no_fault_and_is_read_again(suite: Suite) -> None:
    suite.index()
    other = registered(suite)
    other.mint(0, 100)
    indexer = Indexer(suite.world.database, suite.world.client)
    run(suite, WRONG_AT_ONCE)

    with pytest.raises(RpcInconsistent, match="have 101 units together"):
        catch_up(indexer)
    run(suite, "DROP FUNCTION wrong_at_once CASCADE")
    catch_up(indexer)

    other.assert_exact()


def run(suite: Suite, statements: str) -> None:
    with suite.world.database.transaction() as session:
        session.connection().execute(text(statements))
