"""Rows of COPY's binary format, made by column instead of one by one.

A row is its number of fields in two bytes, then each field's length in four and its bytes; the
length of NULL is -1. Source: PostgreSQL, "COPY", section "Binary Format".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
"""Shape (n, width): the bytes of one thing in each row."""
Flags = NDArray[np.bool_]

BEGINNING = b"PGCOPY\n\xff\r\n\0" + bytes(8)
END = b"\xff\xff"
INT8_OID = 20
NUMERIC_OID = 1700

_LENGTH = 4
_ARRAY_HEAD = 24
"""Length, dimensions, whether there are NULLs, type, number of elements, first index."""


@dataclass(frozen=True, slots=True)
class Field:
    """A column of which each value takes as many bytes.

    Parameters
    ----------
    content
        Shape (n, width).
    is_null
        Shape (n,): where the value is NULL instead; None where it nowhere is.
    """

    content: Bytes
    is_null: Flags | None = None


@dataclass(frozen=True, slots=True)
class ArrayField:
    """A column of arrays, each a run of the elements of all of them; NULL where it is empty.

    Parameters
    ----------
    oid
        Type of the elements.
    elements
        Shape (all elements, width), in the order of the rows.
    counts
        Shape (n,): how many of them each row has.
    """

    oid: int
    elements: Bytes
    counts: NDArray[np.int64]


def int4(values: NDArray[Any]) -> Bytes:
    """Write whole numbers of four bytes."""
    return values.astype(">i4").view(np.uint8).reshape(-1, 4)


def int8(values: NDArray[Any]) -> Bytes:
    """Write whole numbers of eight bytes."""
    return values.astype(">i8").view(np.uint8).reshape(-1, 8)


def same(content: bytes, count: int) -> Bytes:
    """Give the same bytes for each of `count` rows."""
    return np.broadcast_to(np.frombuffer(content, np.uint8), (count, len(content)))


def rows(fields: Sequence[Field], *, of: int | None = None) -> tuple[Bytes, Flags | None]:
    """Put fields beside each other.

    Parameters
    ----------
    of
        How many fields a row has, where others follow these.

    Returns
    -------
    tuple
        The rows, all as long as if nothing was NULL; and which of their bytes are to be written,
        None for all.
    """
    count = len(fields[0].content)
    width = 2 + sum(_LENGTH + field.content.shape[1] for field in fields)
    out = np.empty((count, width), np.uint8)
    kept: Flags | None = None
    out[:, :2] = np.frombuffer((of or len(fields)).to_bytes(2, "big"), np.uint8)
    place = 2
    for field in fields:
        size = field.content.shape[1]
        end = place + _LENGTH + size
        out[:, place : place + _LENGTH] = np.frombuffer(size.to_bytes(4, "big"), np.uint8)
        out[:, place + _LENGTH : end] = field.content
        if field.is_null is not None and field.is_null.any():
            out[field.is_null, place : place + _LENGTH] = 0xFF
            if size:
                kept = np.ones((count, width), np.bool_) if kept is None else kept
                kept[field.is_null, place + _LENGTH : end] = False
        place = end
    return out, kept


def written(fields: Sequence[Field]) -> bytes:
    """Write rows of fields that each take as many bytes in every row."""
    out, kept = rows(fields)
    return (out if kept is None else out[kept]).tobytes()


def written_with_arrays(fields: Sequence[Field], arrays: Sequence[ArrayField]) -> bytes:
    """Write rows that end with arrays; none of the other fields is NULL."""
    heads, _ = rows(fields, of=len(fields) + len(arrays))
    lengths = [_lengths(array) for array in arrays]
    starts = heads.shape[1] + sum(lengths)
    starts = np.cumsum(starts) - starts
    out = np.empty(int(heads.size + sum(int(each.sum()) for each in lengths)), np.uint8)
    _put(out, starts, heads)
    place = starts + heads.shape[1]
    for array, length in zip(arrays, lengths, strict=True):
        _put_arrays(out, place, length, array)
        place = place + length
    return out.tobytes()


def _lengths(array: ArrayField) -> NDArray[np.int64]:
    """Tell how many bytes each row's field takes, with its length."""
    size = _LENGTH + array.elements.shape[1]
    return np.where(array.counts > 0, _ARRAY_HEAD + size * array.counts, _LENGTH)


def _put_arrays(
    out: NDArray[np.uint8],
    places: NDArray[np.int64],
    lengths: NDArray[np.int64],
    array: ArrayField,
) -> None:
    is_empty = array.counts == 0
    _put(out, places[is_empty], same(b"\xff" * _LENGTH, int(is_empty.sum())))
    places, counts = places[~is_empty], array.counts[~is_empty]
    head = np.empty((len(places), _ARRAY_HEAD // 4), ">i4")
    head[:, 0] = lengths[~is_empty] - _LENGTH
    head[:, 1:] = (1, 0, array.oid, 0, 1)
    head[:, 4] = counts
    _put(out, places, head.view(np.uint8))
    elements = with_lengths(array.elements)
    within = np.arange(len(elements)) - np.repeat(np.cumsum(counts) - counts, counts)
    begins = np.repeat(places + _ARRAY_HEAD, counts) + within * elements.shape[1]
    _put(out, begins, elements)


def with_lengths(elements: Bytes) -> Bytes:
    """Write the length of each element before it, as arrays have them."""
    count, size = elements.shape
    out = np.empty((count, _LENGTH + size), np.uint8)
    out[:, :_LENGTH] = np.frombuffer(size.to_bytes(_LENGTH, "big"), np.uint8)
    out[:, _LENGTH:] = elements
    return out


def _put(out: NDArray[np.uint8], places: NDArray[np.int64], content: Bytes) -> None:
    """Write a row of `content` at each of the places, one copy of its bytes for each."""
    if not len(places):
        return
    width = content.shape[1]
    piece = np.dtype((np.void, width))
    # At every byte of `out` a piece begins: they overlap, and only some are written.
    pieces: NDArray[np.void] = np.ndarray(
        (len(out) - width + 1,), piece, buffer=out.data, strides=(1,)
    )
    pieces[places] = np.ascontiguousarray(content).view(piece)[:, 0]
