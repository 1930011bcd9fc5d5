"""The hash of a request's body: the same however it is cut, and whatever boundary it has."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import ClientDisconnect, Request
from starlette.types import Message

from api.idempotency import HashedBody

pytestmark = pytest.mark.unit

BOUNDARY = b"-x-x"


def messages(content: bytes, cuts: Sequence[int]) -> list[Message]:
    ends = sorted({0, len(content), *(cut % (len(content) + 1) for cut in cuts)})
    pieces: list[Message] = [
        {"type": "http.request", "body": content[start:end], "more_body": True}
        for start, end in pairwise(ends)
    ]
    return [*pieces, {"type": "http.request", "body": b"", "more_body": False}]


def hash_of(
    content_type: bytes, waiting: list[Message], path: str = "/v1/assets", query: bytes = b""
) -> bytes:
    async def receive() -> Message:
        return waiting.pop(0)

    scope = {
        "type": "http",
        "method": "POST",
        "path": path,
        "query_string": query,
        "headers": [(b"content-type", content_type), (b"host", b"x")],
    }
    return asyncio.run(HashedBody(Request(scope, receive)).hash())


def form(boundary: bytes) -> bytes:
    return b"multipart/form-data; boundary=" + boundary


# Bytes of which boundaries are made, so that halves of them stand everywhere.
CONTENT = st.lists(st.sampled_from([b"-", b"x", b"-x", BOUNDARY, b"deed"]), max_size=30)


@given(CONTENT, st.lists(st.integers(min_value=0), max_size=10))
def test_hash__body_cut_anywhere__is_the_same(content: list[bytes], cuts: list[int]) -> None:
    body = b"".join(content)

    assert hash_of(form(BOUNDARY), messages(body, cuts)) == hash_of(
        form(BOUNDARY), messages(body, [])
    )


@given(st.lists(st.binary(max_size=20), min_size=1, max_size=5))
def test_hash__same_form_with_another_boundary__is_the_same(parts: list[bytes]) -> None:
    one, other = (
        hash_of(form(boundary), messages(boundary.join(parts), [7, 30]))
        for boundary in (b"5f1e0a55-a-first-try", b"c0ffee77-a-second-try")
    )

    assert one == other


@given(st.binary(max_size=50), st.binary(max_size=50))
def test_hash__other_content__is_another(content: bytes, other: bytes) -> None:
    one, two = (hash_of(b"application/json", messages(body, [3])) for body in (content, other))

    assert (one == two) == (content == other)


def test_hash__same_content_at_another_path__is_another() -> None:
    one, two = (hash_of(b"", messages(b"{}", []), path) for path in ("/v1/assets", "/v1/parties"))

    assert one != two


def test_hash__same_content_with_another_query__is_another() -> None:
    queries = (b"", b"chain_id=1", b"chain_id=2")
    hashes = {hash_of(b"", messages(b"{}", []), query=query) for query in queries}

    assert len(hashes) == len(queries)


def test_hash__caller_went_away__is_no_hash() -> None:
    half: Message = {"type": "http.request", "body": b"{", "more_body": True}
    with pytest.raises(ClientDisconnect):
        hash_of(b"application/json", [half, {"type": "http.disconnect"}])
