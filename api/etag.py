"""ETag and If-Match: an edit says which version it edits."""

from __future__ import annotations

from typing import Annotated

from fastapi import Header, Response

from registry.kernel.errors import PreconditionRequired, StaleVersion

IfMatch = Annotated[str | None, Header(description="The ETag of the version that you edit")]


def set_etag(response: Response, version: int) -> None:
    response.headers["ETag"] = f'"{version}"'


def version_of(if_match: str | None, kind: str) -> int:
    """Return the version that the caller edits.

    Raises
    ------
    PreconditionRequired, StaleVersion
    """
    if if_match is None:
        raise PreconditionRequired(kind)
    text = if_match.strip().strip('"')
    if not text.isdecimal():
        raise StaleVersion(kind, if_match, "another")
    return int(text)
