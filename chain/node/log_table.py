"""Logs of one answer as a table: most are written alike, and are read by column.

Two logs that differ in nothing but hex digits between the same quotes are the same JSON with other
digits. So one of them is read as JSON, and of the others only two things are looked at: that they
are the same but for digits, and that these are digits (ADR 0041). Most logs, Transfers among them,
have three topics and one word of data; all others are read one by one.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from chain.errors import RpcInconsistent
from chain.node.wire import WireLog, wire_log

Numbers = NDArray[np.int64]
Bytes = NDArray[np.uint8]
Flags = NDArray[np.bool_]

ROWS_AT_ONCE = 500
"""About 300 kB of text, which stays in the processor's cache."""
_SIZES = [40, *[64] * 6]
"""Digits of the address, of the three topics, the data, and the hashes."""
_VALUE = re.compile(rb'"0x([0-9a-fA-F]*)"')
_FIELD = re.compile(
    rb'"(address|data|blockHash|blockNumber|transactionHash|logIndex)"\s*:\s*"0x([0-9a-fA-F]*)"'
)
_FIELDS = {"address", "data", "blockHash", "blockNumber", "transactionHash", "logIndex"}
_LIST = re.compile(rb'"topics"\s*:\s*\[([^\]]*)\]')
_MOST_DIGITS = 15
"""Of a number that an int64 holds."""
_WEIGHTS = 16 ** np.arange(_MOST_DIGITS, dtype=np.int64)[::-1]
_NO_DIGIT = 16
_VALUES = np.full(256, _NO_DIGIT, np.uint8)
_VALUES[np.frombuffer(b"0123456789", np.uint8)] = np.arange(10)
_VALUES[np.frombuffer(b"abcdef", np.uint8)] = np.arange(10, 16)
_VALUES[np.frombuffer(b"ABCDEF", np.uint8)] = np.arange(10, 16)

Span = tuple[int, int]
"""Where digits begin and end in the text of a log."""


@dataclass(frozen=True, slots=True)
class PlainLogs:
    """Logs of three topics and one word of data, by what they say.

    Parameters
    ----------
    place
        Of each among all logs of the answer, rising, int64, shape (n,).
    said
        uint8, shape (n, 212); the properties give the parts of it, each of the shape (n, bytes).
    """

    place: Numbers
    said: Bytes

    def __len__(self) -> int:
        return len(self.place)

    @property
    def address(self) -> Bytes:
        return self.said[:, :20]

    def topic(self, number: int) -> Bytes:
        """Give a topic of each log, the first of them by 0."""
        start = 20 + 32 * number
        return self.said[:, start : start + 32]

    @property
    def data(self) -> Bytes:
        return self.said[:, 116:148]

    @property
    def transaction_hash(self) -> Bytes:
        return self.said[:, 148:180]

    @property
    def block_hash(self) -> Bytes:
        return self.said[:, 180:]

    def of(self, chosen: NDArray[np.intp] | Flags) -> PlainLogs:
        """Give some of them, by their places here or by whether they are chosen."""
        return PlainLogs(self.place[chosen], self.said[chosen])


@dataclass(frozen=True, slots=True)
class LogTable:
    """All logs of an answer, in its order.

    Parameters
    ----------
    written
        As the node wrote each.
    block, index
        Where each stands, int64, shape (n,).
    block_hash
        That each names, uint8, shape (n, 32).
    plain
        Those that are in columns.
    others
        Those that are not, by their places.
    """

    written: Sequence[msgspec.Raw]
    block: Numbers
    index: Numbers
    block_hash: Bytes
    plain: PlainLogs
    others: dict[int, WireLog]

    def __len__(self) -> int:
        return len(self.block)

    def others_and(self, plain: PlainLogs) -> Iterator[WireLog]:
        """Give what is not in columns, and some of what is, one by one in the answer's order."""
        known = self.others | {
            place: wire_log(self.written[place]) for place in plain.place.tolist()
        }
        return (known[place] for place in sorted(known))


