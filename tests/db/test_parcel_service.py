"""Parcels of a dossier: recorded, taken, let go; PAR-01, PAR-02 and PAR-04 say what is wrong."""

from __future__ import annotations

from decimal import Decimal

import pytest
from psycopg.errors import CheckViolation
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session

from demo.seed import load_seed
from registry.kernel.units import AreaUnit, LandArea, MarlaKind, PlainArea
from registry.onboarding import claims
from registry.parcel import service as parcels
from registry.parcel.batch import Neighbour, overlaps_with_register, read_shape
from registry.parcel.geojson import Extent
from registry.parcel.models import Parcel, UndividedShare
from tests.db.ground import (
    POLICY,
    SIDE,
    apartment,
    farm,
    field,
    live_parcels,
    taken,
    wrong_with,
)

pytestmark = pytest.mark.db

WEST, SOUTH = 73.11, 30.66
SEED = {asset["code"]: asset for asset in load_seed().assets}


def seed_farm(session: Session, code: str) -> list[dict[str, object]]:
    return [khasra["geom"] for khasra in SEED[code]["parcel"]["khasras"]]


# What is recorded


def test_restate__dossier_with_and_without_survey__records_what_it_says(session: Session) -> None:
    asset = farm(session, field(WEST, SOUTH), None)
    session.expire_all()

    surveyed, unsurveyed = parcels.list_of_asset(session, asset.id)

    assert surveyed.mauza_key == "PK-PB|OKARA|DEPALPUR|999"
    assert surveyed.deed_area == LandArea(7, 11, Decimal(2), MarlaKind.MARLA_272_25)
    assert surveyed.deed_sqm == Decimal("41170.25") * Decimal("0.09290304")
    assert surveyed.box == Extent(WEST, SOUTH, WEST + SIDE, SOUTH + SIDE)
    assert surveyed.area_sqm is not None
    assert (unsurveyed.geometry, unsurveyed.box, unsurveyed.area_sqm) == (None, None, None)


def test_stated_columns__plain_area__is_read_back_as_stated() -> None:
    area = PlainArea(Decimal("812.5"), AreaUnit.SQYD)

    parcel = Parcel(number="1", mauza_key="", **parcels.stated_columns(area))

    assert parcel.deed_area == area
    assert Parcel(number="1", mauza_key="", **parcels.stated_columns(None)).deed_area is None


def test_restate__same_ground_again__stays_live_and_other_ground_does_not(
    session: Session,
) -> None:
    asset = taken(session, farm(session, field(WEST, SOUTH), field(WEST + SIDE, SOUTH)))
    kept, moved = live_parcels(session, asset)

    asset.details["khasras"][1]["geom"] = field(WEST + 2 * SIDE, SOUTH)
    claims.restate(session, asset)

    assert live_parcels(session, asset) == [kept]
    assert taken(session, asset)
    assert live_parcels(session, asset) == [kept, moved]


def test_restate__khasra_left_out__lets_its_ground_go(session: Session) -> None:
    asset = taken(session, farm(session, field(WEST, SOUTH), field(WEST + SIDE, SOUTH)))

    del asset.details["khasras"][1]
    claims.restate(session, asset)

    assert len(parcels.list_of_asset(session, asset.id)) == 1
    rival = taken(session, farm(session, field(WEST + SIDE, SOUTH)))
    assert wrong_with(session, rival) == {}


# PAR-01


@pytest.mark.parametrize(
    ("area", "severity"), [((7, 11, "2"), "none"), ((7, 11, "4"), "MEDIUM"), ((7, 14, "0"), None)]
)
def test_area__against_the_deed__is_as_grave_as_the_difference(
    session: Session, area: tuple[int, int, str], severity: str | None
) -> None:
    # The field measures 3,825.1 m², seven kanal, eleven marla, two sarsai of 2.8 m².
    asset = farm(session, field(WEST, SOUTH), area=area)

    finding = wrong_with(session, asset).get("PAR-01")

    assert (finding.severity if finding else "none") == severity


# PAR-02


def test_overlap__khasra_of_the_seed_redrawn__is_found_against_the_registered_one(
    session: Session,
) -> None:
    registered = taken(session, farm(session, *seed_farm(session, "OKR-AGR-0004")))
    redrawn = taken(session, farm(session, *seed_farm(session, "OKR-AGR-0019")))

    assert "PAR-02" not in wrong_with(session, registered)
    detail = wrong_with(session, redrawn)["PAR-02"].detail
    number = parcels.list_of_asset(session, registered.id)[0].number
    assert f"with {number} of {registered.code}" in detail
    assert len(live_parcels(session, registered)) == 2
    assert live_parcels(session, redrawn) == []


def test_overlap__with_a_draft__is_nobodys_fault(session: Session) -> None:
    farm(session, field(WEST, SOUTH))
    asset = taken(session, farm(session, field(WEST, SOUTH)))

    assert "PAR-02" not in wrong_with(session, asset)
    assert len(live_parcels(session, asset)) == 1


def test_overlap__rival_lets_go__ground_can_be_taken(session: Session) -> None:
    first = taken(session, farm(session, field(WEST, SOUTH)))
    second = taken(session, farm(session, field(WEST, SOUTH)))
    assert live_parcels(session, second) == []

    claims.release(session, first)

    assert live_parcels(session, first) == []
    assert live_parcels(session, taken(session, second)) != []
    assert "PAR-02" not in wrong_with(session, second)


