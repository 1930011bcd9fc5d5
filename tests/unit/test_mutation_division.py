"""Land before and after a division, to the last sarsai."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from uuid import UUID

import pytest

from registry.kernel.errors import Conflict
from registry.kernel.units import AreaUnit, LandArea, MarlaKind, PlainArea
from registry.mutation.division import Holding, check_division, land_of_owners
from registry.mutation.models import MutationKind
from registry.title.rules import Share, check_ownership

pytestmark = pytest.mark.unit

A, B, C = (UUID(int=number) for number in (1, 2, 3))
PARTITION, CONSOLIDATION = MutationKind.PARTITION, MutationKind.CONSOLIDATION


def land(
    kanal: int, marla: int, sarsai: str, kind: MarlaKind = MarlaKind.MARLA_272_25, **hissa: int
) -> Holding:
    names = {"a": A, "b": B, "c": C}
    shares = [Share(names[name], part) for name, part in hissa.items()]
    area = LandArea(kanal, marla, Decimal(sarsai), kind)
    return Holding(area, check_ownership(sum(hissa.values()), shares))


def refusal(kind: MutationKind, before: list[Holding], after: list[Holding]) -> str:
    with pytest.raises(Conflict) as refused:
        check_division(kind, before, after, decreed=False)
    assert refused.value.rule == "SHR-02"
    return refused.value.code


def test_area__of_the_vector__is_exact() -> None:
    holding = land(12, 7, "3", a=1)

    assert holding.area_sqft == Fraction("67336.5")


def test_area__in_square_metres__has_no_rounding() -> None:
    metric = Holding(PlainArea(Decimal("100.5"), AreaUnit.SQM), check_ownership(1, [Share(A, 1)]))

    assert metric.area_sqft * Fraction("0.09290304") == Fraction("100.5")


def test_land_of_owners__over_two_titles__is_added() -> None:
    assert land_of_owners([land(8, 0, "0", a=1, b=3), land(8, 0, "0", a=1)]) == {
        A: Fraction(43560) * Fraction(5, 4),
        B: Fraction(43560) * Fraction(3, 4),
    }


def test_partition__each_takes_their_measure__is_accepted() -> None:
    check_division(
        PARTITION,
        [land(8, 0, "0", a=1, b=3)],
        [land(2, 0, "0", a=1), land(6, 0, "0", b=1)],
        decreed=False,
    )


@pytest.mark.parametrize("sarsai", ["0.0001", "8.9999"])
def test_partition__land_that_appears__is_refused(sarsai: str) -> None:
    after = [land(2, 0, sarsai, a=1), land(6, 0, "0", b=1)]

    assert refusal(PARTITION, [land(8, 0, "0", a=1, b=3)], after) == "division_area_differs"


def test_partition__same_figures_of_a_smaller_marla__is_refused() -> None:
    small = MarlaKind.MARLA_225
    after = [land(2, 0, "0", small, a=1), land(6, 0, "0", small, b=1)]

    assert refusal(PARTITION, [land(8, 0, "0", a=1, b=3)], after) == "division_area_differs"


def test_partition__owner_left_out_or_brought_in__is_refused() -> None:
    before = [land(8, 0, "0", a=1, b=3)]

    for after in (
        [land(2, 0, "0", b=1), land(6, 0, "0", b=1)],
        [land(2, 0, "0", a=1), land(6, 0, "0", b=5, c=1)],
    ):
        assert refusal(PARTITION, before, after) == "division_loses_owner"


def test_partition__more_than_the_measure__is_refused_unless_decreed() -> None:
    before = [land(8, 0, "0", a=1, b=3)]
    after = [land(2, 0, "0.0003", a=1), land(5, 19, "8.9997", b=1)]

    assert refusal(PARTITION, before, after) == "division_unequal"
    check_division(PARTITION, before, after, decreed=True)


def test_partition__within_the_smallest_measure__is_accepted() -> None:
    before = [land(8, 0, "0", a=1, b=3)]
    after = [land(2, 0, "0.0002", a=1), land(5, 19, "8.9998", b=1)]

    check_division(PARTITION, before, after, decreed=False)


def test_consolidation__has_no_room_at_all() -> None:
    before = [land(6, 0, "0", a=1), land(2, 0, "0", a=1, b=1)]

    check_division(CONSOLIDATION, before, [land(8, 0, "0", a=7, b=1)], decreed=False)
    nearly = land(8, 0, "0", a=7_000_000_001, b=999_999_999)
    assert refusal(CONSOLIDATION, before, [nearly]) == "division_unequal"
