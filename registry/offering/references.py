"""References of orders: what a buyer types into a bank's form, and what comes back from there."""

from __future__ import annotations

import re
import secrets

from stdnum.iso7064 import mod_97_10

from registry.kernel.masking import mask_text

_MARK = "MLK"
_DIGITS = 12
_FORM = re.compile(rf"{_MARK}([0-9A-FOIL]{{{_DIGITS}}})([0-9OIL]{{2}})?")
_MISREAD = str.maketrans("OIL", "011")
_NOISE = re.compile(r"[^0-9A-Z]+")


def new_reference() -> str:
    """Make one: MLK, twelve hexadecimal digits and two check digits (ISO 7064 MOD 97-10).

    One that has the form of somebody's number would be hidden from logs and lists.
    """
    while True:
        body = f"{_MARK}{secrets.token_hex(_DIGITS // 2).upper()}"
        reference = body + mod_97_10.calc_check_digits(body)
        if mask_text(reference) == reference:
            return reference


def read_references(text: str) -> list[str]:
    """Find what may be meant in a text: however it is spaced, cased or hyphenated.

    Returns
    -------
    list[str]
        As they would stand in the register: with right check digits, or as the older ones are,
        which have none. Two digits after an older one may belong to the text.
    """
    found = []
    for body, check in _written(text):
        if check and mod_97_10.is_valid(body + check):
            found.append(body + check)
        else:
            found.append(body)
    return found


def near_patterns(text: str) -> list[str]:
    """Give patterns for LIKE: one digit wrong, two of them swapped, or no check digits."""
    patterns = set()
    for body, check in _written(text):
        patterns.add(f"{body}__")
        digits = (body + check).removeprefix(_MARK)
        for place in range(len(digits)):
            patterns.add(f"{_MARK}{digits[:place]}_{digits[place + 1 :]}")
        for place in range(len(digits) - 1):
            swapped = digits[place + 1] + digits[place]
            patterns.add(f"{_MARK}{digits[:place]}{swapped}{digits[place + 2 :]}")
    return sorted(patterns)


def _written(text: str) -> list[tuple[str, str]]:
    compact = _NOISE.sub("", text.upper())
    return [
        (_MARK + match[1].translate(_MISREAD), (match[2] or "").translate(_MISREAD))
        for match in _FORM.finditer(compact)
    ]
