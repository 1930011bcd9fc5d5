"""Refresh tokens and codes of invitations: 256 random bits each, of which a hash is kept."""

from __future__ import annotations

import hashlib
import re
import secrets

REFRESH_MARK = "mr_"
CODE_MARK = "mi_"
_FORM = re.compile(r"m[ri]_[A-Za-z0-9_-]{43}")


def new_secret(mark: str) -> str:
    return mark + secrets.token_urlsafe(32)


def hash_of(secret: str) -> bytes | None:
    """Return the hash by which a secret is found, or None of what is no secret of ours."""
    return hashlib.sha256(secret.encode()).digest() if _FORM.fullmatch(secret) else None
