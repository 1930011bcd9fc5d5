"""Shares of a title, exact."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from uuid import UUID

from registry.kernel.errors import Invalid

MAX_KUL_HISSAY = 2**62


@dataclass(frozen=True, slots=True)
class Share:
    """One owner's part.

    Parameters
    ----------
    hissa : int
        Whole parts, more than 0.
    """

    party_id: UUID
    hissa: int


@dataclass(frozen=True, slots=True)
class Ownership:
    """Everybody's parts of one whole.

    Parameters
    ----------
    kul_hissay : int
        The parts into which the whole is cut.
    """

    kul_hissay: int
    shares: tuple[Share, ...]

    def fraction_of(self, party_id: UUID) -> Fraction:
        parts = sum(share.hissa for share in self.shares if share.party_id == party_id)
        return Fraction(parts, self.kul_hissay)


def check_ownership(kul_hissay: int, shares: Sequence[Share]) -> Ownership:
    """Return the ownership if its parts make the whole, exactly (SHR-01).

    Raises
    ------
    Invalid
        ``shares_do_not_sum``, ``share_not_positive``, ``owner_repeated``.
    """
    if not 0 < kul_hissay <= MAX_KUL_HISSAY or any(share.hissa <= 0 for share in shares):
        raise Invalid(
            "share_not_positive",
            "The whole and every share of it are whole numbers above 0.",
            field="/ownership",
        )
    if len({share.party_id for share in shares}) != len(shares):
        raise Invalid(
            "owner_repeated",
            "An owner stands twice.",
            field="/ownership/owners",
            remedy="Add the owner's shares into one row.",
        )
    total = sum(share.hissa for share in shares)
    if total != kul_hissay:
        raise Invalid(
            "shares_do_not_sum",
            f"The shares sum to {total} of {kul_hissay} parts (rule SHR-01).",
            field="/ownership/owners",
            remedy="Every part must have an owner, and no part two.",
            rule="SHR-01",
        )
    return Ownership(kul_hissay, tuple(shares))
