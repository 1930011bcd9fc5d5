"""The rows that accepted dossiers become, as COPY takes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

from pydantic_core import to_json

from registry.asset.models import AssetState
from registry.bulk.judging import Verdict
from registry.bulk.lookups import claimed_parents
from registry.bulk.models import BulkImport, Outcome
from registry.kernel.ids import new_id
from registry.parcel.models import box_text
from registry.parcel.service import mauza_key, stated_columns
from registry.rulebook.service import Moment, RuleResult, stored_results
from registry.title.models import TitleState

_RECORD = ("id", "recorded_at")
STATED = tuple(stated_columns(None))
COLUMNS: Mapping[str, tuple[str, ...]] = {
    "asset": (
        *_RECORD, "code", "asset_class", "title_regime", "state", "location", "details", "maker",
        "version",
    ),
    "underlying_key": (*_RECORD, "asset_id", "key", "live"),
    "title": (*_RECORD, "asset_id", "state"),
    "title_version": (
        *_RECORD, "title_id", "seq", "basis", "kul_hissay", "valid_from", "maker",
    ),
    "title_share": ("version_id", "party_id", "hissa"),
    "parcel": (
        *_RECORD, "asset_id", "number", "mauza_key", *STATED, "geometry", "box", "area_sqm",
        "live",
    ),
    "undivided_share": (
        *_RECORD, "asset_id", "parent_key", "numerator", "denominator", "live",
    ),
    "rule_run": (*_RECORD, "asset_id", "moment", "run_by", "blocked", "results"),
    "journal_entry": (
        *_RECORD, "actor", "act", "subject_kind", "subject_id", "facts", "recording_id",
    ),
    "bulk_import_row": (
        "import_id", "row_no", "outcome", "asset_id", "asset_code", "problems",
    ),
}  # fmt: skip
"""In an order in which what is referred to comes first."""

Rows = dict[str, list[tuple[Any, ...]]]


@dataclass(frozen=True, slots=True)
class Scribe:
    """Turns verdicts into rows; all of a batch are recorded at one moment."""

    job: BulkImport
    at: datetime
    recording_id: UUID | None

    def rows_of(self, verdicts: Sequence[Verdict], codes: Sequence[str]) -> Rows:
        """Return every row to write.

        Parameters
        ----------
        codes
            For accepted rows that bring none; with none left over.
        """
        rows: Rows = {table: [] for table in COLUMNS}
        allotted = iter(codes)
        for verdict in verdicts:
            asset_id, code = None, verdict.draft.code
            if verdict.accepted and not self.job.dry_run:
                asset_id, code = new_id(), code or next(allotted)
                self._add_asset(rows, verdict, asset_id, code)
                self._add_title(rows, verdict, asset_id)
                self._add_ground(rows, verdict, asset_id)
                self._add_proof(rows, verdict, asset_id, code)
            outcome = Outcome.ACCEPTED if verdict.accepted else Outcome.REFUSED
            said = _json(verdict.problems) if verdict.problems else "[]"
            rows["bulk_import_row"].append(
                (self.job.id, verdict.draft.no, outcome.value, asset_id, code, said)
            )
        return rows

    def _add_asset(self, rows: Rows, verdict: Verdict, asset_id: UUID, code: str) -> None:
        job, draft = self.job, verdict.draft
        of_class = (job.asset_class.value, job.title_regime, AssetState.DRAFT.value)
        said = (_json(draft.location), draft.stored_details, job.maker, 1)
        rows["asset"].append((asset_id, self.at, code, *of_class, *said))
        rows["underlying_key"] += [(new_id(), self.at, asset_id, key, True) for key in draft.keys]

    def _add_title(self, rows: Rows, verdict: Verdict, asset_id: UUID) -> None:
        draft, title_id, version_id = verdict.draft, new_id(), new_id()
        assert draft.law is not None
        basis = draft.law.regime.basis
        rows["title"].append((title_id, self.at, asset_id, TitleState.PROPOSED.value))
        rows["title_version"].append(
            (version_id, self.at, title_id, 1, basis, draft.kul_hissay, self.at, self.job.maker)
        )
        rows["title_share"] += [(version_id, party, hissa) for party, hissa in verdict.owners]

    def _add_ground(self, rows: Rows, verdict: Verdict, asset_id: UUID) -> None:
        draft = verdict.draft
        estate = mauza_key(draft.location)
        for unit, shape in zip(draft.units, draft.shapes, strict=True):
            stated = stated_columns(unit.area)
            measured = (
                (shape.wkb, box_text(shape.extent), shape.area_sqm, True)
                if shape is not None
                else (None, None, None, False)
            )
            rows["parcel"].append(
                (new_id(), self.at, asset_id, unit.number, estate, *stated.values(), *measured)
            )
        for parent in claimed_parents(draft):
            assert draft.details is not None
            part = draft.details.part_of_parent()
            assert part is not None
            rows["undivided_share"].append(
                (new_id(), self.at, asset_id, parent, part.numerator, part.denominator, True)
            )

    def _add_proof(self, rows: Rows, verdict: Verdict, asset_id: UUID, code: str) -> None:
        maker, results = self.job.maker, _results(verdict.results)
        rows["rule_run"].append(
            (new_id(), self.at, asset_id, Moment.IMPORT.value, maker, False, results)
        )
        facts = _json({"code": code, "import_id": str(self.job.id), "row": verdict.draft.no})
        act = (maker, "dossier_opened", "asset", str(asset_id), facts, self.recording_id)
        rows["journal_entry"].append((new_id(), self.at, *act))


def _json(value: Any) -> str:
    return to_json(value).decode()


def _results(results: tuple[RuleResult, ...]) -> str:
    if all(result.passed for result in results):
        return _all_passed(tuple((result.id, result.severity) for result in results))
    return _json(stored_results(results))


@cache
def _all_passed(asked: tuple[tuple[str, str], ...]) -> str:
    """What nearly every row's run says, written once."""
    return _json(
        [
            {"id": rule_id, "severity": severity, "passed": True, "detail": None}
            for rule_id, severity in asked
        ]
    )
