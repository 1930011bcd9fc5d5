"""Tokens that stood before we followed their chain, and those that say what cannot be."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import pytest
from eth_utils.crypto import keccak
from sqlmodel import col, select

from api import reconcile_cli
from chain.node.client import Block, ChainClient, hex_of
from chain.node.sent import BY_HASH, BY_PLACE
from chain.sync.adoption import AdoptionRefused, examine
from chain.sync.asked import SETTLED_BLOCKS
from chain.sync.catch_up import CatchUp
from chain.sync.indexer import Indexer
from chain.sync.writer import Writer
from registry.captable import catching_up, entries
from registry.captable import service as captable
from registry.captable.events import FORCED
from registry.captable.models import EventKind, Token, TokenEvent
from registry.captable.projection import CursorMoved
from registry.kernel.actor import THE_SYSTEM
from registry.kernel.errors import Conflict, Unavailable
from tests.chain.nodes import CHAIN_ID
from tests.chain.suite import ADDRESSES, Suite, catch_up, cursor_of, shuffle
from tests.chain.test_repair import milkiyat
from tests.chain.test_worker import eventually

pytestmark = pytest.mark.chain

GREATEST = 2**256 - 1
IN_TURN = (col(TokenEvent.block_number), col(TokenEvent.log_index))
LIVED = 10
"""Blocks at least of the token's life that the tests see."""
TABLES = (
    "sync_cursor, chain_block, token, token_event, balance_at, balance, registered_wallet,"
    " reconciliation, proof_round, orphan_block, token_reading"
)


@pytest.fixture
def stranger(suite: Suite) -> Suite:
    return estranged(suite)


def estranged(suite: Suite) -> Suite:
    """Give a token with a past, on a chain that is followed only from now on."""
    for number in range(5):
        suite.mint(number, 10_000)
    shuffle(suite, seed=1, blocks=5)
    suite.do("freezePartialTokens", ADDRESSES[1], 10)
    suite.do("setAddressFrozen", ADDRESSES[2], True)
    forget(suite)
    return suite


def forget(suite: Suite) -> None:
    """Follow the chain only from now on, without any token."""
    with suite.world.database.engine.begin() as connection:
        # The database refuses to forget proofs.
        connection.exec_driver_sql("SET LOCAL session_replication_role = replica")
        connection.exec_driver_sql(f"TRUNCATE {TABLES}")
    suite.index()


def adopt(suite: Suite) -> None:
    found = examine(suite.world.client, suite.token)
    with suite.world.database.transaction() as session:
        catching_up.adopt(session, THE_SYSTEM, CHAIN_ID, found)


class Unindexed(ChainClient):
    """Finds no transaction by its hash; where it keeps no blocks either, none at all."""

    keeps_blocks = True

    def batch(self, calls: Sequence[tuple[str, tuple[Any, ...]]]) -> list[Any]:
        lost = {BY_HASH} if self.keeps_blocks else {BY_HASH, BY_PLACE}
        answers = super().batch(calls)
        return [
            None if method in lost else answer
            for (method, _), answer in zip(calls, answers, strict=True)
        ]


def read_all(suite: Suite, client: ChainClient | None = None) -> None:
    behind = CatchUp(suite.world.database, client or suite.world.client)
    for _ in range(50):
        if not behind.advance():
            if not behind._doubted:
                return
            # Not to wait until the one node is asked again.
            behind._rest_until.clear()
    raise AssertionError("the token is not caught up")


def test_adopt__token_with_a_past__is_read_from_its_first_block(stranger: Suite) -> None:
    adopt(stranger)
    with (
        stranger.world.database.reading() as session,
        pytest.raises(Unavailable, match="read again"),
    ):
        captable.get_token(session, stranger.token)
    # The chain goes on meanwhile.
    stranger.mint(0, 5)
    stranger.index()

    read_all(stranger)

    stranger.assert_exact()
    stranger.mint(1, 7)
    stranger.index()
    stranger.assert_exact()
    with stranger.world.database.reading() as session:
        token = captable.get_token(session, stranger.token)
        # The node has the state of the blocks that it was there for.
        for number in range(
            stranger.world.client.head().number - LIVED, cursor_of(stranger.world.database).number
        ):
            there = stranger.on_chain(number)
            for address in ADDRESSES:
                held = entries.holding_at(session, token, address, number)
                assert held == there.holders.get(address, (0, 0))


