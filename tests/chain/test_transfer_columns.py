"""What is cut out of many logs at once is what the ABI's own decoder reads of each by itself."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chain.contracts.abi import contract
from chain.errors import RpcInconsistent, RpcUnavailable
from chain.node.client import hex_of, log_of
from chain.node.log_table import ROWS_AT_ONCE, Patterns, read_table
from chain.node.wire import WireLog, decode_logs, wire_log
from chain.sync.decode import UndecodableLog, read_event
from chain.sync.gathering import Gathering
from chain.sync.places import block_hashes
from chain.sync.transfers import TransferReader
from chain.sync.watched import Part, Watched
from registry.captable.events import ProjectedEvent, event_of

pytestmark = pytest.mark.unit

TOKENS = [b"\xaa" * 20, b"\xbb" * 20]
LARGEST = 2**256 - 1
HASH_BYTES = 32
TRANSFER, APPROVAL = (
    hex_of(contract("Token").events[name].topic) for name in ("Transfer", "Approval")
)
WALLETS = st.sampled_from([bytes(20), *(bytes([number]) * 20 for number in range(1, 5))])
UNITS = st.sampled_from([0, 1, 10**24, 2**63, 2**64, LARGEST]) | st.integers(0, LARGEST)
FACTS = st.tuples(
    st.sampled_from(TOKENS), WALLETS | st.binary(min_size=20, max_size=20), WALLETS, UNITS
)
Fact = tuple[bytes, bytes, bytes, int]


def word(address: bytes) -> str:
    return hex_of(bytes(12) + address)


def entry(fact: Fact, block: int = 16, index: int = 3, **other: Any) -> dict[str, Any]:
    token, source, target, units = fact
    return {
        "address": hex_of(token),
        "topics": [TRANSFER, word(source), word(target)],
        "data": hex_of(units.to_bytes(32, "big")),
        "blockHash": hex_of(block.to_bytes(32, "big")),
        "blockNumber": hex(block),
        "blockTimestamp": hex(1_700_000_000 + block),
        "transactionHash": hex_of(index.to_bytes(32, "little")),
        "transactionIndex": hex(index // 3),
        "logIndex": hex(index),
        "removed": False,
    } | other


def wire(entries: list[dict[str, Any]], *, spaced: bool = False) -> list[msgspec.Raw]:
    body = msgspec.json.encode({"jsonrpc": "2.0", "id": 0, "result": entries})
    return decode_logs(msgspec.json.format(body, indent=2) if spaced else body)


def read(logs: list[msgspec.Raw]) -> list[ProjectedEvent]:
    reader = TransferReader()
    others = reader.read(read_table(logs), TOKENS)
    assert len(others) == 0
    transfers = reader.transfers()
    return [event_of(transfers, place) for place in range(len(transfers))]


def by_the_abi(logs: list[msgspec.Raw]) -> list[ProjectedEvent | None]:
    known = [log_of(wire_log(each)) for each in logs]
    return [read_event(each, each.address, "Token") for each in known]


@given(
    facts=st.lists(FACTS, min_size=1, max_size=30), start=st.integers(0, 300), spaced=st.booleans()
)
def test_transfers__in_columns__are_what_the_abi_decodes(
    facts: list[Fact], start: int, spaced: bool
) -> None:
    entries = [
        entry(fact, block=start + number // 4, index=number) for number, fact in enumerate(facts)
    ]

    logs = wire(entries, spaced=spaced)

    assert read(logs) == by_the_abi(logs)


def test_transfers__more_than_are_read_at_once__stay_in_order() -> None:
    facts = [(TOKENS[0], bytes(20), bytes([1]) * 20, number) for number in range(3 * ROWS_AT_ONCE)]
    logs = wire([entry(fact, index=number) for number, fact in enumerate(facts)])

    assert [event.units for event in read(logs)] == list(range(3 * ROWS_AT_ONCE))


def test_transfers__of_one_length_written_in_two_ways__stay_in_order() -> None:
    facts = [(TOKENS[0], bytes(20), bytes([1]) * 20, number) for number in range(3 * ROWS_AT_ONCE)]
    entries = [entry(fact, index=number) for number, fact in enumerate(facts)]
    logs = wire(
        [dict(reversed(each.items())) if each["data"][-1] in "37" else each for each in entries]
    )

    assert read(logs) == by_the_abi(logs)


def test_transfers__of_one_length_each_in_its_own_way__are_read_all_the_same() -> None:
    facts = [(TOKENS[0], bytes(20), bytes([1]) * 20, number) for number in range(2 * ROWS_AT_ONCE)]
    logs = wire(
        [entry(fact, index=number, seen=10_000 + number) for number, fact in enumerate(facts)]
    )

    assert read(logs) == by_the_abi(logs)


GOOD = (TOKENS[0], b"\x11" * 20, b"\x22" * 20, 5)
BAD = (TOKENS[1], b"\x11" * 20, b"\x22" * 20, 5)
SOURCE, TARGET = word(GOOD[1]), word(GOOD[2])


class Answering:
    """A node that gives these logs."""

    def __init__(self, logs: list[msgspec.Raw]) -> None:
        self._logs = logs

    def logs(self, *_: object) -> list[msgspec.Raw]:
        return self._logs

    def batch(self, calls: list[Any]) -> list[Any]:
        assert not calls
        return []


def gather(logs: list[msgspec.Raw]) -> Gathering:
    watched = Watched(None, None, {token: (Part(token, "Token"),) for token in TOKENS})
    gathering = Gathering(Answering(logs), watched)  # type: ignore[arg-type]
    gathering.read(0, 100)
    return gathering


@pytest.mark.parametrize(
    "odd",
    [
        {"topics": [TRANSFER, SOURCE]},
        {"topics": [TRANSFER, SOURCE, TARGET, TARGET]},
        {"topics": [TRANSFER, "0x01" + SOURCE[4:], TARGET]},
        {"topics": [TRANSFER, SOURCE, "0x" + "f" * 64]},
        {"topics": [TRANSFER, SOURCE, TARGET[:-2]]},
        {"data": "0x"},
        {"data": "0x" + "00" * 33},
    ],
    ids=[
        *("no target", "value indexed", "dirty source", "dirty target", "short"),
        *("no data", "long"),
    ],
)
def test_transfer__other_shape_among_many__is_refused_by_its_contract(odd: dict[str, Any]) -> None:
    entries = [entry(GOOD, index=number) for number in range(5)]
    entries[3] = entry(BAD, index=3, **odd)

    with pytest.raises(UndecodableLog) as refused:
        gather(wire(entries))

    assert refused.value.address == TOKENS[1]


@pytest.mark.parametrize(
    "odd",
    [
        {"removed": True},
        {"blockNumber": "0x11"},
        {"logIndex": "0x0"},
        {"logIndex": "0x2"},
        {"logIndex": hex(2**31)},
        {"blockHash": hex_of(b"\x07" * 32)},
        {"blockNumber": "0x65"},
        {"transactionHash": "0x" + "zz" * 32},
        # No contract can emit these: it is the node that makes no sense.
        {"topics": [TRANSFER, SOURCE, TARGET[:-1] + "g"]},
        {"data": "0x" + "zz" * 32},
        {"data": "00" * 33},
    ],
    ids=[
        *("removed", "next block", "at the start", "repeated", "huge index", "another branch"),
        *("not asked for", "no transaction", "no hex", "no hex data", "no prefix"),
    ],
)
def test_transfer__of_which_the_node_contradicts_itself__is_inconsistent(
    odd: dict[str, Any],
) -> None:
    entries = [entry(GOOD, index=number) for number in range(5)]
    entries[3] |= odd

    with pytest.raises((RpcInconsistent, UndecodableLog)):
        gather(wire(entries))


def test_logs__of_many_kinds__are_told_apart() -> None:
    """An Approval is written as a Transfer is; freezing has another shape; others are not ours."""
    frozen = hex_of(contract("Token").events["TokensFrozen"].topic)
    entries = [
        entry(GOOD, index=0),
        entry(GOOD, index=1, topics=[APPROVAL, SOURCE, TARGET]),
        entry(GOOD, index=2, topics=[frozen, TARGET]),
        entry((b"\xcc" * 20, *GOOD[1:]), index=3),
        entry(GOOD, index=4),
    ]

    gathering = gather(wire(entries))

    assert gathering.transfers().log_index.tolist() == [0, 4]
    assert [event.log_index for event in gathering.events] == [2]
    assert [other.log_index for other in gathering.others] == [1, 2, 3]


@given(facts=st.lists(FACTS, min_size=1, max_size=8), data=st.data())
def test_table__one_character_of_an_answer_is_another__is_what_json_says_or_refused(
    facts: list[Fact], data: st.DataObject
) -> None:
    """Whatever it is that differs: what is in columns is exactly what a JSON parser reads."""
    logs = wire([entry(fact, index=number) for number, fact in enumerate(facts)])
    patterns: Patterns = {}
    if data.draw(st.booleans(), "whether an answer came before"):
        read_table(logs, patterns)
    chosen = data.draw(st.integers(0, len(logs) - 1))
    text = bytearray(bytes(logs[chosen]))
    text[data.draw(st.integers(0, len(text) - 1))] = data.draw(st.sampled_from(b'0fFgz"\\,:x '))
    logs[chosen] = msgspec.Raw(bytes(text))

    try:
        table = read_table(logs, patterns)
    except (RpcInconsistent, RpcUnavailable):
        with pytest.raises((RpcInconsistent, RpcUnavailable, ValueError, OverflowError)):
            stands(wire_log(logs[chosen]))
        return

    for place, said in zip(table.plain.place.tolist(), table.plain.said, strict=True):
        known = log_of(wire_log(logs[place]))
        words = (known.address, *known.topics, known.data, known.tx_hash, known.block_hash)
        assert said.tobytes() == b"".join(words)
        assert (table.block[place], table.index[place]) == (known.block_number, known.log_index)
    for place, other in table.others.items():
        assert other == wire_log(logs[place])


def stands(log: WireLog) -> None:
    """Read what a table reads of any log."""
    for number in (log.block_number, log.log_index):
        int(number, 16).to_bytes(8, "big", signed=True)
    if len(bytes.fromhex(log.block_hash.removeprefix("0x"))) != HASH_BYTES:
        raise ValueError


def test_block_hashes__are_by_block() -> None:
    table = read_table(wire([entry(GOOD, block=number, index=number) for number in (3, 5)]))

    assert block_hashes(table, 0, 9) == {n: n.to_bytes(32, "big") for n in (3, 5)}
