"""What earlier answers named: later requests ask for it, by path and in their bodies."""

from __future__ import annotations

import re
from collections import defaultdict, deque
from collections.abc import Iterator, Mapping
from random import Random
from typing import Any

from api.links import THINGS
from tests.fuzz.fields import likely

KEPT = 30
LONGEST = 200
LARGEST = 4_000
_THING = re.compile(r"^(.*?/\{(\w+)\})")


class Known:
    """Values that exist, the newest of each kind.

    Parameters
    ----------
    chance
        Of a value that was generated to be replaced by one that exists.
    """

    def __init__(self, chance: float) -> None:
        self._chance = chance
        self._things: defaultdict[str, deque[str]] = defaultdict(lambda: deque(maxlen=KEPT))
        self._fields: defaultdict[str, deque[Any]] = defaultdict(lambda: deque(maxlen=KEPT))
        self._parts: defaultdict[str, deque[Any]] = defaultdict(lambda: deque(maxlen=KEPT))
        self._etags: dict[str, str] = {}

    def learn_ids(self, ids: Mapping[str, str]) -> None:
        """Take ids by the names of parameters."""
        for name, value in ids.items():
            self._learn_field(name, value)
            for paths in THINGS.values():
                for path in paths:
                    if path.endswith(f"{{{name}}}"):
                        self._learn(self._things[path], value)

    def learn_answer(self, model: str, told: Any) -> None:
        """Take what an answer says.

        Parameters
        ----------
        model
            What it tells of, or of which it lists many.
        """
        for each in told["items"] if isinstance(told, dict) and "items" in told else [told]:
            if isinstance(each, dict) and isinstance(each.get("id"), str):
                for path in THINGS.get(model, ()):
                    self._learn(self._things[path], each["id"])
                    self._learn_field(path[path.rindex("{") + 1 : -1], each["id"])
            if isinstance(each, dict):
                for name, value in each.items():
                    if isinstance(value, dict | list) and 0 < len(str(value)) <= LARGEST:
                        self._learn(self._parts[name], value)
        for name, value in _scalars(told):
            self._learn_field(name, value)

    def learn_etag(self, path: str, etag: str | None) -> None:
        if etag is not None:
            self._etags[path] = etag

    def etag(self, path: str) -> str | None:
        return self._etags.get(path)

    def fill_path(self, random: Random, template: str, parameters: dict[str, Any]) -> None:
        """Replace parameters of a path by what exists."""
        thing = _THING.match(template)
        for name in parameters:
            if random.random() < self._chance:
                by_name = self._fields.get(name)
                found = self._things.get(thing[1]) if thing and thing[2] == name else by_name
                if found:
                    parameters[name] = random.choice(found)

    def fill(self, random: Random, part: Any) -> Any:
        """Give a body in which some of the fields say what exists."""
        if isinstance(part, list):
            return [self.fill(random, each) for each in part]
        if not isinstance(part, dict):
            return part
        return {name: self._fill_field(random, name, value) for name, value in part.items()}

    def _fill_field(self, random: Random, name: str, value: Any) -> Any:
        if isinstance(value, dict | list):
            whole = self._parts.get(name)
            if whole and random.random() < self._chance / 2:
                return random.choice(whole)
            return self.fill(random, value)
        if random.random() > self._chance:
            return value
        found = self._fields.get(name) or self._fields.get(_kind(name))
        if found and random.random() < self._chance:
            return random.choice(found)
        made = likely(random, name)
        return value if made is None else made

    def _learn_field(self, name: str, value: Any) -> None:
        self._learn(self._fields[name], value)

    @staticmethod
    def _learn(kept: deque[Any], value: Any) -> None:
        if value not in kept:
            kept.append(value)


def _kind(name: str) -> str:
    """Give the end of a name that says what it names: of ``to_party_id``, ``party_id``."""
    return "_".join(name.split("_")[-2:])


def _scalars(part: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(part, list):
        for each in part:
            yield from _scalars(each)
    if isinstance(part, dict):
        for name, value in part.items():
            if isinstance(value, str | int | bool) and len(str(value)) <= LONGEST:
                yield name, value
            else:
                yield from _scalars(value)