@pytest.fixture
def moved(suite: Suite) -> Suite:
    """A stranger's token of which a holder, and then an agent, has moved units."""
    suite.mint(0, 100)
    suite.do("unpause")
    suite.person(0).call("Token", suite.token, "transfer", ADDRESSES[1], 3)
    suite.move(0, 1, 4)
    forget(suite)
    adopt(suite)
    return suite


def forced(suite: Suite) -> list[bool]:
    """Tell of each transfer between wallets whether it is called forced."""
    between = col(TokenEvent.source).is_not(None) & col(TokenEvent.target).is_not(None)
    with suite.world.database.reading() as session:
        query = select(TokenEvent.extra).where(between, col(TokenEvent.kind) == EventKind.TRANSFER)
        return [extra == FORCED for extra in session.exec(query.order_by(*IN_TURN)).all()]


def test_adopt__older_than_the_nodes_index_of_transactions__is_read(moved: Suite) -> None:
    read_all(moved, Unindexed(moved.world.node.url, CHAIN_ID))

    moved.assert_exact()
    assert forced(moved) == [False, True]


def test_adopt__blocks_leave_transactions_out__are_called_forced(moved: Suite) -> None:
    """As of chains that have transactions of their own, which stand in no block."""

    class Unlisted(Unindexed):
        def headers(self, numbers: Sequence[int]) -> list[Block | None]:
            return [
                None if header is None else msgspec.structs.replace(header, transactions=())
                for header in super().headers(numbers)
            ]

    moved.world.node.mine(SETTLED_BLOCKS)
    moved.index()

    read_all(moved, Unlisted(moved.world.node.url, CHAIN_ID))

    moved.assert_exact()
    assert forced(moved) == [True, True]


def test_adopt__transactions_are_not_kept__are_called_forced_where_the_node_comes_to_no_more(
    moved: Suite,
) -> None:
    client = Unindexed(moved.world.node.url, CHAIN_ID)
    client.keeps_blocks = False
    read_all(moved, client)
    assert forced(moved) == [], "a node may come to what is near the head"
    moved.world.node.mine(SETTLED_BLOCKS)
    moved.index()

    read_all(moved, client)

    moved.assert_exact()
    assert forced(moved) == [True, True]


def test_adopt__first_block__is_where_its_code_appeared(stranger: Suite) -> None:
    class Archive(ChainClient):
        """Has the state of every block; the token was deployed in the 9th."""

        def request(self, method: str, *params: Any) -> Any:
            if method == "eth_getCode" and params[1] != "latest":
                return "0x" if int(params[1], 16) < 9 else "0x00"
            return super().request(method, *params)

    archive = Archive(stranger.world.node.url, CHAIN_ID)
    assert examine(archive, stranger.token).block_number == 9
    # Where old state is gone, everything is read.
    assert examine(stranger.world.client, stranger.token).block_number == 0


def test_catch_up__killed_in_the_middle_and_a_reorg__goes_on_where_it_stood(
    stranger: Suite,
) -> None:
    adopt(stranger)
    behind = CatchUp(stranger.world.database, stranger.world.client)
    with stranger.world.database.reading() as session:
        token_no = session.exec(select(Token.token_no)).one()
    assert token_no is not None
    behind._pace.setdefault(token_no, type("One", (), _ONE_BLOCK)())
    for _ in range(3):
        assert behind._step(token_no)
    stranger.world.node.roll_back(2)
    shuffle(stranger, seed=7, blocks=3)
    stranger.index()

    read_all(stranger)

    stranger.assert_exact()


_ONE_BLOCK = {
    "blocks": 1,
    "answered": lambda *_: None,
    "refused": lambda *_: None,
}


ENDLESS = f"0x6020600052{'7f80' + '00' * 31}60205260406000f3"
"""Code that answers every call with a text of 2^255 bytes."""


