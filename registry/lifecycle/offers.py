"""Acts of two: one offers, and the act takes effect when the other accepts.

A record has at most one open offer. It stands on the record itself, so that whoever locks the
record decides on exactly the offer that they see.
"""

from __future__ import annotations

from typing import Any, Protocol

from registry.kernel.actor import Actor
from registry.kernel.errors import Conflict


class Offered(Protocol):
    """A record on which an offer can stand."""

    offer: dict[str, Any] | None


def make_offer(record: Offered, actor: Actor, event: str, **terms: Any) -> None:
    """Offer `event` on these terms; what JSON can hold.

    Raises
    ------
    Conflict
        ``offer_pending``: another offer waits for its answer.
    """
    if record.offer is not None:
        raise Conflict(
            "offer_pending",
            f"An offer to {record.offer['event']} waits for its answer.",
            remedy="Have it accepted, refused or taken back first.",
        )
    record.offer = {"event": event, "by": actor.subject, **terms}


def take_offer(record: Offered, *events: str) -> dict[str, Any]:
    """Return the open offer of one of `events`, and clear it.

    Raises
    ------
    Conflict
        ``offer_missing``.
    """
    offer = record.offer
    if offer is None or offer["event"] not in events:
        raise Conflict("offer_missing", f"Nobody has offered to {' or '.join(events)}.")
    record.offer = None
    return offer


def offered_by(offer: dict[str, Any], role: str) -> Actor:
    """Return whoever made the offer: it is their act that takes effect now."""
    return Actor(str(offer["by"]), frozenset({role}))
