"""Records made and committed once for a module of tests, each of which works on them anew."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, Generic, Protocol, TypeVar

from sqlmodel import Session, SQLModel

from registry.kernel.db import Database
from tests.factories import Desk

Scene = TypeVar("Scene")


@dataclass(frozen=True)
class Stage(Generic[Scene]):
    """A database in which `scene` is committed."""

    database: Database
    scene: Scene

    def on(self, session: Session) -> Scene:
        """Return the scene as rows of `session`, whose changes are taken back as always."""
        found: Scene = _load(session, self.scene)
        return found


def _load(session: Session, thing: Any) -> Any:
    if isinstance(thing, SQLModel):
        return session.get_one(type(thing), thing.id)  # type: ignore[attr-defined]
    if is_dataclass(thing) and not isinstance(thing, type):
        parts = {field.name: getattr(thing, field.name) for field in fields(thing)}
        return replace(thing, **{name: _load(session, part) for name, part in parts.items()})
    if isinstance(thing, list):
        return [_load(session, part) for part in thing]
    return thing


class StageMaker(Protocol):
    def __call__(self, build: Callable[[Desk], Scene]) -> AbstractContextManager[Stage[Scene]]: ...