def test_overlap__of_two_khasras_of_one_dossier__is_found(session: Session) -> None:
    asset = taken(session, farm(session, field(WEST, SOUTH), field(WEST + SIDE / 2, SOUTH)))

    first, second = parcels.list_of_asset(session, asset.id)
    assert f"{second.number} shares" in wrong_with(session, asset)["PAR-02"].detail
    assert live_parcels(session, asset) == [first.number]


def test_overlap__filed_under_another_mauza__is_found_all_the_same(session: Session) -> None:
    taken(session, farm(session, field(WEST, SOUTH)))
    other = farm(session, field(WEST, SOUTH), location={"hadbast_no": "1000"})

    assert "PAR-02" in wrong_with(session, taken(session, other))


@pytest.mark.parametrize(("metres", "is_over"), [(0.0, False), (0.05, False), (0.07, True)])
def test_overlap__sliver_under_and_over_the_tolerance__is_found_only_over_it(
    session: Session, metres: float, is_over: bool
) -> None:
    # A permille of 3,825 m² is 3.8 m², along an edge of 66.5 m: 57 mm.
    taken(session, farm(session, field(WEST, SOUTH)))
    beside = farm(session, field(WEST + SIDE - metres / 95_770, SOUTH))

    assert ("PAR-02" in wrong_with(session, taken(session, beside))) == is_over


def test_overlap__many_parcels_around__is_found_through_the_index(session: Session) -> None:
    session.connection().execute(
        text("""
        INSERT INTO parcel
            (id, recorded_at, asset_id, number, mauza_key, geometry, box, area_sqm, live)
        SELECT gen_random_uuid(), now(), :asset_id, 'grid ' || x || ' ' || y, '', '\\x00',
            box(point(74 + x * 0.001, 31 + y * 0.001), point(74.0009 + x * 0.001,
            31.0009 + y * 0.001)), 1, true
        FROM generate_series(1, 100) AS x, generate_series(1, 100) AS y
        """),
        {"asset_id": farm(session, None).id},
    )
    session.connection().execute(text("ANALYZE parcel"))

    plan = session.connection().execute(
        text(
            "EXPLAIN SELECT parcel.id FROM unnest(CAST('{(74.5,31.5),(74.49,31.49)}' AS box[]))"
            " WITH ORDINALITY AS asked (box, at)"
            " JOIN parcel ON parcel.live AND parcel.box && asked.box"
        )
    )

    assert "ix_parcel_live_box" in "\n".join(plan.scalars())


def test_overlaps_with_register__several_asked_at_once__each_gets_its_own(
    session: Session,
) -> None:
    holder = taken(session, farm(session, field(WEST, SOUTH), field(WEST + SIDE, SOUTH)))
    first, second = parcels.list_of_asset(session, holder.id)
    asked = [
        read_shape(field(WEST + 1, SOUTH), ""),
        read_shape(field(WEST + SIDE, SOUTH), ""),
        read_shape(field(WEST + SIDE / 2, SOUTH), ""),
    ]

    found = overlaps_with_register(session, asked, POLICY)

    met = [(item.at, item.other.number) for item in found if isinstance(item.other, Neighbour)]
    assert sorted(met) == [(1, second.number), (2, first.number), (2, second.number)]
    assert overlaps_with_register(session, asked, POLICY, besides=holder.id) == []
    assert overlaps_with_register(session, [], POLICY) == []


# PAR-04


def test_shares__thirds_of_one_parent__fill_it_exactly(session: Session) -> None:
    units = [taken(session, apartment(session, "THIRDS", 1, 3)) for _ in range(3)]
    late = taken(session, apartment(session, "THIRDS", 1, 2**53 - 1))

    session.execute(text("SET CONSTRAINTS ALL IMMEDIATE"))
    assert [wrong_with(session, unit) for unit in units] == [{}, {}, {}]
    assert "of which others hold 1" in wrong_with(session, late)["PAR-04"].detail


def test_shares__unit_withdrawn__makes_room(session: Session) -> None:
    first = taken(session, apartment(session, "ROOM", 2, 3))
    second = taken(session, apartment(session, "ROOM", 1, 2))
    assert "PAR-04" in wrong_with(session, second)

    claims.release(session, first)

    assert wrong_with(session, taken(session, second)) == {}


def test_shares__of_another_building__are_counted_apart(session: Session) -> None:
    taken(session, apartment(session, "EAST", 2, 3))

    assert wrong_with(session, taken(session, apartment(session, "WEST", 2, 3))) == {}


def test_shares__written_past_the_service__are_refused_at_commit(session: Session) -> None:
    parts = [(1, 3), (1, 3), (2**53 - 1, 3 * (2**53 - 1) - 1)]  # the last a hair over a third
    for numerator, denominator in parts:
        asset = apartment(session, "PAST", 1, 2)
        session.add(
            UndividedShare(
                asset_id=asset.id,
                parent_key="THE-PARENT",
                numerator=numerator,
                denominator=denominator,
                live=True,
            )
        )
    session.flush()

    with pytest.raises(IntegrityError) as refusal:
        session.execute(text("SET CONSTRAINTS ALL IMMEDIATE"))

    assert isinstance(refusal.value.orig, CheckViolation)
    assert refusal.value.orig.diag.constraint_name == "par_04"
