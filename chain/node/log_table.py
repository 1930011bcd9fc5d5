"""Logs of one answer as a table: most are written alike, and are read by column.

Most logs, Transfers among them, have three topics and one word of data; those are read by their
pattern (`chain.node.log_pattern`), and all others one by one.
"""

from __future__ import annotations

import binascii
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from chain.errors import RpcInconsistent
from chain.node.log_pattern import WORDS_BYTES, Bytes, Flags, Numbers, Pattern, pattern_of
from chain.node.wire import WireLog, wire_log

ROWS_AT_ONCE = 500
"""About 300 kB of text, which stays in the processor's cache."""

KNOWN_PATTERNS = 8
"""So many are tried: a node may write every log in its own way, and none then fits another."""


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
        rows = np.flatnonzero(chosen) if chosen.dtype == np.bool_ else chosen
        return PlainLogs(self.place.take(rows), self.said.take(rows, axis=0))


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


Patterns = dict[int, list[Pattern]]
"""Those that were found, by the length of the logs that are written so."""


def read_table(
    logs: Sequence[msgspec.Raw], patterns: Patterns | None = None, *, in_order: bool = True
) -> LogTable:
    """Read logs as the node wrote them.

    Parameters
    ----------
    patterns
        Known of earlier answers; those of this one are added.
    in_order
        Whether to leave them in the order in which they are given; otherwise they are put into
        that of the chain.

    Raises
    ------
    RpcInconsistent
        One is no log, or the node calls it removed.
    """
    known: Patterns = {} if patterns is None else patterns
    table = _Reading(logs, known).finished()
    if in_order:
        return table
    order = np.lexsort((table.index, table.block))
    return _Reading([logs[place] for place in order.tolist()], known).finished()


class _Reading:
    """Sorts logs by how they are written, and fills the table."""

    def __init__(self, written: Sequence[msgspec.Raw], patterns: Patterns) -> None:
        count = len(written)
        self.block = np.zeros(count, np.int64)
        self.index = np.zeros(count, np.int64)
        self.block_hash = np.zeros((count, 32), np.uint8)
        self._written = written
        self._plain: list[PlainLogs] = []
        self._others: dict[int, WireLog] = {}
        lengths = np.fromiter(map(len, written), np.int64, count)
        for length in np.unique(lengths).tolist():
            known = patterns.setdefault(length, [])
            self._read_of_length(known, np.flatnonzero(lengths == length), length)

    def finished(self) -> LogTable:
        plain = _joined(self._plain)
        return LogTable(self._written, self.block, self.index, self.block_hash, plain, self._others)

    def _read_of_length(
        self, patterns: list[Pattern], places: NDArray[np.intp], length: int
    ) -> None:
        for start in range(0, len(places), ROWS_AT_ONCE):
            some = places[start : start + ROWS_AT_ONCE]
            text = b"".join(map(self._written.__getitem__, some.tolist()))
            self._read_matrix(patterns, some, np.frombuffer(text, np.uint8).reshape(-1, length))

    def _read_matrix(
        self, patterns: list[Pattern], places: NDArray[np.intp], matrix: Bytes
    ) -> None:
        """Read logs of one length by the patterns that are known, and those that they give."""
        is_left = np.ones(len(places), np.bool_)
        for pattern in patterns:
            if is_left.any():
                self._read_alike(pattern, places, matrix, is_left)
        while is_left.any():
            row = int(is_left.argmax())
            found = pattern_of(matrix[row].tobytes())
            if found is None:
                is_left[row] = False
                self._read_other(int(places[row]))
            else:
                patterns.append(found)
                self._read_alike(found, places, matrix, is_left)
        del patterns[:-KNOWN_PATTERNS]

    def _read_alike(
        self, pattern: Pattern, places: NDArray[np.intp], matrix: Bytes, is_left: Flags
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
        self, pattern: Pattern, places: NDArray[np.intp], matrix: Bytes, chosen: Flags
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
            places, matrix = places[chosen], matrix.compress(chosen, axis=0)
        plain = PlainLogs(places, pattern.read_words(matrix))
        self.block[places], self.index[places] = pattern.read_numbers(matrix)
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


def _joined(parts: Sequence[PlainLogs]) -> PlainLogs:
    """Put columns that were read by pattern into the order of the answer."""
    if not parts:
        return _NONE
    place = np.concatenate([part.place for part in parts])
    said = np.concatenate([part.said for part in parts])
    joined = PlainLogs(place, said)
    is_rising = (place[1:] > place[:-1]).all()
    return joined if is_rising else joined.of(np.argsort(place))


_NONE = PlainLogs(np.empty(0, np.int64), np.empty((0, WORDS_BYTES), np.uint8))
