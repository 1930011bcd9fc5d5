"""Judging the rows of a batch, in their order: the earlier one that is accepted wins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from typing import Any
from uuid import UUID

from registry.asset.law import dossier_findings
from registry.bulk.drafts import Draft
from registry.bulk.lookups import OnGround, Register, claimed_parents
from registry.kernel.errors import Conflict, Invalid, RegistryError
from registry.parcel.rules import Measured, area_finding
from registry.rulebook.facts import Facts, Finding
from registry.rulebook.service import Moment, RuleResult, evaluate, failures

CRITICAL = "CRITICAL"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of a row.

    Parameters
    ----------
    problems
        Every reason of a refusal; of an accepted row, what its rules warn of.
    """

    draft: Draft
    accepted: bool
    results: tuple[RuleResult, ...]
    problems: list[dict[str, Any]]
    owners: tuple[tuple[UUID, int], ...] = ()


class Judge:
    """Judges one batch; what it accepts, it holds against the rows that follow."""

    def __init__(self, register: Register, today: date) -> None:
        self._register = register
        self._today = today
        self._keys: dict[str, int] = {}
        self._codes: dict[str, int] = {}
        self._accepted: set[int] = set()
        self._shares = dict(register.shares)

    def judge(self, draft: Draft) -> Verdict:
        problems: list[RegistryError] = [*draft.problems, *self._code_problems(draft)]
        owners = self._owners(draft, problems)
        is_whole = draft.law is not None and draft.details is not None and bool(draft.owners)
        results = evaluate(Moment.IMPORT, self._facts(draft)) if is_whole else ()
        accepted = not problems and not failures(results)
        if accepted:
            self._hold(draft)
        said = [_said(problem) for problem in problems]
        said += [_result(result) for result in results if not result.passed]
        return Verdict(draft, accepted, results, said, owners)

    def _hold(self, draft: Draft) -> None:
        self._accepted.add(draft.no)
        self._keys |= dict.fromkeys(draft.keys, draft.no)
        if draft.code is not None:
            self._codes[draft.code] = draft.no
        for parent in claimed_parents(draft):
            self._shares[parent] += _part(draft)

    def _code_problems(self, draft: Draft) -> list[RegistryError]:
        code = draft.code
        if code is None:
            return []
        holder = self._register.codes.get(code)
        if holder is None and code not in self._codes:
            return []
        name = self._register.name_of(holder) if holder else self._row(self._codes[code])
        return [Conflict("asset_code_taken", f"The code {code} names another asset: {name}.")]

    def _owners(self, draft: Draft, problems: list[RegistryError]) -> tuple[tuple[UUID, int], ...]:
        owners: dict[UUID, int] = {}
        for place, (who, hissa) in enumerate(draft.owners):
            party_id = self._register.parties.get(who)
            pointer = f"/ownership/owners/{place}"
            if party_id is None:
                detail = "Nobody is recorded under this CNIC or party_id."
                problems.append(Invalid("owner_unknown", detail, field=pointer))
            elif party_id in owners:
                problems.append(Invalid("owner_repeated", "An owner stands twice.", field=pointer))
            else:
                owners[party_id] = hissa
        return tuple(owners.items())

    def _facts(self, draft: Draft) -> Facts:
        law, details = draft.law, draft.details
        assert law is not None
        assert details is not None
        policy = law.jurisdiction.policy
        return Facts(
            today=self._today,
            rival_keys=self._rival_keys(draft),
            kul_hissay=draft.kul_hissay,
            hissa=tuple(hissa for _, hissa in draft.owners),
            title_proof=law.regime.title_proof,
            verified_kinds=frozenset(),
            wrapper_fraction=None,
            encumbrances=(),
            value_paisa=None,
            valued_on=None,
            valuation_max_age_days=law.valuation_max_age_days,
            price_max_age_days=law.price_max_age_days,
            max_secured_fraction=policy.max_secured_fraction,
            insured_paisa=details.insured_paisa(),
            expires_on=details.expires_on(),
            right_ends_on=details.right_ends_on(),
            findings={
                **dossier_findings(law, details, draft.keys, draft.location),
                **_named("PAR-01", area_finding(_measured(draft), policy)),
                **_named("PAR-02", self._overlap_finding(draft)),
                **_named("PAR-04", self._share_finding(draft)),
            },
        )

    def _rival_keys(self, draft: Draft) -> tuple[str, ...]:
        rivals = []
        for key in draft.keys:
            if key in self._keys:
                rivals.append(f"{key} ({self._row(self._keys[key])})")
            elif key in self._register.keys:
                rivals.append(f"{key} ({self._register.name_of(self._register.keys[key])})")
        return tuple(rivals)

    def _overlap_finding(self, draft: Draft) -> Finding | None:
        counted = [
            item for item in self._register.overlaps.get(draft.no, ()) if self._counts(draft, item)
        ]
        said = "; ".join(
            f"{item.number} shares {item.overlap.area_sqm:.2f} m² with {self._place(item)}, "
            f"{float(item.overlap.tolerance_sqm):.2f} m² are allowed"
            for item in counted
        )
        return Finding(f"{said}.") if counted else None

    def _counts(self, draft: Draft, item: OnGround) -> bool:
        """A refused row is not there; parcels of one dossier are held against each other."""
        other = item.other
        return not isinstance(other, Draft) or other is draft or other.no in self._accepted

    def _place(self, item: OnGround) -> str:
        if isinstance(item.other, Draft):
            return self._row(item.other.no)
        return f"{item.other.number} of {self._register.name_of(item.other.asset_id)}"

    def _share_finding(self, draft: Draft) -> Finding | None:
        for parent in claimed_parents(draft):
            if self._shares[parent] + _part(draft) > 1:
                return Finding(
                    f"{_part(draft)} is claimed of {parent}, of which others hold "
                    f"{self._shares[parent]}."
                )
        return None

    @staticmethod
    def _row(no: int) -> str:
        return f"row {no} of this file"


def judge_all(register: Register, drafts: Sequence[Draft], today: date) -> list[Verdict]:
    judge = Judge(register, today)
    return [judge.judge(draft) for draft in drafts]


def reasons_of(verdict: Verdict) -> set[str]:
    """Return the rule ids and codes that refused a row."""
    return {item["rule"] or item["code"] for item in verdict.problems if _refuses(item)}


def _refuses(item: Mapping[str, Any]) -> bool:
    return bool(item["severity"] == CRITICAL)


def _measured(draft: Draft) -> list[Measured]:
    return [
        Measured(unit.number, shape.area_sqm, unit.area.area_sqm)
        for unit, shape in zip(draft.units, draft.shapes, strict=True)
        if shape is not None and unit.area is not None
    ]


def _part(draft: Draft) -> Fraction:
    part = draft.details.part_of_parent() if draft.details is not None else None
    assert part is not None, "only asked of rows that claim one"
    return part


def _named(rule: str, finding: Finding | None) -> dict[str, Finding]:
    return {rule: finding} if finding is not None else {}


def _said(problem: RegistryError) -> dict[str, Any]:
    return {
        "code": problem.code,
        "rule": problem.rule,
        "severity": CRITICAL,
        "detail": problem.detail,
        "pointer": getattr(problem, "field", None),
    }


def _result(result: RuleResult) -> dict[str, Any]:
    return {
        "code": "rules_refused" if result.severity == CRITICAL else "rules_warn",
        "rule": result.id,
        "severity": result.severity,
        "detail": result.detail,
        "pointer": None,
    }
