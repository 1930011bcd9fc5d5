"""What several tests begin with, prepared once for all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from functools import wraps
from typing import Any, TypeVar

from sqlalchemy.orm import SessionTransaction
from sqlmodel import Session

from tests.factories import Desk

Beginning = Callable[[Desk], Any]
Before = TypeVar("Before")
Now = TypeVar("Now")
Thing = TypeVar("Thing")

_STEPS: dict[Beginning, tuple[Beginning, Callable[[Desk, Any], Any]]] = {}


def after(
    base: Callable[[Desk], Before],
) -> Callable[[Callable[[Desk, Before], Now]], Callable[[Desk], Now]]:
    """Have a beginning go on from another one, which is then prepared once for both."""

    def decorate(go_on: Callable[[Desk, Before], Now]) -> Callable[[Desk], Now]:
        @wraps(go_on)
        def prepare(desk: Desk) -> Now:
            return go_on(desk, base(desk))

        _STEPS[prepare] = base, go_on
        return prepare

    return decorate


def way_to(beginning: Beginning) -> tuple[Beginning, ...]:
    """Return the beginnings that lead to this one, itself at the end."""
    if beginning not in _STEPS:
        return (beginning,)
    return (*way_to(_STEPS[beginning][0]), beginning)


def in_turn(
    things: Iterable[Thing], beginning_of: Callable[[Thing], Beginning | None]
) -> list[Thing]:
    """Return the things so ordered that none begins with what was taken back before."""
    seen: dict[Beginning, int] = {}

    def place(thing: Thing) -> tuple[int, ...]:
        beginning = beginning_of(thing)
        way = () if beginning is None else way_to(beginning)
        return tuple(seen.setdefault(step, len(seen)) for step in way)

    return sorted(things, key=place)


@dataclass(frozen=True, slots=True)
class Level:
    """One beginning that stands: what it made, and what takes it back."""

    beginning: Beginning
    made: Any
    point: SessionTransaction


class Beginnings:
    """Keeps the way to the last beginning standing, each step of it in a savepoint.

    Parameters
    ----------
    open_desk
        Gives a desk whose work is taken back.
    """

    def __init__(self, open_desk: Callable[[], AbstractContextManager[Desk]]) -> None:
        self._open_desk = open_desk
        self._stack = ExitStack()
        self._levels: list[Level] = []
        self._desk: Desk | None = None

    @contextmanager
    def at(self, beginning: Beginning | None) -> Iterator[tuple[Desk, Any]]:
        """Give the desk and what `beginning` made there; what is done meanwhile is taken back."""
        way = () if beginning is None else way_to(beginning)
        desk = self._go_back_to(way)
        for step in way[len(self._levels) :]:
            self._levels.append(self._prepared(desk, step))
        made = self._levels[-1].made if self._levels else None
        point = desk.session.begin_nested()
        try:
            yield desk, made
        finally:
            _take_back(desk.session, point)

    def close(self) -> None:
        """Take everything back."""
        self._levels.clear()
        self._stack.close()

    def _go_back_to(self, way: tuple[Beginning, ...]) -> Desk:
        """Take back what is not on the way; to share nothing is to begin in a new transaction."""
        kept = 0
        while kept < min(len(way), len(self._levels)) and self._levels[kept].beginning is way[kept]:
            kept += 1
        if self._desk is None or not kept:
            self.close()
            self._desk = self._stack.enter_context(self._open_desk())
        elif kept < len(self._levels):
            _take_back(self._desk.session, self._levels[kept].point)
            del self._levels[kept:]
        return self._desk

    def _prepared(self, desk: Desk, beginning: Beginning) -> Level:
        point = desk.session.begin_nested()
        if beginning in _STEPS:
            made = _STEPS[beginning][1](desk, self._levels[-1].made)
        else:
            made = beginning(desk)
        desk.session.flush()
        return Level(beginning, made, point)


def _take_back(session: Session, point: SessionTransaction) -> None:
    point.rollback()
    # The session itself expires only what it has written, not what the database wrote for it.
    session.expire_all()
