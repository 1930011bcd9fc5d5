"""Proposed mints, one after the other, on a token that does not exist yet. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from registry.compliance.facts import Movement, TokenFacts, WalletFacts
from registry.compliance.rules import Answer, judge
from registry.compliance.terms import ComplianceTerms


@dataclass(frozen=True, slots=True)
class Allotment:
    """Units that somebody is to get.

    Parameters
    ----------
    receiver : WalletFacts
        What will be true of the wallet when it is minted to, its holdings aside.
    """

    receiver: WalletFacts
    units: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What would become of one mint; `refusals` are the rules that fail."""

    allotment: Allotment
    refusals: tuple[Answer, ...]


def rehearse(
    allotments: Sequence[Allotment],
    terms: ComplianceTerms | None,
    declared_units: int,
    moment: datetime,
) -> list[Outcome]:
    """Mint each in order; what is refused is not minted, and counts for nothing after."""
    token = TokenFacts(
        terms=terms,
        declared_units=declared_units,
        supply_units=0,
        holders=0,
        paused=True,
        timestamp=int(moment.timestamp()),
    )
    held: dict[bytes, dict[bytes, int]] = defaultdict(lambda: defaultdict(int))
    outcomes = []
    for allotment in allotments:
        wallets = held[allotment.receiver.owner]
        receiver = replace(
            allotment.receiver,
            balance_units=wallets.get(allotment.receiver.address, 0),
            owner_units=sum(wallets.values()),
            owner_wallets=len(wallets),
        )
        mint = Movement(receiver=receiver, sender=None, units=allotment.units)
        answers = judge(token, mint, moment)
        refusals = tuple(answer for answer in answers if not answer.passed)
        outcomes.append(Outcome(allotment, refusals))
        if not refusals:
            wallets[receiver.address] += allotment.units
            token = replace(
                token,
                supply_units=token.supply_units + allotment.units,
                holders=sum(1 for owner in held.values() if owner),
            )
    return outcomes
