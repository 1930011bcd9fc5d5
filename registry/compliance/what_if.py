"""The present holders held against rules that somebody proposes. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from registry.compliance.rules import RuleText, eligibility_book
from registry.compliance.terms import ComplianceTerms


@dataclass(frozen=True, slots=True)
class HeldWallet:
    """A wallet that holds, as it is registered; country is ISO 3166-1 numeric."""

    address: bytes
    identity: bytes | None
    country: int | None
    balance_units: int


@dataclass(frozen=True, slots=True)
class Affected:
    """A holder whom a rule touches.

    Parameters
    ----------
    wallets : tuple[bytes, ...]
        Those of the identity that the rule looks at.
    units : int
        What they hold.
    over_units : int
        How much of it is beyond the rule; kept, but nothing can be added.
    """

    wallets: tuple[bytes, ...]
    units: int
    over_units: int = 0


@dataclass(frozen=True, slots=True)
class Effect:
    """What one rule would do to the holders that there are.

    Parameters
    ----------
    over : tuple[Affected, ...]
        Who would be beyond the rule.
    cannot_receive : tuple[Affected, ...]
        Who could receive no further unit; who is over is among them.
    """

    rule: RuleText
    over: tuple[Affected, ...] = ()
    cannot_receive: tuple[Affected, ...] = ()

    @property
    def over_units(self) -> int:
        return sum(holder.over_units for holder in self.over)


@dataclass(frozen=True, slots=True)
class WhatIf:
    """What proposed rules would do.

    Parameters
    ----------
    holders_over : int
        Holders beyond the cap on their number; nobody has to leave, and nobody new comes in.
    is_open_now : bool
        Whether the proposed dates and hours would let holders transfer in this block.
    needs_adoption : bool
        Whether a module is new that has to be shown every wallet before anything moves.
    """

    holders: int
    supply_units: int
    effects: tuple[Effect, ...]
    holders_over: int
    cannot_receive: tuple[bytes, ...]
    is_open_now: bool
    needs_adoption: bool


def what_if(
    wallets: Sequence[HeldWallet],
    present: ComplianceTerms | None,
    proposed: ComplianceTerms,
    *,
    timestamp: int,
) -> WhatIf:
    """Hold everybody who holds against `proposed`.

    Parameters
    ----------
    present
        The rules that the token has now.
    timestamp
        Of the block of which `wallets` are, in seconds since the epoch.
    """
    owners: dict[bytes, list[HeldWallet]] = defaultdict(list)
    for wallet in wallets:
        owners[wallet.identity or wallet.address].append(wallet)
    holders = len(owners)
    cap = proposed.max_holders
    allowed = set(proposed.country_numbers)
    unknown = _wallets("identity_registered", wallets, lambda wallet: wallet.identity is None)
    abroad = _wallets("country_allowed", wallets, lambda wallet: wallet.country not in allowed)
    balances = _balances(list(owners.values()), proposed.max_units_per_holder)
    effects = (unknown, abroad, balances)
    return WhatIf(
        holders=holders,
        supply_units=sum(wallet.balance_units for wallet in wallets),
        effects=effects,
        holders_over=max(holders - cap, 0) if cap is not None else 0,
        cannot_receive=tuple(
            sorted(
                {
                    address
                    for effect in effects
                    for holder in effect.cannot_receive
                    for address in holder.wallets
                }
            )
        ),
        is_open_now=proposed.is_open_at(timestamp),
        needs_adoption=bool(wallets) and _counts_anew(present, proposed),
    )


def _wallets(
    rule: str, wallets: Sequence[HeldWallet], touches: Callable[[HeldWallet], bool]
) -> Effect:
    """Find the wallets that could not receive; what they hold they keep."""
    touched = tuple(
        Affected((wallet.address,), wallet.balance_units) for wallet in wallets if touches(wallet)
    )
    return Effect(eligibility_book()[rule], cannot_receive=touched)


def _balances(owners: Sequence[Sequence[HeldWallet]], most: int | None) -> Effect:
    rule = eligibility_book()["max_balance"]
    if most is None:
        return Effect(rule)
    holders = []
    for wallets in owners:
        units = sum(wallet.balance_units for wallet in wallets)
        addresses = tuple(wallet.address for wallet in wallets)
        holders.append(Affected(addresses, units, max(units - most, 0)))
    return Effect(
        rule,
        over=tuple(holder for holder in holders if holder.over_units),
        cannot_receive=tuple(holder for holder in holders if holder.units >= most),
    )


def _counts_anew(present: ComplianceTerms | None, proposed: ComplianceTerms) -> bool:
    """Tell whether a module that counts holders would be bound to a token with units."""
    had = {
        name
        for name in ("max_units_per_holder", "max_holders")
        if present is not None and getattr(present, name) is not None
    }
    wants = {
        name
        for name in ("max_units_per_holder", "max_holders")
        if getattr(proposed, name) is not None
    }
    return bool(wants - had)
