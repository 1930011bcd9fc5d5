"""What a machine's walk is made of; `tests/db/test_lifecycle_walk.py` plays it.

One module a machine, in this folder, with one `WALK`:

    WALK = Walk(
        machine="encumbrance",
        record=lodged,  # (desk) -> a record in the initial state, made by the use cases
        scenarios=(
            Scenario(
                source="LODGED",
                event="register",
                prepare=lodged,  # (desk) -> a record in `source`
                denied=register_by_its_maker,  # (desk, record) -> a use case that the guard refuses
                code="checker_is_maker",
                play=register,  # (desk, record) -> a use case that fires the event
            ),
        ),
    )

A scenario calls use cases, never `lifecycle.fire`. `play` may first mend what `denied` lacked.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import registry.kernel.machine as machine_module
from registry.kernel.actor import Actor, Role
from registry.kernel.machine import SYSTEM
from tests import ledger, sales
from tests.db.beginnings import after
from tests.factories import Desk
from tests.ledger import Ledger
from tests.sales import Wrapped

TABLE: dict[str, dict[str, Any]] = json.loads(
    Path(machine_module.__file__).with_name("state_machines.json").read_text("utf-8")
)
"""Read here once more, by nobody's code but the test's own."""

ARROWS: Mapping[tuple[str, str, str], Mapping[str, str]] = {
    (name, arrow["from"], arrow["event"]): arrow
    for name, entry in TABLE.items()
    for arrow in entry["transitions"]
}
EVERYBODY = Actor(
    "everybody",
    frozenset({SYSTEM, *Role}).union(
        *(arrow["role"].replace("+", "|").split("|") for arrow in ARROWS.values())
    ),
)
"""One who holds every role: what stops this one is the table, or a guard."""


@after(sales.wrapped_apartment)
def live_token(desk: Desk, where: Wrapped) -> Ledger:
    """Give what the walks of several machines begin with: a live token of two holders."""
    return ledger.live(desk, 600, 400, wrapped=where)


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """One arrow of the table, fired as people fire it.

    Parameters
    ----------
    prepare
        Gives a record in `source`; None where the very act that fires the event records it.
    play
        Fires the event by a use case; without `prepare` it returns the record.
    denied
        The same event where its guard refuses, with the refusal's `code`.
    kept
        Where a guard of the table can refuse nothing that a use case could ask: why.
    """

    source: str
    event: str
    prepare: Callable[[Desk], Any] | None
    play: Callable[[Desk, Any], object]
    denied: Callable[[Desk, Any], object] | None = None
    code: str | None = None
    kept: str | None = None


@dataclass(frozen=True, kw_only=True)
class Walk:
    """One machine.

    Parameters
    ----------
    record
        Gives a record in the initial state, or in any other.
    waits
        Arrows that no use case fires yet, and for what each of them waits.
    """

    machine: str
    record: Callable[[Desk], Any]
    scenarios: tuple[Scenario, ...]
    waits: Mapping[tuple[str, str], str] = field(default_factory=dict)
