"""Columns that are written by set arrive in the server as the values that they are."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest
from sqlmodel import Session

from registry.captable import amounts
from registry.captable import array_parameters as parameter
from registry.captable.array_parameters import Array
from registry.captable.bulk import column_cursor

LARGEST = 2**256 - 1
ADDRESSES = [bytes(20), b"\xff" * 20, bytes(range(20))]


@pytest.mark.parametrize(
    ("written", "kind", "values"),
    [
        (parameter.int4(np.array([0, -1, 2**31 - 1])), "int4[]", [0, -1, 2**31 - 1]),
        (parameter.int8(np.array([0, -1, 2**63 - 1])), "int8[]", [0, -1, 2**63 - 1]),
        (parameter.float8(np.array([0.0, -0.5, 2.0**200])), "float8[]", [0.0, -0.5, 2.0**200]),
        (parameter.flags(np.array([True, False])), "bool[]", [True, False]),
        (parameter.addresses(ADDRESSES), "bytea[]", ADDRESSES),
        (
            parameter.numeric(amounts.of_ints([0, 7, 10**24, LARGEST])),
            "numeric[]",
            [Decimal(0), Decimal(7), Decimal(10**24), Decimal(LARGEST)],
        ),
        (parameter.int8(np.empty(0, np.int64)), "int8[]", []),
        (parameter.addresses([]), "bytea[]", []),
    ],
    ids=["int4", "int8", "float8", "flags", "addresses", "numeric", "no numbers", "no addresses"],
)
def test_array__given_to_a_statement__is_what_it_was_made_of(
    session: Session, written: Array, kind: str, values: list[object]
) -> None:
    with column_cursor(session) as cursor:
        # Its type is told by the parameter itself, not by the statement.
        row = cursor.execute("SELECT a, pg_typeof(a)::text FROM (SELECT %s) x(a)", [written])
        told, name = row.fetchone() or (None, None)

    expected = {"int4[]": "integer[]", "int8[]": "bigint[]", "float8[]": "double precision[]"}
    assert name == expected.get(kind, kind.replace("bool", "boolean"))
    assert told == values
