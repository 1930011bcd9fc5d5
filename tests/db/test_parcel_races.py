"""Two who want one piece of ground, or the last part of one parent, at the same moment."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, select

from registry.asset import service as assets
from registry.asset.models import Asset
from registry.kernel.db import Database
from registry.onboarding import claims
from registry.parcel.models import Parcel, UndividedShare
from tests.db.ground import SIDE, apartment, farm, field, wrong_with
from tests.db.races import meanwhile, together

pytestmark = pytest.mark.db

WEST, SOUTH = 73.11, 30.66


def take(asset: Asset) -> Callable[[Session], bool]:
    """Hand in the asset's claims, and tell whether a rule stops it."""

    def act(session: Session) -> bool:
        asset_now = assets.get_asset(session, asset.id, lock=True)
        claims.take(session, asset_now)
        return not {"PAR-02", "PAR-04"}.isdisjoint(wrong_with(session, asset_now))

    return act


def holders(database: Database) -> list[object]:
    with database.reading() as session:
        return list(session.exec(select(Parcel.asset_id).where(col(Parcel.live))).all())


def test_ground__four_dossiers_at_one_moment__one_holds_it(fresh_database: Database) -> None:
    with fresh_database.transaction() as session:
        rivals = [
            farm(session, field(WEST + step * SIDE / 10, SOUTH), location={"hadbast_no": str(step)})
            for step in range(4)
        ]

    stopped = together(fresh_database, [take(asset) for asset in rivals])

    assert sorted(map(str, stopped)) == ["False", "True", "True", "True"]
    assert holders(fresh_database) == [rivals[stopped.index(False)].id]


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
@pytest.mark.parametrize("gives_up", [False, True])
def test_ground__second_waits_for_the_first__and_sees_what_it_did(
    fresh_database: Database, order: tuple[int, int], gives_up: bool
) -> None:
    """A small parcel of one mauza and a large one of the next, over the corner of four cells."""
    with fresh_database.transaction() as session:
        pair = [
            farm(session, field(73.1099, 30.6599, 0.0003)),
            farm(session, field(73.1, 30.65, 0.012), location={"hadbast_no": "1000"}),
        ]
    first, second = (pair[place] for place in order)

    with Session(fresh_database.engine) as session:
        take(first)(session)
        with meanwhile(fresh_database, take(second)) as outcome:
            if gives_up:
                session.rollback()
            else:
                session.commit()
            assert outcome.result() is not gives_up

    assert holders(fresh_database) == [(second if gives_up else first).id]


def test_ground__one_so_large_that_it_takes_all__waits_for_the_small_one(
    fresh_database: Database,
) -> None:
    with fresh_database.transaction() as session:
        small, vast = farm(session, field(WEST, SOUTH)), farm(session, field(73.0, 30.5, 0.9))

    with Session(fresh_database.engine) as session:
        take(small)(session)
        with meanwhile(fresh_database, take(vast)) as outcome:
            session.commit()
            assert outcome.result() is True

    assert holders(fresh_database) == [small.id]


def test_ground__far_from_each_other__nobody_waits(fresh_database: Database) -> None:
    with fresh_database.transaction() as session:
        here, there = farm(session, field(WEST, SOUTH)), farm(session, field(74.0, 31.0))

    with Session(fresh_database.engine) as session, fresh_database.transaction() as other:
        assert take(here)(session) is False
        assert take(there)(other) is False
        session.commit()

    assert set(holders(fresh_database)) == {here.id, there.id}


def test_ground__several_parcels_in_opposite_orders__nobody_waits_for_ever(
    fresh_database: Database,
) -> None:
    places = [field(WEST + step / 10, SOUTH) for step in range(4)]
    with fresh_database.transaction() as session:
        rivals = [farm(session, *places), farm(session, *places[::-1])]

    stopped = together(fresh_database, [take(asset) for asset in rivals])

    assert sorted(map(str, stopped)) == ["False", "True"]
    assert set(holders(fresh_database)) == {rivals[stopped.index(False)].id}


def test_shares__last_part_wanted_twice__one_gets_it(fresh_database: Database) -> None:
    with fresh_database.transaction() as session:
        rivals = [apartment(session, "LAST-PART", 2, 3) for _ in range(3)]

    stopped = together(fresh_database, [take(asset) for asset in rivals])

    assert sorted(map(str, stopped)) == ["False", "True", "True"]


def test_shares__written_past_the_service_at_one_moment__one_commits(
    fresh_database: Database,
) -> None:
    with fresh_database.transaction() as session:
        units = [apartment(session, "PAST", 1, 3) for _ in range(2)]

    def write(asset: Asset) -> Callable[[Session], str]:
        def act(session: Session) -> str:
            share = UndividedShare(
                asset_id=asset.id, parent_key="P", numerator=2, denominator=3, live=True
            )
            session.add(share)
            return "written"

        return act

    outcomes = together(fresh_database, [write(unit) for unit in units])

    assert outcomes.count("written") == 1
    (refused,) = [item for item in outcomes if isinstance(item, Exception)]
    assert isinstance(refused, IntegrityError)
    assert refused.orig is not None
    assert "PAR-04" in str(refused.orig)
