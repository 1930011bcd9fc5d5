"""Partition and consolidation on a real register."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest

from registry.asset import service as assets
from registry.asset.models import Asset
from registry.mutation.forms import NewMutation
from registry.mutation.models import Initiation, MutationKind, MutationState
from registry.title import service as titles
from registry.title.models import Title, TitleState
from tests import deeds
from tests import factories as make
from tests.deeds import fractions_of, refusal
from tests.factories import Desk

pytestmark = pytest.mark.db


# Partition and consolidation


def partition(desk: Desk, *results: Asset, **changes: Any) -> NewMutation:
    new = NewMutation(
        kind=MutationKind.PARTITION,
        initiation=Initiation.REGISTERED_DEED,
        number=deeds.number(),
        result_asset_ids=[asset.id for asset in results],
    )
    return replace(new, **changes)


def title_of(desk: Desk, asset: Asset) -> Title:
    return titles.title_of_asset(desk.session, asset.id)


def test_implement__partition__ends_the_title_where_the_new_ones_begin(desk: Desk) -> None:
    title, one, other = deeds.half_and_half(desk)
    halves = [
        deeds.draft_farm(desk, make.owned_by(owner), area=(4, 0, "0")) for owner in (one, other)
    ]

    mutation = deeds.passed(desk, title, partition(desk, *halves))

    ended = titles.current_version(desk.session, title.id)
    assert (title.state, ended.valid_to) == (TitleState.SUPERSEDED, mutation.effective_at)
    for half, owner in zip(halves, (one, other), strict=True):
        new_title = title_of(desk, half)
        version = titles.current_version(desk.session, new_title.id)
        assert new_title.state == TitleState.ACTIVE
        assert (version.valid_from, version.mutation_id) == (mutation.effective_at, mutation.id)
        assert fractions_of(deeds.now_owned(desk, new_title), owner) == [1]
    assert assets.rival_claims(desk.session, title.asset_id) == {}


def test_complete__partition_that_loses_a_sarsai__is_shr_02(desk: Desk) -> None:
    title, one, other = deeds.half_and_half(desk)
    first = deeds.draft_farm(desk, make.owned_by(one), area=(4, 0, "0"))
    second = deeds.draft_farm(desk, make.owned_by(other), area=(3, 19, "8"))
    mutation = deeds.entered(desk, title, partition(desk, first, second))

    assert refusal(lambda: deeds.completed(desk, mutation)) == (
        "division_area_differs",
        "SHR-02",
    )


@pytest.mark.parametrize("initiation", [Initiation.REGISTERED_DEED, Initiation.COURT])
def test_complete__uneven_partition__needs_a_decree(desk: Desk, initiation: Initiation) -> None:
    title, one, other = deeds.half_and_half(desk)
    first = deeds.draft_farm(desk, make.owned_by(one), area=(5, 0, "0"))
    second = deeds.draft_farm(desk, make.owned_by(other), area=(3, 0, "0"))
    new = partition(desk, first, second, initiation=initiation)
    mutation = deeds.entered(desk, title, new)

    if initiation == Initiation.COURT:
        assert deeds.implemented(desk, mutation).state == MutationState.IMPLEMENTED
    else:
        assert refusal(lambda: deeds.completed(desk, mutation)) == (
            "division_unequal",
            "SHR-02",
        )


def test_complete__partition_that_forgets_an_owner__is_shr_02(desk: Desk) -> None:
    title, one, _ = deeds.half_and_half(desk)
    halves = [deeds.draft_farm(desk, make.owned_by(one), area=(4, 0, "0")) for _ in range(2)]
    mutation = deeds.entered(desk, title, partition(desk, *halves))

    assert refusal(lambda: deeds.completed(desk, mutation)) == (
        "division_loses_owner",
        "SHR-02",
    )


def test_implement__thirds_of_an_acre__differ_by_less_than_can_be_measured(desk: Desk) -> None:
    owners = [make.person(desk) for _ in range(3)]
    title = deeds.farm(desk, make.owned_by(*owners), area=(1, 0, "0.0001"))
    thirds = [
        deeds.draft_farm(desk, make.owned_by(owner), area=(0, 6, sarsai))
        for owner, sarsai in zip(owners, ("6.0000", "6.0000", "6.0001"), strict=True)
    ]

    deeds.passed(desk, title, partition(desk, *thirds))

    assert title.state == TitleState.SUPERSEDED


def test_implement__consolidation__joins_two_titles_in_the_measure_of_their_land(
    desk: Desk,
) -> None:
    one, other = make.person(desk), make.person(desk)
    large = deeds.farm(desk, make.owned_by(one), area=(6, 0, "0"))
    small = deeds.farm(desk, make.owned_by(one, other), area=(2, 0, "0"))
    joint = deeds.draft_farm(desk, deeds.owned(a=(one, 7), b=(other, 1)), area=(8, 0, "0"))
    new = partition(desk, joint, kind=MutationKind.CONSOLIDATION, merged_title_ids=[small.id])

    deeds.passed(desk, large, new)

    assert (large.state, small.state) == (TitleState.SUPERSEDED, TitleState.SUPERSEDED)
    assert title_of(desk, joint).state == TitleState.ACTIVE
    assert fractions_of(deeds.now_owned(desk, title_of(desk, joint)), one, other) == [
        Fraction(7, 8),
        Fraction(1, 8),
    ]


def test_lodge__on_a_title_that_is_being_merged__is_mut_01(desk: Desk) -> None:
    one = make.person(desk)
    large, small = (deeds.farm(desk, make.owned_by(one), area=(4, 0, "0")) for _ in range(2))
    joint = deeds.draft_farm(desk, make.owned_by(one), area=(8, 0, "0"))
    deeds.entered(
        desk,
        large,
        partition(desk, joint, kind=MutationKind.CONSOLIDATION, merged_title_ids=[small.id]),
    )

    assert refusal(lambda: deeds.entered(desk, small, deeds.sale(one, make.person(desk)))) == (
        "mutation_open",
        "MUT-01",
    )


def test_lodge__consolidation_older_than_a_merged_title__is_refused(desk: Desk) -> None:
    one = make.person(desk)
    old, young = (deeds.farm(desk, make.owned_by(one), area=(4, 0, "0")) for _ in range(2))
    joint = deeds.draft_farm(desk, make.owned_by(one), area=(8, 0, "0"))
    began = titles.current_version(desk.session, young.id).valid_from
    new = partition(
        desk,
        joint,
        kind=MutationKind.CONSOLIDATION,
        merged_title_ids=[young.id],
        effective_at=began,
    )

    assert refusal(lambda: deeds.entered(desk, old, new))[0] == "mutation_predates_title"


def test_lodge__partition_into_somebody_elses_draft__is_refused(desk: Desk) -> None:
    title, one, other = deeds.half_and_half(desk)
    halves = [
        deeds.draft_farm(desk, make.owned_by(owner), area=(4, 0, "0")) for owner in (one, other)
    ]
    halves[1].maker = "another-maker"
    desk.session.flush()

    assert (
        refusal(lambda: deeds.entered(desk, title, partition(desk, *halves)))[0]
        == "division_result_not_yours"
    )


def test_complete__partition_of_an_apartment__is_refused(desk: Desk) -> None:
    owner = make.person(desk)
    asset = make.registered(desk, make.open_apartment(desk, owner))
    title = title_of(desk, asset)
    halves = [make.open_apartment(desk, owner) for _ in range(2)]
    mutation = deeds.entered(desk, title, partition(desk, *halves))

    assert refusal(lambda: deeds.completed(desk, mutation))[0] == "division_not_of_land"
