"""What the rules look at: plain values, gathered once for each run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from fractions import Fraction


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong, found by the context that knows.

    Parameters
    ----------
    severity
        Where it is less grave than the rule book says; None takes the book's.
    """

    detail: str
    severity: str | None = None


@dataclass(frozen=True, slots=True)
class LiveEncumbrance:
    """An encumbrance in force, as far as the rules care."""

    kind: str
    effect: str
    secured_paisa: int


@dataclass(frozen=True, slots=True)
class TokenTerms:
    """What a tokenization would issue.

    Parameters
    ----------
    economic_share : Fraction
        Part of the asset's economics that the token carries, above 0 and at most 1.
    maturity
        Day on which the token is paid back, where it ever is.
    """

    fractions: int
    price_paisa: int
    economic_share: Fraction
    maturity: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """One asset on one day.

    Parameters
    ----------
    rival_keys
        Natural keys on which another asset's claim is live.
    title_proof
        Kinds of papers that prove the right in force.
    verified_kinds
        Kinds of the verified papers that speak of that right, and not only of an earlier owner's.
    wrapper_fraction
        Part of the title in the wrapper's name; None when no wrapper is named.
    rival_tokenizations
        Live tokenizations of this asset or of its keys, other than the one judged.
    price_max_age_days
        The same at the opening of a sale, for what has a price every day.
    max_secured_fraction
        Most of the value that may be secured debt.
    expires_on
        Last day of the warehouse receipt.
    right_ends_on
        Last day of the lease, contract or receipt behind a token.
    findings
        Rule id to what is wrong, for the rules whose check needs more than these values: each
        context finds its own (`registry.onboarding.facts` collects them).
    """

    today: date
    rival_keys: tuple[str, ...]
    kul_hissay: int
    hissa: tuple[int, ...]
    title_proof: frozenset[str]
    verified_kinds: frozenset[str]
    wrapper_fraction: Fraction | None
    encumbrances: tuple[LiveEncumbrance, ...]
    value_paisa: int | None
    valued_on: date | None
    valuation_max_age_days: int
    price_max_age_days: int | None
    max_secured_fraction: Fraction
    insured_paisa: int | None
    expires_on: date | None
    right_ends_on: date | None
    rival_tokenizations: int = 0
    terms: TokenTerms | None = None
    findings: Mapping[str, Finding] = field(default_factory=dict)

    @property
    def secured_paisa(self) -> int:
        return sum(item.secured_paisa for item in self.encumbrances)
