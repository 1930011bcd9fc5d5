"""What is sliced from the wire is what the ABI's own decoder reads; what is off is refused."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from eth_utils.crypto import keccak
from hypothesis import given
from hypothesis import strategies as st

from chain.errors import RpcInconsistent, RpcRefused, RpcUnavailable
from chain.node.bloom import mask_of, may_hold
from chain.node.client import hex_of, log_of
from chain.node.wire import WireLog, decode_headers, decode_logs
from chain.sync.decode import TRANSFER, TransferReader, UndecodableLog, read_event
from chain.sync.pace import FIRST_BLOCKS, MOST_BLOCKS, PIECE_LOGS, WANTED_LOGS, Pace

pytestmark = pytest.mark.unit

TOKEN = b"\xaa" * 20
ADDRESSES = st.binary(min_size=20, max_size=20)
change = msgspec.structs.replace


def topic_of(address: bytes) -> str:
    return hex_of(bytes(12) + address)


def transfer(source: bytes, target: bytes, units: int, index: int = 3) -> WireLog:
    return WireLog(
        address=hex_of(TOKEN),
        topics=[TRANSFER, topic_of(source), topic_of(target)],
        data=hex_of(units.to_bytes(32, "big")),
        block_number="0x10",
        block_hash=hex_of(b"\x01" * 32),
        transaction_hash=hex_of(b"\x02" * 32),
        log_index=hex(index),
    )


@given(
    source=ADDRESSES | st.just(bytes(20)),
    target=ADDRESSES | st.just(bytes(20)),
    units=st.integers(0, 2**256 - 1),
    index=st.integers(0, 2**31 - 1),
)
def test_transfer__sliced__is_what_the_abi_decodes(
    source: bytes, target: bytes, units: int, index: int
) -> None:
    entry = transfer(source, target, units, index)

    sliced = TransferReader().read(entry, TOKEN, 16, index)

    assert sliced == read_event(log_of(entry), TOKEN, is_registry=False)


GOOD = transfer(b"\x11" * 20, b"\x22" * 20, 5)


@pytest.mark.parametrize(
    "entry",
    [
        change(GOOD, topics=GOOD.topics[:2]),
        change(GOOD, topics=[*GOOD.topics, GOOD.data]),
        change(GOOD, topics=[*GOOD.topics[:2], "0x01" + GOOD.topics[2][4:]]),
        change(GOOD, topics=[*GOOD.topics[:2], GOOD.topics[2][:-2]]),
        change(GOOD, data="0x"),
        change(GOOD, data=GOOD.data + "00"),
        change(GOOD, data="0x" + "zz" * 32),
    ],
    ids=["no target", "value indexed", "dirty address", "short", "no data", "long", "no hex"],
)
def test_transfer__other_shape__is_refused(entry: WireLog) -> None:
    with pytest.raises(UndecodableLog):
        TransferReader().read(entry, TOKEN, 16, 3)


def answer(**fields: Any) -> bytes:
    return msgspec.json.encode({"jsonrpc": "2.0", "id": 0, **fields})


def test_logs__as_the_node_writes_them__are_read() -> None:
    body = answer(result=[msgspec.to_builtins(GOOD) | {"removed": False, "blockTimestamp": "0x1"}])

    assert decode_logs(body) == [GOOD]


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        (b"<html>502</html>", RpcUnavailable),
        (answer(result=[msgspec.to_builtins(GOOD)])[:-9], RpcUnavailable),
        (answer(error={"code": -32005, "message": "too many"}), RpcRefused),
        (answer(result=None), RpcInconsistent),
        (answer(result={}), RpcInconsistent),
        (answer(result=[msgspec.to_builtins(GOOD) | {"blockNumber": None}]), RpcInconsistent),
        (answer(result=[msgspec.to_builtins(GOOD) | {"removed": True}]), RpcInconsistent),
    ],
    ids=["html", "cut off", "error", "null", "object", "pending", "removed"],
)
def test_logs__anything_else__is_an_own_error(body: bytes, fault: type[Exception]) -> None:
    with pytest.raises(fault):
        decode_logs(body)


HEADER = {
    "number": "0x1",
    "hash": "0x01",
    "parentHash": "0x02",
    "timestamp": "0x3",
    "gasLimit": "0x4",
    "logsBloom": "0x0",
}


def batch(*ids: int) -> bytes:
    return msgspec.json.encode([{"id": number, "result": HEADER} for number in ids])


def test_headers__in_another_order__are_put_in_ours() -> None:
    body = msgspec.json.encode([{"id": 1, "result": None}, {"id": 0, "result": HEADER}])

    first, second = decode_headers(body, 2)

    assert first is not None
    assert first.parent_hash == "0x02"
    assert second is None


@pytest.mark.parametrize("body", [batch(0), batch(0, 0), batch(0, 2), batch(0, 1, 2)])
def test_headers__not_one_for_each__are_refused(body: bytes) -> None:
    with pytest.raises(RpcInconsistent):
        decode_headers(body, 2)


def test_headers__one_error_for_all__is_told() -> None:
    with pytest.raises(RpcRefused, match="batch too large"):
        decode_headers(answer(error={"code": -32600, "message": "batch too large"}), 2)


@given(held=st.sets(ADDRESSES, max_size=20), other=ADDRESSES)
def test_bloom__never_denies_what_it_holds(held: set[bytes], other: bytes) -> None:
    bloom = 0
    for address in held:
        bloom |= mask_of(address)

    assert all(may_hold(bloom, address) for address in held)
    assert not may_hold(0, other)


def test_bloom__of_a_known_item__sets_the_published_bits() -> None:
    """By hand from the Yellow Paper: the low eleven bits of three pairs of bytes of the hash."""
    digest = keccak(TOKEN)
    bits = {int.from_bytes(digest[start : start + 2], "big") & 0x7FF for start in (0, 2, 4)}

    assert mask_of(TOKEN) == sum(1 << bit for bit in bits)


def test_pace__large_answers__narrow_and_small_ones_widen() -> None:
    pace = Pace()
    pace.answered(FIRST_BLOCKS, 4 * WANTED_LOGS)
    assert pace.blocks == FIRST_BLOCKS // 4

    for _ in range(10):
        pace.answered(pace.blocks, 0)
    assert pace.blocks == MOST_BLOCKS


def test_pace__refused__halves_to_one_and_comes_back_slowly() -> None:
    pace = Pace()
    for _ in range(20):
        pace.refused(pace.blocks)
    assert pace.blocks == 1

    pace.answered(1, 0)
    assert pace.blocks == 2


def test_pace__step__follows_how_dense_the_last_range_was() -> None:
    pace = Pace()
    assert pace.step is None

    pace.answered(FIRST_BLOCKS, 10 * PIECE_LOGS)
    assert pace.step == FIRST_BLOCKS // 10
    pace.answered(10, 2 * 10 * PIECE_LOGS)
    assert pace.step == 1
    pace.answered(MOST_BLOCKS, 0)
    assert pace.step == MOST_BLOCKS
