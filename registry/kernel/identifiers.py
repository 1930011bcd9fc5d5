"""Identifiers of trade: containers, ships, ports, goods, voyages, companies.

Form first, check digit second. Each function tells what is wrong, or None; what follows from
that is a rule's business.

Source: `registry-domain` section 1.4; ISO 6346, IMO resolution A.1117(30), UN/ECE
recommendation 16, the Harmonized System, DCSA's universal voyage reference, ISO 17442.
"""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path

from stdnum import imo as stdnum_imo
from stdnum import iso6346
from stdnum import lei as stdnum_lei

# Matched in full and in ASCII: another spelling of an identifier would be another thing.
_CONTAINER = re.compile(r"[A-Z]{3}[UJZ][0-9]{7}")
_IMO = re.compile(r"(?:IMO )?([0-9]{7})")
_UNLOCODE = re.compile(r"[A-Z]{2}[A-Z2-9]{3}")
_LEI = re.compile(r"[A-Z0-9]{18}[0-9]{2}")
_HS = re.compile(r"[0-9]{6}([0-9]{2}){0,3}")
_VOYAGE = re.compile(r"[0-9]{2}[0-9A-Z]{2}[NEWSR]")


def container_fault(number: str) -> str | None:
    """Check a container's number (rule ID-02, ISO 6346)."""
    # The form first: stdnum takes away spaces and ignores case.
    if not _CONTAINER.fullmatch(number):
        return f"{number!r} is not written as a container number."
    if not iso6346.is_valid(number):
        return f"The check digit of container {number} is wrong."
    return None


def imo_fault(number: str) -> str | None:
    """Check a ship's number (rule ID-03); a few real ships carry a bad digit."""
    match = _IMO.fullmatch(number)
    if match is None:
        return f"{number!r} is not written as an IMO number."
    if not stdnum_imo.is_valid(match.group(1)):
        return f"The check digit of {number} is wrong."
    return None


def unlocode_fault(code: str) -> str | None:
    """Check a port's code (rule ID-04): its form, and that the list knows it."""
    if not _UNLOCODE.fullmatch(code):
        return f"{code!r} is not written as a UN/LOCODE."
    if code not in known_ports():
        return f"{code} is not in the list of ports."
    return None


@cache
def known_ports() -> frozenset[str]:
    """Return the ports of `unlocodes.json`; an operator adds to that file."""
    listed = json.loads((Path(__file__).parent / "unlocodes.json").read_text("utf-8"))
    return frozenset(code for codes in listed.values() for code in codes)


def hs_fault(code: str) -> str | None:
    """Check a code of the Harmonized System (rule ID-05)."""
    if not _HS.fullmatch(code):
        return f"{code!r} is not an HS code of 6, 8, 10 or 12 digits."
    return None


def voyage_fault(reference: str) -> str | None:
    """Check a universal voyage reference (rule ID-06)."""
    if not _VOYAGE.fullmatch(reference):
        return f"{reference!r} is not a universal voyage reference."
    return None


def lei_fault(code: str) -> str | None:
    """Check a Legal Entity Identifier (rule ID-07): its form, and its check digits mod 97-10."""
    if not _LEI.fullmatch(code) or not stdnum_lei.is_valid(code):
        return f"{code!r} is not a Legal Entity Identifier."
    return None
