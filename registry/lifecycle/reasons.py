"""The guards that every machine has: a decision says why, and nobody decides on their own work."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from registry.kernel.actor import Actor
from registry.kernel.clock import now, written
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


LEFT_LYING = timedelta(days=30)
"""After so long others may take back what a maker began, and that holds something up."""


def require_maker_of_late(attempt: Attempt[Any], maker: str, since: datetime) -> None:
    """Let only its maker take something back; once it has lain for long, others of the role too.

    Parameters
    ----------
    since
        When it was begun.

    Raises
    ------
    Forbidden
        ``not_the_maker``.
    """
    lies_until = since + LEFT_LYING
    if attempt.actor.subject != maker and now() < lies_until:
        raise Forbidden(
            "not_the_maker",
            "Only who began this takes it back.",
            remedy=f"Others of the same role may from {written(lies_until)}.",
        )


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
