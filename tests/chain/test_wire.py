"""What comes over the wire is read into what it says; what is off is an own error."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from eth_utils.crypto import keccak
from hypothesis import given
from hypothesis import strategies as st

from chain.errors import RpcInconsistent, RpcRefused, RpcUnavailable
from chain.node.bloom import mask_of, may_hold
from chain.node.client import hex_of
from chain.node.log_table import read_table
from chain.node.wire import decode_headers, decode_logs
from chain.sync.pace import (
    FAR_LOGS,
    FIRST_BLOCKS,
    MOST_BLOCKS,
    PIECE_LOGS,
    WANTED_LOGS,
    Pace,
    Steps,
)

pytestmark = pytest.mark.unit

TOKEN = b"\xaa" * 20
ADDRESSES = st.binary(min_size=20, max_size=20)
LOG = {
    "address": hex_of(TOKEN),
    "topics": [hex_of(bytes(32))],
    "data": "0x05",
    "blockNumber": "0x10",
    "blockHash": hex_of(b"\x01" * 32),
    "transactionHash": hex_of(b"\x02" * 32),
    "logIndex": "0x3",
}


def answer(**fields: Any) -> bytes:
    return msgspec.json.encode({"jsonrpc": "2.0", "id": 0, **fields})


def test_logs__as_the_node_writes_them__are_read() -> None:
    body = answer(result=[LOG | {"removed": False, "blockTimestamp": "0x1"}])

    table = read_table(decode_logs(body))

    (entry,) = table.others.values()
    assert entry.address == hex_of(TOKEN)
    assert (table.block.tolist(), table.index.tolist()) == ([16], [3])


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        (b"<html>502</html>", RpcUnavailable),
        (answer(result=[LOG])[:-9], RpcUnavailable),
        (answer(error={"code": -32005, "message": "too many"}), RpcRefused),
        (answer(result=None), RpcInconsistent),
        (answer(result={}), RpcInconsistent),
        (answer(result=[5]), RpcInconsistent),
        (answer(result=[LOG | {"blockNumber": None}]), RpcInconsistent),
        (answer(result=[LOG | {"blockNumber": "0x"}]), RpcInconsistent),
        (answer(result=[LOG | {"logIndex": "0x" + "f" * 16}]), RpcInconsistent),
        (answer(result=[LOG | {"blockHash": "0x1"}]), RpcInconsistent),
        (answer(result=[LOG | {"removed": True}]), RpcInconsistent),
    ],
    ids=[
        *("html", "cut off", "error", "null", "object", "no log", "pending", "no number"),
        *("huge", "half a hash", "removed"),
    ],
)
def test_logs__anything_else__is_an_own_error(body: bytes, fault: type[Exception]) -> None:
    with pytest.raises(fault):
        read_table(decode_logs(body))


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


def test_pace__steps__follow_how_dense_the_last_range_was() -> None:
    pace = Pace()
    assert pace.steps is None

    pace.answered(FIRST_BLOCKS, 10 * PIECE_LOGS)
    assert pace.steps == Steps(FIRST_BLOCKS // 10, FIRST_BLOCKS * FAR_LOGS // (10 * PIECE_LOGS))
    pace.answered(10, 2 * 10 * FAR_LOGS)
    assert pace.steps == Steps(1, 1)
    pace.answered(MOST_BLOCKS, 0)
    assert pace.steps == Steps(MOST_BLOCKS, MOST_BLOCKS)
