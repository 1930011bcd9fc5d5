"""Who owned what when, as known when: held against a list of what was said, and when."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction
from uuid import UUID

import pytest

from registry.kernel.errors import NotFound
from registry.mutation import service as mutations
from registry.mutation.rules import parts_of
from registry.title import service as titles
from registry.title.models import Title
from tests import deeds
from tests import factories as make
from tests.factories import CHECKER, Desk

pytestmark = pytest.mark.db

A_MOMENT = timedelta(microseconds=1)
Owners = dict[UUID, Fraction]


@dataclass(frozen=True)
class Said:
    """On `known` we learned that from `valid` on these are the owners."""

    known: datetime
    valid: datetime
    owners: Owners


def believed(story: list[Said], as_of: datetime, known_at: datetime) -> Owners | None:
    """Answer from the story alone: the latest right by then; of two the one said last."""
    heard = [said for said in story if said.known <= known_at and said.valid <= as_of]
    return max(heard, key=lambda said: (said.valid, said.known)).owners if heard else None


def recorded(desk: Desk, title: Title, as_of: datetime, known_at: datetime) -> Owners | None:
    try:
        version = titles.version_at(desk.session, title.id, as_of=as_of, known_at=known_at)
    except NotFound:
        return None
    return parts_of(titles.ownership_of(desk.session, version))


def said(desk: Desk, title: Title) -> Said:
    current = titles.current_version(desk.session, title.id)
    owners = parts_of(titles.ownership_of(desk.session, current))
    return Said(current.recorded_at, current.valid_from, owners)


def test_version_at__sales_backdated_and_reversed__answers_as_the_story_tells(
    desk: Desk,
) -> None:
    title, seller, other = deeds.half_and_half(desk)
    people = [make.person(desk) for _ in range(3)]
    quarter = Fraction(1, 4)
    story = [said(desk, title)]

    # Attested today, valid from today.
    deeds.passed(desk, title, deeds.sale(seller, people[0], quarter))
    story.append(said(desk, title))
    # A deed of the moment after that, of which we hear only now.
    deed = story[-1].valid + A_MOMENT
    deeds.passed(desk, title, deeds.sale(other, people[1], quarter, effective_at=deed))
    story.append(said(desk, title))
    assert story[-1].valid == deed
    assert story[-1].known > deed
    # A sale that a court undoes from its first day on.
    undone = deeds.passed(desk, title, deeds.sale(seller, people[2], quarter))
    story.append(said(desk, title))
    order = deeds.entered(desk, title, deeds.compensating(undone))
    deeds.attested(desk, order)
    mutations.reverse_mutation(desk.session, CHECKER, undone.id, appeal_filed=False)
    story.append(said(desk, title))
    assert story[-1].owners == story[-3].owners
    assert story[-1].valid == story[-2].valid

    edges = sorted({moment for each in story for moment in (each.known, each.valid)})
    instants = [edge + step for edge in edges for step in (-A_MOMENT, A_MOMENT * 0, A_MOMENT)]
    for as_of in instants:
        for known_at in instants:
            if known_at >= story[0].known:
                assert recorded(desk, title, as_of, known_at) == believed(story, as_of, known_at)


def test_version_at__at_every_instant__there_is_exactly_one_right(desk: Desk) -> None:
    title, seller, _ = deeds.half_and_half(desk)
    for _ in range(3):
        deeds.passed(desk, title, deeds.sale(seller, make.person(desk), Fraction(1, 8)))
    versions = titles.list_versions(desk.session, title.id)
    edges = sorted({version.recorded_at for version in versions})

    for known_at in edges:
        held = [
            version
            for version in versions
            if version.recorded_at <= known_at
            and (version.superseded_at is None or version.superseded_at > known_at)
        ]
        held.sort(key=lambda version: version.valid_from)
        ends = [version.valid_to for version in held]
        assert ends == [*(version.valid_from for version in held[1:]), None]
