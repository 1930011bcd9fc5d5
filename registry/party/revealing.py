"""Why somebody looks at persons; whoever only looks says it, and whoever wants to see more."""

from __future__ import annotations

from uuid import UUID

from sqlmodel import Session

from registry.journal import service as journal
from registry.kernel.actor import Actor, Role
from registry.kernel.errors import Forbidden, Invalid

MAY_REVEAL = (Role.COMPLIANCE, Role.REGULATOR)
ONLY_LOOK = frozenset({Role.REGULATOR, Role.AUDITOR})
"""Nothing that they do in the register explains why they look: they always say it."""
_OF_THEIR_OWN = frozenset({Role.INVESTOR, Role.ISSUER})
"""What somebody has or sells explains no look at others."""
_SHORTEST = 3

Reasons = dict[str, str]
"""`purpose` and `legal_basis`, as far as they were stated."""


def reasons_of(
    actor: Actor,
    *,
    purpose: str | None,
    legal_basis: str | None,
    reveal: bool = False,
    in_full: bool = False,
) -> Reasons:
    """Return why the caller looks at persons.

    Who works on the register looks for the sake of that work, and may leave it unsaid: the journal
    names the roles. Who only looks, or wants to see what is masked, states both. So does a system
    for what is never masked: its key says nothing of what it is at work on.

    Parameters
    ----------
    purpose
        Why the caller looks.
    legal_basis
        What lets them: a section of a law, an order, a consent.
    in_full
        Whether it is a paper, which is never masked.

    Raises
    ------
    Forbidden
        ``reveal_not_allowed``.
    Invalid
        ``purpose_required``.
    """
    if reveal and not actor.has(*MAY_REVEAL):
        raise Forbidden("reveal_not_allowed", "Only compliance and the regulator see more.")
    given = {"purpose": (purpose or "").strip(), "legal_basis": (legal_basis or "").strip()}
    only_looks = actor.has(*ONLY_LOOK) and actor.roles - _OF_THEIR_OWN <= ONLY_LOOK
    must_say = reveal or only_looks or (in_full and actor.is_system)
    for name, text in given.items():
        if len(text) < _SHORTEST and (must_say or text):
            raise Invalid(
                "purpose_required",
                "Personal data is shown for a stated purpose, on a stated legal basis.",
                field=name,
                remedy="Send `purpose` and `legal_basis`, of three letters or more.",
            )
    return {name: text for name, text in given.items() if text}


def note_free_texts(
    session: Session, actor: Actor, subject: tuple[str, UUID], reasons: Reasons
) -> None:
    """Note that the caller reads what people wrote of a record, with the numbers in it.

    Parameters
    ----------
    subject
        Kind and id of the record.
    """
    journal.record(
        session, actor, "personal_data_read", *subject,
        **reasons, roles=sorted(actor.roles), revealed=True,
    )  # fmt: skip
