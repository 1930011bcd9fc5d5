"""Running the rules of a moment, and keeping what they said."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlmodel import Session, col, select

from registry.kernel.actor import Actor
from registry.kernel.errors import Conflict
from registry.rulebook.checks import CHECKS, Check
from registry.rulebook.facts import Facts, Finding
from registry.rulebook.models import RuleRun


class Moment(StrEnum):
    """When a rule is asked."""

    IMPORT = "import"
    SUBMISSION = "submission"
    REGISTRATION = "registration"
    TOKENIZATION = "tokenization"
    OFFERING = "offering"


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule as people read it.

    Parameters
    ----------
    kept_by
        Who keeps it: ``database``, ``service``, ``chain``, ``reconciliation``.
    moments
        When it is asked of an asset, and how grave a failure then is. A rule without moments is
        kept where the act itself happens: the refusal names it.
    """

    id: str
    kept_by: tuple[str, ...]
    moments: Mapping[Moment, str]
    message: str
    message_ur: str
    remedy: str


@dataclass(frozen=True, slots=True)
class RuleResult:
    """What one rule said on one run."""

    rule: Rule
    severity: str
    passed: bool
    detail: str | None

    @property
    def id(self) -> str:
        return self.rule.id


class RulesRefused(Conflict):
    """A critical rule forbids the act.

    Parameters
    ----------
    failed
        The results that failed, in the order of the rule book.
    """

    def __init__(self, moment: str, failed: Sequence[RuleResult]) -> None:
        ids = ", ".join(result.id for result in failed)
        super().__init__("rules_refused", f"The rules of {moment} refuse this: {ids}.")
        self.failed = tuple(failed)


@cache
def rule_book() -> Mapping[str, Rule]:
    """Return every rule by its id, in the order of the book."""
    rows = json.loads((Path(__file__).parent / "rules.json").read_text("utf-8"))
    return {
        row["id"]: Rule(
            id=row["id"],
            kept_by=tuple(row["kept_by"]),
            moments={Moment(name): severity for name, severity in row["moments"].items()},
            message=row["message"],
            message_ur=row["message_ur"],
            remedy=row["remedy"],
        )
        for row in rows
    }


def evaluate(moment: Moment, facts: Facts) -> tuple[RuleResult, ...]:
    """Ask every rule of `moment`; nothing is stored."""
    results = []
    for as_passed, check in _asked(moment):
        rule = as_passed.rule
        found = check(facts) if check is not None else facts.findings.get(rule.id)
        if found is None:
            results.append(as_passed)
            continue
        finding = Finding(found) if isinstance(found, str) else found
        severity = finding.severity or as_passed.severity
        results.append(RuleResult(rule, severity, passed=False, detail=finding.detail))
    return tuple(results)


@cache
def _asked(moment: Moment) -> tuple[tuple[RuleResult, Check | None], ...]:
    """Return the rules of a moment, each as its result is when it passes, and its check."""
    return tuple(
        (RuleResult(rule, rule.moments[moment], passed=True, detail=None), CHECKS.get(rule.id))
        for rule in rule_book().values()
        if moment in rule.moments
    )


def failures(results: Sequence[RuleResult]) -> list[RuleResult]:
    """Return the critical rules that failed."""
    return [item for item in results if not item.passed and item.severity == "CRITICAL"]


def run(session: Session, actor: Actor, asset_id: UUID, moment: Moment, facts: Facts) -> RuleRun:
    """Ask every rule of `moment`, and store what each said."""
    rule_run = new_run(actor, asset_id, moment, evaluate(moment, facts))
    session.add(rule_run)
    session.flush()
    return rule_run


def new_run(actor: Actor, asset_id: UUID, moment: Moment, results: Sequence[RuleResult]) -> RuleRun:
    """Make the row of a run; what the rules say to people stays in the rule book."""
    return RuleRun(
        asset_id=asset_id,
        moment=moment,
        run_by=actor.subject,
        blocked=bool(failures(results)),
        results=stored_results(results),
    )


def stored_results(results: Sequence[RuleResult]) -> list[dict[str, Any]]:
    """Return the results as a run keeps them."""
    return [
        {
            "id": result.id,
            "severity": result.severity,
            "passed": result.passed,
            "detail": result.detail,
        }
        for result in results
    ]


def require(moment: Moment, facts: Facts) -> None:
    """Let the act go on only if no critical rule fails.

    Raises
    ------
    RulesRefused
        With every rule that failed.
    """
    failed = failures(evaluate(moment, facts))
    if failed:
        raise RulesRefused(moment, failed)


def list_runs(session: Session, asset_id: UUID) -> Sequence[RuleRun]:
    """List the runs on an asset, newest first."""
    return session.exec(
        select(RuleRun)
        .where(col(RuleRun.asset_id) == asset_id)
        .order_by(col(RuleRun.id).desc())
        .limit(200)
    ).all()
