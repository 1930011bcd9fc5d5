"""Exact shares: what a transfer leaves to whom. Pure, and in whole numbers and fractions only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import lcm
from uuid import UUID

from registry.kernel.errors import Conflict, Invalid
from registry.mutation.models import MutationKind
from registry.title.rules import MAX_KUL_HISSAY, Ownership, Share, check_ownership

WHOLE = Fraction(1)
Parts = Mapping[UUID, Fraction]
"""Somebody's part of the whole title, by party."""

TRANSFERS = frozenset(
    {
        MutationKind.SALE,
        MutationKind.GIFT,
        MutationKind.TAMLEEK,
        MutationKind.INHERITANCE,
        MutationKind.WILL,
        MutationKind.EXCHANGE,
        MutationKind.COURT_DECREE,
        MutationKind.SETTLEMENT,
        MutationKind.BANK_SALE,
        MutationKind.COURT_SALE,
        MutationKind.ACQUISITION,
    }
)
"""Kinds by which shares pass from sellers to buyers."""
OF_THE_DEAD = frozenset({MutationKind.INHERITANCE, MutationKind.WILL})
DIVISIONS = frozenset({MutationKind.PARTITION, MutationKind.CONSOLIDATION})
"""Kinds after which the titles are others."""
OF_A_BURDEN = frozenset({MutationKind.MORTGAGE, MutationKind.REDEMPTION, MutationKind.LEASE})
"""Kinds that record a burden's beginning or end; who owns stays as it is."""
BY_COURT = frozenset({MutationKind.COURT_DECREE, MutationKind.COURT_SALE})
FORCED = frozenset(
    {
        MutationKind.BANK_SALE,
        MutationKind.COURT_SALE,
        MutationKind.ACQUISITION,
        MutationKind.COURT_DECREE,
    }
)
"""Kinds that need nobody's consent: they also happen to a title that carries a token."""


@dataclass(frozen=True, slots=True)
class Transfer:
    """Who gives and who takes, in parts of the whole title."""

    given: Parts
    taken: Parts


def parts_of(ownership: Ownership) -> dict[UUID, Fraction]:
    return {
        share.party_id: Fraction(share.hissa, ownership.kul_hissay) for share in ownership.shares
    }


def ownership_of(parts: Parts) -> Ownership:
    """Write parts of the whole over the smallest whole that holds them all.

    Raises
    ------
    Invalid
        ``shares_too_fine``: that whole passes `MAX_KUL_HISSAY`.
    """
    kul_hissay = lcm(*(part.denominator for part in parts.values()))
    if kul_hissay > MAX_KUL_HISSAY:
        raise Invalid(
            "shares_too_fine",
            f"The shares would need a whole of {kul_hissay} parts; {MAX_KUL_HISSAY} are the most.",
            field="/kul_hissay",
            remedy="Transfer shares whose denominators divide the title's own.",
        )
    return ownership_over(parts, kul_hissay)


def ownership_over(parts: Parts, kul_hissay: int) -> Ownership:
    """Write parts of the whole in `kul_hissay` parts, a multiple of every denominator."""
    return check_ownership(
        kul_hissay, [Share(party, int(part * kul_hissay)) for party, part in parts.items()]
    )


def transfer(ownership: Ownership, passing: Transfer) -> Ownership:
    """Return who owns what after `passing`.

    Parties that keep nothing are gone, new ones stand at the end, everybody else keeps their
    place; the whole is rescaled as the shares need it.

    Raises
    ------
    Invalid
        ``transfer_unbalanced`` (SHR-02), ``share_not_positive``, ``shares_too_fine``.
    Conflict
        ``share_exceeded`` (SHR-03).
    """
    given, taken = passing.given, passing.taken
    if not given or min(*given.values(), *taken.values(), WHOLE) <= 0:
        raise Invalid(
            "share_not_positive", "Somebody gives, and every share is above 0.", field="/sellers"
        )
    if sum(given.values()) != sum(taken.values()):
        raise Invalid(
            "transfer_unbalanced",
            f"{sum(given.values())} of the whole is given and {sum(taken.values())} is taken.",
            field="/buyers",
            remedy="Let the buyers' shares sum to exactly what the sellers give.",
            rule="SHR-02",
        )
    after = parts_of(ownership)
    for party, part in given.items():
        if part > after.get(party, 0):
            raise Conflict(
                "share_exceeded",
                f"{party} gives {part} of the whole and holds {after.get(party, Fraction(0))}.",
                remedy="Nobody gives more than their current row in the title.",
                rule="SHR-03",
            )
        after[party] -= part
    for party, part in taken.items():
        after[party] = after.get(party, Fraction(0)) + part
    return ownership_of({party: part for party, part in after.items() if part})


def check_sides(kind: MutationKind, passing: Transfer, *, is_half: bool = False) -> None:
    """Refuse parties that this kind does not have.

    Parameters
    ----------
    is_half
        Of an exchange that is paid for on another title: here it is like a sale.

    Raises
    ------
    Invalid
        ``parties_not_applicable``, ``parties_required``, ``exchange_uneven``,
        ``transfer_to_oneself``.
    """
    if kind not in TRANSFERS:
        if passing.given or passing.taken:
            raise Invalid(
                "parties_not_applicable",
                f"By {kind} no share passes from one party to another.",
                field="/sellers",
            )
        return
    if not passing.given or not passing.taken:
        raise Invalid("parties_required", f"A {kind} has sellers and buyers.", field="/sellers")
    if kind == MutationKind.EXCHANGE and not is_half:
        _check_exchange(passing)
    elif not passing.given.keys().isdisjoint(passing.taken):
        raise Invalid(
            "transfer_to_oneself",
            "Somebody gives and takes in one transfer.",
            field="/buyers",
            remedy="Leave out what they keep; an EXCHANGE has two that both give and take.",
        )


def _check_exchange(passing: Transfer) -> None:
    given, taken = passing.given, passing.taken
    two = tuple(given)
    if len(two) == 2 and taken == {two[0]: given[two[1]], two[1]: given[two[0]]}:  # noqa: PLR2004
        if given[two[0]] != given[two[1]]:
            return
        detail = "Both give the same share of one title: nothing would change."
    else:
        detail = "In an exchange two give, and each takes what the other gives."
    raise Invalid("exchange_uneven", detail, field="/buyers")
