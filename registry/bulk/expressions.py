"""The leaves of a mapping: how one value of a dossier is made from a row of the file.

``{"from": "name"}``, with ``default`` or ``optional``, takes a field; ``{"json": "name"}`` reads a
field that holds JSON, such as a geometry in a cell; ``{"template": "…{name}…"}`` writes a text,
and ``{name:key}`` in it writes as natural keys are written; ``{"each": "name", "make": …}`` makes
a list; ``{"constant": …}``, and whatever is none of these, stands for itself.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from string import Formatter
from typing import Any, Final, NoReturn

from registry.bulk.json_text import MAX_DEPTH, depth_of, read_value
from registry.bulk.values import cleaned
from registry.kernel.errors import Invalid

Row = Mapping[str, Any]
Maker = Callable[[Row], Any]

ABSENT: Final = object()
"""What an optional field without a value makes: nothing at all."""

_EMPTY = (None, "")
_ALLOWED: Mapping[str, frozenset[str]] = {
    "from": frozenset({"default", "optional"}),
    "json": frozenset({"optional"}),
    "template": frozenset(),
    "constant": frozenset(),
    "each": frozenset({"make", "split", "between", "into"}),
}


class Compiler:
    """Turns expressions into functions of a row.

    Attributes
    ----------
    names
        Fields of the file that are taken.
    needed
        Those without which no row can be read.
    """

    def __init__(self) -> None:
        self.names: set[str] = set()
        self.needed: set[str] = set()

    def compile(self, value: Any, pointer: str) -> Maker:
        """Return the function that makes `value` from a row.

        Raises
        ------
        Invalid
            ``import_mapping_invalid``.
        """
        if isinstance(value, list):
            return self._list([self.compile(v, f"{pointer}/{at}") for at, v in enumerate(value)])
        if not isinstance(value, dict):
            return self._constant(value, pointer)
        kind = next((name for name in _ALLOWED if name in value), None)
        if kind is None:
            return self._object({k: self.compile(v, f"{pointer}/{k}") for k, v in value.items()})
        unknown = value.keys() - _ALLOWED[kind] - {kind}
        if unknown:
            refuse_mapping(pointer, f"{kind!r} does not go with {min(unknown)!r}.")
        if kind == "constant":
            return self._constant(value[kind], pointer)
        if not isinstance(value[kind], str) or not value[kind]:
            refuse_mapping(f"{pointer}/{kind}", "It names a field of the file, as a text.")
        makers = {"template": self._template, "each": self._each}
        return makers.get(kind, self._field)(value, pointer)

    @staticmethod
    def _constant(value: Any, pointer: str) -> Maker:
        # The same in every row, so it is looked at once.
        constant = cleaned(value, pointer)
        return lambda _: constant

    @staticmethod
    def _list(makers: list[Maker]) -> Maker:
        return lambda row: [made for make in makers if (made := make(row)) is not ABSENT]

    @staticmethod
    def _object(makers: Mapping[str, Maker]) -> Maker:
        items = list(makers.items())
        return lambda row: {name: made for name, make in items if (made := make(row)) is not ABSENT}

    def _field(self, value: dict[str, Any], _pointer: str) -> Maker:
        is_json = "json" in value
        name = value["json" if is_json else "from"]
        self.names.add(name)
        has_default = "default" in value or value.get("optional") is True
        default = value.get("default", ABSENT)
        if not has_default:
            self.needed.add(name)

        def take(row: Row) -> Any:
            found = row.get(name)
            if found in _EMPTY:
                return default if has_default else _missing(name)
            return _parsed(name, found) if is_json else found

        return take

    def _template(self, value: dict[str, Any], pointer: str) -> Maker:
        parts = _parts_of(value["template"], pointer)
        self.needed |= {name for _, name, _ in parts if name}
        self.names |= self.needed

        def write(row: Row) -> str:
            return "".join(
                literal + (_text_of(name, row.get(name), as_key) if name else "")
                for literal, name, as_key in parts
            )

        return write

    def _each(self, value: dict[str, Any], pointer: str) -> Maker:
        name, split = value["each"], value.get("split")
        between, into = value.get("between"), value.get("into")
        texts = [text for text in (split, between) if text is not None]
        if "make" not in value or not all(isinstance(text, str) and text for text in texts):
            refuse_mapping(pointer, "'each' needs 'make'; 'split' and 'between' are texts.")
        if (between is None) != (into is None) or (into is not None and not _is_names(into)):
            refuse_mapping(pointer, "'between' goes with 'into', a list of names.")
        self.needed.add(name)
        inner = Compiler()
        make = inner.compile(value["make"], f"{pointer}/make")
        # What the items need, a row need not have; but what it has, they may take.
        self.names |= inner.names | {name}

        def make_all(row: Row) -> list[Any]:
            items = _items_of(name, row.get(name), split)
            return [make({**row, **_item(name, item, between, into)}) for item in items]

        return make_all


def _parts_of(text: str, pointer: str) -> list[tuple[str, str | None, bool]]:
    try:
        parsed = list(Formatter().parse(text))
    except ValueError:
        refuse_mapping(f"{pointer}/template", "Its braces do not match.")
    for _, name, spec, conversion in parsed:
        if name == "" or conversion or (spec or "") not in ("", "key"):
            refuse_mapping(f"{pointer}/template", "Write {name} or {name:key} in it.")
    return [(literal, name, spec == "key") for literal, name, spec, _ in parsed]


def _text_of(name: str, value: Any, as_key: bool) -> str:
    if value in _EMPTY:
        _missing(name)
    if isinstance(value, dict | list | bool):
        raise Invalid("import_field_malformed", f"The field {name!r} is no text.", field=name)
    text = str(value).strip()
    return text.upper().replace(" ", "-") if as_key else text


def _parsed(name: str, value: Any) -> Any:
    if not isinstance(value, str):
        return value
    text = value.strip()
    try:
        read, end = read_value(text)
    except json.JSONDecodeError:
        end, read = -1, None
    if end != len(text) or depth_of(read) > MAX_DEPTH:
        raise Invalid("import_field_malformed", f"The field {name!r} holds no JSON.", field=name)
    return cleaned(read, name)


def _items_of(name: str, value: Any, split: str | None) -> list[Any]:
    if value in _EMPTY:
        _missing(name)
    if isinstance(value, str) and split is not None:
        return [cleaned(part.strip(), name) for part in value.split(split) if part.strip()]
    if not isinstance(value, list):
        raise Invalid("import_field_malformed", f"The field {name!r} is no list.", field=name)
    return value


def _item(name: str, item: Any, between: str | None, into: list[str] | None) -> dict[str, Any]:
    if isinstance(item, dict):
        return item
    if between is None or into is None:
        return {"item": item}
    parts = str(item).split(between)
    if len(parts) != len(into):
        raise Invalid(
            "import_field_malformed",
            f"A part of the field {name!r} is not {between.join(into)}.",
            field=name,
        )
    return dict(zip(into, (part.strip() for part in parts), strict=True))


def _is_names(value: Any) -> bool:
    return isinstance(value, list) and value != [] and all(isinstance(v, str) for v in value)


def _missing(name: str) -> NoReturn:
    raise Invalid("import_field_missing", f"The field {name!r} is missing or empty.", field=name)


def refuse_mapping(pointer: str, reason: str) -> NoReturn:
    raise Invalid(
        "import_mapping_invalid",
        f"{pointer}: {reason}",
        field=pointer,
        remedy="See the guide to bulk onboarding for what a mapping may say.",
    )
