"""Where passkey ceremonies may take place."""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import urlsplit

APP = re.compile(r"android:apk-key-hash:[A-Za-z0-9_-]{43}")
WEB = re.compile(r"https?://[a-z0-9.-]+(:[0-9]{1,5})?")


def check_origins(rp_id: str, origins: Sequence[str], *, is_production: bool) -> None:
    """Refuse an origin that no authenticator could name for `rp_id`, or that anybody can alter.

    Raises
    ------
    ValueError
        With the origin, and what it should be.
    """
    if not origins:
        raise ValueError("PASSKEY_ORIGINS names no origin")
    for origin in origins:
        if APP.fullmatch(origin):
            continue
        if not WEB.fullmatch(origin):
            raise ValueError(
                f"PASSKEY_ORIGINS names {origin!r}; write https://app.example, without a slash at "
                "its end, or android:apk-key-hash: and the 43 characters of the hash"
            )
        url = urlsplit(origin)
        if url.scheme == "http" and is_production:
            raise ValueError(f"PASSKEY_ORIGINS names {origin!r}; production takes https only")
        if url.hostname != rp_id and not str(url.hostname).endswith(f".{rp_id}"):
            raise ValueError(
                f"PASSKEY_ORIGINS names {origin!r}, which lies outside PASSKEY_RP_ID={rp_id}"
            )
