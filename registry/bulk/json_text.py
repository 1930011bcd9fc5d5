"""JSON out of a stream of text, one value at a time, with nothing that JSON does not allow."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any

from registry.bulk.source import MAX_ROW_CHARACTERS, too_long
from registry.kernel.errors import Invalid

MAX_DEPTH = 24
"""A dossier with a MultiPolygon is nested 10 deep."""

_MAX_DIGITS = 40
_SPACE = " \t\n\r"


class Repeated(dict[str, Any]):
    """An object in which a name stands twice: nobody can say which value was meant."""


class NotNumber:
    """A number that is none (NaN, Infinity) or that nobody would write."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    return found if len(found) == len(pairs) else Repeated(found)


def _whole(text: str) -> object:
    return int(text) if len(text) <= _MAX_DIGITS else NotNumber()


def _decimal(text: str) -> object:
    mantissa, _, exponent = text.lower().partition("e")
    if len(mantissa) > _MAX_DIGITS or len(exponent) > 3:  # noqa: PLR2004 - a sign and two digits
        return NotNumber()
    return Decimal(text)


_DECODER = json.JSONDecoder(
    parse_int=_whole,
    parse_float=_decimal,
    parse_constant=lambda _: NotNumber(),
    object_pairs_hook=_object,
)


def malformed(reason: str, row: int | None = None) -> Invalid:
    place = f"In row {row}: " if row is not None else ""
    return Invalid(
        "import_malformed",
        f"{place}{reason}",
        field="/file",
        remedy="Check that the file is whole, then send it again.",
    )


def depth_of(value: Any, *, limit: int = MAX_DEPTH) -> int:
    """Return how deep `value` is nested, and stop counting one past `limit`."""
    depth, level = 0, [value]
    while level and depth <= limit:
        inner: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                inner.extend(item.values())
            elif isinstance(item, list):
                inner.extend(item)
        level = [item for item in inner if isinstance(item, dict | list)]
        depth += 1
    return depth


def read_value(text: str, at: int = 0) -> tuple[Any, int]:
    """Read one JSON value of `text`, and return it with where it ends.

    Numbers with a point become `Decimal`, digit for digit.

    Raises
    ------
    json.JSONDecodeError
    Invalid
        ``import_too_deep``.
    """
    try:
        return _DECODER.raw_decode(text, at)
    except RecursionError as error:
        raise too_deep() from error


def too_deep() -> Invalid:
    return Invalid(
        "import_too_deep",
        f"The file nests values more than {MAX_DEPTH} deep.",
        field="/file",
        remedy="Send plain rows or features.",
    )


class JsonStream:
    """Reads values and punctuation from pieces of text, holding one row's worth of it.

    Attributes
    ----------
    length
        How many characters the value had that was read last.
    """

    def __init__(self, pieces: Iterable[str]) -> None:
        self._pieces: Iterator[str] = iter(pieces)
        self._text = ""
        self._at = 0
        self._ended = False
        self.length = 0

    def _fill(self, wanted: int) -> None:
        if len(self._text) - self._at >= wanted or self._ended:
            return
        parts = [self._text[self._at :]]
        have = len(parts[0])
        while have < wanted and not self._ended:
            piece = next(self._pieces, None)
            if piece is None:
                self._ended = True
            else:
                parts.append(piece)
                have += len(piece)
        self._text, self._at = "".join(parts), 0

    def peek(self) -> str:
        """Return the next character that is not space; "" at the end."""
        while True:
            self._fill(1)
            while self._at < len(self._text):
                if self._text[self._at] not in _SPACE:
                    return self._text[self._at]
                self._at += 1
            if self._ended:
                return ""

    def take(self, expected: str) -> None:
        """Pass over one mark of punctuation, which must stand here."""
        found = self.peek()
        if found != expected:
            raise malformed(
                f"{expected!r} is expected where {found!r} stands."
                if found
                else "The file breaks off in the middle."
            )
        self._at += 1

    def value(self) -> Any:
        """Read the value that begins here.

        Raises
        ------
        Invalid
            ``import_malformed``, ``import_too_deep``, ``import_row_too_long``.
        """
        if not self.peek():
            raise malformed("The file breaks off in the middle.")
        self._fill(PREFETCH)
        try:
            value, end = read_value(self._text, self._at)
        except json.JSONDecodeError:
            # Perhaps the value only goes on behind what is held.
            self._fill(MAX_ROW_CHARACTERS + 1)
            value, end = self._last_try()
        self.length = end - self._at
        if self.length > MAX_ROW_CHARACTERS:
            raise too_long()
        self._at = end
        return value

    def _last_try(self) -> tuple[Any, int]:
        try:
            return read_value(self._text, self._at)
        except json.JSONDecodeError as error:
            if not self._ended and error.pos - self._at >= MAX_ROW_CHARACTERS - 1:
                raise too_long() from error
            if self._ended and error.pos >= len(self._text):
                raise malformed("The file breaks off in the middle.") from error
            raise malformed(f"{error.msg} at {_excerpt(self._text, error.pos)}.") from error


PREFETCH = 64 * 1024
"""Characters held before a value is read: nearly every row is shorter."""


def _excerpt(text: str, at: int) -> str:
    # One character of the file and no more: what stands there may be somebody's name.
    return repr(text[at : at + 1])
