"""Running the rules of a moment, and keeping what they said."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlmodel import Session, col, select

from registry.kernel.actor import Actor
from registry.kernel.errors import Conflict
from registry.rulebook.checks import CHECKS
from registry.rulebook.facts import Facts
from registry.rulebook.models import RuleRun


class Moment(StrEnum):
    """When a rule is asked."""

    SUBMISSION = "submission"
    REGISTRATION = "registration"
    TOKENIZATION = "tokenization"


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule as people read it; its check has the same id in `checks`."""

    id: str
    severity: str
    moments: frozenset[str]
    message: str
    message_ur: str
    remedy: str


@dataclass(frozen=True, slots=True)
class RuleResult:
    """What one rule said on one run."""

    id: str
    severity: str
    passed: bool
    message: str
    message_ur: str
    remedy: str
    detail: str | None


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
def rule_book() -> tuple[Rule, ...]:
    """Return every rule."""
    rows = json.loads((Path(__file__).parent / "rules.json").read_text("utf-8"))
    return tuple(Rule(**(row | {"moments": frozenset(row["moments"])})) for row in rows)


def evaluate(moment: Moment, facts: Facts) -> tuple[RuleResult, ...]:
    """Ask every rule of `moment`; nothing is stored."""
    results = []
    for rule in rule_book():
        if moment not in rule.moments:
            continue
        detail = CHECKS[rule.id](facts)
        results.append(
            RuleResult(
                id=rule.id,
                severity=rule.severity,
                passed=detail is None,
                message=rule.message,
                message_ur=rule.message_ur,
                remedy=rule.remedy,
                detail=detail,
            )
        )
    return tuple(results)


def failures(results: Sequence[RuleResult]) -> list[RuleResult]:
    """Return the critical rules that failed."""
    return [item for item in results if not item.passed and item.severity == "CRITICAL"]


def run(session: Session, actor: Actor, asset_id: UUID, moment: Moment, facts: Facts) -> RuleRun:
    """Ask every rule of `moment`, and store what each said."""
    results = evaluate(moment, facts)
    rows: list[dict[str, Any]] = [asdict(result) for result in results]
    rule_run = RuleRun(
        asset_id=asset_id,
        moment=moment,
        run_by=actor.subject,
        blocked=bool(failures(results)),
        results=rows,
    )
    session.add(rule_run)
    session.flush()
    return rule_run


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
