"""Whether an opinion of value may be submitted, accepted, superseded or called stale."""

from __future__ import annotations

from fractions import Fraction

from registry.asset import service as assets
from registry.asset.law import law_of
from registry.kernel.clock import day_of, today
from registry.kernel.errors import Conflict, Invalid
from registry.lifecycle.reasons import require_other_person, require_reason
from registry.lifecycle.service import Attempt, guard
from registry.valuation.models import Valuation
from registry.valuation.panel import require_on_panel

MACHINE = "valuation"
MAX_CHANGE = Fraction(1, 5)
"""A value that moves by more than this needs two checkers (`registry-domain` 1.6)."""


def changes_much(valuation: Valuation, previous: Valuation | None) -> bool:
    """Tell whether the value moves by more than a fifth of what it was."""
    if previous is None:
        return False
    moved = abs(valuation.amount_paisa - previous.amount_paisa)
    return Fraction(moved, previous.amount_paisa) > MAX_CHANGE


@guard(MACHINE, "submit")
def _opinion_is_possible(attempt: Attempt[Valuation]) -> None:
    record = attempt.record
    if record.basis_date > today():
        raise Invalid(
            "valuation_dated_in_future",
            f"The basis date {record.basis_date} lies in the future.",
            field="/basis_date",
        )
    low = record.amount_paisa if record.low_paisa is None else record.low_paisa
    high = record.amount_paisa if record.high_paisa is None else record.high_paisa
    if record.amount_paisa <= 0 or low <= 0:
        raise Invalid("valuation_not_positive", "A value is above zero.", field="/amount")
    if not low <= record.amount_paisa <= high:
        raise Invalid(
            "valuation_out_of_range",
            "The value lies outside of the range that the valuer gives.",
            field="/range",
        )


@guard(MACHINE, "accept", "reject")
def _checker_is_not_the_valuer(attempt: Attempt[Valuation]) -> None:
    require_other_person(attempt, attempt.record.valuer)


@guard(MACHINE, "reject")
def _rejection_has_a_reason(attempt: Attempt[Valuation]) -> None:
    require_reason(attempt)


@guard(MACHINE, "accept")
def _valuer_is_on_the_panel_then_and_now(attempt: Attempt[Valuation]) -> None:
    """Hold the panel on the day of the opinion, and on the day on which somebody relies on it."""
    valuation = attempt.record
    for day in (day_of(valuation.recorded_at), today()):
        require_on_panel(attempt.session, valuation.valuer, day, attempt.given["asset"])


@guard(MACHINE, "accept")
def _a_great_change_has_two_checkers(attempt: Attempt[Valuation]) -> None:
    if changes_much(attempt.record, attempt.given["previous"]):
        require_other_person(attempt, attempt.record.checker)


@guard(MACHINE, "accept")
def _nothing_newer_stands(attempt: Attempt[Valuation]) -> None:
    previous: Valuation | None = attempt.given["previous"]
    if previous is not None:
        _require_newer(attempt.record, previous)


@guard(MACHINE, "supersede")
def _newer_opinion_stands(attempt: Attempt[Valuation]) -> None:
    _require_newer(attempt.given["newer"], attempt.record)


def _require_newer(newer: Valuation, standing: Valuation) -> None:
    if newer.basis_date < standing.basis_date:
        raise Conflict(
            "valuation_older",
            f"An opinion of {standing.basis_date} stands; this one is of {newer.basis_date}.",
            remedy="Have the asset valued anew.",
        )


@guard(MACHINE, "stale")
def _older_than_the_law_allows(attempt: Attempt[Valuation]) -> None:
    asset = assets.get_asset(attempt.session, attempt.record.asset_id)
    allowed = law_of(asset).valuation_max_age_days
    if (today() - attempt.record.basis_date).days <= allowed:
        raise Conflict(
            "valuation_fresh",
            f"An opinion of {attempt.record.basis_date} is good for {allowed} days.",
        )
