"""The one way to hash a structured record: RFC 8785 canonical JSON, then SHA-256."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import rfc8785


def record_hash(record: Mapping[str, Any]) -> bytes:
    """Return the 32-byte SHA-256 of the canonical JSON of `record`."""
    return hashlib.sha256(rfc8785.dumps(dict(record))).digest()
