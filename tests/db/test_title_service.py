"""Who held what, when, and what we knew of it then."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from fractions import Fraction

import pytest

from registry.asset.models import Asset
from registry.kernel.clock import now
from registry.kernel.errors import Conflict, Forbidden, NotFound
from registry.onboarding import service as onboarding
from registry.title import service as titles
from registry.title.models import TitleState, TitleVersion
from tests import factories as make
from tests.factories import CHECKER, MAKER, Desk

pytestmark = pytest.mark.db

A_MOMENT = timedelta(microseconds=1)


@pytest.fixture
def amended(desk: Desk) -> tuple[TitleVersion, TitleVersion]:
    """A title that was claimed for one owner, and then for two."""
    asset = make.open_apartment(desk)
    title = titles.title_of_asset(desk.session, asset.id)
    first = titles.current_version(desk.session, title.id)
    onboarding.amend_dossier(
        desk.session,
        MAKER,
        asset.id,
        version=asset.version,
        dossier=make.apartment_dossier(make.owned_by(make.person(desk), make.person(desk))),
    )
    return first, titles.current_version(desk.session, title.id)


def at(desk: Desk, version: TitleVersion, as_of: datetime, known_at: datetime) -> TitleVersion:
    return titles.version_at(desk.session, version.title_id, as_of=as_of, known_at=known_at)


def test_version_at__now__is_the_amended_one(
    desk: Desk, amended: tuple[TitleVersion, TitleVersion]
) -> None:
    first, second = amended

    assert at(desk, first, now(), now()) == second
    assert titles.ownership_of(desk.session, second).fraction_of(
        titles.ownership_of(desk.session, second).shares[0].party_id
    ) == Fraction(1, 2)


def test_version_at__as_known_before_the_amendment__is_the_first(
    desk: Desk, amended: tuple[TitleVersion, TitleVersion]
) -> None:
    first, _ = amended
    assert first.superseded_at is not None
    before = first.superseded_at - A_MOMENT

    assert at(desk, first, now(), before) == first
    assert at(desk, first, before, before) == first
    assert len(titles.ownership_of(desk.session, first).shares) == 1


def test_version_at__amendment__leaves_no_moment_without_a_version(
    desk: Desk, amended: tuple[TitleVersion, TitleVersion]
) -> None:
    first, second = amended
    assert first.superseded_at is not None

    assert first.superseded_at == second.recorded_at
    assert first.valid_from == second.valid_from
    assert at(desk, first, first.superseded_at, first.superseded_at) == second


def test_version_at__first_moment__is_known_and_valid(
    desk: Desk, amended: tuple[TitleVersion, TitleVersion]
) -> None:
    first, _ = amended

    assert at(desk, first, first.valid_from, first.recorded_at) == first


@pytest.mark.parametrize("axis", ["as_of", "known_at"])
def test_version_at__before_the_title__is_not_found(
    desk: Desk, amended: tuple[TitleVersion, TitleVersion], axis: str
) -> None:
    first, _ = amended
    early = {"as_of": first.valid_from, "known_at": first.recorded_at}
    moments = {"as_of": now(), "known_at": first.recorded_at} | {axis: early[axis] - A_MOMENT}

    with pytest.raises(NotFound, match="title version"):
        at(desk, first, **moments)


def test_version_at__period_closed_and_corrected_later__answers_both_questions(
    desk: Desk, amended: tuple[TitleVersion, TitleVersion]
) -> None:
    """A sale of 1 March that we heard of on 1 May."""
    first, second = amended
    january, march, april, may, june = (
        datetime(2026, month, 1, tzinfo=UTC) for month in (1, 3, 4, 5, 6)
    )
    first.valid_from = first.recorded_at = january
    first.superseded_at = may
    second.valid_from, second.recorded_at = march, may
    closed = TitleVersion(
        title_id=first.title_id,
        seq=3,
        basis=first.basis,
        kul_hissay=first.kul_hissay,
        valid_from=january,
        valid_to=march,
        recorded_at=may,
        maker=MAKER.subject,
    )
    desk.session.add(closed)
    desk.session.flush()

    assert at(desk, first, april, april) == first
    assert at(desk, first, april, june) == second
    assert at(desk, first, march - A_MOMENT, june) == closed
    assert at(desk, first, march, june) == second


def test_version_at__last_moment_of_a_closed_period__is_not_in_it(desk: Desk) -> None:
    asset = make.open_apartment(desk)
    only = titles.current_version(desk.session, titles.title_of_asset(desk.session, asset.id).id)
    only.valid_to = only.valid_from + timedelta(days=1)
    desk.session.flush()

    assert at(desk, only, only.valid_to - A_MOMENT, now()) == only
    with pytest.raises(NotFound, match="title version"):
        at(desk, only, only.valid_to, now())


def test_list_versions__amended_title__keeps_every_version(
    desk: Desk, amended: tuple[TitleVersion, TitleVersion]
) -> None:
    first, second = amended

    versions = titles.list_versions(desk.session, first.title_id)

    assert [version.id for version in versions] == [first.id, second.id]
    assert [version.seq for version in versions] == [1, 2]


def test_fire__event_not_in_the_state__is_refused(desk: Desk) -> None:
    asset: Asset = make.open_apartment(desk)
    title = titles.title_of_asset(desk.session, asset.id)

    with pytest.raises(Conflict, match="transition_refused"):
        titles.fire(desk.session, CHECKER, title, "activate")
    with pytest.raises(Forbidden, match="transition_forbidden"):
        titles.fire(desk.session, CHECKER, title, "verify")
    assert title.state == TitleState.PROPOSED


def test_get_title__unknown__is_not_found(desk: Desk) -> None:
    with pytest.raises(NotFound, match="title"):
        titles.get_title(desk.session, make.person(desk).id)
