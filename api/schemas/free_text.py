"""What people said in their own words: numbers of persons in it are hidden, as in the journal."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Annotated, Any

from pydantic import AfterValidator

from registry.kernel.masking import HIDDEN, mask_text

_IN_FULL: ContextVar[bool] = ContextVar("free_texts_in_full", default=False)
"""Of one request; only `api.revealing` sets it, for a caller who may see more."""


def show_in_full() -> None:
    """Answer the request that is being answered with the words as they were written."""
    _IN_FULL.set(True)


def shown(text: str) -> str:
    """Return a text as this request may show it."""
    return text if _IN_FULL.get() else mask_text(text)


def _shown_values(said: dict[str, Any]) -> dict[str, Any]:
    return {name: shown(item) if isinstance(item, str) else item for name, item in said.items()}


def _sealed(text: str) -> str:
    return text if _IN_FULL.get() else HIDDEN


SealedText = Annotated[str, AfterValidator(_sealed)]
"""What stands sealed at rest: hidden whole, save for a stated reason."""

FreeText = Annotated[str, AfterValidator(shown)]
"""A reason, a note, an order's wording, in an answer."""

FreeTexts = Annotated[dict[str, Any], AfterValidator(_shown_values)]
"""Several of them, by name."""
