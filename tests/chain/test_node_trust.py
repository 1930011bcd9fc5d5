"""A node that contradicts itself, or refuses: nothing of it is believed, nothing is changed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import pytest
from msgspec import Raw

from chain.errors import RpcInconsistent, RpcRefused
from chain.node.client import Block, ChainClient, hex_of
from chain.node.wire import WireLog
from chain.sync.indexer import Indexer
from tests.chain.nodes import CHAIN_ID
from tests.chain.outcomes import everything
from tests.chain.suite import ADDRESSES, Suite, catch_up, cursor_of, shuffle
from tests.chain.wire_logs import told, written

pytestmark = pytest.mark.chain

change = msgspec.structs.replace
WRONG_HASH = b"\x99" * 32


@pytest.fixture
def held(suite: Suite) -> Suite:
    """A projected token, with five blocks of transfers that are not yet projected."""
    for number in range(5):
        suite.mint(number, 10_000)
    suite.index()
    shuffle(suite, seed=1, blocks=5)
    return suite


Header = Block | None


class Lying(ChainClient):
    """A node whose logs, or whose headers, are changed before they arrive."""

    def __init__(self, suite: Suite) -> None:
        super().__init__(suite.world.node.url, CHAIN_ID)
        self.of_logs: Callable[[list[WireLog]], list[WireLog]] = lambda logs: logs
        self.of_block: Callable[[list[WireLog]], list[WireLog]] = lambda logs: logs
        self.of_headers: Callable[[list[Header]], list[Header]] = lambda headers: headers

    def logs(self, addresses: Sequence[bytes], first: int, last: int) -> list[Raw]:
        return written(self.of_logs(told(super().logs(addresses, first, last))))

    def logs_of_block(self, addresses: Sequence[bytes], block_hash: bytes) -> list[Raw]:
        return written(self.of_block(told(super().logs_of_block(addresses, block_hash))))

    def headers(self, numbers: Sequence[int]) -> list[Header]:
        return self.of_headers(super().headers(numbers))


LIES: dict[str, Callable[[Lying], None]] = {}


def lie(tell: Callable[[Lying], None]) -> Callable[[Lying], None]:
    LIES[tell.__name__] = tell
    return tell


@lie
def log_of_another_branch(node: Lying) -> None:
    node.of_logs = lambda logs: [*logs[:-1], change(logs[-1], block_hash=hex_of(WRONG_HASH))]


@lie
def logs_backwards(node: Lying) -> None:
    node.of_logs = lambda logs: logs[::-1]


@lie
def log_twice(node: Lying) -> None:
    node.of_logs = lambda logs: [logs[0], *logs]


@lie
def log_above_the_range(node: Lying) -> None:
    node.of_logs = lambda logs: [*logs[:-1], change(logs[-1], block_number=hex(10**9))]


@lie
def log_below_the_range(node: Lying) -> None:
    node.of_logs = lambda logs: [change(logs[0], block_number="0x1"), *logs[1:]]


@lie
def logs_left_out_at_the_end(node: Lying) -> None:
    node.of_logs = lambda logs: [
        entry for entry in logs if entry.block_number != logs[-1].block_number
    ]


@lie
def logs_left_out_in_the_middle(node: Lying) -> None:
    def leave_out(logs: list[WireLog]) -> list[WireLog]:
        numbers = sorted({int(entry.block_number, 16) for entry in logs})
        middle = hex(numbers[len(numbers) // 2])
        return [entry for entry in logs if entry.block_number != middle]

    node.of_logs = leave_out


@lie
def logs_left_out_whatever_is_asked(node: Lying) -> None:
    logs_left_out_in_the_middle(node)
    node.of_block = lambda _: []


@lie
def transaction_of_no_block(node: Lying) -> None:
    node.of_logs = lambda logs: [*logs[:-1], change(logs[-1], transaction_hash=hex_of(WRONG_HASH))]


@lie
def transaction_of_another_block(node: Lying) -> None:
    node.of_logs = lambda logs: [
        *logs[:-1],
        change(logs[-1], transaction_hash=logs[0].transaction_hash),
    ]


@lie
def header_in_the_middle_of_another_branch(node: Lying) -> None:
    node.of_headers = lambda headers: [
        *headers[:1],
        *(altered(each, hash=WRONG_HASH) for each in headers[1:-1]),
        *headers[-1:],
    ]


@lie
def no_logs_at_all(node: Lying) -> None:
    node.of_logs = lambda _: []


@lie
def header_missing(node: Lying) -> None:
    node.of_headers = lambda headers: [None, *headers[1:]]


@lie
def header_of_another_block(node: Lying) -> None:
    node.of_headers = lambda headers: [altered(headers[0], number=1), *headers[1:]]


@lie
def first_header_of_another_branch(node: Lying) -> None:
    node.of_headers = lambda headers: [
        altered(headers[0], parent_hash=WRONG_HASH),
        *headers[1:],
    ]


@lie
def end_changed_meanwhile(node: Lying) -> None:
    def change_end(logs: list[WireLog]) -> list[WireLog]:
        node.of_headers = lambda headers: [*headers[:-1], altered(headers[-1], hash=WRONG_HASH)]
        return logs

    node.of_logs = change_end


def altered(header: Header, **fields: Any) -> Block:
    assert header is not None
    return change(header, **fields)


@pytest.mark.parametrize("name", LIES)
def test_indexer__node_contradicts_itself__refuses_and_changes_nothing(
    held: Suite, name: str
) -> None:
    database = held.world.database
    before, cursor = everything(database), cursor_of(database)
    node = Lying(held)
    LIES[name](node)

    with pytest.raises(RpcInconsistent):
        Indexer(database, node).advance()

    assert everything(database) == before
    assert (cursor_of(database).number, cursor_of(database).hash) == (cursor.number, cursor.hash)
    held.index()
    held.assert_exact()


def test_indexer__reorg_while_the_logs_are_read__refuses_then_follows(held: Suite) -> None:
    node = Lying(held)

    def reorganize(logs: list[WireLog]) -> list[WireLog]:
        node.of_logs = lambda later: later
        held.world.node.roll_back(3)
        shuffle(held, seed=2, blocks=4)
        return logs

    node.of_logs = reorganize
    indexer = Indexer(held.world.database, node)
    with pytest.raises(RpcInconsistent):
        indexer.advance()
    held.index(indexer)

    held.assert_exact()


def test_indexer__reorg_after_the_range_was_read__is_taken_back_in_the_next_turn(
    held: Suite,
) -> None:
    """What was read is one branch as a whole; that it is gone is noticed by its hash."""

    class ReadsLate(Lying):
        def block(self, block: Any) -> Any:
            found = super().block(block)
            if isinstance(block, int) and self.armed:
                self.armed = False
                held.world.node.roll_back(2)
                shuffle(held, seed=2, blocks=2)
            return found

        armed = False

    node = ReadsLate(held)
    indexer = Indexer(held.world.database, node)
    node.armed = True
    held.index(indexer)

    held.assert_exact()


def test_indexer__node_that_refuses_wide_ranges__is_asked_for_narrower_ones(held: Suite) -> None:
    shuffle(held, seed=3, blocks=10)
    asked = []

    class Narrow(ChainClient):
        def logs(self, addresses: Sequence[bytes], first: int, last: int) -> list[Raw]:
            asked.append(last - first + 1)
            if last - first + 1 > 4:
                raise RpcRefused("eth_getLogs", -32005, "query returned too many results", None)
            return super().logs(addresses, first, last)

    held.index(Indexer(held.world.database, Narrow(held.world.node.url, CHAIN_ID)))

    held.assert_exact()
    assert max(asked) > 4


def test_indexer__node_that_refuses_every_range__says_so_and_changes_nothing(held: Suite) -> None:
    class Closed(ChainClient):
        def logs(self, *_: Any) -> list[Raw]:
            raise RpcRefused("eth_getLogs", -32005, "no", None)

    indexer = Indexer(held.world.database, Closed(held.world.node.url, CHAIN_ID))
    before = everything(held.world.database)

    with pytest.raises(RpcRefused):
        catch_up(indexer)

    assert everything(held.world.database) == before


def test_indexer__transaction_of_the_head_is_elsewhere__refuses(held: Suite) -> None:
    held.index()
    before, cursor = everything(held.world.database), cursor_of(held.world.database)
    held.mint(0, 7)
    node = Lying(held)
    node.of_block = lambda logs: [
        *logs[:-1],
        change(logs[-1], transaction_hash=hex_of(WRONG_HASH)),
    ]

    with pytest.raises(RpcInconsistent):
        Indexer(held.world.database, node).advance()

    assert everything(held.world.database) == before
    assert cursor_of(held.world.database).hash == cursor.hash
    held.index()
    held.assert_exact()


def test_indexer__one_contract_of_the_head_left_out__is_read_like_any_range(held: Suite) -> None:
    held.index()
    held.send_registration(5, 76)
    held.send("forcedTransfer", ADDRESSES[0], ADDRESSES[1], 10)
    held.world.node.mine()
    node = Lying(held)
    node.of_block = lambda logs: [entry for entry in logs if entry.address != hex_of(held.registry)]

    held.index(Indexer(held.world.database, node))

    held.assert_exact()
    assert ADDRESSES[5] in held.projected().registered
