"""Unmasking a person: for those who oversee, with a reason, and written down each time."""

from __future__ import annotations

from uuid import UUID

from sqlmodel import Session

from registry.journal import service as journal
from registry.kernel.actor import Actor, Role
from registry.kernel.errors import Forbidden, Invalid
from registry.party.models import Party
from registry.party.service import get_party

MAY_REVEAL = (Role.COMPLIANCE, Role.REGULATOR)
_SHORTEST = 3


def reveal_party(
    session: Session,
    actor: Actor,
    party_id: UUID,
    *,
    purpose: str | None,
    legal_basis: str | None,
) -> Party:
    """Return a party whose details the caller may see; the reading is journalled, not the values.

    Parameters
    ----------
    purpose
        Why the caller looks.
    legal_basis
        What lets them: a section of a law, an order, a consent.

    Raises
    ------
    Forbidden
        ``reveal_not_allowed``.
    Invalid
        ``purpose_required``.
    NotFound
    """
    given = _stated(actor, purpose, legal_basis)
    party = get_party(session, party_id)
    journal.record(session, actor, "personal_data_read", "party", party.id, **given)
    return party


def reveal_free_texts(
    session: Session,
    actor: Actor,
    subject: tuple[str, UUID],
    *,
    purpose: str | None,
    legal_basis: str | None,
) -> None:
    """Note that the caller reads what people wrote of a record, with the numbers in it.

    Parameters
    ----------
    subject
        Kind and id of the record.

    Raises
    ------
    Forbidden
        ``reveal_not_allowed``.
    Invalid
        ``purpose_required``.
    """
    given = _stated(actor, purpose, legal_basis)
    journal.record(session, actor, "personal_data_read", *subject, **given)


def _stated(actor: Actor, purpose: str | None, legal_basis: str | None) -> dict[str, str]:
    if not actor.has(*MAY_REVEAL):
        raise Forbidden("reveal_not_allowed", "Only compliance and the regulator see more.")
    given = {"purpose": (purpose or "").strip(), "legal_basis": (legal_basis or "").strip()}
    for name, text in given.items():
        if len(text) < _SHORTEST:
            raise Invalid(
                "purpose_required",
                "Personal data is shown for a stated purpose, on a stated legal basis.",
                field=name,
                remedy="Send `purpose` and `legal_basis` with `reveal=true`.",
            )
    return given
