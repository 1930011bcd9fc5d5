"""A node leaves out that a token of ours was deployed: it is followed all the same."""

from __future__ import annotations

from typing import Any

import pytest
import structlog
from sqlalchemy import text
from sqlmodel import select

from chain.errors import RpcRefused
from chain.node.client import ChainClient
from chain.sync.catch_up import CatchUp
from chain.sync.indexer import Indexer
from chain.sync.untold import Untold
from registry.captable.models import Token
from registry.journal.models import JournalEntry
from tests.chain.market import Market
from tests.chain.nodes import CHAIN_ID
from tests.chain.suite import catch_up
from tests.chain.test_repair import Forgetful

pytestmark = pytest.mark.chain


def read_to_the_end(market: Market) -> None:
    behind = CatchUp(market.world.database, market.world.client)
    while behind.advance():
        pass


def followed(market: Market) -> list[bytes]:
    with market.world.database.reading() as session:
        return list(session.exec(select(Token.address)))


def look(market: Market) -> None:
    Untold(market.world.database, market.world.client).turn()


def test_deployment_that_the_node_left_out__is_followed_from_its_first_block(
    minted: Market,
) -> None:
    world = minted.world
    catch_up(Indexer(world.database, Forgetful(world.node.url, CHAIN_ID)))
    assert followed(minted) == []

    look(minted)
    read_to_the_end(minted)

    suite = minted.suite()
    assert followed(minted) == [suite.token]
    suite.assert_exact()
    with world.database.reading() as session:
        told = session.exec(
            select(JournalEntry.actor).where(JournalEntry.act == "token_adopted")
        ).all()
    assert told == ["system"]


def test_followed_token__is_left_alone(minted: Market) -> None:
    catch_up(Indexer(minted.world.database, minted.world.client))

    look(minted)

    with minted.world.database.reading() as session:
        assert session.exec(select(Token.caught_up_to)).all() == [None]


def test_deployment_that_is_not_read_yet__is_waited_for(minted: Market) -> None:
    """The sync stands where it was opened, before the first token."""
    look(minted)

    assert followed(minted) == []


class Refusing(ChainClient):
    """Calls no contract: each takes all gas that the node gives."""

    asked = 0

    def call(self, *_: Any, **__: Any) -> bytes:
        self.asked += 1
        raise RpcRefused("eth_call", -32000, "out of gas", None)


def test_untold_token_that_the_node_does_not_call__stops_no_turn_and_is_asked_again_later(
    minted: Market,
) -> None:
    world = minted.world
    catch_up(Indexer(world.database, Forgetful(world.node.url, CHAIN_ID)))
    node = Refusing(world.node.url, CHAIN_ID)
    untold = Untold(world.database, node)

    untold.turn()
    untold.turn()

    assert node.asked == 1
    assert followed(minted) == []


def test_untold_token_without_code__is_told_of_and_left(minted: Market) -> None:
    world = minted.world
    catch_up(Indexer(world.database, Forgetful(world.node.url, CHAIN_ID)))
    with world.database.engine.begin() as connection:
        connection.execute(
            text("UPDATE tokenization SET token_address = decode(repeat('ee', 20), 'hex')")
        )

    with structlog.testing.capture_logs() as told:
        look(minted)

    assert followed(minted) == []
    assert [entry["event"] for entry in told] == ["deployment_untold", "token_not_adopted"]
    assert "has no code" in told[1]["reason"]
