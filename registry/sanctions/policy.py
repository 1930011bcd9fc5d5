"""How close a name must be to be looked at by people: data, not code."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from registry.sanctions.names import read_name


@dataclass(frozen=True, slots=True, kw_only=True)
class ScreeningPolicy:
    """Points of 100, and what is added to the likeness of two names.

    Parameters
    ----------
    threshold
        From here on a likeness is a hit.
    candidate_threshold
        From here on, of consonants alone, two names are compared token by token.
    birth_year_tolerance
        Years between two births that are one.
    missing_common, missing_rare
        For each part of the longer name that the shorter one lacks.
    common_weight
        What a common part counts, where a rare one counts 1.
    common_names
        Skeletons of the parts that tell little about who somebody is.
    """

    threshold: int
    candidate_threshold: int
    birth_year_tolerance: int
    birth_agrees: int
    birth_differs: int
    nationality_agrees: int
    nationality_differs: int
    weak_alias: int
    missing_common: int
    missing_rare: int
    common_weight: float
    common_names: frozenset[str]


@cache
def screening_policy() -> ScreeningPolicy:
    """Return the policy that stands in `policy.json`."""
    table = json.loads((Path(__file__).parent / "policy.json").read_text("utf-8"))
    names = (read_name(name) for name in table.pop("common_names"))
    common = frozenset(token.skeleton for name in names for token in name.tokens)
    del table["source"]
    return ScreeningPolicy(**table, common_names=common)
