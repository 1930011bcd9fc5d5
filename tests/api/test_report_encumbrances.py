"""R-03 against a second computation from the sealed journal alone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from registry.asset import service as assets
from registry.asset.models import Asset
from registry.encumbrance import service as encumbrances
from registry.encumbrance.models import EncumbranceKind
from registry.kernel.clock import now
from registry.onboarding import service as onboarding
from registry.title import service as titles
from tests import factories as make
from tests import liens, standing
from tests.api.house import House, problem_of
from tests.api.reports import Replayed, ask, instant, person, rows_of
from tests.factories import CHECKER

pytestmark = pytest.mark.db


@dataclass(frozen=True)
class Burdened:
    """An apartment that was mortgaged and freed, is stayed, and has a caveat lodged."""

    code: str
    title_id: UUID
    moments: dict[str, str]


@pytest.fixture(scope="module")
def burdened(house: House) -> Burdened:
    moments = {}
    with house.desk() as desk:
        asset = make.registered(desk, make.open_apartment(desk))
        code, asset_id = asset.code, asset.id
        title_id = titles.title_of_asset(desk.session, asset_id).id
    moments["clear"] = now().isoformat()
    with house.desk() as desk:
        lien = liens.active(desk, desk.session.get_one(Asset, asset_id))
    moments["mortgaged"] = now().isoformat()
    with house.desk() as desk:
        liens.discharged(desk, encumbrances.get_encumbrance(desk.session, lien.id))
    with house.desk() as desk:
        asset = desk.session.get_one(Asset, asset_id)
        liens.active(desk, asset, EncumbranceKind.STAY_ORDER)
        liens.lodged(desk, asset, EncumbranceKind.CAVEAT)
    moments["now"] = now().isoformat()
    return Burdened(code, title_id, moments)


def by_journal(house: House, burdened: Burdened, moment: str) -> list[dict[str, Any]]:
    """Compute R-03 a second time, from the journal: figures, and what is no person's word."""
    at = datetime.fromisoformat(moment).astimezone(UTC)
    told, found = Replayed.of(house), []
    for row in told.rows("encumbrance", title_id=burdened.title_id):
        begun = instant(row["valid_from"]) or instant(row["recorded_at"])
        assert begun is not None
        if begun > at:
            continue
        terms = [
            each
            for each in told.rows("encumbrance_terms", encumbrance_id=row["id"])
            if each["valid_from"] is not None and (instant(each["valid_from"]) or at) <= at
        ]
        said = max(terms, key=lambda each: each["seq"]) if terms else row
        ended = instant(row["valid_to"])
        holder = said["holder_id"]
        found.append(
            {
                "encumbrance": row["id"],
                "kind": row["kind"],
                "rank": said["rank"],
                "amount": said["amount_paisa"],
                "holder": person(house, holder)["name"] if holder else None,
                "valid_from": instant(row["valid_from"]),
                "valid_to": ended if ended is not None and ended <= at else None,
                "state": told.one("encumbrance", at=at, id=row["id"])["state"],
                "effect": said["effect"],
            }
        )
    return sorted(found, key=lambda each: str(each["encumbrance"]))


def shown(row: dict[str, Any]) -> dict[str, Any]:
    amount = row["amount"]
    return {
        **{name: row[name] for name in ("encumbrance", "kind", "rank", "holder", "state")},
        "effect": row["effect"],
        "amount": None if amount is None else int(amount["amount"].replace(".", "")),
        "valid_from": instant(row["valid_from"]),
        "valid_to": instant(row["valid_to"]),
    }


@pytest.mark.parametrize(("moment", "rows"), [("clear", 0), ("mortgaged", 1), ("now", 3)])
def test_r_03__at_each_moment__is_what_the_journal_says(
    house: House, burdened: Burdened, moment: str, rows: int
) -> None:
    at = burdened.moments[moment]
    found = rows_of(house, "R-03", asset=burdened.code, as_of=at, reveal=True, limit=2)

    assert [shown(row) for row in found] == by_journal(house, burdened, at)
    assert len(found) == rows


def test_r_03__in_force__leaves_out_what_ended_and_what_was_only_lodged(
    house: House, burdened: Burdened
) -> None:
    [stay] = rows_of(house, "R-03", asset=burdened.code, in_force=True)
    [mortgage] = rows_of(
        house, "R-03", asset=burdened.code, in_force=True, as_of=burdened.moments["mortgaged"]
    )

    assert (stay["kind"], stay["state"], stay["case_no"]) == (
        "STAY_ORDER", "ACTIVE", "W.P. 1/2026",
    )  # fmt: skip
    assert (mortgage["kind"], mortgage["state"]) == ("MORTGAGE", "ACTIVE")
    assert mortgage["valid_to"] is None


def test_r_03__as_known_before__knows_of_no_discharge(house: House, burdened: Burdened) -> None:
    [row] = rows_of(
        house,
        "R-03",
        asset=burdened.code,
        known_at=burdened.moments["mortgaged"],
        as_of=burdened.moments["now"],
    )

    assert (row["kind"], row["state"], row["valid_to"]) == ("MORTGAGE", "ACTIVE", None)


def test_r_03__by_key_and_a_time__is_of_who_claimed_it_then(house: House) -> None:
    moments = {}
    with house.desk() as desk:
        asset = make.registered(desk, make.open_apartment(desk))
        [key] = assets.list_keys(desk.session, asset.id)
        first = asset.id
        lien_id = liens.active(desk, asset).id
    moments["mortgaged"] = now().isoformat()
    with house.desk() as desk:
        liens.discharged(desk, encumbrances.get_encumbrance(desk.session, lien_id))
        onboarding.retire_asset(desk.session, CHECKER, first, reason="Surveyed anew")
    with house.desk() as desk:
        new = make.registered(desk, make.open_apartment(desk, underlying_keys=[key]))
        new_lien_id = liens.active(desk, new).id

    def told(**when: str) -> list[str]:
        return [str(row["encumbrance"]) for row in rows_of(house, "R-03", key=key, **when)]

    assert told(as_of=moments["mortgaged"]) == [str(lien_id)]
    assert told(known_at=moments["mortgaged"]) == [str(lien_id)]
    assert told() == [str(new_lien_id)]
    # Nothing was recorded by then: today's claimant is asked about, and had nothing on it.
    assert told(as_of="2020-01-01T00:00:00Z") == []


def test_r_03__by_a_key_that_was_amended_away__is_of_who_claimed_it_then(house: House) -> None:
    with house.desk() as desk:
        asset = make.registered(desk, make.open_apartment(desk))
        [key] = assets.list_keys(desk.session, asset.id)
        asset_id, lien_id = asset.id, liens.active(desk, asset).id
    before = now().isoformat()
    with house.desk() as desk:
        asset = desk.session.get_one(Asset, asset_id)
        keys = [key.replace("|7-B", "|7-C")]
        standing.approve_amendment(desk, asset, standing.propose(desk, asset, underlying_keys=keys))

    [row] = rows_of(house, "R-03", key=key, as_of=before)
    assert row["encumbrance"] == str(lien_id)
    problem_of(ask(house, "R-03", key=key), 404, "not_found")
