"""Rows of the three formats that a register is handed over in.

GeoJSON (RFC 7946, a FeatureCollection), NDJSON (an object or a Feature a line) and CSV (RFC 4180,
with a header). All are read as a stream: nothing here holds more than one row.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from registry.bulk.json_text import (
    MAX_DEPTH,
    JsonStream,
    Repeated,
    depth_of,
    malformed,
    read_value,
    too_deep,
)
from registry.bulk.source import MAX_ROW_CHARACTERS, lines, too_long
from registry.kernel.errors import Invalid

GEOMETRY = "geometry"
"""The name under which a mapping finds the geometry of a feature."""

MAX_COLUMNS = 500
_SEPARATORS = ",;\t|"
_CRS84 = ("CRS84", "EPSG::4326", "EPSG:4326")


class FileFormat(StrEnum):
    GEOJSON = "geojson"
    CSV = "csv"
    NDJSON = "ndjson"


@dataclass(frozen=True, slots=True)
class SourceRow:
    """One row of the file.

    Parameters
    ----------
    no
        From 1, in the order of the file; a header is no row.
    fields
        The file's own names to its values; None when `flaw` says why there are none.
    size
        How many characters of the file it is.
    """

    no: int
    fields: dict[str, Any] | None
    flaw: str | None = None
    size: int = 0


def sniff_format(beginning: str) -> FileFormat:
    """Tell the format from the first characters of the file.

    Raises
    ------
    Invalid
        ``import_format_unknown``.
    """
    text = beginning.lstrip()
    if text.startswith("{"):
        try:
            first, _ = read_value(text.split("\n", 1)[0])
        except json.JSONDecodeError:
            return FileFormat.GEOJSON
        is_collection = isinstance(first, dict) and "features" in first
        return FileFormat.GEOJSON if is_collection else FileFormat.NDJSON
    header = text.split("\n", 1)[0]
    if text.startswith(("[", "<")) or not any(mark in header for mark in _SEPARATORS):
        raise Invalid(
            "import_format_unknown",
            "The file is neither a FeatureCollection, nor NDJSON, nor CSV with a header.",
            field="/file",
            remedy="Say which it is in `format`, or export it anew.",
        )
    return FileFormat.CSV


def read_rows(file_format: FileFormat, pieces: Iterable[str]) -> Iterator[SourceRow]:
    """Yield the rows of the file.

    Raises
    ------
    Invalid
        The file as a whole cannot be read: ``import_malformed`` and its kin.
    """
    if file_format is FileFormat.GEOJSON:
        return _features(JsonStream(pieces))
    if file_format is FileFormat.NDJSON:
        return _objects(lines(pieces))
    return _cells(lines(pieces))


def _features(stream: JsonStream) -> Iterator[SourceRow]:
    kind, found, no = None, False, 0
    stream.take("{")
    while stream.peek() != "}":
        name = stream.value()
        stream.take(":")
        if name == "features" and not found:
            found = True
            stream.take("[")
            while stream.peek() != "]":
                no += 1
                yield _row(no, stream.value(), stream.length)
                if stream.peek() != "]":
                    stream.take(",")
            stream.take("]")
        elif name == "features":
            raise malformed("It has two lists of features.")
        else:
            value = stream.value()
            kind = value if name == "type" else kind
            if name == "crs":
                _check_crs(value)
        if stream.peek() != "}":
            stream.take(",")
    stream.take("}")
    if stream.peek():
        raise malformed("Something stands behind the end of the collection.")
    if kind != "FeatureCollection" or not found:
        raise malformed("It is not a GeoJSON FeatureCollection (RFC 7946).")


def _check_crs(value: Any) -> None:
    # GeoJSON of 2008 named a system; RFC 7946 knows one only, and null is no other.
    properties = value.get("properties") if isinstance(value, dict) else None
    name = properties.get("name") if isinstance(properties, dict) else None
    if value is not None and not str(name).endswith(_CRS84):
        raise Invalid(
            "import_crs_refused",
            "The coordinates are not in WGS 84 longitude and latitude.",
            field="/file",
            remedy="Export the file in EPSG:4326, as RFC 7946 asks.",
        )


def _objects(text: Iterator[str]) -> Iterator[SourceRow]:
    no = 0
    for line in text:
        stripped = line.strip()
        if not stripped:
            continue
        no += 1
        try:
            value, end = read_value(stripped)
        except json.JSONDecodeError as error:
            yield SourceRow(no, None, f"The line is not JSON: {error.msg}.", len(line))
            continue
        if end != len(stripped):
            flaw = "Something stands behind the object of the line."
            yield SourceRow(no, None, flaw, len(line))
            continue
        yield _row(no, value, len(line))


def _row(no: int, value: Any, size: int) -> SourceRow:
    """Make a row of one JSON value: a feature's properties and geometry, or an object."""
    if depth_of(value) > MAX_DEPTH:
        raise too_deep()
    if not isinstance(value, dict):
        return SourceRow(no, None, "It is not a JSON object.", size)
    if isinstance(value, Repeated):
        return SourceRow(no, None, "A name stands twice in the object.", size)
    if value.get("type") != "Feature":
        return SourceRow(no, value, size=size)
    properties = value.get("properties") or {}
    if not isinstance(properties, dict) or isinstance(properties, Repeated):
        return SourceRow(no, None, "The feature's properties are not one object.", size)
    return SourceRow(no, {**properties, GEOMETRY: value.get("geometry")}, size=size)


def _cells(text: Iterator[str]) -> Iterator[SourceRow]:
    header_line = next(text, "")
    separator = max(_SEPARATORS, key=header_line.count)
    try:
        titles = next(csv.reader([header_line], delimiter=separator, strict=True), [])
        names = [name.strip() for name in titles]
        _check_header(names)
        row_text = _RowText(text)
        no = 0
        for cells in csv.reader(row_text, delimiter=separator, strict=True):
            size = row_text.take_size()
            if not cells:
                continue
            no += 1
            if len(cells) == len(names):
                yield SourceRow(no, dict(zip(names, cells, strict=True)), size=size)
            else:
                flaw = f"It has {len(cells)} cells; the header names {len(names)} columns."
                yield SourceRow(no, None, flaw, size)
    except csv.Error as error:
        raise malformed(f"The CSV cannot be read: {error}.") from error


class _RowText:
    """Lines for a reader of CSV, whose rows go over as many lines as their quoted cells do.

    Raises
    ------
    Invalid
        ``import_row_too_long``.
    """

    def __init__(self, text: Iterator[str]) -> None:
        self._text = text
        self._size = 0

    def __iter__(self) -> Iterator[str]:
        for line in self._text:
            self._size += len(line)
            if self._size > MAX_ROW_CHARACTERS:
                raise too_long()
            yield line

    def take_size(self) -> int:
        """Return how many characters the row had that was read last."""
        size, self._size = self._size, 0
        return size


def _check_header(names: list[str]) -> None:
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise Invalid(
            "import_columns_repeated",
            f"Columns stand twice in the header: {', '.join(repr(name) for name in repeated[:5])}.",
            field="/file",
            remedy="Give every column a name of its own.",
        )
    if len(names) > MAX_COLUMNS or not all(name.isprintable() and name for name in names):
        raise malformed("The header has unnamed, unprintable or too many columns.")
