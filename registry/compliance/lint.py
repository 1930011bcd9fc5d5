"""What compliance terms make impossible, found before anything is deployed.

Pure: the same terms at the same moment give the same findings. An ERROR is true whatever people
do, or of the sale that is named; a WARNING is true of some course that a sale may take.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cache
from pathlib import Path

from registry.compliance.terms import DAY_S, ComplianceTerms
from registry.kernel.clock import day_of
from registry.rulebook.service import Rule, RuleResult, RulesRefused

ERROR = "ERROR"
OF_THE_MINIMUM = frozenset({"CMP-06", "CMP-09"})
"""What a named sale with a higher minimum would mend: of such a sale it is an ERROR.

Else a sale could reach its minimum and then neither close nor be unwound. That the cut of a
sale that allots pro rata does not fall below its minimum, `registry.offering.terms` sees to.
"""
_Finding = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sale:
    """The terms of the first sale, as far as they are known.

    Parameters
    ----------
    offered_units, minimum_units, min_ticket_units : int
        As `registry.offering` means them.
    """

    offered_units: int
    minimum_units: int = 0
    min_ticket_units: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class LintFacts:
    """What the terms are held against.

    Parameters
    ----------
    declared_units : int
        The declared fractions, which are the supply cap.
    moment : datetime
        Of the question.
    wrapper_country : str | None
        ISO 3166-1 alpha-2 code of whoever is minted the rest; None where nobody is named yet.
    sale : Sale | None
        None where nothing is known of one yet.
    """

    declared_units: int
    moment: datetime
    maturity: date | None = None
    wrapper_country: str | None = None
    sale: Sale | None = None


@cache
def lint_book() -> Mapping[str, tuple[Rule, str]]:
    """Return each finding that there may be and its severity, by its id."""
    rows = json.loads((Path(__file__).parent / "lint.json").read_text("utf-8"))
    texts = ("id", "message", "message_ur", "remedy")
    return {
        row["id"]: (
            Rule(kept_by=("service",), moments={}, **{name: row[name] for name in texts}),
            row["severity"],
        )
        for row in rows
    }


def lint(terms: ComplianceTerms | None, facts: LintFacts) -> tuple[RuleResult, ...]:
    """Return what is wrong or odd with the terms, in the order of the book."""
    if terms is None:
        found: list[_Finding] = [("CMP-01", "It was structured before terms were asked for.")]
    else:
        found = [
            *_receivers(terms, facts),
            *_placement(terms, facts),
            *_rest(terms, facts),
            *_window(terms, facts),
            *_locks(terms, facts),
            *_odd(terms, facts),
        ]
    results = []
    for identifier, detail in sorted(found):
        rule, severity = lint_book()[identifier]
        if facts.sale is not None and identifier in OF_THE_MINIMUM:
            severity = ERROR
        results.append(RuleResult(rule, severity, passed=False, detail=detail))
    return tuple(results)


def errors(findings: Sequence[RuleResult]) -> list[RuleResult]:
    return [finding for finding in findings if finding.severity == ERROR]


def require_sound(terms: ComplianceTerms | None, facts: LintFacts) -> None:
    """Let an act go on only if the lint finds no error.

    Raises
    ------
    RulesRefused
        With every error.
    """
    failed = errors(lint(terms, facts))
    if failed:
        raise RulesRefused("compliance", failed)


def _receivers(terms: ComplianceTerms, facts: LintFacts) -> Iterator[_Finding]:
    if not terms.allowed_countries:
        yield "CMP-02", "The list of allowed countries is empty."
    most, sale = terms.max_units_per_holder, facts.sale
    if most is not None and sale is not None and sale.min_ticket_units > most:
        yield "CMP-07", f"An order is at least {sale.min_ticket_units} units; one may hold {most}."


def _placement(terms: ComplianceTerms, facts: LintFacts) -> Iterator[_Finding]:
    most, holders, sale = terms.max_units_per_holder, terms.max_holders, facts.sale
    if most is None or holders is None:
        return
    if most * holders < facts.declared_units:
        yield (
            "CMP-03",
            f"{holders} holders of {most} units hold {most * holders} of {facts.declared_units}.",
        )
    if sale is not None and sale.minimum_units:
        buyers = -(-sale.minimum_units // most)
        # What is surely not sold has a holder too.
        rest = 1 if sale.offered_units < facts.declared_units else 0
        if buyers + rest > holders:
            needed = f"{buyers} buyers{' and the wrapper' if rest else ''}"
            yield "CMP-04", f"{sale.minimum_units} units need {needed}; {holders} may hold."


def _rest(terms: ComplianceTerms, facts: LintFacts) -> Iterator[_Finding]:
    """What is not sold is minted to the wrapper (TOK-02), which no rule exempts."""
    sale = facts.sale or Sale(offered_units=facts.declared_units)
    certain = facts.declared_units - sale.offered_units
    possible = facts.declared_units - sale.minimum_units
    most = terms.max_units_per_holder
    if most is not None and certain > most:
        yield "CMP-05", f"{certain} units are not offered; one may hold {most}."
    elif most is not None and possible > most:
        yield "CMP-06", f"Up to {possible} units may stay; one may hold {most}."
    country = facts.wrapper_country
    if country is not None and country not in terms.allowed_countries:
        where = f"The wrapper resides in {country}."
        if certain > 0:
            yield "CMP-08", where
        elif possible > 0:
            yield "CMP-09", where


def _window(terms: ComplianceTerms, facts: LintFacts) -> Iterator[_Finding]:
    opens, closes, hours = terms.transfers_from, terms.closes_at, terms.hours
    backwards = opens is not None and closes is not None and closes <= opens
    if backwards:
        yield "CMP-10", f"It opens at {opens} and closes at {closes}."
    if closes is not None and closes <= facts.moment:
        yield "CMP-11", f"It closed at {closes}."
    elif hours is not None and (not hours.weekdays or hours.start_s >= hours.end_s):
        yield "CMP-12", "The hours are empty."
    elif hours is not None and closes is not None and not backwards:
        start = max(int(facts.moment.timestamp()), int(opens.timestamp()) if opens else 0)
        if not _opens_between(terms, start, int(closes.timestamp())):
            yield "CMP-13", f"Nothing is open until {closes}."
    if facts.maturity is not None and opens is not None and day_of(opens) >= facts.maturity:
        yield "CMP-16", f"Transfers begin at {opens}; the token matures on {facts.maturity}."


def _opens_between(terms: ComplianceTerms, start: int, end: int) -> bool:
    """Tell whether a second from `start` until before `end` is open; a week shows all hours."""
    assert terms.hours is not None, "asked only where there are hours"
    offset = terms.hours.utc_offset_s
    midnight = (start + offset) // DAY_S * DAY_S - offset
    openings = (midnight + day * DAY_S + terms.hours.start_s for day in range(8))
    candidates = (start, *openings)
    return any(start <= at < end and terms.is_open_at(at) for at in candidates)


def _locks(terms: ComplianceTerms, facts: LintFacts) -> Iterator[_Finding]:
    if terms.lockup_days is None:
        return
    released = facts.moment + timedelta(days=terms.lockup_days)
    if facts.maturity is not None and day_of(released) >= facts.maturity:
        yield (
            "CMP-14",
            f"Units minted now are free at {released:%Y-%m-%d}; it matures on {facts.maturity}.",
        )
    if terms.closes_at is not None and facts.moment < terms.closes_at <= released:
        yield "CMP-15", f"They are free at {released:%Y-%m-%d}; it closes at {terms.closes_at}."


def _odd(terms: ComplianceTerms, facts: LintFacts) -> Iterator[_Finding]:
    if terms.max_holders == 1:
        yield "CMP-17", "One holder is allowed."
    most, holders = terms.max_units_per_holder, terms.max_holders
    if most is not None and most >= facts.declared_units:
        yield "CMP-18", f"{facts.declared_units} units exist; one may hold {most}."
    if holders is not None and holders >= facts.declared_units:
        yield "CMP-19", f"{facts.declared_units} units have at most as many holders."
