"""Every machine of the table, every state, every event, every role."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Any

import pytest

import registry.kernel.machine as machine_module
from registry.asset.models import AssetState
from registry.document.models import DocumentState
from registry.encumbrance.models import EncumbranceState
from registry.kernel.actor import Role
from registry.kernel.errors import Conflict, Forbidden
from registry.kernel.machine import SYSTEM, machine
from registry.mutation.models import MutationState
from registry.title.models import TitleState
from registry.tokenization.models import TokenizationState
from registry.valuation.models import ValuationState

pytestmark = pytest.mark.unit

TABLE: dict[str, dict[str, Any]] = json.loads(
    Path(machine_module.__file__).with_name("state_machines.json").read_text("utf-8")
)
ARROWS = {
    name: {(arrow["from"], arrow["event"]): arrow for arrow in entry["transitions"]}
    for name, entry in TABLE.items()
}
EVERYBODY = {role for arrows in ARROWS.values() for arrow in arrows.values() for role in
             arrow["role"].replace("+", "|").split("|")} | {SYSTEM, *Role}  # fmt: skip

PAIRS = [
    (name, state, event)
    for name, entry in TABLE.items()
    for state in entry["states"]
    for event in sorted({event for _, event in ARROWS[name]})
]
ALLOWED = [pair for pair in PAIRS if pair[1:] in ARROWS[pair[0]]]
REFUSED = [pair for pair in PAIRS if pair[1:] not in ARROWS[pair[0]]]


def roles_of(name: str, state: str, event: str) -> set[str]:
    return set(ARROWS[name][state, event]["role"].replace("+", "|").split("|"))


@pytest.mark.parametrize(("name", "state", "event"), REFUSED)
def test_arrow__event_not_in_the_table__is_refused(name: str, state: str, event: str) -> None:
    with pytest.raises(Conflict) as refusal:
        machine(name).arrow(state, event, EVERYBODY)

    assert refusal.value.code == "transition_refused"


@pytest.mark.parametrize(("name", "state", "event"), ALLOWED)
def test_arrow__event_of_each_role__goes_to_its_target(name: str, state: str, event: str) -> None:
    target = ARROWS[name][state, event]["to"]

    for role in roles_of(name, state, event):
        assert machine(name).arrow(state, event, {role}).target == target


@pytest.mark.parametrize(("name", "state", "event"), ALLOWED)
def test_arrow__every_role_but_the_right_one__is_forbidden(
    name: str, state: str, event: str
) -> None:
    with pytest.raises(Forbidden) as refusal:
        machine(name).arrow(state, event, EVERYBODY - roles_of(name, state, event))

    assert refusal.value.code == "transition_forbidden"


@pytest.mark.parametrize("name", TABLE)
def test_arrow__event_of_no_machine__is_refused(name: str) -> None:
    with pytest.raises(Conflict) as refusal:
        machine(name).arrow(TABLE[name]["initial"], "vanish", EVERYBODY)

    assert refusal.value.remedy is not None
    assert refusal.value.remedy.startswith("Possible now: ")


@pytest.mark.parametrize("name", TABLE)
def test_table__machine__is_closed_and_every_state_is_reached(name: str) -> None:
    entry = TABLE[name]
    states, arrows = set(entry["states"]), entry["transitions"]
    reached = {entry["initial"]}
    while grown := {arrow["to"] for arrow in arrows if arrow["from"] in reached} - reached:
        reached |= grown

    assert reached == states
    assert {state for arrow in arrows for state in (arrow["from"], arrow["to"])} <= states
    assert len(ARROWS[name]) == len(arrows), "one event of one state has two targets"
    ends = states - {arrow["from"] for arrow in arrows}
    assert set(entry["terminal"]) == ends


@pytest.mark.parametrize(
    ("name", "states"),
    [
        ("asset_onboarding", AssetState),
        ("title", TitleState),
        ("document", DocumentState),
        ("encumbrance", EncumbranceState),
        ("mutation", MutationState),
        ("tokenization", TokenizationState),
        ("valuation", ValuationState),
    ],
)
def test_table__machine_with_an_enumeration__has_the_same_states(
    name: str, states: type[StrEnum]
) -> None:
    assert set(TABLE[name]["states"]) == set(states)
