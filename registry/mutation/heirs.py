"""Inheritance (wirasat): what each heir takes of an estate.

Source: the Muslim law of inheritance as the revenue officers apply it, for the families of which
this small table is certain: those with a son. A widow takes 1/8 (several share it), a widower
1/4, each parent 1/6; sons and daughters take the rest, a son twice a daughter's share. For
every other family the shares are stated, as the succession certificate does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from types import MappingProxyType
from uuid import UUID

from registry.kernel.errors import Invalid


class Relation(StrEnum):
    """What an heir was to the deceased."""

    WIDOW = "WIDOW"
    WIDOWER = "WIDOWER"
    FATHER = "FATHER"
    MOTHER = "MOTHER"
    SON = "SON"
    DAUGHTER = "DAUGHTER"
    OTHER = "OTHER"


@dataclass(frozen=True, slots=True)
class Heir:
    """One heir.

    Parameters
    ----------
    hissa
        Parts of the estate, where the shares are stated; all heirs have them, or none has.
    """

    party_id: UUID
    relation: Relation
    hissa: int | None = None


_FIXED: Mapping[Relation, Fraction] = MappingProxyType(
    {
        Relation.WIDOW: Fraction(1, 8),
        Relation.WIDOWER: Fraction(1, 4),
        Relation.FATHER: Fraction(1, 6),
        Relation.MOTHER: Fraction(1, 6),
    }
)
"""Beside a son; each is of the relation, however many share it."""
_WEIGHT: Mapping[Relation, int] = MappingProxyType({Relation.SON: 2, Relation.DAUGHTER: 1})
_MOST_WIDOWS = 4
_AT_MOST_ONE = (Relation.WIDOWER, Relation.FATHER, Relation.MOTHER)


def shares_of_heirs(heirs: Sequence[Heir]) -> dict[UUID, Fraction]:
    """Return what each heir takes of the estate; it sums to exactly 1.

    Raises
    ------
    Invalid
        ``heirs_invalid``, ``heirs_not_in_table``, ``share_not_positive``.
    """
    if not heirs or len({heir.party_id for heir in heirs}) != len(heirs):
        raise Invalid("heirs_invalid", "There are heirs, each named once.", field="/estate/heirs")
    stated = [heir.hissa for heir in heirs if heir.hissa is not None]
    if not stated:
        return _by_table(heirs)
    if len(stated) != len(heirs):
        raise Invalid(
            "heirs_invalid",
            "Some heirs have a stated share and some have none.",
            field="/estate/heirs",
            remedy="State every heir's share, or none to have the table applied.",
        )
    if min(stated) <= 0:
        raise Invalid("share_not_positive", "Every heir's share is above 0.", field="/estate/heirs")
    return {heir.party_id: Fraction(heir.hissa or 0, sum(stated)) for heir in heirs}


def _by_table(heirs: Sequence[Heir]) -> dict[UUID, Fraction]:
    count = Counter(heir.relation for heir in heirs)
    certain = (
        count[Relation.SON] > 0
        and count[Relation.OTHER] == 0
        and all(count[relation] <= 1 for relation in _AT_MOST_ONE)
        and count[Relation.WIDOW] <= _MOST_WIDOWS
        and not (count[Relation.WIDOW] and count[Relation.WIDOWER])
    )
    if not certain:
        raise Invalid(
            "heirs_not_in_table",
            "The table knows a widower or up to four widows, the parents, and at least one son.",
            field="/estate/heirs",
            remedy="State every heir's hissa as the succession certificate does.",
        )
    fixed = {relation: part for relation, part in _FIXED.items() if count[relation]}
    rest = 1 - sum(fixed.values(), Fraction(0))
    one: Fraction = rest / sum(weight * count[relation] for relation, weight in _WEIGHT.items())
    return {
        heir.party_id: (
            fixed[heir.relation] / count[heir.relation]
            if heir.relation in fixed
            else one * _WEIGHT[heir.relation]
        )
        for heir in heirs
    }
