"""Whatever passes, in whatever order: the whole stays the whole, and nobody loses a share.

The register's own algebra of shares is held against one that keeps square feet by owner and
knows nothing of hissa.
"""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from uuid import UUID

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from registry.kernel.errors import Invalid
from registry.kernel.units import AreaUnit, PlainArea
from registry.mutation.division import Holding, check_division, land_of_owners
from registry.mutation.heirs import Heir, Relation, shares_of_heirs
from registry.mutation.models import MutationKind
from registry.mutation.rules import (
    Transfer,
    check_sides,
    ownership_of,
    transfer,
)
from registry.title.rules import MAX_KUL_HISSAY, Ownership, Share, check_ownership

pytestmark = pytest.mark.unit

PEOPLE = [UUID(int=number) for number in range(1, 9)]
people = st.sampled_from(PEOPLE)
parts = st.fractions(Fraction(1, 12), 1, max_denominator=12)


class Register(RuleBasedStateMachine):
    """A few titles of one village, and what everybody owns of its land."""

    def __init__(self) -> None:
        super().__init__()
        self.titles: list[Holding] = []
        self.land: dict[UUID, Fraction] = {}

    @initialize(hissa=st.lists(st.integers(1, 20), min_size=1, max_size=4))
    def begin(self, hissa: list[int]) -> None:
        shares = [Share(PEOPLE[n], part) for n, part in enumerate(hissa)]
        ownership = check_ownership(sum(hissa), shares)
        self.titles = [Holding(PlainArea(Decimal(4800), AreaUnit.SQFT), ownership)]
        self.land = land_of_owners(self.titles)

    def _pass(self, index: int, kind: MutationKind, passing: Transfer) -> None:
        """Let shares pass as the register does, and land as anybody would count it."""
        holding = self.titles[index]
        try:
            check_sides(kind, passing)
            after = transfer(holding.ownership, passing)
        except Invalid as refused:
            # The one way in which a transfer that people may make is refused.
            assert refused.code in {"shares_too_fine", "transfer_to_oneself", "exchange_uneven"}  # noqa: PT017
            return
        self.titles[index] = Holding(holding.area, after)
        for party, part in passing.given.items():
            self.land[party] -= part * holding.area_sqft
        for party, part in passing.taken.items():
            self.land[party] = self.land.get(party, Fraction(0)) + part * holding.area_sqft
        self.land = {party: sqft for party, sqft in self.land.items() if sqft}

    def _pick(self, data: st.DataObject) -> tuple[int, Ownership, UUID]:
        index = data.draw(st.integers(0, len(self.titles) - 1))
        ownership = self.titles[index].ownership
        return index, ownership, data.draw(st.sampled_from(ownership.shares)).party_id

    @rule(
        data=st.data(),
        kind=st.sampled_from([MutationKind.SALE, MutationKind.GIFT]),
        part=parts,
        buyers=st.lists(people, min_size=1, max_size=3, unique=True),
    )
    def sell(
        self, data: st.DataObject, kind: MutationKind, part: Fraction, buyers: list[UUID]
    ) -> None:
        index, ownership, seller = self._pick(data)
        given = ownership.fraction_of(seller) * part
        self._pass(
            index, kind, Transfer({seller: given}, dict.fromkeys(buyers, given / len(buyers)))
        )

    @rule(data=st.data(), one=parts, other=parts)
    def exchange(self, data: st.DataObject, one: Fraction, other: Fraction) -> None:
        index, ownership, first = self._pick(data)
        second = data.draw(st.sampled_from(ownership.shares)).party_id
        mine, theirs = ownership.fraction_of(first) * one, ownership.fraction_of(second) * other
        given = {first: mine, second: theirs}
        self._pass(index, MutationKind.EXCHANGE, Transfer(given, {first: theirs, second: mine}))

    @rule(
        data=st.data(),
        relations=st.lists(
            st.sampled_from([Relation.WIDOW, Relation.SON, Relation.DAUGHTER, Relation.MOTHER]),
            max_size=4,
        ),
        stated=st.booleans(),
    )
    def inherit(self, data: st.DataObject, relations: list[Relation], stated: bool) -> None:
        index, ownership, deceased = self._pick(data)
        living = [person for person in PEOPLE if person != deceased]
        family = [
            Heir(person, relation, number if stated else None)
            for number, (person, relation) in enumerate(
                zip(living, [*dict.fromkeys(relations), Relation.SON], strict=False), 1
            )
        ]
        left = ownership.fraction_of(deceased)
        taken = {heir: part * left for heir, part in shares_of_heirs(family).items()}
        self._pass(index, MutationKind.INHERITANCE, Transfer({deceased: left}, taken))

    @precondition(lambda self: len(self.titles) < 5)
    @rule(data=st.data())
    def divide(self, data: st.DataObject) -> None:
        """Cut one title in two that everybody owns as before."""
        index, ownership, _ = self._pick(data)
        whole = self.titles[index]
        assert isinstance(whole.area, PlainArea)
        quantity = whole.area.quantity
        if quantity <= 1:
            return
        first = data.draw(st.integers(1, int(quantity) - 1))
        pieces = [
            Holding(PlainArea(Decimal(size), AreaUnit.SQFT), ownership)
            for size in (first, quantity - first)
        ]
        check_division(MutationKind.PARTITION, [whole], pieces, decreed=False)
        self.titles[index : index + 1] = pieces

    @precondition(lambda self: len(self.titles) > 1)
    @rule()
    def consolidate(self) -> None:
        """Put two titles together; everybody's share follows their land."""
        pair = self.titles[:2]
        total = sum(holding.area_sqft for holding in pair)
        try:
            joint = ownership_of(
                {party: sqft / total for party, sqft in land_of_owners(pair).items()}
            )
        except Invalid as refused:
            assert refused.code == "shares_too_fine"  # noqa: PT017
            return
        merged = Holding(PlainArea(Decimal(int(total)), AreaUnit.SQFT), joint)
        check_division(MutationKind.CONSOLIDATION, pair, [merged], decreed=False)
        self.titles[:2] = [merged]

    @invariant()
    def every_title_is_whole(self) -> None:
        for holding in self.titles:
            ownership = holding.ownership
            assert sum(share.hissa for share in ownership.shares) == ownership.kul_hissay
            assert all(share.hissa > 0 for share in ownership.shares)
            assert ownership.kul_hissay <= MAX_KUL_HISSAY

    @invariant()
    def everybody_owns_what_passed_to_them(self) -> None:
        assert land_of_owners(self.titles) == self.land
        assert not self.titles or sum(self.land.values()) == 4800


TestRegister = Register.TestCase
