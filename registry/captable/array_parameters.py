"""Columns as parameters of a statement: PostgreSQL's arrays in binary, made by set.

The driver writes an array element by element, and the server reads a text of digits more slowly
than the digits themselves: of a statement about five thousand holders that was half of its time.
Source: PostgreSQL, `array_send` of "utils/adt/arrayfuncs.c".
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from psycopg.abc import DumperKey, PyFormat
from psycopg.adapt import Dumper
from psycopg.pq import Format

from registry.captable import amounts, copy_rows
from registry.captable.amounts import Limbs
from registry.captable.copy_rows import Bytes


@dataclass(frozen=True, slots=True)
class Array:
    """An array of the server, written in its binary format.

    Parameters
    ----------
    oid
        Of the array's own type.
    """

    oid: int
    written: bytes


class ArrayDumper(Dumper):
    """Hands an `Array` on as it is written; see `captable.bulk.column_cursor`."""

    format = Format.BINARY

    def dump(self, obj: Array) -> bytes:
        return obj.written

    def get_key(self, obj: Array, format: PyFormat) -> DumperKey:  # noqa: A002, ARG002
        return self.cls, obj.oid  # type: ignore[return-value]

    def upgrade(self, obj: Array, format: PyFormat) -> ArrayDumper:  # noqa: A002, ARG002
        dumper = ArrayDumper(self.cls)
        dumper.oid = obj.oid
        return dumper


def int4(values: NDArray[Any]) -> Array:
    return _array(1007, 23, copy_rows.int4(values))


def int8(values: NDArray[Any]) -> Array:
    return _array(1016, copy_rows.INT8_OID, copy_rows.int8(values))


def float8(values: NDArray[np.float64]) -> Array:
    return _array(1022, 701, values.astype(">f8").view(np.uint8).reshape(-1, 8))


def flags(values: NDArray[np.bool_]) -> Array:
    return _array(1000, 16, values.view(np.uint8).reshape(-1, 1))


def numeric(limbs: Limbs) -> Array:
    """Give amounts of the shape (n, limbs); see `captable.amounts`."""
    return _array(1231, copy_rows.NUMERIC_OID, amounts.as_numeric(limbs))


def addresses(values: Iterable[bytes]) -> Array:
    """Give addresses, 20 bytes each."""
    return _array(1001, 17, np.frombuffer(b"".join(values), np.uint8).reshape(-1, 20))


def _array(oid: int, element_oid: int, elements: Bytes) -> Array:
    """Write elements that take as many bytes each, none of them NULL."""
    # Dimensions, whether there are NULLs, type, number of elements, first index.
    head = np.array([1, 0, element_oid, len(elements), 1], ">i4").tobytes()
    return Array(oid, head + copy_rows.with_lengths(elements).tobytes())
