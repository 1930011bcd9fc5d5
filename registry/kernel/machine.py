"""The state machines of the register, driven by one table.

The table is `state_machines.json`: machine, state, event, next state, role and guard. This module
decides whether the event exists in the present state and whether one of the caller's roles may
fire it; `registry.lifecycle` asks the guards.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from registry.kernel.errors import Conflict, Forbidden

SYSTEM = "system"
"""The role of an event that no person fires: a check, a receipt, a clock."""


@dataclass(frozen=True, slots=True)
class Transition:
    """One arrow: what `event` does in state `source`, and who may fire it."""

    source: str
    event: str
    target: str
    roles: frozenset[str]
    guard: str


@dataclass(frozen=True, slots=True)
class StateMachine:
    """The states of one kind of record and the events between them."""

    name: str
    initial: str
    terminal: frozenset[str]
    states: frozenset[str]
    transitions: tuple[Transition, ...]

    def arrow(self, state: str, event: str, roles: Collection[str]) -> Transition:
        """Return the arrow of `event` from `state`.

        Raises
        ------
        Conflict
            ``transition_refused``: the event does not exist in this state.
        Forbidden
            ``transition_forbidden``: none of `roles` may fire it.
        """
        for arrow in self.transitions:
            if arrow.source == state and arrow.event == event:
                if arrow.roles.isdisjoint(roles):
                    raise Forbidden(
                        "transition_forbidden",
                        f"Only {' or '.join(sorted(arrow.roles))} may {event} this {self.name}.",
                    )
                return arrow
        possible = sorted({arrow.event for arrow in self.transitions if arrow.source == state})
        raise Conflict(
            "transition_refused",
            f"A {self.name} in state {state} cannot {event}.",
            remedy=f"Possible now: {', '.join(possible) or 'nothing, the state is final'}.",
        )


@cache
def machine(name: str) -> StateMachine:
    """Return the machine called `name` in the table."""
    return _machines()[name]


@cache
def _machines() -> dict[str, StateMachine]:
    table = json.loads((Path(__file__).parent / "state_machines.json").read_text("utf-8"))
    return {
        name: StateMachine(
            name=name,
            initial=entry["initial"],
            terminal=frozenset(entry["terminal"]),
            states=frozenset(entry["states"]),
            transitions=tuple(
                Transition(
                    source=arrow["from"],
                    event=arrow["event"],
                    target=arrow["to"],
                    # "a|b": either may; "a+b": both must, each in an approval of their own.
                    roles=frozenset(arrow["role"].replace("+", "|").split("|")),
                    guard=arrow["guard"],
                )
                for arrow in entry["transitions"]
            ),
        )
        for name, entry in table.items()
    }
