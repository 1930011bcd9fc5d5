"""What is known of one token at a lost block, and told of it, whatever others said in it."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from registry.alert import rounds
from registry.alert.models import AlertCursor
from registry.captable import feed, lost_seal
from registry.captable.branches import known_block_at
from registry.captable.history import list_changes
from registry.captable.page import list_held
from registry.captable.rewind import rewind
from registry.captable.service import get_token
from registry.captable.supply import supply_at
from registry.captable.transfers import TransferFilter, list_transfers
from registry.kernel.errors import Invalid
from tests.api.house import House
from tests.api.moves import Moves, minted, moved, moves, wallet_no

pytestmark = pytest.mark.db

ONE, TWO = wallet_no(1), wallet_no(2)
OTHERS = 200_000
"""Events of another token in a lost block; as objects they are a hundred megabytes."""
MOST_BYTES = 20 * 2**20
_TOLD_BY_OTHERS = """
UPDATE orphan_block SET
  token_nos = token_nos || array_fill(9999, ARRAY[{count}]),
  log_indexes = log_indexes || array_fill(7, ARRAY[{count}]),
  kinds = kinds || array_fill(1, ARRAY[{count}]),
  tx_hashes = tx_hashes || array_fill('\\x00'::bytea, ARRAY[{count}]),
  sources = sources || array_fill(1, ARRAY[{count}]),
  targets = targets || array_fill(1, ARRAY[{count}]),
  amounts = amounts || array_fill(1::numeric, ARRAY[{count}]),
  extras = extras || array_fill(NULL::jsonb, ARRAY[{count}])
WHERE number = %s
"""


def reset(chain: Moves, branch: str) -> None:
    """Follow another chain, from its first block on, in which the token is deployed again."""
    chain.branch = branch
    with chain.house.database.transaction() as session:
        rewind(session, chain.chain_id, chain.block(0))
    chain.mine(deploy=True)


def place_of(chain: Moves, number: int) -> feed.Place:
    return feed.Place(number, chain.block(number).hash)


@contextmanager
def in_little_memory() -> Iterator[None]:
    tracemalloc.start()
    try:
        yield
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < MOST_BYTES


@pytest.fixture
def chain(fresh_house: House) -> Moves:
    return moves(fresh_house)


def test_lost_branch__others_said_much__one_token_is_read_in_little_memory(chain: Moves) -> None:
    fork = chain.mine(minted(ONE, 100))
    last = chain.mine(moved(ONE, TWO, 40))
    place = feed.Place(last, chain.block(last).hash)
    moment = chain.house.one("SELECT clock_timestamp()")
    chain.take_back_to(fork, "second")
    with chain.house.database.transaction() as session:
        meddle = _TOLD_BY_OTHERS.format(count=OTHERS)
        session.connection().exec_driver_sql(meddle, (last,))

    with chain.house.database.reading() as session, in_little_memory():
        token = get_token(session, chain.token)
        block = known_block_at(session, chain.chain_id, None, moment)
        held = list_held(session, token, block, limit=10)
        supply = supply_at(session, token, block)
        moves_of = list_transfers(session, token, TransferFilter(until=block), limit=10)
        changes = list_changes(session, token, ONE, until=block, limit=10)
        feed.check_place(session, token, place)
        told = feed.read_feed(session, token, place)

    assert block.is_orphaned
    assert {row.address: row.balance_units for row in held} == {ONE: 60, TWO: 40}
    assert supply == 100
    assert [row.units for row in moves_of] == [100, 40]
    assert [row.balance_units for row in changes] == [100, 60]
    assert [each.news.number for each in told.news if isinstance(each.news, feed.BlockTaken)] == [
        last
    ]


def test_place__chain_was_reset_twice__leads_to_the_newest_first_block(chain: Moves) -> None:
    lost = chain.mine(minted(ONE, 100))
    places = [place_of(chain, lost)]
    reset(chain, "second")
    places.append(place_of(chain, chain.mine(minted(ONE, 1))))
    reset(chain, "third")
    new = chain.mine(minted(TWO, 7))

    with chain.house.database.reading() as session:
        token = get_token(session, chain.token)
        for place in places:
            assert feed.kept_place(session, chain.chain_id, place) == place_of(chain, 0)
        told = [each.news for each in feed.read_feed(session, token, places[0]).news]
        assert list(lost_seal.altered(session)) == []

    assert isinstance(told[0], feed.BlockTaken)
    assert told[0].number == lost
    assert [each.block.number for each in told if isinstance(each, feed.BlockAdded)] == [new]


@pytest.mark.parametrize("is_kept", [True, False], ids=["as it is", "as it was thrown away once"])
def test_rounds__chain_was_reset_twice_since__go_on_with_the_newest(
    chain: Moves, is_kept: bool
) -> None:
    vault = chain.house.services.vault

    def look() -> tuple[int | None, bytes | None]:
        with chain.house.database.transaction() as session:
            seen = rounds.look_at_chain(session, vault, chain.chain_id)
            assert seen is not None
            rounds.note_chain(session, vault, seen)
        with chain.house.database.reading() as session:
            cursor = session.get_one(AlertCursor, f"chain:{chain.chain_id}")
            return cursor.block_number, cursor.block_hash

    lost = place_of(chain, chain.mine(minted(ONE, 100)))
    assert look() == (lost.number, lost.hash)
    reset(chain, "second")
    reset(chain, "third")
    new = place_of(chain, chain.mine(minted(TWO, 7)))
    if not is_kept:
        with chain.house.database.transaction() as session:
            session.connection().exec_driver_sql("DELETE FROM orphan_block WHERE number = 0")
        with chain.house.database.reading() as session:
            token = get_token(session, chain.token)
            with pytest.raises(Invalid, match="event_id_unknown"):
                feed.check_place(session, token, lost)

    assert look() == (new.number, new.hash)
