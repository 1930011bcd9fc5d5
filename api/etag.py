"""ETag and If-Match: an edit says which version it edits."""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import Header, Response

from registry.kernel.errors import PreconditionRequired, StaleVersion

_VERSION = re.compile(r'"?([0-9]{1,9})"?')
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
    version = _VERSION.fullmatch(if_match.strip())
    if version is None:
        raise StaleVersion(kind, if_match[:40], "another")
    return int(version[1])
