"""Values out of a foreign file, made harmless or refused, before anything else looks at them."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Any

from registry.bulk.json_text import NotNumber, Repeated
from registry.kernel.errors import Invalid

_FORMULA = ("=", "+", "-", "@")
MAX_TEXT = 100_000


def cleaned(value: Any, pointer: str = "") -> Any:
    """Return `value` as a dossier may hold it: text trimmed, coordinates as floats.

    Raises
    ------
    Invalid
        ``import_value_refused``: a control character, a spreadsheet's formula, a number that is
        none, a name that stands twice.
    """
    if isinstance(value, str):
        return _text(value, pointer)
    if isinstance(value, dict):
        if isinstance(value, Repeated):
            raise _refused("A name stands twice in the object.", pointer)
        if "coordinates" in value:
            return {
                name: _floats(item) if name == "coordinates" else cleaned(item, f"{pointer}/{name}")
                for name, item in value.items()
            }
        return {
            _text(name, pointer): cleaned(item, f"{pointer}/{name}") for name, item in value.items()
        }
    if isinstance(value, list):
        return [cleaned(item, f"{pointer}/{place}") for place, item in enumerate(value)]
    if isinstance(value, NotNumber):
        raise _refused("It is no number that a register can hold.", pointer)
    return value


def _text(value: str, pointer: str) -> str:
    text = value.strip(" ")
    if not text.isprintable() or len(text) > MAX_TEXT:
        raise _refused("It holds control characters, or is far too long.", pointer)
    if text.startswith(_FORMULA) and not _is_number(text):
        raise _refused("It begins as a spreadsheet's formula does.", pointer)
    return text


def _is_number(text: str) -> bool:
    try:
        return Decimal(text).is_finite()
    except InvalidOperation:
        return False


def _floats(value: Any) -> Any:
    """Coordinates are measured, not counted: GeoJSON's readers take floats."""
    if type(value) is list:
        return [_floats(item) for item in value]
    return float(value) if type(value) is Decimal else value


def _refused(reason: str, pointer: str) -> Invalid:
    return Invalid("import_value_refused", reason, field=pointer or "/")
