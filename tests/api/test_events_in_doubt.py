"""The stream of a token that is in doubt, which each block says, or that is read apart."""

from __future__ import annotations

import time
from collections.abc import Sequence

import pytest
from sqlmodel import Session

from api import sse
from api.routes import events
from registry.captable.degraded import degrade, difference_of
from registry.captable.events import ProjectedToken
from registry.captable.feed import BlockAdded, Feed, Place, begin, read_feed
from registry.captable.models import Reconciliation, Token
from registry.captable.projection import open_cursor
from registry.captable.service import find_token
from tests.api.house import House
from tests.api.moves import minted, moved, moves, wallet_no
from tests.api.other_chain import ONE, OTHER, TWO, block, mine
from tests.api.test_events import listening

pytestmark = pytest.mark.db

ADOPTED = wallet_no(77)


def test_stream__projection_in_doubt__each_block_says_why(fresh_house: House) -> None:
    chain = moves(fresh_house)
    with listening(chain) as stream:
        stream.next()
        chain.mine(minted(ONE, 10))
        assert stream.next().data["block"]["degraded"] is None
        with fresh_house.database.transaction() as session:
            degrade(session, chain.chain_id, "a reorg")
        chain.mine(moved(ONE, TWO, 4))
        assert stream.next().data["block"]["degraded"] == "a reorg"


def test_stream__token_is_read_apart__asks_the_database_seldom(
    fresh_house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[float] = []

    def counted(session: Session, token: Token, since: Place) -> Feed:
        looks.append(time.monotonic())
        return read_feed(session, token, since)

    chain = moves(fresh_house)
    place = chain.mine(minted(ONE, 10))
    monkeypatch.setattr(events, "read_feed", counted)
    with listening(chain) as stream:
        stream.next()
        chain.set_apart()
        chain.mine()
        time.sleep(0.5)  # by now it knows that the cursor is elsewhere
        seen = len(looks)
        time.sleep(3 * sse.APART_SECONDS)
        assert 1 <= len(looks) - seen <= 4
        chain.read_apart([moved(ONE, TWO, 4)], first=place + 1, joins=True)
        assert stream.next().data["block"]["number"] == place + 1


def test_feed__adopted_token_differs__each_block_says_so(fresh_house: House) -> None:
    with fresh_house.database.transaction() as session:
        open_cursor(session, OTHER, block(1), 1)
    token = ProjectedToken(address=ADOPTED, identity_registry=ONE, compliance=TWO, block_number=2)
    mine(fresh_house, ADOPTED, 2, minted(ONE, 20), tokens=[token])
    with fresh_house.database.transaction() as session:
        found = adopted(session)
        since = begin(session, found)
        found.is_adopted = True
        session.add(proof_of(found, [{"what": "supply"}]))
    mine(fresh_house, ADOPTED, 3, moved(ONE, TWO, 5))

    with fresh_house.database.reading() as session:
        (told,) = read_feed(session, adopted(session), since).news

    assert isinstance(told.news, BlockAdded)
    assert told.news.block.degraded == difference_of([ADOPTED])


def adopted(session: Session) -> Token:
    token = find_token(session, ADOPTED, chain_id=OTHER)
    assert token is not None
    return token


def proof_of(token: Token, differences: Sequence[dict[str, str]]) -> Reconciliation:
    assert token.token_no is not None
    return Reconciliation(
        token_no=token.token_no,
        block_number=2,
        block_hash=block(2).hash,
        holders=1,
        projected_supply_units=20,
        chain_supply_units=21,
        differences=list(differences),
    )
