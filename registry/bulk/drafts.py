"""Rows read as dossiers: everything that can be judged of a row without the register."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from pydantic import ValidationError

from registry.asset.interface import AssetClassSpec, ClassDetails, SpatialUnit
from registry.asset.law import Law, check_against_law, read_law
from registry.bulk.formats import SourceRow
from registry.bulk.mapping import RowMapping
from registry.kernel.errors import Invalid
from registry.parcel.batch import Shape, read_shapes
from registry.parcel.geojson import Extent
from registry.party.rules import check_cnic
from registry.title.rules import MAX_KUL_HISSAY

_CODE = re.compile(r"[A-Z]{3}-[A-Z]{3}-[0-9]{4}")
_WHOLE = re.compile(r"[0-9]{1,19}")
_MAX_NAME = 200
_MAX_PLACE_FIELDS = 20
_MAX_OWNERS = 10_000
_MAX_KEYS = 1000
_MAX_FAULTS = 100
"""Of the details of one row, each told by itself."""
_OWNER_FIELDS = (frozenset({"party_id", "hissa"}), frozenset({"cnic", "hissa"}))

Owner = tuple[UUID | str, int]
"""A party, or the CNIC of one, and its parts."""


@dataclass(slots=True, kw_only=True)
class Draft:
    """One row on its way to be a dossier; `problems` are why it cannot be one."""

    no: int
    problems: list[Invalid] = field(default_factory=list)
    code: str | None = None
    location: dict[str, str] = field(default_factory=dict)
    keys: list[str] = field(default_factory=list)
    kul_hissay: int = 0
    owners: list[Owner] = field(default_factory=list)
    law: Law | None = None
    details: ClassDetails | None = None
    stored_details: str = ""
    units: tuple[SpatialUnit, ...] = ()
    shapes: list[Shape | None] = field(default_factory=list)


class DraftReader:
    """Reads rows of one import.

    Parameters
    ----------
    allots_codes
        Whether a row without a code gets one.
    """

    def __init__(
        self, mapping: RowMapping, spec: AssetClassSpec, title_regime: str, *, allots_codes: bool
    ) -> None:
        self._mapping = mapping
        self._spec = spec
        self._regime = title_regime
        self._allots_codes = allots_codes
        self._laws: dict[tuple[tuple[str, str], ...], Law] = {}

    def read(self, rows: Iterable[SourceRow]) -> list[Draft]:
        """Read a batch of rows; geometries are read and measured all at once.

        No row is kept: what of it nobody asked for may be a thousand times its draft.
        """
        drafts = [self._read(row) for row in rows]
        _read_grounds([draft for draft in drafts if draft.units])
        return drafts

    def _read(self, row: SourceRow) -> Draft:
        draft = Draft(no=row.no)
        if row.fields is None:
            flaw = row.flaw or "The row cannot be read."
            draft.problems.append(Invalid("import_row_malformed", flaw))
            return draft
        made, problems = self._mapping.apply(row.fields)
        draft.problems += problems
        for part, take in (
            ("code", _take_code),
            ("location", _take_location),
            ("underlying_keys", _take_keys),
            ("ownership", _take_ownership),
            ("details", self._take_details),
        ):
            if part in made:
                try:
                    take(draft, made[part])
                except Invalid as error:
                    draft.problems.append(error)
        if "code" not in made and not self._allots_codes:
            draft.problems.append(
                Invalid("asset_code_missing", "The row has no code.", field="/code")
            )
        if draft.location and draft.details is not None and draft.keys:
            self._take_law(draft, draft.details)
        return draft

    def _take_details(self, draft: Draft, value: Any) -> None:
        try:
            details = self._spec.details.model_validate(value)
        except ValidationError as error:
            if error.error_count() > _MAX_FAULTS:
                detail = f"The details have {error.error_count()} faults."
                draft.problems.append(Invalid("details_invalid", detail, field="/details"))
                return
            for item in error.errors(include_url=False, include_input=False):
                pointer = "/details/" + "/".join(str(part) for part in item["loc"])
                detail = f"{pointer}: {item['msg']}."
                draft.problems.append(Invalid("details_invalid", detail, field=pointer))
            return
        draft.details = details
        draft.stored_details = details.model_dump_json(exclude_none=True)
        draft.units = details.spatial_units()

    def _take_law(self, draft: Draft, details: ClassDetails) -> None:
        place = tuple(draft.location.items())
        try:
            law = self._laws.get(place)
            if law is None:
                law = self._laws[place] = read_law(self._spec, self._regime, draft.location)
            draft.law = law
            check_against_law(law, details, draft.keys, draft.location)
        except Invalid as error:
            draft.problems.append(error)


def _read_grounds(drafts: Sequence[Draft]) -> None:
    """Read every geometry of the batch, those of one country together."""
    by_extent: dict[tuple[float, float, float, float], list[tuple[Draft, int]]] = {}
    for draft in drafts:
        draft.shapes = [None] * len(draft.units)
        if draft.law is None:
            continue
        for place, unit in enumerate(draft.units):
            if unit.geometry is not None:
                extent = draft.law.jurisdiction.extent
                by_extent.setdefault(extent, []).append((draft, place))
    for extent, wanted in by_extent.items():
        units = [draft.units[place] for draft, place in wanted]
        read = read_shapes(
            [unit.geometry for unit in units], [unit.pointer for unit in units], Extent(*extent)
        )
        for (draft, place), shape in zip(wanted, read, strict=True):
            if isinstance(shape, Invalid):
                draft.problems.append(shape)
            else:
                draft.shapes[place] = shape


def _take_code(draft: Draft, value: Any) -> None:
    if not isinstance(value, str) or not _CODE.fullmatch(value):
        raise Invalid(
            "asset_code_malformed", "An asset's code has the form OKR-AGR-0001.", field="/code"
        )
    draft.code = value


def _take_location(draft: Draft, value: Any) -> None:
    named = value if isinstance(value, Mapping) else {}
    texts = {name: _name(item) for name, item in named.items()}
    if not texts or len(texts) > _MAX_PLACE_FIELDS or None in texts.values():
        raise Invalid(
            "location_malformed",
            f"A location is an object of texts, of 1 to {_MAX_NAME} characters each.",
            field="/location",
        )
    draft.location = {name: text for name, text in texts.items() if text is not None}


def _name(value: Any) -> str | None:
    """Return a short text; a whole number is one too, such as a hadbast number."""
    text = str(value) if type(value) in (str, int) else ""
    return text if 0 < len(text) <= _MAX_NAME else None


def _take_keys(draft: Draft, value: Any) -> None:
    keys = [_name(item) for item in value] if isinstance(value, list) else []
    if not 0 < len(keys) <= _MAX_KEYS or None in keys:
        raise Invalid(
            "underlying_key_malformed",
            "Natural keys are a list of texts, not empty.",
            field="/underlying_keys",
        )
    draft.keys = [key for key in keys if key is not None]


def _take_ownership(draft: Draft, value: Any) -> None:
    said = value if isinstance(value, Mapping) else {}
    owners = said.get("owners")
    if not isinstance(owners, list) or not 0 < len(owners) <= _MAX_OWNERS:
        raise Invalid(
            "owner_malformed", "The owners are a list, not empty.", field="/ownership/owners"
        )
    draft.kul_hissay = _parts(said.get("kul_hissay"), "/ownership/kul_hissay")
    draft.owners = [_owner(item, f"/ownership/owners/{place}") for place, item in enumerate(owners)]
    if len({who for who, _ in draft.owners}) != len(draft.owners):
        raise Invalid("owner_repeated", "An owner stands twice.", field="/ownership/owners")


def _owner(item: Any, pointer: str) -> Owner:
    if not isinstance(item, Mapping) or frozenset(item) not in _OWNER_FIELDS:
        raise Invalid(
            "owner_malformed", "An owner has a cnic or a party_id, and hissa.", field=pointer
        )
    hissa = _parts(item["hissa"], f"{pointer}/hissa")
    if "cnic" in item:
        return check_cnic(str(item["cnic"]), field=f"{pointer}/cnic"), hissa
    try:
        return UUID(str(item["party_id"])), hissa
    except ValueError as error:
        raise Invalid(
            "owner_malformed", "A party_id is a UUID.", field=f"{pointer}/party_id"
        ) from error


def _parts(value: Any, pointer: str) -> int:
    """Return a whole number of parts above 0; a decimal or a sign is refused, never rounded."""
    text = str(value) if type(value) in (int, str) else ""
    if not _WHOLE.fullmatch(text) or not 0 < int(text) <= MAX_KUL_HISSAY:
        raise Invalid(
            "share_not_positive",
            "The whole and every share of it are whole numbers above 0.",
            field=pointer,
        )
    return int(text)
