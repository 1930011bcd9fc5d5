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

# Arabic-Indic digits, those of Urdu keyboards too, and whatever people put between groups: blanks,
# dashes as word processors make them, marks of the direction of writing.
_D = "0-9\u0660-\u0669\u06f0-\u06f9"
_DASH = r"-\u2010-\u2015\u2212"
_APART = rf"[{_DASH}\s\u200b-\u200f]{{0,3}}"
_ALONE, _ENDS = rf"(?<![A-Za-z{_D}])", rf"(?![A-Za-z{_D}])"

# What is that long and hexadecimal is a hash, an address or an id, whose digits are nobody's.
_HASH = rf"{_ALONE}(?:0x)?[0-9A-Fa-f]{{32,}}{_ENDS}"
_CNIC = rf"(?<![{_D}])[{_D}]{{5}}{_APART}[{_D}]{{7}}{_APART}[{_D}](?![{_D}])"
_IBAN = rf"{_ALONE}[A-Z]{{2}}[{_D}]{{2}}(?: ?[A-Z{_D}]{{4}}){{3,7}}(?: ?[A-Z{_D}]{{1,3}})?\b"
# In small letters its groups look like words, so that each but the bank's has a digit.
_SMALL_IBAN = (
    rf"{_ALONE}(?i:[A-Z]{{2}}[{_D}]{{2}} ?[A-Z{_D}]{{4}}"
    rf"(?: ?(?=[A-Z]{{0,3}}[{_D}])[A-Z{_D}]{{4}}){{2,6}}"
    rf"(?: ?(?=[A-Z]{{0,2}}[{_D}])[A-Z{_D}]{{1,3}})?)\b"
)
_PASSPORT = rf"{_ALONE}[A-Za-z]{{2}}[{_D}]{{7}}{_ENDS}"
_NTN = rf"(?<![{_D}{_DASH}])[{_D}]{{7}}[{_DASH}][{_D}](?![{_D}{_DASH}])"
_NUMBER = re.compile("|".join((f"({_HASH})", _CNIC, _IBAN, _SMALL_IBAN, _PASSPORT, _NTN)))


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
    return _NUMBER.sub(lambda found: found[1] or HIDDEN, text)


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
