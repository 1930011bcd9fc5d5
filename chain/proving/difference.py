"""What differs between the projection and the chain."""

from __future__ import annotations

from typing import Any

from chain.node.client import hex_of

Difference = dict[str, Any]
"""What differs, for whom, and both values as text."""


def differ(what: str, ours: Any, theirs: Any, *, holder: bytes | None = None) -> list[Difference]:
    """Give the difference between two values, if there is one."""
    if ours == theirs:
        return []
    found: Difference = {"what": what, "database": _text(ours), "chain": _text(theirs)}
    return [found | ({"holder": hex_of(holder)} if holder else {})]


def _text(value: Any) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    return None if value is None else str(value)
