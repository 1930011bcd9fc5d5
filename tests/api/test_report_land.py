"""R-25 against a second computation from the sealed journal."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any
from uuid import UUID

import pytest

from tests import deeds
from tests import factories as make
from tests.api.house import House, problem_of
from tests.api.reports import Replayed, ask, rows_of

pytestmark = pytest.mark.db


def land_by_journal(house: House, moment: datetime) -> dict[tuple[str, str], tuple[Fraction, int]]:
    """Add up square feet by estate and party, from the replayed rows of parcels and titles."""
    replayed = Replayed.of(house)
    states = {"ACTIVE", "MUTATION_PENDING", "DISPUTED"}
    found: dict[tuple[str, str], list[Any]] = defaultdict(lambda: [Fraction(0), set()])
    for title in replayed.rows("title"):
        if title["state"] not in states:
            continue
        [version] = [
            row
            for row in replayed.rows("title_version", title_id=title["id"])
            if row["superseded_at"] is None
            and datetime.fromisoformat(row["valid_from"]) <= moment
            and (row["valid_to"] is None or datetime.fromisoformat(row["valid_to"]) > moment)
        ]
        for parcel in replayed.rows("parcel", asset_id=title["asset_id"]):
            assert parcel["marla_kind"] == "MARLA_272_25"
            marla = Fraction(parcel["kanal"] * 20 + parcel["marla"])
            sqft = (marla + Fraction(str(parcel["sarsai"])) / 9) * Fraction("272.25")
            for share in replayed.rows("title_share", version_id=version["id"]):
                has = found[parcel["mauza_key"], share["party_id"]]
                has[0] += sqft * Fraction(share["hissa"], version["kul_hissay"])
                has[1].add(title["id"])
    return {key: (sqft, len(titles_of)) for key, (sqft, titles_of) in found.items()}


@pytest.fixture(scope="module")
def land(house: House) -> dict[str, UUID]:
    """Two farms of one owner with others, one of them sold in part, and one in another district."""
    with house.desk() as desk:
        one, two, three = (make.person(desk) for _ in range(3))
        first = deeds.farm(desk, make.owned_by(one, two), area=(8, 0, "0"))
        deeds.farm(
            desk,
            make.owned_by(one, two, three),
            area=(1, 7, "3"),
            fields=[(1, 0, "0"), (0, 7, "3")],
        )
        elsewhere = {
            "province": "PK-PB", "district": "Sahiwal", "tehsil": "Chichawatni",
            "mauza": "Chak Demo 30", "hadbast_no": "998",
        }  # fmt: skip
        deeds.farm(
            desk,
            make.owned_by(three),
            location=elsewhere,
            underlying_keys=["KHASRA|PK-PB|SAHIWAL|CHICHAWATNI|998|77"],
            details={
                "khasras": [{"no": "77", "area_kms": [8, 0, "0"]}],
                "area_kms": [8, 0, "0"],
                "marla_kind": "MARLA_272_25",
            },
        )
        deeds.passed(desk, first, deeds.sale(one, three, Fraction(1, 7)))
        return {"one": one.id, "two": two.id, "three": three.id}


def test_r_25__estate_by_estate__is_what_the_journal_adds_up(
    house: House, land: dict[str, UUID]
) -> None:
    rows = rows_of(house, "R-25", limit=2, reveal=True)

    assert {
        (row["place"], row["party"]): (Fraction(row["area"]), row["titles"]) for row in rows
    } == land_by_journal(house, datetime.now(UTC))
    shares: dict[str, Fraction] = defaultdict(Fraction)
    for row in rows:
        shares[row["place"]] += Fraction(row["share_of_place"])
    assert set(shares.values()) == {Fraction(1)}
    assert {str(party) for party in land.values()} <= {row["party"] for row in rows}
    areas = [(row["place"], -Fraction(row["area"])) for row in rows]
    assert areas == sorted(areas)


def test_r_25__by_district_in_acres__is_the_same_land(house: House, land: dict[str, UUID]) -> None:
    by_mauza = rows_of(house, "R-25")
    by_district = rows_of(house, "R-25", by="DISTRICT", area_unit="ACRE")
    only = rows_of(house, "R-25", by="DISTRICT", place="PK-PB|SAHIWAL")

    assert sum(Fraction(row["area"]) for row in by_mauza) == sum(
        Fraction(row["area"]) * 43_560 for row in by_district
    )
    assert {row["place"] for row in by_district} >= {"PK-PB|OKARA", "PK-PB|SAHIWAL"}
    assert {row["place"] for row in only} == {"PK-PB|SAHIWAL"}
    [three] = [row for row in only if row["party"] == str(land["three"])]
    assert Fraction(three["area"]) == 43_560
    problem_of(ask(house, "R-25", by="TEHSIL"), 422, "request_invalid")
    problem_of(ask(house, "R-25", area_unit="HAR"), 422, "request_invalid")
