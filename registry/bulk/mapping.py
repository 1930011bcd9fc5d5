"""From the file's own field names to those of a dossier."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from registry.asset.interface import AssetClassSpec
from registry.bulk.expressions import ABSENT, Compiler, Maker, Row, refuse_mapping
from registry.bulk.json_text import MAX_DEPTH, depth_of
from registry.bulk.values import cleaned
from registry.kernel.errors import Invalid

REQUIRED = ("location", "details", "underlying_keys", "ownership")
PARTS = ("code", *REQUIRED)
_OWNERSHIP = frozenset({"kul_hissay", "owners"})

AS_IT_IS: Mapping[str, Any] = {
    "code": {"from": "code", "optional": True},
    **{part: {"from": part} for part in REQUIRED},
}
"""The mapping of a file whose rows are dossiers already, as POST /v1/assets takes them."""


@dataclass(frozen=True, slots=True)
class RowMapping:
    """A mapping, ready to be applied to row after row.

    Parameters
    ----------
    names
        Fields of the file that it takes.
    needed
        Those without which no row can be read.
    """

    makers: Mapping[str, Maker]
    names: frozenset[str]
    needed: frozenset[str]

    def apply(self, row: Row) -> tuple[dict[str, Any], list[Invalid]]:
        """Return the parts of the dossier that can be made of `row`, and why others cannot."""
        made: dict[str, Any] = {}
        problems: list[Invalid] = []
        harmless: dict[str, Any] = {}
        for name in self.names:
            try:
                if name in row:
                    harmless[name] = cleaned(row[name], name)
            except Invalid as error:
                problems.append(error)
        if problems:
            return made, problems
        for part, make in self.makers.items():
            try:
                value = make(harmless)
                if value is not ABSENT:
                    made[part] = value
            except Invalid as error:
                problems.append(error)
        return made, problems


def read_mapping(mapping: Mapping[str, Any], spec: AssetClassSpec) -> RowMapping:
    """Read a mapping for files of one class of assets.

    Raises
    ------
    Invalid
        ``import_mapping_invalid``: it names a field that dossiers do not have, or leaves one out.
    """
    _check_names("/mapping", mapping, frozenset(PARTS))
    missing = [part for part in REQUIRED if part not in mapping]
    if missing:
        refuse_mapping("/mapping", f"It does not say where {missing[0]!r} comes from.")
    _check_object("/mapping/details", mapping["details"], frozenset(spec.details.model_fields))
    _check_object("/mapping/ownership", mapping["ownership"], _OWNERSHIP)
    compiler = Compiler()
    makers = {part: compiler.compile(value, f"/mapping/{part}") for part, value in mapping.items()}
    return RowMapping(makers, frozenset(compiler.names), frozenset(compiler.needed))


def parse_mapping(text: str) -> dict[str, Any]:
    """Read the JSON of a mapping.

    Raises
    ------
    Invalid
        ``import_mapping_invalid``.
    """
    try:
        # No decimals: a quantity that is the same in every row is written as a text.
        value = json.loads(text, parse_float=_no_decimal, parse_constant=_no_decimal)
    except (ValueError, RecursionError):
        refuse_mapping("/mapping", "It is not JSON, or holds a decimal outside of a text.")
    if not isinstance(value, dict) or depth_of(value) > MAX_DEPTH:
        refuse_mapping("/mapping", "It is no object, or is nested too deep.")
    return value


def _no_decimal(text: str) -> None:
    raise ValueError(text)


def check_columns(mapping: RowMapping, columns: Sequence[str]) -> None:
    """Refuse a CSV that lacks a column which the mapping takes.

    Raises
    ------
    Invalid
        ``import_columns_missing``.
    """
    missing = sorted(mapping.needed - set(columns))
    if missing:
        raise Invalid(
            "import_columns_missing",
            f"The file has no columns {', '.join(repr(name) for name in missing[:5])}.",
            field="/mapping",
            remedy="Correct the mapping, or give the fields a default.",
        )


def _check_object(pointer: str, value: Any, known: frozenset[str]) -> None:
    """Hold the names of an object against the fields there are; an expression has others."""
    if isinstance(value, dict) and not value.keys() & {"from", "json", "constant"}:
        _check_names(pointer, value, known)


def _check_names(pointer: str, value: Mapping[str, Any], known: frozenset[str]) -> None:
    unknown = sorted(value.keys() - known)
    if unknown:
        refuse_mapping(
            f"{pointer}/{unknown[0]}", f"There is no such field; there are {sorted(known)}."
        )
