"""What is held against what: the rules of reconciliation, each a function of one token.

A check reads the projected chain and the register, and says what differs; it writes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sqlmodel import Session

from registry.captable import entries
from registry.captable.supply import supply_at
from registry.reconciliation.awaited import late_statement
from registry.reconciliation.freezes import order_differences
from registry.reconciliation.instructions import instruction_differences
from registry.reconciliation.proofs import proof_differences
from registry.reconciliation.statements import statement_differences
from registry.reconciliation.views import Difference, TokenView
from registry.tokenization.models import TokenizationState

_WHOLE = frozenset({TokenizationState.LIVE, TokenizationState.PAUSED})
_CHANGING = frozenset(
    {TokenizationState.MINTING, TokenizationState.REDEEMING, TokenizationState.UNWINDING}
)


def supply_differences(session: Session, view: TokenView) -> list[Difference]:
    """TOK-02: the declared fractions while it lives; none before the mint and after the burn."""
    supply, declared = supply_at(session, view.token, view.block), view.tokenization
    state, whole = declared.state, declared.declared_fractions
    least = whole if state in _WHOLE else 0
    most = whole if state in _WHOLE | _CHANGING else 0
    if least <= supply <= most:
        return []
    wanted = f"{most}" if least == most else f"{least} to {most}"
    said = f"{supply} fractions exist of a token that is {state}; {wanted} should."
    return [Difference("TOK-02", "supply", said)]


def cap_table_differences(session: Session, view: TokenView) -> list[Difference]:
    """TOK-03: the holdings sum to the supply, and each holder has a verified identity."""
    found = []
    held, strangers = entries.held_and_strangers(session, view.token, view.block)
    supply = supply_at(session, view.token, view.block)
    if held != supply:
        found.append(
            Difference("TOK-03", "supply", f"The holders have {held}, the supply is {supply}.")
        )
    found += [
        Difference(
            "TOK-03",
            f"0x{address.hex()}",
            f"Holds {units} without a verified identity.",
        )
        for address, units in strangers
    ]
    return found


def register_differences(session: Session, view: TokenView) -> list[Difference]:
    """REG-01: what the register of record says, and that it says something."""
    return late_statement(session, view) + statement_differences(session, view)


Check = Callable[[Session, TokenView], list[Difference]]

CHECKS: Mapping[str, Check] = {
    "TOK-02": supply_differences,
    "TOK-03": cap_table_differences,
    "TOK-07": instruction_differences,
    "TOK-08": proof_differences,
    "ORD-01": order_differences,
    "REG-01": register_differences,
}
