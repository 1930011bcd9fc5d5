"""What several nodes say to one question: who says the same, and what is no answer."""

from __future__ import annotations

import operator

import msgspec
import pytest

from chain.errors import RpcRefused
from chain.node.agreement import count_votes, same_logs

pytestmark = pytest.mark.unit

LOG = {
    "address": "0x" + "ab" * 20,
    "topics": ["0x" + "cd" * 32],
    "data": "0x",
    "blockNumber": "0x10",
    "blockHash": "0x" + "ef" * 32,
    "transactionHash": "0x" + "12" * 32,
    "logIndex": "0x0",
}
REVERTED = RpcRefused("eth_call", 3, "execution reverted", "0x1234")
ALSO_REVERTED = RpcRefused("eth_call", -32000, "VM Exception: revert", None)
PRUNED = RpcRefused("eth_call", -32000, "missing trie node", None)


def written(**changes: object) -> list[msgspec.Raw]:
    return [msgspec.Raw(msgspec.json.encode(LOG | changes))]


def test_count_votes__two_against_one__is_what_two_say() -> None:
    vote = count_votes({1: "b", 2: "a", 3: "a"}, operator.eq)

    assert (vote.most, vote.others, vote.answer) == ((2, 3), [1], "a")


def test_count_votes__one_against_one__the_first_is_named_first() -> None:
    assert count_votes({2: "b", 1: "a"}, operator.eq).groups == ((2,), (1,))


def test_count_votes__contract_refuses__is_an_answer_however_it_is_worded() -> None:
    vote = count_votes({1: "0x01", 2: REVERTED, 3: ALSO_REVERTED}, operator.eq)

    assert (vote.most, vote.others, vote.refusals) == ((2, 3), [1], {})
    with pytest.raises(RpcRefused, match="execution reverted"):
        _ = vote.answer


FORGED = RpcRefused("eth_call", 3, "execution reverted", "0xdead")
CAPITALS = RpcRefused("eth_call", -32015, "VM execution error", "Reverted 0x12AB")


def test_count_votes__contracts_refuse_with_other_data__do_not_say_the_same() -> None:
    """The data are the reason that people are told; one liar is not to choose it."""
    assert count_votes({1: FORGED, 2: REVERTED}, operator.eq).groups == ((1,), (2,))

    vote = count_votes({1: FORGED, 2: REVERTED, 3: REVERTED}, operator.eq)

    assert (vote.most, vote.others) == ((2, 3), [1])
    with pytest.raises(RpcRefused) as refused:
        _ = vote.answer
    assert refused.value.data == "0x1234"


def test_count_votes__one_tells_no_data__says_the_same_as_most_that_are_refused() -> None:
    vote = count_votes({1: ALSO_REVERTED, 2: FORGED, 3: REVERTED, 4: REVERTED}, operator.eq)

    assert (vote.most, vote.others) == ((3, 4, 1), [2])
    assert count_votes({1: ALSO_REVERTED, 2: ALSO_REVERTED}, operator.eq).most == (1, 2)


def test_count_votes__same_data_written_otherwise__are_the_same() -> None:
    small = RpcRefused("eth_call", 3, "execution reverted", "0x12ab")
    assert count_votes({1: CAPITALS, 2: small}, operator.eq).groups == ((1, 2),)


@pytest.mark.parametrize(
    ("code", "message", "data", "is_revert", "kept"),
    [
        (3, "execution reverted", "0x1234", True, "0x1234"),
        (-32000, "execution reverted", None, True, None),
        (-32015, "VM execution error.", "Reverted 0x1234", True, "0x1234"),
        (-32015, "VM execution error.", "0x1234", True, "0x1234"),
        (-32015, "VM execution error.", "Bad instruction", False, None),
        (-32000, "missing trie node", "0x1234", False, "0x1234"),
        (-32000, "missing trie node", "node 5", False, None),
        (3, "execution reverted", "0x123", True, None),
        (3, "execution reverted", "not hex", True, None),
    ],
)
def test_refused__by_a_contract__only_where_message_or_code_says_so(
    code: int, message: str, data: str | None, *, is_revert: bool, kept: str | None
) -> None:
    refused = RpcRefused("eth_call", code, message, data)
    assert (refused.is_revert, refused.data) == (is_revert, kept)


def test_count_votes__old_state_is_gone__is_no_answer() -> None:
    vote = count_votes({1: PRUNED, 2: "0x01"}, operator.eq)

    assert (vote.given, vote.answer, vote.refusals) == (1, "0x01", {1: PRUNED})


def test_count_votes__nobody_answers__has_no_most() -> None:
    vote = count_votes({}, operator.eq)

    assert (vote.given, vote.most, vote.others) == (0, (), [])


@pytest.mark.parametrize(
    "changes",
    [
        {"blockTimestamp": "0x1", "removed": False},
        {"address": "0x" + "AB" * 20, "logIndex": "0x00"},
    ],
)
def test_same_logs__written_otherwise__are_the_same(changes: dict[str, object]) -> None:
    assert same_logs(written(), written(**changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"address": "0x" + "ac" * 20},
        {"topics": ["0x" + "cd" * 32] * 2},
        {"data": "0x01"},
        {"blockNumber": "0x11"},
        {"blockHash": "0x" + "00" * 32},
        {"transactionHash": "0x" + "00" * 32},
        {"logIndex": "0x1"},
        {"removed": True},
        {"logIndex": "nonsense"},
        {"topics": None},
    ],
)
def test_same_logs__anything_differs__are_not_the_same(changes: dict[str, object]) -> None:
    assert not same_logs(written(), written(**changes))
    assert not same_logs(written(), written() * 2)
