"""Masks of personal data: show who it may be without saying who it is."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

HIDDEN = "***"

PERSONAL_FIELDS = frozenset(
    {
        "name",
        "name_ur",
        "father_or_spouse_name",
        "cnic",
        "dob",
        "place_of_birth",
        "passport",
        "street",
        "building",
        "post_code",
        "address_line",
        "iban",
        "ntn",
        "file_name",
        "personal",
    }
)
"""Fields whose values are not logged, whatever they look like."""

_CNIC = re.compile(r"(?<![0-9])[0-9]{5}-?[0-9]{7}-?[0-9](?![0-9])")
_IBAN = re.compile(r"(?<![A-Za-z0-9])[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]{4}){3,7}(?: ?[A-Z0-9]{1,3})?\b")
_PASSPORT = re.compile(r"(?<![A-Za-z0-9])[A-Z]{2}[0-9]{7}(?![A-Za-z0-9])")
_NTN = re.compile(r"(?<![0-9-])[0-9]{7}-[0-9](?![0-9-])")


def mask_cnic(cnic: str) -> str:
    """Keep the place and the last digits: ``35202-*****01-1``."""
    return f"{cnic[:6]}*****{cnic[11:]}"


def mask_name(name: str) -> str:
    """Keep the first letter of each word: ``D*** O*** A***``; not even its length is told."""
    return " ".join(f"{word[0]}{HIDDEN}" for word in name.split())


def mask_iban(iban: str) -> str:
    """Keep the country and the last four: ``PK***6702``."""
    return f"{iban[:2]}{HIDDEN}{iban[-4:]}"


def mask_number(number: str) -> str:
    """Keep the last two of a passport's or a tax number."""
    return f"{HIDDEN}{number[-2:]}"


def mask_text(text: str) -> str:
    """Hide every number in a text that looks like a person's: for logs and for the journal."""
    text = _CNIC.sub(HIDDEN, text)
    text = _IBAN.sub(HIDDEN, text)
    text = _PASSPORT.sub(HIDDEN, text)
    return _NTN.sub(HIDDEN, text)


def mask_fields(value: Any) -> Any:
    """Return `value` as it may be logged: known fields hidden, numbers hidden in all texts."""
    if isinstance(value, str):
        return mask_text(value)
    if isinstance(value, Mapping):
        return {
            name: HIDDEN if name in PERSONAL_FIELDS and item is not None else mask_fields(item)
            for name, item in value.items()
        }
    if isinstance(value, list | tuple | set | frozenset):
        return [mask_fields(item) for item in value]
    if isinstance(value, int | float | None):
        return value
    # What it says of itself is what the renderer would write.
    return mask_text(repr(value))
