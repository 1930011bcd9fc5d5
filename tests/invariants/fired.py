"""Which rules of the register an act breaks, wherever they are kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy.exc import IntegrityError

from registry.kernel.errors import RegistryError
from registry.reconciliation.models import ReconciliationBreak
from registry.rulebook.constraints import CONSTRAINTS
from registry.rulebook.models import RuleRun
from registry.rulebook.service import RulesRefused
from tests.db.rows import settle
from tests.factories import Desk

Act = Callable[[Desk], object]
"""Breaks one rule: a stored run or a break tells what was found, a refusal names its rule."""

CASES: dict[str, dict[str, Act]] = {}


def violates(rule: str) -> Callable[[Act], Act]:
    """Note a fixture that breaks exactly `rule`."""

    def note(act: Act) -> Act:
        CASES.setdefault(rule, {})[act.__name__] = act
        return act

    return note


def fired(desk: Desk, act: Act) -> set[str]:
    """Return the ids of the rules that `act` breaks; nothing of what it did is kept."""
    try:
        with desk.session.begin_nested() as attempt:
            outcome = act(desk)
            settle(desk.session)
            broken = _found(outcome)
            attempt.rollback()
    except RulesRefused as refusal:
        return {result.id for result in refusal.failed}
    except RegistryError as refusal:
        return {refusal.rule} if refusal.rule is not None else set()
    except IntegrityError as refusal:
        return _kept(refusal)
    return broken


def _found(outcome: object) -> set[str]:
    if isinstance(outcome, RuleRun):
        return {row["id"] for row in outcome.results if not row["passed"]}
    if isinstance(outcome, list):
        return {item.rule for item in outcome if isinstance(item, ReconciliationBreak)}
    return set()


def _kept(refusal: IntegrityError) -> set[str]:
    diagnosis: Any = refusal.orig
    constraint = CONSTRAINTS.get(diagnosis.diag.constraint_name or "")
    return {constraint.rule} if constraint is not None and constraint.rule else set()
