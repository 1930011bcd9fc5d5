"""How a log is written, but for its digits: what is read of one as JSON is read of all alike.

Two logs that differ in nothing but hex digits between the same quotes are the same JSON with other
digits. So one of them is read as JSON, and of the others only two things are looked at: that they
are the same but for digits, and that these are digits (ADR 0041).
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chain.node.wire import wire_log

Numbers = NDArray[np.int64]
Bytes = NDArray[np.uint8]
Flags = NDArray[np.bool_]

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
WORDS_BYTES = sum(_SIZES) // 2


@dataclass(frozen=True, slots=True)
class Pattern:
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

    def read_words(self, matrix: Bytes) -> Bytes:
        """Read `words` of rows that match, side by side, shape (n, 212).

        Raises
        ------
        binascii.Error
            One has something else than digits where the others have them.
        """
        digits = np.concatenate([matrix[:, start:end] for start, end in self.words], axis=1)
        read = np.frombuffer(binascii.unhexlify(digits.data), np.uint8)
        return read.reshape(len(matrix), -1)

    def read_numbers(self, matrix: Bytes) -> tuple[Numbers, Numbers]:
        """Read the two of `numbers`, and make sure that what is unread are digits.

        Raises
        ------
        binascii.Error
            As `read_words`.
        """
        spans = [*self.numbers, *self.unread]
        text = np.concatenate([matrix[:, start:end] for start, end in spans], axis=1)
        digits: Bytes = _VALUES.take(text)
        if (digits == _NO_DIGIT).any():
            raise binascii.Error("something else than a digit")
        block, index = (end - start for start, end in self.numbers)
        return _number(digits[:, :block]), _number(digits[:, block : block + index])

    def has_digits(self, matrix: Bytes) -> Flags:
        """Tell which rows have digits there."""
        return _each(_VALUES.take(matrix.compress(self.is_digit, axis=1)) != _NO_DIGIT)


def _each(flags: Flags) -> Flags:
    """Tell of each row whether all of it is so."""
    return np.asarray(flags.all(axis=1), np.bool_)


def pattern_of(written: bytes) -> Pattern | None:
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
    return Pattern(np.frombuffer(written, np.uint8), is_digit, words, numbers, unread)


def _number(digits: Bytes) -> Numbers:
    """Read digits as one number for each row."""
    return digits.astype(np.int64) @ _WEIGHTS[-digits.shape[1] :]
