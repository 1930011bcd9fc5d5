"""What time brings about, with dates that lie in the past instead of waiting for them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlmodel import Session, select

from registry.asset.models import Asset, AssetState, UnderlyingKey
from registry.encumbrance.models import Encumbrance, EncumbranceKind, EncumbranceState
from registry.journal.models import JournalEntry
from registry.kernel.clock import now, today
from registry.kernel.db import Database
from registry.onboarding import service as onboarding
from registry.sweep.service import CLOCKS, PAPERS, sweep
from registry.valuation.models import Valuation, ValuationState
from tests import factories as make
from tests import liens
from tests.db.races import together
from tests.db.stage import Stage, StageMaker
from tests.factories import CHECKER, Desk

pytestmark = pytest.mark.db

NOTHING = dict.fromkeys([*(clock.name for clock in CLOCKS), PAPERS], 0)


@dataclass(frozen=True)
class Register:
    """One record of each kind whose time has come, and one whose time has not."""

    forgotten: Asset
    returned: Asset
    caveat: Encumbrance
    caveat_of_today: Encumbrance
    old: Valuation
    fresh: Valuation


def sent_back(desk: Desk, days: int) -> Asset:
    asset = make.in_review(desk, make.open_apartment(desk))
    onboarding.return_dossier(desk.session, CHECKER, asset.id, reason="Illegible plan")
    asset.requisitioned_at = now() - timedelta(days=days)
    desk.session.flush()
    return asset


def caveat(desk: Desk, ends_on: date) -> Encumbrance:
    return liens.active(desk, make.open_apartment(desk), EncumbranceKind.CAVEAT, ends_on=ends_on)


def build(desk: Desk) -> Register:
    days = timedelta(days=1)
    return Register(
        forgotten=sent_back(desk, 61),
        returned=sent_back(desk, 59),
        caveat=caveat(desk, today() - days),
        caveat_of_today=caveat(desk, today()),
        old=make.value(desk, make.open_apartment(desk), basis_date=today() - 181 * days),
        fresh=make.value(desk, make.open_apartment(desk), basis_date=today() - 180 * days),
    )


@pytest.fixture
def stage(make_stage: StageMaker) -> Iterator[Stage[Register]]:
    """Give a register of the test's own: a sweep commits."""
    with make_stage(build) as stage:
        yield stage


def states(stage: Stage[Register]) -> dict[str, str]:
    with Session(stage.database.engine) as session:
        now_there = stage.on(session)
        return {name: str(getattr(now_there, name).state) for name in Register.__annotations__}


def test_sweep__records_whose_time_has_come__are_fired_and_no_other(
    stage: Stage[Register],
) -> None:
    fired = sweep(stage.database)

    assert fired == NOTHING | {"asset_lapse": 1, "encumbrance_lapse": 1, "valuation_stale": 1}
    assert states(stage) == {
        "forgotten": AssetState.WITHDRAWN,
        "returned": AssetState.REQUISITIONED,
        "caveat": EncumbranceState.LAPSED,
        "caveat_of_today": EncumbranceState.ACTIVE,
        "old": ValuationState.STALE,
        "fresh": ValuationState.ACCEPTED,
    }


def test_sweep__forgotten_dossier__lets_its_keys_go(stage: Stage[Register]) -> None:
    sweep(stage.database)

    with Session(stage.database.engine) as session:
        kept = select(UnderlyingKey.live).where(UnderlyingKey.asset_id == stage.scene.forgotten.id)
        assert list(session.exec(kept)) == [False]


def test_sweep__twice__fires_nothing_more(stage: Stage[Register]) -> None:
    sweep(stage.database)

    assert sweep(stage.database) == NOTHING


def test_sweep__two_at_once__fire_each_event_once(stage: Stage[Register]) -> None:
    def run(_session: Session) -> Any:
        return sweep(stage.database)

    first, second = together(stage.database, [run, run])

    assert isinstance(first, dict)
    assert isinstance(second, dict)
    with Session(stage.database.engine) as session:
        acts = list(session.exec(select(JournalEntry.act)))
    for act in ("asset_lapse", "encumbrance_lapse", "valuation_stale"):
        assert acts.count(act) == 1
        assert first[act] + second[act] == 1


def test_sweep__one_that_refuses__does_not_stop_the_others(stage: Stage[Register]) -> None:
    # A row that somebody broke by hand: a caveat in force that has no terms.
    with stage.database.transaction() as session:
        session.connection().execute(
            text("DELETE FROM encumbrance_terms WHERE encumbrance_id = :id"),
            {"id": stage.scene.caveat.id},
        )

    assert sweep(stage.database) == NOTHING | {"asset_lapse": 1, "valuation_stale": 1}
    assert states(stage)["caveat"] == EncumbranceState.ACTIVE


def test_sweep__empty_register__does_nothing(fresh_database: Database) -> None:
    assert sweep(fresh_database) == NOTHING
