"""A long random story through the register, held against plain fractions at every step."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from random import Random
from uuid import UUID

import pytest

from registry.kernel.clock import today
from registry.mutation.forms import NewMutation, Side
from registry.mutation.models import Initiation, MutationKind
from registry.mutation.rules import parts_of
from registry.party.models import Party
from tests import deeds
from tests import factories as make
from tests.db.rows import settle
from tests.factories import Desk

pytestmark = pytest.mark.db

STEPS = 8
Owners = dict[UUID, Fraction]


def pick(chance: Random, owners: Owners, people: Sequence[Party]) -> tuple[NewMutation, Owners]:
    """Choose what happens next, and say who owns what after it."""
    kind = chance.choice([MutationKind.SALE, MutationKind.GIFT, MutationKind.INHERITANCE])
    seller = chance.choice(sorted(owners))
    part = owners[seller]
    if kind != MutationKind.INHERITANCE:
        part *= Fraction(chance.randint(1, 5), 5)
    others = [person.id for person in people if person.id != seller]
    buyers = chance.sample(others, chance.randint(1, 3))
    each = part / len(buyers)
    after = owners | {buyer: owners.get(buyer, Fraction(0)) + each for buyer in buyers}
    after[seller] -= part
    died_on = today() if kind == MutationKind.INHERITANCE else None
    new = NewMutation(
        kind=kind,
        initiation=Initiation.REGISTERED_DEED,
        number=deeds.number(),
        kul_hissay=each.denominator,
        sellers=[Side(seller, each.numerator * len(buyers), died_on)],
        buyers=[Side(buyer, each.numerator) for buyer in buyers],
    )
    return new, {party: left for party, left in after.items() if left}


@pytest.mark.parametrize("seed", range(3))
def test_story__of_random_mutations__loses_and_makes_no_share(desk: Desk, seed: int) -> None:
    chance = Random(seed)
    people = [make.person(desk) for _ in range(5)]
    title = deeds.farm(desk, deeds.owned(a=(people[0], 7), b=(people[1], 1), c=(people[2], 8)))
    owners = parts_of(deeds.now_owned(desk, title))

    for _ in range(STEPS):
        new, owners = pick(chance, owners, people)
        deeds.passed(desk, title, new)
        settle(desk.session)
        assert parts_of(deeds.now_owned(desk, title)) == owners
        assert sum(owners.values()) == 1
