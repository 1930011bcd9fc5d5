"""Checking an exported journal: no database, no settings, only the file.

The file is NDJSON. Its first line tells the tree's size and root; then each sealed row follows
with its number and leaf hash, and after the rows of each batch their seal. What is hashed of a row
is exactly the bytes between ``{"entry":`` and ``,"leaf_hash":``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from registry.journal import merkle

FORMAT = "milkiyat-journal-1"
_ROW = re.compile(rb'^\{"entry":(.*),"leaf_hash":"([0-9a-f]{64})","seq":([0-9]{1,18})\}$')


class JournalBroken(Exception):
    """What was exported is not what was sealed.

    Parameters
    ----------
    seq
        The first row that may be wrong.
    """

    def __init__(self, seq: int, detail: str) -> None:
        super().__init__(f"{detail} (rule AUD-01)")
        self.seq = seq


@dataclass(frozen=True, slots=True)
class Head:
    """A size and root that somebody noted earlier, or that the file ends with."""

    size: int
    root: bytes


@dataclass(slots=True)
class _Journal:
    """What was read so far; `sealed` is the newest seal."""

    tree: merkle.Frontier = field(default_factory=merkle.Frontier)
    sealed: Head = Head(0, merkle.EMPTY_ROOT)

    def read(self, line: bytes) -> None:
        row = _ROW.match(line)
        if row:
            self._row(row[1], bytes.fromhex(row[2].decode()), int(row[3]))
        else:
            self._seal(_object(line, self.tree.size + 1))

    def _row(self, entry: bytes, digest: bytes, seq: int) -> None:
        expected = self.tree.size + 1
        if seq != expected:
            raise missing(expected, seq)
        fault = fault_of(seq, entry, digest)
        if fault is not None:
            raise fault
        self.tree.append(digest)

    def _seal(self, line: dict[str, Any]) -> None:
        first = self.sealed.size + 1
        seal = line.get("seal")
        try:
            size, start = int(seal["tree_size"]), int(seal["first_seq"])  # type: ignore[index]
            root = bytes.fromhex(seal["root"])  # type: ignore[index]
            before = bytes.fromhex(seal["previous_root"])  # type: ignore[index]
        except (KeyError, TypeError, ValueError):
            raise JournalBroken(
                self.tree.size + 1, f"What follows entry {self.tree.size} is no row and no seal"
            ) from None
        if (start, size) != (first, self.tree.size):
            raise JournalBroken(
                first, f"The seal of {start} to {size} does not seal what stands before it"
            )
        if before != self.sealed.root:
            raise JournalBroken(first, f"The seal of {start} to {size} does not follow the last")
        if root != self.tree.root:
            raise JournalBroken(
                first, f"Something in entries {first} to {size} is not what was sealed there"
            )
        self.sealed = Head(size, root)


def missing(seq: int, instead: int) -> JournalBroken:
    """Say that an entry is not there, and which one stands in its place."""
    return JournalBroken(seq, f"Entry {seq} is missing: {instead} stands in its place")


def fault_of(seq: int, entry: bytes, digest: bytes) -> JournalBroken | None:
    """Hold an entry, as its row gives it now, against the hash that was sealed."""
    if entry == b"null":
        return JournalBroken(seq, f"Entry {seq} was deleted after it was sealed")
    if merkle.leaf_hash(entry) != digest:
        return JournalBroken(seq, f"Entry {seq} is not what was sealed: its hash differs")
    return None


def _object(line: bytes, seq: int) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise JournalBroken(seq, f"The line where entry {seq} belongs cannot be read")
    return value


def verify(lines: Iterable[bytes], *, known: Head | None = None) -> Iterator[Head]:
    """Check an export line by line.

    Parameters
    ----------
    known
        A head that was noted earlier, and that this journal must contain.

    Yields
    ------
    Head
        After each seal, how much of the journal holds.

    Raises
    ------
    JournalBroken
        With the first row that may be wrong.
    """
    rest = iter(lines)
    promised = _promised(next(rest, b""))
    journal = _Journal()
    _compare(known, journal.tree)
    for line in rest:
        size = journal.tree.size
        sealed = journal.sealed
        journal.read(line.rstrip(b"\r\n"))
        if journal.tree.size > size:
            _compare(known, journal.tree)
        if journal.sealed is not sealed:
            yield journal.sealed
    _compare_end(journal, promised, known)


def _promised(line: bytes) -> Head:
    header = _object(line, 1)
    try:
        if header["format"] != FORMAT:
            raise ValueError
        return Head(int(header["tree_size"]), bytes.fromhex(header["root"]))
    except (KeyError, TypeError, ValueError):
        raise JournalBroken(1, f"The file does not begin as a {FORMAT}") from None


def _compare(known: Head | None, tree: merkle.Frontier) -> None:
    if known is not None and known.size == tree.size and known.root != tree.root:
        raise JournalBroken(
            1,
            f"The first {known.size} entries are not those of the head that you named: "
            "the journal was written anew",
        )


def _compare_end(journal: _Journal, promised: Head, known: Head | None) -> None:
    size = journal.tree.size
    if journal.sealed.size != size:
        raise JournalBroken(journal.sealed.size + 1, f"Entry {size} is followed by no seal")
    if promised.size > size:
        raise JournalBroken(size + 1, f"The file ends after {size} of {promised.size} entries")
    if promised != journal.sealed:
        raise JournalBroken(1, "The file's first line names another head than its last seal")
    if known is not None and known.size > size:
        raise JournalBroken(
            size + 1, f"The journal ends at {size}, before the {known.size} that you named"
        )
