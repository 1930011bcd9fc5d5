"""Reading a paper once as it comes in: its hash, its size, its type, and what is hidden in it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import BinaryIO

import filetype

CHUNK_BYTES = 256 * 1024
_HEAD_BYTES = 8192
"""As much as the sniffer looks at."""

DANGERS: tuple[tuple[bytes, str], ...] = (
    (b"/JavaScript", "a program (PDF /JavaScript)"),
    (b"/Launch", "an order to start a program (PDF /Launch)"),
    # The industry's own test string: whoever files it wants to know whether we look.
    (b"EICAR-STANDARD-ANTIVIRUS-TEST-FILE", "the antivirus test string"),
)
"""A deed is paper: nothing in it runs. What a PDF compresses away is not seen here."""
_OVERLAP = max(len(mark) for mark, _ in DANGERS) - 1


@dataclass(frozen=True, slots=True)
class Scan:
    """What a paper is, whatever its name says.

    Parameters
    ----------
    danger
        What was found in it that no paper contains; None when nothing was.
    """

    sha256: bytes
    size_bytes: int
    media_type: str | None
    danger: str | None


def scan(paper: BinaryIO) -> Scan:
    """Read `paper` from its beginning to its end, and go back to the beginning."""
    paper.seek(0)
    head = paper.read(_HEAD_BYTES)
    paper.seek(0)
    digest, size, danger, tail = hashlib.sha256(), 0, None, b""
    while chunk := paper.read(CHUNK_BYTES):
        digest.update(chunk)
        size += len(chunk)
        seen = tail + chunk
        danger = danger or next((what for mark, what in DANGERS if mark in seen), None)
        tail = seen[-_OVERLAP:]
    paper.seek(0)
    return Scan(digest.digest(), size, filetype.guess_mime(head) if head else None, danger)
