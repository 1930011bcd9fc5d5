"""The compliance terms of one tokenization, and what the lint says of them."""

from __future__ import annotations

from sqlmodel import Session

from registry.compliance.lint import LintFacts, Sale, errors, lint, require_sound
from registry.compliance.terms import ComplianceTerms
from registry.kernel.clock import now
from registry.party import service as parties
from registry.rulebook.service import RulesRefused
from registry.tokenization.models import Tokenization
from registry.wrapper import service as wrappers

OF_THE_REST = frozenset({"CMP-05", "CMP-08"})
"""Findings of the lint about what the wrapper is minted."""


def terms_of(tokenization: Tokenization) -> ComplianceTerms | None:
    """Return its terms; None where it was structured before they were asked for."""
    if tokenization.compliance is None:
        return None
    return ComplianceTerms.of_record(tokenization.compliance)


def lint_facts(session: Session, tokenization: Tokenization, sale: Sale | None = None) -> LintFacts:
    """Gather what the lint holds the terms against."""
    wrapper = wrappers.find_wrapper(session, tokenization.asset_id)
    company = parties.get_party(session, wrapper.party_id) if wrapper else None
    return LintFacts(
        declared_units=tokenization.declared_fractions,
        moment=now(),
        maturity=tokenization.maturity,
        wrapper_country=company.residence_country if company else None,
        sale=sale,
    )


def require_sound_terms(
    session: Session, tokenization: Tokenization, sale: Sale | None = None
) -> None:
    """Let a step go on only if the lint finds no error.

    Raises
    ------
    RulesRefused
        With every error.
    """
    require_sound(terms_of(tokenization), lint_facts(session, tokenization, sale))


def require_rest_fits(session: Session, tokenization: Tokenization, rest_units: int) -> None:
    """Let a sale end only if what it leaves can be minted to the wrapper.

    Raises
    ------
    RulesRefused
        It is more than one holder may hold, or the wrapper's country is not allowed.
    """
    terms = terms_of(tokenization)
    if terms is None:
        return
    sold = tokenization.declared_fractions - rest_units
    facts = lint_facts(session, tokenization, Sale(offered_units=sold, minimum_units=sold))
    failed = [finding for finding in errors(lint(terms, facts)) if finding.id in OF_THE_REST]
    if failed:
        raise RulesRefused("compliance", failed)
