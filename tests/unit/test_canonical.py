from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.kernel.canonical import record_hash

pytestmark = pytest.mark.unit

RECORDS = st.dictionaries(
    st.text(max_size=5),
    st.one_of(st.none(), st.booleans(), st.integers(-(2**53) + 1, 2**53 - 1), st.text(max_size=5)),
    max_size=6,
)


def test_record_hash__known_record__is_the_sha256_of_its_canonical_json() -> None:
    canonical = '{"a":[1,"ب"],"b":null,"\u20ac":"x"}'

    assert (
        record_hash({"\u20ac": "x", "b": None, "a": [1, "ب"]})
        == hashlib.sha256(canonical.encode()).digest()
    )


@given(RECORDS)
def test_record_hash__other_order_of_keys__is_the_same(record: dict[str, object]) -> None:
    assert record_hash(dict(reversed(record.items()))) == record_hash(record)


@given(RECORDS, RECORDS)
def test_record_hash__different_records__differ(
    first: dict[str, object], second: dict[str, object]
) -> None:
    # repr tells True from 1, as JSON does and == does not
    assert (record_hash(first) == record_hash(second)) == (
        sorted(map(repr, first.items())) == sorted(map(repr, second.items()))
    )
