"""Compliance terms as the modules of a token take them (contracts/compliance)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from chain.contracts.abi import contract
from registry.compliance.terms import ComplianceTerms

MAX_ACTIONS = 30
"""`TREXFactory` takes no more modules with a token."""

Setting = tuple[str, bytes | None]
"""The name of a module, and the call that sets it, where it takes one."""


def module_settings(terms: ComplianceTerms | None, declared_units: int) -> list[Setting]:
    """Give the modules of a token in the order in which the factory takes them.

    The factory's n-th setting is a call of its n-th module, so what takes no setting comes last;
    a module with two settings stands twice, and is added once.

    Parameters
    ----------
    terms
        None for a token without rules of its own: its title is felt all the same.
    """
    settings: list[Setting] = list(_rules(terms, declared_units)) if terms else []
    settings.append(("TitleStatusModule", None))
    assert len(settings) <= MAX_ACTIONS
    return settings


def _rules(terms: ComplianceTerms, declared_units: int) -> Iterator[Setting]:
    yield _set("SupplyCapModule", "declareSupply", declared_units)
    yield _set("CountryAllowModule", "allowCountries", list(terms.country_numbers))
    if terms.max_units_per_holder is not None:
        yield _set("MaxBalanceModule", "setMaxBalance", terms.max_units_per_holder)
    if terms.max_holders is not None:
        yield _set("HolderCapModule", "setHolderCap", terms.max_holders)
    if terms.lockup_s:
        yield _set("LockupModule", "setLockPeriod", terms.lockup_s)
    if terms.has_window:
        dates = (terms.transfers_from, terms.closes_at)
        opens, closes = (int(moment.timestamp()) if moment else 0 for moment in dates)
        yield _set("TransferWindowModule", "setDates", opens, closes)
    if terms.hours is not None:
        hours = terms.hours
        clock = (hours.start_s, hours.end_s, hours.weekday_bits, hours.utc_offset_s)
        yield _set("TransferWindowModule", "setHours", *clock)


def _set(module: str, function: str, *arguments: Any) -> Setting:
    return module, contract(module).functions[function].encode(*arguments)