@pytest.mark.parametrize("what", ["nothing", "other contract", "no registry", "endless"])
def test_examine__what_is_no_token__is_refused_with_the_reason(stranger: Suite, what: str) -> None:
    place, said = {
        "nothing": (b"\x77" * 20, "has no code"),
        "other contract": (stranger.factory, "it has no version, identityRegistry"),
        "no registry": (stranger.token, "totalSupply"),
        "endless": (stranger.token, "it has no version"),
    }[what]
    if what == "no registry":
        stranger.world.node.rpc("anvil_setCode", hex_of(place), "0x60006000fd")
    if what == "endless":
        stranger.world.node.rpc("anvil_setCode", hex_of(place), ENDLESS)
    with pytest.raises(AdoptionRefused, match=said):
        examine(stranger.world.client, place)


def topic(address: bytes) -> str:
    return "7f" + address.rjust(32, b"\0").hex()


def says_transfer(source: bytes, target: bytes, units: int | None) -> str:
    """Give code that emits a Transfer, of which the data may be missing."""
    event = "7f" + keccak(text="Transfer(address,address,uint256)").hex()
    memory, size = ("", "6000") if units is None else (f"7f{units:064x}600052", "6020")
    return f"0x{memory}{topic(target)}{topic(source)}{event}{size}6000a300"


@pytest.mark.parametrize(
    ("source", "units", "reason"),
    [
        (ADDRESSES[0], None, "its ABI does not have"),
        (ADDRESSES[0], GREATEST, "cannot be"),
    ],
    ids=["nonsense", "more than there is"],
)
def test_token_that_says_what_cannot_be__is_refused_and_the_rest_goes_on(
    suite: Suite, source: bytes, units: int | None, reason: str
) -> None:
    other = suite.deploy("second")
    other.register(0, 40)
    suite.mint(0, 5)
    suite.index()
    node = suite.world.node
    node.rpc("anvil_setCode", hex_of(suite.token), says_transfer(source, ADDRESSES[1], units))
    node.act_as(b"\x99" * 20, suite.token, b"")
    other.mint(0, 55)
    indexer = Indexer(suite.world.database, suite.world.client)
    for _ in range(3):
        try:
            catch_up(indexer)
        except CursorMoved:
            continue
        break

    read_all(suite)

    other.assert_exact()
    with suite.world.database.reading() as session:
        with pytest.raises(Conflict, match=reason):
            captable.get_token(session, suite.token)
        captable.get_token(session, other.token)

    # Its past is still what it is: read again, it is refused again, and that is said.
    with pytest.raises(Conflict, match=reason):
        milkiyat(suite, "reconcile", hex_of(suite.token), "--repair")


def test_token_that_mints_the_greatest_number__is_exact(suite: Suite) -> None:
    suite.index()
    node = suite.world.node
    node.rpc("anvil_setCode", hex_of(suite.token), says_transfer(bytes(20), ADDRESSES[1], GREATEST))
    node.act_as(b"\x99" * 20, suite.token, b"")
    suite.index()
    with suite.world.database.reading() as session:
        token = captable.get_token(session, suite.token)
        assert int(token.supply_units) == GREATEST
        number = cursor_of(suite.world.database).number
        assert entries.holding_at(session, token, ADDRESSES[1], number) == (GREATEST, 0)


def test_adopted_before_its_chain_is_read_so_far__leaves_the_role_to_who_reads_it(
    suite: Suite, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr(reconcile_cli, "say", said.append)
    other = suite.deploy("second")
    suite.world.node.mine(5)
    writer = Writer(suite.world.database, suite.world.client)
    with ThreadPoolExecutor(1) as pool:
        adopted = pool.submit(milkiyat, suite, "tokens", "adopt", hex_of(other.token))
        eventually(lambda: len(said) > 1)
        # Whoever keeps it beats, so that nobody else is ever given it.
        eventually(writer.hold)
        catch_up(Indexer(writer.database, suite.world.client))
        writer.release()
        assert adopted.result(60).exit_code == 0

    other.assert_exact()
