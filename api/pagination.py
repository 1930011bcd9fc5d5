"""Keyset pages: opaque, signed cursors and Link headers."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated, NamedTuple, TypeVar
from urllib.parse import urlencode
from uuid import UUID

from fastapi import Depends, Query, Request, Response

from api.deps import services_of
from api.schemas.common import Page
from registry.kernel.errors import Invalid

MAX_LIMIT = 200
DEFAULT_LIMIT = 50
_SEAL_BYTES = 12

_OF_BLOCK = re.compile(r"([0-9]{1,15})-([0-9a-f]{64})(?:-([0-9]{1,9}))? (.+)")

Row = TypeVar("Row")
Item = TypeVar("Item")


class PageBlock(NamedTuple):
    """The block of which the first page of a list is, and so all others.

    Parameters
    ----------
    reading
        How often what was known of the token up to this block had been thrown away by then.
    """

    number: int
    hash: bytes
    reading: int = 0

    def __str__(self) -> str:
        again = f"-{self.reading}" if self.reading else ""
        return f"{self.number}-{self.hash.hex()}{again}"


@dataclass(frozen=True, slots=True)
class Paging:
    """Where a page begins, and how to name where the next one does.

    Parameters
    ----------
    after : str | None
        The last key of the page before, as the list itself writes it.
    block
        Tells of which block all pages of the list are, where it speaks of one. It is asked only
        where there is a next page.
    """

    limit: int
    after: str | None
    _secret: bytes
    _request: Request
    _response: Response
    block: Callable[[], PageBlock] | None = None

    @property
    def after_id(self) -> UUID | None:
        return UUID(self.after) if self.after else None

    @property
    def after_place(self) -> tuple[int, int] | None:
        """Give number of the block and index of the log, in a list of logs."""
        if not self.after:
            return None
        block_number, log_index = self.after.split(".")
        return int(block_number), int(log_index)

    @property
    def after_moment(self) -> tuple[datetime, UUID] | None:
        """Give moment and id of the last row, in a list by time."""
        if not self.after:
            return None
        moment, _, row_id = self.after.partition(" ")
        return datetime.fromisoformat(moment), UUID(row_id)

    def page(
        self,
        rows: Sequence[Row],
        key: Callable[[Row], str],
        show: Callable[[Row], Item],
    ) -> Page[Item]:
        """Build the page from at most `limit` + 1 rows; the extra one tells that there is more."""
        shown, more = rows[: self.limit], len(rows) > self.limit
        following = self.follow(key(shown[-1])) if more else None
        return Page(items=[show(row) for row in shown], next=following)

    def follow(self, key: str) -> str:
        """Give the cursor of the page behind `key`, and name that page in the Link header."""
        following = _seal(self._secret, key if self.block is None else f"{self.block()} {key}")
        # A filter may be given more than once.
        asked = self._request.query_params.multi_items()
        query = [(name, value) for name, value in asked if name != "cursor"]
        url = f"{self._request.url.path}?{urlencode([*query, ('cursor', following)])}"
        self._response.headers["Link"] = f'<{url}>; rel="next"'
        return following

    def of_first(self) -> tuple[Paging, PageBlock | None]:
        """Read of which block the first page was, in a list that speaks of one.

        None where this is the first.

        Raises
        ------
        Invalid
            ``cursor_invalid``: it was given before cursors said so.
        """
        if self.after is None:
            return self, None
        told = _OF_BLOCK.fullmatch(self.after)
        if told is None:
            raise Invalid("cursor_invalid", "This cursor is of an older version: begin again.")
        block = PageBlock(int(told[1]), bytes.fromhex(told[2]), int(told[3] or 0))
        return replace(self, after=told[4]), block

    @property
    def headers(self) -> dict[str, str]:
        """What a route that answers with a response of its own has to tell."""
        return dict(self._response.headers)

    @property
    def fetch(self) -> int:
        """How many rows to ask the register for."""
        return self.limit + 1


LimitParam = Annotated[int, Query(ge=1, le=MAX_LIMIT)]
CursorParam = Annotated[str | None, Query(max_length=400)]


async def get_paging(
    request: Request,
    response: Response,
    limit: LimitParam = DEFAULT_LIMIT,
    cursor: CursorParam = None,
) -> Paging:
    """Read `limit` and `cursor`.

    Raises
    ------
    Invalid
        ``cursor_invalid``: it was not given by us, or for another list.
    """
    token_key = services_of(request).settings.token_key
    assert token_key is not None
    # The path is part of the secret: a cursor of one list means nothing to another.
    secret = token_key.get_secret_value() + request.url.path
    digest = hashlib.sha256(secret.encode()).digest()
    after = _open(digest, cursor) if cursor is not None else None
    return Paging(limit, after, digest, request, response)


PagingDep = Annotated[Paging, Depends(get_paging)]


def _seal(secret: bytes, key: str) -> str:
    mac = hmac.new(secret, key.encode(), hashlib.sha256).digest()[:_SEAL_BYTES]
    return base64.urlsafe_b64encode(mac + key.encode()).decode().rstrip("=")


def _open(secret: bytes, cursor: str) -> str:
    try:
        raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        mac, key = raw[:_SEAL_BYTES], raw[_SEAL_BYTES:].decode()
    except (binascii.Error, ValueError):
        mac, key = b"", ""
    if not hmac.compare_digest(
        mac, hmac.new(secret, key.encode(), hashlib.sha256).digest()[:_SEAL_BYTES]
    ):
        raise Invalid(
            "cursor_invalid",
            "This cursor is not one of this list.",
            remedy="Follow the Link header, or start without a cursor.",
        )
    return key
