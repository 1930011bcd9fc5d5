"""Every message to people in English and Urdu: one catalogue, beside the texts of the rules.

What machines read (codes, states, kinds, amounts) is never translated.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextvars import ContextVar
from enum import StrEnum
from functools import cache
from pathlib import Path
from string import Formatter
from typing import Any

CATALOGUE = Path(__file__).with_name("messages.json")


class Language(StrEnum):
    """As BCP 47 names them."""

    ENGLISH = "en"
    URDU = "ur"


_SPOKEN: ContextVar[Language] = ContextVar("spoken", default=Language.ENGLISH)
"""Of one request; only `api.languages` sets it."""


def speak(language: Language) -> None:
    """Answer the request that is being answered in this language."""
    _SPOKEN.set(language)


def spoken() -> Language:
    return _SPOKEN.get()


Texts = Mapping[str, Mapping[str, str]]
"""Key to language to text."""


@cache
def catalogue() -> Mapping[str, Texts]:
    """Return all texts by section: ``problems``, ``titles``, ``states`` and others."""
    read: Mapping[str, Texts] = json.loads(CATALOGUE.read_text("utf-8"))
    return read


def find_text(
    section: str, key: str, language: Language | None = None, **values: Any
) -> str | None:
    """Return a text of the catalogue, or None where it has none of that key.

    Parameters
    ----------
    language
        Without it, that of the request.
    values
        What stands in braces in the text.
    """
    texts = catalogue()[section].get(key)
    return texts[language or spoken()].format_map(values) if texts else None


def has_text(section: str, key: str, values: Mapping[str, Any]) -> bool:
    """Tell whether the catalogue has a text of this key, and `values` every figure in it."""
    texts = catalogue()[section].get(key, {})
    wanted = {name for text in texts.values() for _, name, _, _ in Formatter().parse(text) if name}
    return bool(texts) and wanted <= values.keys()


def text_of(section: str, key: str, language: Language | None = None, **values: Any) -> str:
    """Return a text that the catalogue must have."""
    found = find_text(section, key, language, **values)
    assert found is not None, f"the catalogue has no {key} among its {section}"
    return found
