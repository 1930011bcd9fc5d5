"""The guards that every machine has: a decision says why, and nobody decides on their own work."""

from __future__ import annotations

from typing import Any

from registry.kernel.actor import Actor
from registry.kernel.errors import Forbidden, Invalid
from registry.lifecycle.service import Attempt


def require_reason(attempt: Attempt[Any]) -> None:
    """Refuse a decision without a reason.

    Raises
    ------
    Invalid
        ``reason_missing``.
    """
    check_reason(attempt.given.get("reason"), attempt.event)


def check_reason(reason: Any, event: str) -> None:
    """Refuse what is no reason: for acts that are no event of a machine, or one of several.

    Raises
    ------
    Invalid
        ``reason_missing``.
    """
    if not str(reason or "").strip():
        raise Invalid("reason_missing", f"To {event}, say why.", field="/reason")


def require_other_person(attempt: Attempt[Any], *makers: str | None) -> None:
    """Refuse a decision by any of those whose work it is about, also where a system did it.

    Raises
    ------
    Forbidden
        ``checker_is_maker`` (APR-01).
    """
    check_other_person(attempt.actor, *makers)


def check_other_person(
    actor: Actor,
    *makers: str | None,
    told: str = "Whoever made or asked for this cannot decide on it (rule APR-01).",
    remedy: str | None = None,
) -> None:
    """Refuse what only another person may do: for acts that are no event of a machine.

    Parameters
    ----------
    told, remedy
        What the refusal says.

    Raises
    ------
    Forbidden
        ``checker_is_maker`` (APR-01).
    """
    if actor.is_person_of(*makers):
        raise Forbidden("checker_is_maker", told, remedy=remedy, rule="APR-01")