def read_table(logs: Sequence[msgspec.Raw], *, in_order: bool = True) -> LogTable:
    """Read logs as the node wrote them.

    Parameters
    ----------
    in_order
        Whether to leave them in the order in which they are given; otherwise they are put into
        that of the chain.

    Raises
    ------
    RpcInconsistent
        One is no log, or the node calls it removed.
    """
    table = _Reading(logs).finished()
    if in_order:
        return table
    order = np.lexsort((table.index, table.block))
    return _Reading([logs[place] for place in order.tolist()]).finished()


class _Reading:
    """Sorts logs by how they are written, and fills the table."""

    def __init__(self, written: Sequence[msgspec.Raw]) -> None:
        count = len(written)
        self.block = np.zeros(count, np.int64)
        self.index = np.zeros(count, np.int64)
        self.block_hash = np.zeros((count, 32), np.uint8)
        self._written = written
        self._plain: list[PlainLogs] = []
        self._others: dict[int, WireLog] = {}
        lengths = np.fromiter(map(len, written), np.int64, count)
        for length in np.unique(lengths).tolist():
            self._read_of_length(np.flatnonzero(lengths == length), length)

    def finished(self) -> LogTable:
        plain = _joined(self._plain)
        return LogTable(self._written, self.block, self.index, self.block_hash, plain, self._others)

    def _read_of_length(self, places: NDArray[np.intp], length: int) -> None:
        patterns: list[_Pattern] = []
        for start in range(0, len(places), ROWS_AT_ONCE):
            some = places[start : start + ROWS_AT_ONCE]
            text = b"".join([self._written[place] for place in some.tolist()])
            self._read_matrix(patterns, some, np.frombuffer(text, np.uint8).reshape(-1, length))

    def _read_matrix(
        self, patterns: list[_Pattern], places: NDArray[np.intp], matrix: Bytes
    ) -> None:
        """Read logs of one length by the patterns that are known, and those that they give."""
        is_left = np.ones(len(places), np.bool_)
        for pattern in patterns:
            self._read_alike(pattern, places, matrix, is_left)
        for row, place in enumerate(places.tolist()):
            if is_left[row]:
                found = _pattern_of(matrix[row].tobytes())
                if found is None:
                    is_left[row] = False
                    self._read_other(place)
                else:
                    patterns.append(found)
                    self._read_alike(found, places, matrix, is_left)

    def _read_alike(
        self, pattern: _Pattern, places: NDArray[np.intp], matrix: Bytes, is_left: Flags
    ) -> None:
        """Read those that are left and alike; what has no digits where these have is left."""
        chosen = pattern.matches(matrix) & is_left
        try:
            self._read_plain(pattern, places, matrix, chosen)
        except binascii.Error:
            chosen &= pattern.has_digits(matrix)
            self._read_plain(pattern, places, matrix, chosen)
        is_left &= ~chosen

    def _read_plain(
        self, pattern: _Pattern, places: NDArray[np.intp], matrix: Bytes, chosen: Flags
    ) -> None:
        """Read rows that are alike but for digits.

        Raises
        ------
        binascii.Error
            One has something else than digits where the others have them.
        """
        if not chosen.any():
            return
        if not chosen.all():
            places, matrix = places[chosen], matrix[chosen]
        plain = PlainLogs(places, _bytes(matrix, pattern.words))
        digits = _digits(matrix, [*pattern.numbers, *pattern.unread])
        size = pattern.numbers[0][1] - pattern.numbers[0][0]
        both = size + pattern.numbers[1][1] - pattern.numbers[1][0]
        self.block[places] = _number(digits[:, :size])
        self.index[places] = _number(digits[:, size:both])
        self.block_hash[places] = plain.block_hash
        self._plain.append(plain)

    def _read_other(self, place: int) -> None:
        entry = self._others[place] = wire_log(self._written[place])
        try:
            self.block[place] = int(entry.block_number, 16)
            self.index[place] = int(entry.log_index, 16)
            self.block_hash[place] = list(binascii.unhexlify(entry.block_hash[2:]))
        except (ValueError, OverflowError) as error:
            raise RpcInconsistent(f"a log stands nowhere: {error}") from error


