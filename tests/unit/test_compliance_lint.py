"""Each finding of the lint has terms that give exactly it, and terms on the other side."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from registry.compliance.lint import (
    LintFacts,
    Sale,
    errors,
    lint,
    lint_book,
    require_sound,
)
from registry.compliance.terms import DAY_S, ComplianceTerms, TradingHours
from registry.kernel.settings import ROOT
from registry.rulebook.service import RulesRefused

pytestmark = pytest.mark.unit

MOMENT = datetime(2026, 7, 27, 9, 0, tzinfo=UTC)
"""A Monday."""
FACTS = LintFacts(declared_units=100, moment=MOMENT, wrapper_country="PK")
ALL_SOLD = Sale(offered_units=100, minimum_units=100)
URDU_STOP = "\u06d4"
LATER = MOMENT + timedelta(days=30)


def days(number: float) -> datetime:
    return MOMENT + timedelta(days=number)


def hours(*weekdays: int, start_s: int = 0, end_s: int = DAY_S) -> TradingHours:
    return TradingHours(start_s=start_s, end_s=end_s, weekdays=weekdays, utc_offset_s=0)


def terms(**changes: Any) -> ComplianceTerms:
    return ComplianceTerms(**changes)


def facts(**changes: Any) -> LintFacts:
    return replace(FACTS, **changes)


def sale(offered: int, minimum: int = 0, ticket: int = 1) -> LintFacts:
    return facts(sale=Sale(offered_units=offered, minimum_units=minimum, min_ticket_units=ticket))


FOUND: list[tuple[str, ComplianceTerms | None, LintFacts]] = [
    ("CMP-01", None, FACTS),
    ("CMP-02", terms(allowed_countries=()), facts(wrapper_country=None)),
    ("CMP-03", terms(max_units_per_holder=9, max_holders=11), sale(100, 95)),
    ("CMP-04", terms(max_units_per_holder=50, max_holders=2), sale(99, 51)),
    ("CMP-05", terms(max_units_per_holder=50), sale(49, 49)),
    ("CMP-06", terms(max_units_per_holder=50), sale(100, 49)),
    ("CMP-06", terms(max_units_per_holder=50), FACTS),
    ("CMP-07", terms(max_units_per_holder=50), sale(100, 100, ticket=51)),
    ("CMP-08", terms(allowed_countries=("AE",)), sale(99, 99)),
    ("CMP-09", terms(allowed_countries=("AE",)), sale(100, 99)),
    ("CMP-10", terms(opens_at=days(2), closes_at=days(1)), FACTS),
    ("CMP-10", terms(opens_at=days(2), closes_at=days(2)), FACTS),
    ("CMP-10", terms(lockup_until=days(2), closes_at=days(2)), FACTS),
    ("CMP-11", terms(closes_at=MOMENT), FACTS),
    ("CMP-12", terms(hours=hours()), FACTS),
    ("CMP-12", terms(hours=hours(1, start_s=9, end_s=9)), FACTS),
    ("CMP-13", terms(hours=hours(7), closes_at=days(5)), FACTS),
    ("CMP-13", terms(hours=hours(1, end_s=9 * 3600), closes_at=days(6)), FACTS),
    ("CMP-14", terms(lockup_days=30), facts(maturity=LATER.date())),
    ("CMP-15", terms(lockup_days=30, closes_at=LATER), FACTS),
    ("CMP-16", terms(opens_at=LATER), facts(maturity=LATER.date())),
    ("CMP-16", terms(lockup_until=LATER), facts(maturity=LATER.date())),
    ("CMP-17", terms(max_holders=1), FACTS),
    ("CMP-18", terms(max_units_per_holder=100), FACTS),
    ("CMP-19", terms(max_holders=100), FACTS),
]

SOUND: list[tuple[ComplianceTerms, LintFacts]] = [
    (terms(), FACTS),
    (terms(), sale(1, 0)),
    (terms(max_units_per_holder=10, max_holders=10), facts(sale=ALL_SOLD)),
    (terms(max_units_per_holder=50, max_holders=3), sale(99, 51)),
    (terms(max_units_per_holder=50, max_holders=2), sale(100, 100)),
    (terms(max_units_per_holder=50), sale(50, 50)),
    (terms(max_units_per_holder=50), sale(100, 50, ticket=50)),
    (terms(allowed_countries=("AE",)), facts(sale=ALL_SOLD)),
    (terms(allowed_countries=("AE",)), facts(wrapper_country=None)),
    (terms(opens_at=days(1), closes_at=days(2)), FACTS),
    (terms(closes_at=MOMENT + timedelta(seconds=1)), FACTS),
    (terms(hours=hours(7), closes_at=days(6)), FACTS),
    (terms(hours=hours(1), closes_at=days(0.1)), FACTS),
    (terms(hours=hours(1, end_s=9 * 3600), closes_at=days(7)), FACTS),
    (terms(lockup_days=29), facts(maturity=LATER.date())),
    (terms(lockup_days=29, closes_at=LATER), FACTS),
    (terms(opens_at=days(29)), facts(maturity=LATER.date())),
    (terms(max_holders=2), FACTS),
    (terms(max_units_per_holder=99), facts(sale=ALL_SOLD)),
    (terms(max_holders=99), FACTS),
]


@pytest.mark.parametrize(("finding", "said", "given"), FOUND)
def test_lint__terms_that_break_one_rule__find_exactly_it(
    finding: str, said: ComplianceTerms | None, given: LintFacts
) -> None:
    [found] = lint(said, given)

    assert found.id == finding
    assert found.detail


@pytest.mark.parametrize(("said", "given"), SOUND)
def test_lint__terms_just_within__find_nothing(said: ComplianceTerms, given: LintFacts) -> None:
    assert [finding.id for finding in lint(said, given)] == []


@pytest.mark.parametrize("said", [
    terms(max_units_per_holder=50), terms(allowed_countries=("AE",)),
])  # fmt: skip
def test_lint__rest_that_may_not_fit__is_an_error_of_a_sale_that_is_named(
    said: ComplianceTerms,
) -> None:
    [thought_of], [named] = lint(said, FACTS), lint(said, sale(100, 49))

    assert (thought_of.id, thought_of.severity) == (named.id, "WARNING")
    assert named.severity == "ERROR"


def test_lint__every_finding__is_broken_here_and_documented() -> None:
    documented = (ROOT / "docs" / "reference" / "compliance.md").read_text("utf-8")

    assert lint_book().keys() == {finding for finding, _, _ in FOUND}
    for identifier, (rule, severity) in lint_book().items():
        assert f"| {identifier} | {severity} |" in documented
        assert severity in {"ERROR", "WARNING", "NOTICE"}
        assert rule.message.endswith(".")
        assert rule.message_ur.endswith(URDU_STOP)
        assert rule.remedy.endswith(".")


def test_require_sound__errors_among_others__names_the_errors_alone() -> None:
    said = terms(allowed_countries=(), max_holders=1, opens_at=days(2), closes_at=days(1))
    assert len(errors(lint(said, FACTS))) < len(lint(said, FACTS))

    with pytest.raises(RulesRefused) as refusal:
        require_sound(said, FACTS)

    assert [result.id for result in refusal.value.failed] == ["CMP-02", "CMP-10"]


def test_require_sound__warnings_alone__let_it_go_on() -> None:
    assert lint(terms(max_holders=1), FACTS)

    require_sound(terms(max_holders=1), FACTS)


def test_lint__leap_of_maturity__is_a_legal_date_of_the_seat() -> None:
    # 20:00 UTC is past midnight in Pakistan.
    evening = datetime(2026, 7, 27, 20, 0, tzinfo=UTC)
    said = terms(opens_at=evening)

    [found] = lint(said, facts(maturity=date(2026, 7, 28)))

    assert found.id == "CMP-16"
