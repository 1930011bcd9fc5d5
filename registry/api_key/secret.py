"""The secret of an API key: how it is written, and what of it is kept."""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass

MARK = "mk_"
_FORM = re.compile(r"mk_([0-9a-f]{12})_[A-Za-z0-9_-]{43}")


@dataclass(frozen=True, slots=True)
class NewSecret:
    """A key as it is shown, once: the prefix is public, the rest has 256 random bits."""

    prefix: str
    text: str

    @classmethod
    def make(cls) -> NewSecret:
        prefix = secrets.token_hex(6)
        return cls(prefix, f"{MARK}{prefix}_{secrets.token_urlsafe(32)}")


def hash_of(text: str) -> bytes:
    """Hash a key.

    Nobody guesses 256 random bits, however fast the hash is: a slow one would only cost the
    server time for each request (ADR 0042).
    """
    return hashlib.sha256(text.encode()).digest()


def prefix_of(text: str) -> str | None:
    """Return the public part, or None of what is no key at all."""
    found = _FORM.fullmatch(text)
    return found.group(1) if found else None
