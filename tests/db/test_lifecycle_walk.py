"""Every state of every machine: what the table does not allow is refused, what it allows is done.

The machines' own scenarios stand in `tests/db/walks`, one module each.
"""

from __future__ import annotations

import ast
import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func
from sqlmodel import col, select

from registry.document.store import FolderStore
from registry.journal.models import JournalEntry
from registry.kernel.columns import Record
from registry.kernel.db import Database
from registry.kernel.errors import Conflict, RegistryError
from registry.kernel.vault import Vault
from registry.lifecycle import service as lifecycle
from tests.conftest import taken_back
from tests.db.beginnings import Beginnings, in_turn
from tests.db.walks.board import ARROWS, EVERYBODY, TABLE, Scenario, Walk
from tests.factories import Desk

pytestmark = pytest.mark.db

FOLDER = Path(__file__).parent / "walks"
MODULES = sorted(path for path in FOLDER.glob("*.py") if path.stem not in {"board", "__init__"})
WALKS: dict[str, Walk] = {
    walk.machine: walk
    for walk in (importlib.import_module(f"tests.db.walks.{path.stem}").WALK for path in MODULES)
}
SCENARIOS = [
    pytest.param(name, scenario, id=f"{name}-{scenario.source}-{scenario.event}")
    for name, scenario in in_turn(
        [(name, scenario) for name, walk in WALKS.items() for scenario in walk.scenarios],
        lambda each: each[1].prepare,
    )
]


@pytest.fixture(scope="module")
def beginnings(
    database: Database, vault: Vault, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Beginnings]:
    store = FolderStore(tmp_path_factory.mktemp("documents"))

    @contextmanager
    def open_desk() -> Iterator[Desk]:
        with taken_back(database) as session:
            yield Desk(session, vault, store)

    found = Beginnings(open_desk)
    yield found
    found.close()


def journal_length(desk: Desk) -> int:
    return desk.session.exec(select(func.count(col(JournalEntry.id)))).one()


def put_in(desk: Desk, record: Any, state: str) -> None:
    record.state = type(record.state)(state)
    desk.session.add(record)
    desk.session.flush()


@pytest.mark.parametrize("name", WALKS)
def test_fire__events_not_in_the_table__are_refused_and_change_nothing(
    desk: Desk, name: str
) -> None:
    record = WALKS[name].record(desk)
    before = journal_length(desk)
    events = {event for machine, _, event in ARROWS if machine == name}
    for state in TABLE[name]["states"]:
        # Taken back after each: the database lets nothing leave a state that ends a record.
        with desk.session.begin_nested() as point:
            put_in(desk, record, state)
            refused = {event for event in events if (name, state, event) not in ARROWS}
            codes = {}
            for event in sorted(refused):
                with pytest.raises(Conflict) as refusal:
                    lifecycle.fire(desk.session, EVERYBODY, name, record, event)
                codes[event] = refusal.value.code

            assert codes == dict.fromkeys(refused, "transition_refused")
            desk.session.refresh(record)
            assert (record.state, journal_length(desk)) == (state, before)
            point.rollback()


@pytest.mark.parametrize(("name", "scenario"), SCENARIOS)
def test_use_case__event_of_the_table__is_fired_once_its_guard_agrees(
    beginnings: Beginnings, name: str, scenario: Scenario
) -> None:
    with beginnings.at(scenario.prepare) as (desk, record):
        before = journal_length(desk)
        if record is not None:
            assert record.state == scenario.source
        if scenario.denied is not None:
            with pytest.raises(RegistryError) as refusal, desk.session.begin_nested():
                scenario.denied(desk, record)
            assert refusal.value.code == scenario.code
            desk.session.expire_all()
            if record is not None:
                assert record.state == scenario.source
            assert journal_length(desk) == before

        made = scenario.play(desk, record)

        desk.session.flush()
        assert (
            last_fired(desk, record or made, scenario.event)
            == (ARROWS[name, scenario.source, scenario.event]["to"])
        )


def last_fired(desk: Desk, record: Any, event: str) -> Any:
    """Return the state to which the journal says that an event led the record last."""
    assert isinstance(record, Record)
    fired = desk.session.exec(
        select(JournalEntry)
        .where(
            col(JournalEntry.subject_id) == str(record.id),
            col(JournalEntry.act) == f"{record.__tablename__}_{event}",
        )
        .order_by(col(JournalEntry.id))
    ).all()
    return fired[-1].facts["state"] if fired else None


@pytest.mark.parametrize("name", TABLE)
def test_walk__of_each_machine__has_every_arrow_of_the_table(name: str) -> None:
    played = [(item.source, item.event) for item in WALKS[name].scenarios]
    arrows = {(state, event) for machine, state, event in ARROWS if machine == name}

    assert len(set(played)) == len(played)
    assert set(played) | set(WALKS[name].waits) == arrows
    assert set(played).isdisjoint(WALKS[name].waits)


@pytest.mark.parametrize(("name", "scenario"), SCENARIOS)
def test_walk__arrow_with_a_guard__shows_its_refusal(name: str, scenario: Scenario) -> None:
    words = ARROWS[name, scenario.source, scenario.event]["guard"]

    assert (scenario.denied is None) == (scenario.code is None)
    if words:
        assert lifecycle.is_guarded(name, scenario.event)
        assert (scenario.denied is None) == (scenario.kept is not None)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_walk__of_each_machine__fires_by_use_cases_alone(path: Path) -> None:
    names = {
        node.id if isinstance(node, ast.Name) else node.attr
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Name | ast.Attribute)
    }

    assert not names & {"lifecycle", "next_state", "Attempt"}
