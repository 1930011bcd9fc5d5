"""A key of another place makes no second parcel of one ground: refused at every door (KEY-02)."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlmodel import col, select

from registry.asset import service as assets
from registry.asset.models import UnderlyingKey
from registry.kernel.errors import Invalid
from registry.onboarding import service as onboarding
from registry.parcel.models import UndividedShare
from tests import factories as make
from tests import standing
from tests.factories import MAKER, Desk

pytestmark = pytest.mark.db

ELSEWHERE = [
    "APT|PK-SD|LAHORE|GULBERG-III|FULL-HOUSE|2",
    "APT|PK-PB|MULTAN|GULBERG-III|FULL-HOUSE|2",
    "APT|CDA|LAHORE|GULBERG-III|FULL-HOUSE|2",
]


@pytest.mark.parametrize("key", ELSEWHERE)
def test_open__key_of_another_place__is_refused_and_claims_no_ground(desk: Desk, key: str) -> None:
    with pytest.raises(Invalid, match="underlying_key_elsewhere") as refusal:
        make.open_apartment(desk, underlying_keys=[key])

    assert refusal.value.rule == "KEY-02"
    parents = select(UndividedShare).where(col(UndividedShare.parent_key) == key.rpartition("|")[0])
    assert desk.session.exec(parents).all() == []


@pytest.mark.parametrize("key", ELSEWHERE)
def test_amend__draft_to_a_key_of_another_place__is_refused(desk: Desk, key: str) -> None:
    asset = make.open_apartment(desk)
    before = assets.list_keys(desk.session, asset.id)
    dossier = replace(standing.dossier_of(desk, asset), underlying_keys=[key])

    with pytest.raises(Invalid, match="underlying_key_elsewhere"):
        onboarding.amend_dossier(
            desk.session, MAKER, asset.id, version=asset.version, dossier=dossier
        )

    assert assets.list_keys(desk.session, asset.id) == before


def test_amend__draft_moved_away_from_its_key__is_refused(desk: Desk) -> None:
    asset = make.open_apartment(desk)
    moved = dict(asset.location) | {"province": "PK-SD", "district": "Karachi South"}
    dossier = replace(standing.dossier_of(desk, asset), location=moved)

    with pytest.raises(Invalid, match="underlying_key_elsewhere"):
        onboarding.amend_dossier(
            desk.session, MAKER, asset.id, version=asset.version, dossier=dossier
        )


@pytest.mark.parametrize("key", ELSEWHERE)
def test_amendment__of_a_registered_asset__is_refused(desk: Desk, key: str) -> None:
    asset = standing.registered_apartment(desk)

    with pytest.raises(Invalid, match="underlying_key_elsewhere"):
        standing.propose(desk, asset, underlying_keys=[key])


def test_rules__recorded_before_there_was_the_rule__finds_it(desk: Desk) -> None:
    asset = make.open_apartment(desk)
    make.file_required(desk, asset)
    claim = desk.session.exec(
        select(UnderlyingKey).where(col(UnderlyingKey.asset_id) == asset.id)
    ).one()
    claim.key = claim.key.replace("PK-PB", "PK-SD")
    desk.session.flush()

    run = make.submit(desk, asset)

    assert run.blocked
    [failed] = [row for row in run.results if not row["passed"]]
    assert failed["id"] == "KEY-02"
    assert claim.key in failed["detail"]
