"""What can be declared of a legal person, whatever else the register holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from registry.interest.models import OF_TRUSTS, OWNING, InterestNature
from registry.kernel.errors import Invalid

MOST_PARTS = 2**62


@dataclass(frozen=True, slots=True)
class Interest:
    """What one party is to a legal person.

    Parameters
    ----------
    parts : int or None
        Of the whole that the declaration names; None for who owns nothing.
    """

    holder_id: UUID
    nature: InterestNature
    parts: int | None = None


def check_interests(whole: int, interests: Sequence[Interest]) -> None:
    """Refuse interests that no legal person can have.

    Raises
    ------
    Invalid
        ``interests_required``, ``interest_repeated``, ``interests_mixed``,
        ``interest_parts_wrong``, ``interests_exceed_whole``.
    """
    if not interests:
        raise Invalid("interests_required", "Nobody is declared.", field="/interests")
    if len({(each.holder_id, each.nature) for each in interests}) < len(interests):
        raise Invalid("interest_repeated", "Somebody is declared twice.", field="/interests")
    natures = {each.nature for each in interests}
    if InterestNature.SHAREHOLDER in natures and natures & OF_TRUSTS:
        raise Invalid(
            "interests_mixed",
            "A company has shareholders; a trust has a settlor, trustees and beneficiaries.",
            field="/interests",
            remedy="Record the trust as a party of its own, and declare it as the shareholder.",
        )
    for number, each in enumerate(interests):
        _check_parts(each, f"/interests/{number}/parts")
    held = sum(each.parts or 0 for each in interests)
    if not 0 < whole <= MOST_PARTS or held > whole:
        raise Invalid(
            "interests_exceed_whole",
            f"The parts sum to {held} of {whole}: nobody has more than all of it.",
            field="/whole",
        )


def _check_parts(interest: Interest, field: str) -> None:
    if interest.nature in OWNING:
        if interest.parts is None or interest.parts <= 0:
            raise Invalid(
                "interest_parts_wrong", f"A {interest.nature} has parts, above 0.", field=field
            )
    elif interest.parts is not None:
        raise Invalid(
            "interest_parts_wrong",
            f"{interest.nature} rules, and owns no part by that.",
            field=field,
            remedy="Declare what they own as SHAREHOLDER or BENEFICIARY besides.",
        )
