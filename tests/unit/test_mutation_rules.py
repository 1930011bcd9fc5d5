"""Shares that pass, exactly: the vectors of the law, and random ones."""

from __future__ import annotations

from fractions import Fraction
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.kernel.errors import Conflict, Invalid
from registry.mutation.heirs import Heir, Relation, shares_of_heirs
from registry.mutation.models import MutationKind
from registry.mutation.rules import (
    Transfer,
    check_sides,
    ownership_of,
    parts_of,
    transfer,
)
from registry.title.rules import MAX_KUL_HISSAY, Ownership, Share, check_ownership

pytestmark = pytest.mark.unit

A, B, C, D, E, F, G = (UUID(int=number) for number in range(1, 8))


def owned(**hissa: int) -> Ownership:
    names = {"a": A, "b": B, "c": C, "d": D}
    shares = [Share(names[name], parts) for name, parts in hissa.items()]
    return check_ownership(sum(hissa.values()), shares)


def hissa_of(ownership: Ownership) -> list[int]:
    return [share.hissa for share in ownership.shares]


def passes(giver: UUID, part: Fraction, *takers: UUID) -> Transfer:
    return Transfer({giver: part}, dict.fromkeys(takers, part / len(takers)))


def estate(ownership: Ownership, deceased: UUID, *heirs: Heir) -> Transfer:
    left = ownership.fraction_of(deceased)
    taken = {party: part * left for party, part in shares_of_heirs(heirs).items()}
    return Transfer({deceased: left}, taken)


# The vectors


def test_transfer__three_sevenths_of_a_share_sold__needs_no_other_whole() -> None:
    before = owned(a=7, b=1, c=8)

    after = transfer(before, passes(A, Fraction(3, 7) * Fraction(7, 16), D))

    assert (after.kul_hissay, hissa_of(after)) == (16, [4, 1, 8, 3])


def test_heirs__widow_two_sons_three_daughters__take_eighths() -> None:
    family = [
        Heir(A, Relation.WIDOW),
        *(Heir(son, Relation.SON) for son in (B, C)),
        *(Heir(daughter, Relation.DAUGHTER) for daughter in (D, E, F)),
    ]

    after = ownership_of(shares_of_heirs(family))

    assert (after.kul_hissay, hissa_of(after)) == (8, [1, 2, 2, 1, 1, 1])


def test_inheritance__twice_of_a_third__is_a_sixth() -> None:
    """PLJ 2023 Lahore 900: 7/16 and then 1/16 of a third are 1/6 of the whole.

    Somebody dies with a third of the holding. An heir takes 7/16 of that third; another, who
    took 1/16 of it, dies too and leaves it to the same heir: half of the third.
    """
    before = owned(a=1, b=2)
    first = estate(
        before,
        A,
        Heir(C, Relation.OTHER, 7),
        Heir(D, Relation.OTHER, 1),
        Heir(E, Relation.OTHER, 8),
    )
    between = transfer(before, first)
    assert between.fraction_of(C) == Fraction(7, 48)

    after = transfer(between, estate(between, D, Heir(C, Relation.OTHER, 1)))

    assert after.fraction_of(C) == Fraction(1, 6)
    assert after.fraction_of(D) == 0
    assert (after.kul_hissay, hissa_of(after)) == (6, [4, 1, 1])


# What a transfer leaves


def test_transfer__part_that_the_whole_cannot_state__rescales_it() -> None:
    after = transfer(owned(a=1, b=1), passes(A, Fraction(1, 6), C))

    assert (after.kul_hissay, hissa_of(after)) == (6, [2, 3, 1])


def test_transfer__everything_to_one__is_reduced_to_one_part() -> None:
    before = owned(a=7, b=9)
    both = Transfer(parts_of(before), {C: Fraction(1)})

    assert transfer(before, both) == Ownership(1, (Share(C, 1),))


def test_transfer__to_several__gives_each_their_part() -> None:
    after = transfer(owned(a=1, b=1), passes(A, Fraction(1, 2), C, D))

    assert (after.kul_hissay, hissa_of(after)) == (4, [2, 1, 1])


def test_transfer__to_somebody_who_owns_already__adds_to_their_row() -> None:
    after = transfer(owned(a=1, b=1), passes(A, Fraction(1, 4), B))

    assert after == Ownership(4, (Share(A, 1), Share(B, 3)))


