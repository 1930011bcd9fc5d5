"""Text of an uploaded file, piece by piece: UTF-8 or nothing, and never packed."""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Iterator
from typing import Protocol

from registry.kernel.errors import Invalid

PIECE_BYTES = 256 * 1024
MAX_ROW_CHARACTERS = 1024 * 1024
"""The longest row: a parcel of 10,000 corners has half of it."""

_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_PACKED = (b"PK\x03\x04", b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00", b"7z\xbc\xaf", b"\x28\xb5\x2f\xfd")


class Readable(Protocol):
    """A file, as far as it is read once from its beginning."""

    def read(self, size: int, /) -> bytes: ...


def read_pieces(file: Readable) -> Iterator[str]:
    """Yield the text of `file`, without a byte order mark.

    Raises
    ------
    Invalid
        ``import_empty``, ``import_compressed``, ``import_encoding``.
    """
    decoder = codecs.getincrementaldecoder("utf-8-sig")(errors="strict")
    at = 0
    while True:
        raw = file.read(PIECE_BYTES)
        if at == 0:
            _check_beginning(raw)
        try:
            text = decoder.decode(raw, final=not raw)
        except UnicodeDecodeError as error:
            raise Invalid(
                "import_encoding",
                f"The file is not UTF-8: it breaks off near byte {at + error.start}.",
                field="/file",
                remedy="Save it as UTF-8 and send it again.",
            ) from error
        at += len(raw)
        if text:
            yield text
        if not raw:
            return


def _check_beginning(raw: bytes) -> None:
    if not raw:
        raise Invalid("import_empty", "The uploaded file is empty.", field="/file")
    if raw.startswith(_PACKED):
        raise Invalid(
            "import_compressed",
            "The file is packed.",
            field="/file",
            remedy="Unpack it, and send the file within.",
        )
    if raw.startswith(_UTF16) or b"\x00" in raw[:64]:
        raise Invalid(
            "import_encoding",
            "The file is UTF-16 or binary, not UTF-8.",
            field="/file",
            remedy="Save it as UTF-8 and send it again.",
        )


def lines(pieces: Iterable[str]) -> Iterator[str]:
    """Yield the lines of a text, each with its end.

    Raises
    ------
    Invalid
        ``import_row_too_long``.
    """
    held = ""
    for piece in pieces:
        # Not `splitlines`, which also cuts at characters that a cell may hold.
        *whole, held = (held + piece).split("\n")
        for line in whole:
            yield _bounded(line + "\n")
        _bounded(held)
    if held:
        yield _bounded(held)


def _bounded(text: str) -> str:
    if len(text) > MAX_ROW_CHARACTERS:
        raise too_long()
    return text


def too_long() -> Invalid:
    return Invalid(
        "import_row_too_long",
        f"A row of the file has more than {MAX_ROW_CHARACTERS} characters.",
        field="/file",
        remedy="Check that the file is whole, and that every row ends.",
    )
