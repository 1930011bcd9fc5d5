"""Firing events on records that have a state: one way for every machine.

`state_machines.json` says from where to where, and who may; the guards, which each context
writes beside its use cases, say whether. An event whose row names a guard cannot be fired at all
until somebody has written that guard.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, Protocol, TypeVar
from uuid import UUID

from sqlmodel import Session

from registry.journal import service as journal
from registry.kernel.actor import Actor
from registry.kernel.machine import machine


class Stateful(Protocol):
    """A record with a state; its table's name is what the journal calls it."""

    __tablename__: ClassVar[Any]
    id: UUID
    state: Any


R = TypeVar("R", bound=Stateful)


@dataclass(frozen=True, slots=True)
class Attempt(Generic[R]):
    """Somebody tries to fire an event.

    Parameters
    ----------
    given
        What the guard needs to know and the record does not say: a decision's reason, a paper.
    """

    session: Session
    actor: Actor
    record: R
    event: str
    given: Mapping[str, Any] = field(default_factory=dict)


Guard = Callable[[Attempt[Any]], None]
_GUARDS: dict[tuple[str, str], list[Guard]] = defaultdict(list)


def guard(machine_name: str, *events: str) -> Callable[[Guard], Guard]:
    """Make a function the guard of `events`; it refuses by raising a `RegistryError`."""

    def register(function: Guard) -> Guard:
        for event in events:
            _GUARDS[machine_name, event].append(function)
        return function

    return register


def is_guarded(machine_name: str, event: str) -> bool:
    return bool(_GUARDS[machine_name, event])


def fire(
    session: Session,
    actor: Actor,
    machine_name: str,
    record: Stateful,
    event: str,
    *,
    given: Mapping[str, Any] | None = None,
    **facts: Any,
) -> None:
    """Fire `event`: role first, then guards, then the new state and the journal.

    Parameters
    ----------
    given
        For the guards.
    facts
        For the journal; nothing personal.

    Raises
    ------
    Conflict
        ``transition_refused``, or what a guard says.
    Forbidden
        ``transition_forbidden``, or what a guard says.
    """
    change(session, actor, machine_name, record, event, {}, given=given, **facts)


def change(  # noqa: PLR0917
    session: Session,
    actor: Actor,
    machine_name: str,
    record: Stateful,
    event: str,
    changes: Mapping[str, Any],
    *,
    given: Mapping[str, Any] | None = None,
    **facts: Any,
) -> None:
    """Fire `event` as `fire` does, and change the record with its state, in the same statement.

    Parameters
    ----------
    changes
        What changes, by column.
    """
    target = ask(session, actor, machine_name, record, event, given=given)
    for name, value in changes.items():
        setattr(record, name, value)
    record.state = type(record.state)(target)
    session.add(record)
    session.flush()
    kind = str(record.__tablename__)
    journal.record(session, actor, f"{kind}_{event}", kind, record.id, state=target, **facts)


def ask(
    session: Session,
    actor: Actor,
    machine_name: str,
    record: Stateful,
    event: str,
    *,
    given: Mapping[str, Any] | None = None,
) -> str:
    """Return where `event` would lead, and change nothing; raise as `fire` would.

    For an act that takes effect when its last participant acts: the others are judged too.
    """
    arrow = machine(machine_name).arrow(record.state, event, actor.roles)
    guards = _GUARDS[machine_name, event]
    assert guards or not arrow.guard, f"{machine_name}.{event} has a guard in words only"
    for check in guards:
        check(Attempt(session, actor, record, event, given or {}))
    return arrow.target