def test_transfer__exchange__leaves_each_what_the_other_had() -> None:
    swap = Transfer({A: Fraction(1, 4), B: Fraction(1, 8)}, {A: Fraction(1, 8), B: Fraction(1, 4)})
    check_sides(MutationKind.EXCHANGE, swap)

    after = transfer(owned(a=1, b=1), swap)

    assert (after.kul_hissay, hissa_of(after)) == (8, [3, 5])


# What is refused


def refusal(ownership: Ownership, passing: Transfer) -> tuple[str, str | None]:
    with pytest.raises((Invalid, Conflict)) as refused:
        transfer(ownership, passing)
    return refused.value.code, refused.value.rule


def test_transfer__more_than_the_row__is_refused() -> None:
    too_much = passes(A, Fraction(8, 16), D)

    assert refusal(owned(a=7, b=1, c=8), too_much) == ("share_exceeded", "SHR-03")


def test_transfer__by_a_stranger__is_refused() -> None:
    assert refusal(owned(a=1), passes(B, Fraction(1, 9), C)) == ("share_exceeded", "SHR-03")


@pytest.mark.parametrize("taken", [Fraction(1, 3), Fraction(1, 2) - Fraction(1, 10**30)])
def test_transfer__less_taken_than_given__is_refused(taken: Fraction) -> None:
    passing = Transfer({A: Fraction(1, 2)}, {B: taken})

    assert refusal(owned(a=1), passing) == ("transfer_unbalanced", "SHR-02")


def test_transfer__more_taken_than_given__is_refused() -> None:
    passing = Transfer({A: Fraction(1, 2)}, {B: Fraction(1, 2), C: Fraction(1, 10**30)})

    assert refusal(owned(a=1), passing) == ("transfer_unbalanced", "SHR-02")


@pytest.mark.parametrize(
    "passing",
    [
        Transfer({}, {}),
        Transfer({A: Fraction(0)}, {B: Fraction(0)}),
        Transfer({A: Fraction(-1, 2)}, {B: Fraction(-1, 2)}),
        Transfer({A: Fraction(1, 2)}, {B: Fraction(1), C: Fraction(-1, 2)}),
    ],
)
def test_transfer__share_not_above_zero__is_refused(passing: Transfer) -> None:
    assert refusal(owned(a=1, b=1), passing) == ("share_not_positive", None)


def test_transfer__whole_that_grows_too_large__is_refused() -> None:
    fine = transfer(owned(a=1), passes(A, Fraction(1, 2**61 - 1), B))

    assert refusal(fine, passes(A, Fraction(1, 3), C)) == ("shares_too_fine", None)


def test_transfer__largest_whole__is_accepted() -> None:
    after = transfer(owned(a=1), passes(A, Fraction(1, MAX_KUL_HISSAY), B))

    assert hissa_of(after) == [MAX_KUL_HISSAY - 1, 1]


# Who may stand on which side


def side_refusal(kind: MutationKind, passing: Transfer) -> str:
    with pytest.raises(Invalid) as refused:
        check_sides(kind, passing)
    return refused.value.code


@pytest.mark.parametrize("kind", [MutationKind.PARTITION, MutationKind.MORTGAGE])
def test_check_sides__kind_without_a_transfer__has_no_parties(kind: MutationKind) -> None:
    check_sides(kind, Transfer({}, {}))

    assert side_refusal(kind, passes(A, Fraction(1), B)) == "parties_not_applicable"


def test_check_sides__sale_without_buyers__is_refused() -> None:
    assert side_refusal(MutationKind.SALE, Transfer({A: Fraction(1)}, {})) == "parties_required"


def test_check_sides__seller_who_also_buys__is_refused() -> None:
    oneself = Transfer({A: Fraction(1)}, {A: Fraction(1, 2), B: Fraction(1, 2)})

    assert side_refusal(MutationKind.GIFT, oneself) == "transfer_to_oneself"


@pytest.mark.parametrize(
    "swap",
    [
        Transfer({A: Fraction(1, 4), B: Fraction(1, 4)}, {A: Fraction(1, 4), B: Fraction(1, 4)}),
        Transfer({A: Fraction(1, 4), B: Fraction(1, 8)}, {A: Fraction(1, 4), B: Fraction(1, 8)}),
        Transfer({A: Fraction(1, 4)}, {B: Fraction(1, 4)}),
    ],
)
def test_check_sides__exchange_that_is_none__is_refused(swap: Transfer) -> None:
    assert side_refusal(MutationKind.EXCHANGE, swap) == "exchange_uneven"


