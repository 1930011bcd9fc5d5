"""Groups of people who hold together (LADM LA_GroupParty), in exact parts.

Who is in a group, and with what part, never changes: another group would own what it holds, and
that takes a mutation of the title.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any
from uuid import UUID

from sqlmodel import Session, col, select

from registry.kernel.errors import Invalid
from registry.party.models import Party, PartyKind

MOST_PARTS = 2**62
PERSONS = (PartyKind.NATURAL, PartyKind.LEGAL)


@dataclass(frozen=True, slots=True)
class Member:
    """Somebody's part of a group; the parts of all of them make the whole.

    Parameters
    ----------
    hissa
        Whole parts, more than 0.
    """

    party_id: UUID
    hissa: int


def checked_members(session: Session, kind: PartyKind, members: Sequence[Member]) -> list[Any]:
    """Return `members` as they are kept with their group.

    Raises
    ------
    Invalid
        ``members_not_applicable``, ``members_required``, ``member_repeated``,
        ``share_not_positive``, ``member_unknown``.
    """
    if kind != PartyKind.GROUP:
        if members:
            raise Invalid("members_not_applicable", "Only a GROUP has members.", field="/members")
        return []
    ids = [member.party_id for member in members]
    if len(set(ids)) < 2:  # noqa: PLR2004 - one alone is no group
        raise Invalid(
            "members_required",
            "A group has two members or more.",
            field="/members",
            remedy="One who holds alone is recorded as a person.",
        )
    if len(set(ids)) < len(ids):
        raise Invalid("member_repeated", "A member stands twice.", field="/members")
    if any(member.hissa <= 0 for member in members) or _whole(members) > MOST_PARTS:
        raise Invalid("share_not_positive", "Every part is above 0.", field="/members")
    persons = select(Party.id).where(col(Party.id).in_(ids), col(Party.kind).in_(PERSONS))
    unknown = set(ids).difference(session.exec(persons).all())
    if unknown:
        raise Invalid(
            "member_unknown",
            "A member is a recorded natural or legal person.",
            field=f"/members/{min(ids.index(party_id) for party_id in unknown)}/party_id",
            remedy="Record the person first; name the people of a group within a group.",
        )
    return [{"party_id": str(member.party_id), "hissa": str(member.hissa)} for member in members]


def members_of(party: Party) -> tuple[Member, ...]:
    """List the members of a group, none for anybody else."""
    return tuple(Member(UUID(row["party_id"]), int(row["hissa"])) for row in party.members)


def parts_of(party: Party) -> dict[UUID, Fraction]:
    """Return each member's part of the group; a person is the whole of themselves."""
    members = members_of(party)
    if not members:
        return {party.id: Fraction(1)}
    return {item.party_id: Fraction(item.hissa, _whole(members)) for item in members}


def _whole(members: Sequence[Member]) -> int:
    return sum(member.hissa for member in members)