@dataclass(frozen=True, slots=True)
class _Pattern:
    """How a log of three topics and one word is written, but for its digits.

    Parameters
    ----------
    text
        One that is written so, uint8, shape (length,).
    is_digit
        Which of its characters are digits of a value, bool, shape (length,).
    words
        Where stand address, topics, data, and the hashes of transaction and block.
    numbers
        Where stand the block's number and the log's index in it.
    unread
        Digits of whatever else it says.
    """

    text: NDArray[np.uint8]
    is_digit: Flags
    words: Sequence[Span]
    numbers: tuple[Span, Span]
    unread: Sequence[Span]

    def matches(self, matrix: Bytes) -> Flags:
        """Tell which rows are the same but for what stands in the place of digits."""
        is_same: Flags = (matrix == self.text) | self.is_digit
        return np.ones(len(matrix), np.bool_) if is_same.all() else _each(is_same)

    def has_digits(self, matrix: Bytes) -> Flags:
        """Tell which rows have digits there."""
        return _each(_VALUES[matrix[:, self.is_digit]] != _NO_DIGIT)


def _each(flags: Flags) -> Flags:
    """Tell of each row whether all of it is so."""
    return np.asarray(flags.all(axis=1), np.bool_)


def _pattern_of(written: bytes) -> _Pattern | None:
    """Give the pattern of a log; None where it has other topics or data, or is written oddly."""
    entry = wire_log(written)
    found, lists = list(_FIELD.finditer(written)), list(_LIST.finditer(written))
    spans = {match[1].decode(): match.span(2) for match in found}
    if b"\\" in written or (len(found), len(lists)) != (len(_FIELDS), 1) or spans.keys() != _FIELDS:
        return None
    values = [match.span(1) for match in _VALUE.finditer(written)]
    topics = [span for span in values if lists[0].start() < span[0] < lists[0].end()]
    hashes = (spans["transactionHash"], spans["blockHash"])
    words = (spans["address"], *topics, spans["data"], *hashes)
    numbers = (spans["blockNumber"], spans["logIndex"])
    if (
        [end - start for start, end in words] != _SIZES
        or len(entry.topics) != len(topics)
        or not all(1 <= end - start <= _MOST_DIGITS for start, end in numbers)
    ):
        return None
    is_digit = np.zeros(len(written), np.bool_)
    for start, end in values:
        is_digit[start:end] = True
    unread = [span for span in values if span not in {*words, *numbers}]
    return _Pattern(np.frombuffer(written, np.uint8), is_digit, words, numbers, unread)


def _bytes(matrix: Bytes, spans: Sequence[Span]) -> Bytes:
    """Read digits in pairs, shape (n, digits / 2)."""
    digits = np.concatenate([matrix[:, start:end] for start, end in spans], axis=1)
    read = np.frombuffer(binascii.unhexlify(digits.data), np.uint8)
    return read.reshape(len(matrix), -1)


def _digits(matrix: Bytes, spans: Sequence[Span]) -> Bytes:
    """Read digits one by one, shape (n, digits)."""
    digits: Bytes = _VALUES[np.concatenate([matrix[:, start:end] for start, end in spans], axis=1)]
    if (digits == _NO_DIGIT).any():
        raise binascii.Error("something else than a digit")
    return digits


def _number(digits: Bytes) -> Numbers:
    """Read digits as one number for each row."""
    return digits.astype(np.int64) @ _WEIGHTS[-digits.shape[1] :]


def _joined(parts: Sequence[PlainLogs]) -> PlainLogs:
    """Put columns that were read by pattern into the order of the answer."""
    if not parts:
        return _NONE
    place = np.concatenate([part.place for part in parts])
    said = np.concatenate([part.said for part in parts])
    joined = PlainLogs(place, said)
    is_rising = (place[1:] > place[:-1]).all()
    return joined if is_rising else joined.of(np.argsort(place))


_NONE = PlainLogs(np.empty(0, np.int64), np.empty((0, sum(_SIZES) // 2), np.uint8))