# Heirs


def test_heirs__two_widows_and_parents__share_what_is_theirs() -> None:
    family = [
        Heir(A, Relation.WIDOW),
        Heir(B, Relation.WIDOW),
        Heir(C, Relation.FATHER),
        Heir(D, Relation.MOTHER),
        Heir(E, Relation.SON),
        Heir(F, Relation.DAUGHTER),
    ]

    assert shares_of_heirs(family) == {
        A: Fraction(1, 16),
        B: Fraction(1, 16),
        C: Fraction(1, 6),
        D: Fraction(1, 6),
        E: Fraction(13, 36),
        F: Fraction(13, 72),
    }


@pytest.mark.parametrize(
    ("heirs", "code"),
    [
        ([], "heirs_invalid"),
        ([Heir(A, Relation.SON), Heir(A, Relation.SON)], "heirs_invalid"),
        ([Heir(A, Relation.SON, 1), Heir(B, Relation.SON)], "heirs_invalid"),
        ([Heir(A, Relation.SON, 0)], "share_not_positive"),
        ([Heir(A, Relation.OTHER, 2), Heir(B, Relation.OTHER, -1)], "share_not_positive"),
        ([Heir(A, Relation.DAUGHTER)], "heirs_not_in_table"),
        ([Heir(A, Relation.SON), Heir(B, Relation.OTHER)], "heirs_not_in_table"),
        ([Heir(A, Relation.SON), Heir(B, Relation.FATHER), Heir(C, Relation.FATHER)],
         "heirs_not_in_table"),
        ([Heir(A, Relation.SON), Heir(B, Relation.WIDOW), Heir(C, Relation.WIDOWER)],
         "heirs_not_in_table"),
        ([Heir(A, Relation.SON), *(Heir(each, Relation.WIDOW) for each in (B, C, D, E, F))],
         "heirs_not_in_table"),
    ],
)  # fmt: skip
def test_heirs__family_that_cannot_be__is_refused(heirs: list[Heir], code: str) -> None:
    with pytest.raises(Invalid) as refused:
        shares_of_heirs(heirs)
    assert refused.value.code == code


@given(
    spouse=st.sampled_from([[], [Relation.WIDOWER], [Relation.WIDOW], [Relation.WIDOW] * 4]),
    parents=st.sets(st.sampled_from([Relation.FATHER, Relation.MOTHER])),
    sons=st.integers(1, 6),
    daughters=st.integers(0, 6),
)
def test_heirs__any_family_of_the_table__takes_exactly_the_estate(
    spouse: list[Relation], parents: set[Relation], sons: int, daughters: int
) -> None:
    children = [Relation.SON] * sons + [Relation.DAUGHTER] * daughters
    relations = [*spouse, *sorted(parents), *children]
    family = [Heir(UUID(int=n), relation) for n, relation in enumerate(relations)]

    taken = shares_of_heirs(family)

    assert sum(taken.values()) == 1
    assert all(part > 0 for part in taken.values())
    assert taken.keys() == {heir.party_id for heir in family}


@given(
    st.lists(st.integers(1, 10**4), min_size=1, max_size=6),
    st.data(),
)
def test_transfer__any_part_of_anybody__keeps_the_whole_and_everybody_else(
    hissa: list[int], data: st.DataObject
) -> None:
    before = check_ownership(
        sum(hissa), [Share(UUID(int=n), part) for n, part in enumerate(hissa, 1)]
    )
    giver = data.draw(st.sampled_from(before.shares)).party_id
    part = before.fraction_of(giver) * data.draw(st.fractions(0, 1, max_denominator=50))
    takers = data.draw(st.lists(st.integers(1, 9), min_size=1, max_size=3, unique=True))
    names = [UUID(int=taker) for taker in takers if UUID(int=taker) != giver]
    if not part or not names:
        return

    after = transfer(before, passes(giver, part, *names))

    assert sum(share.hissa for share in after.shares) == after.kul_hissay
    assert after.fraction_of(giver) == before.fraction_of(giver) - part
    for name in names:
        assert after.fraction_of(name) == before.fraction_of(name) + part / len(names)
    others = {share.party_id for share in before.shares} - {giver, *names}
    assert all(after.fraction_of(other) == before.fraction_of(other) for other in others)
