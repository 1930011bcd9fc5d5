"""What a case does, act by act, laid out from what it says and from who holds what."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import groupby
from uuid import UUID

from sqlmodel import Session

from registry.captable import portfolio
from registry.captable.models import ForcedAct
from registry.captable.portfolio import Holding
from registry.case.division import divide
from registry.case.models import Case, CaseAct, CaseKind
from registry.case.repository import list_acts, successor_of
from registry.kernel.errors import Conflict, Invalid
from registry.tokenization import service as tokenizations
from registry.tokenization.models import TokenizationState

MAX_TOKENS = 50
"""Tokens of one case: each is a transaction, or more."""

ACT_OF = {
    CaseKind.FREEZE_WALLET: ForcedAct.FREEZE_WALLET,
    CaseKind.FREEZE_UNITS: ForcedAct.FREEZE_UNITS,
    CaseKind.FORCED_TRANSFER: ForcedAct.FORCED_TRANSFER,
    CaseKind.BURN: ForcedAct.BURN,
    CaseKind.RECOVERY: ForcedAct.RECOVERY,
    CaseKind.SUCCESSION: ForcedAct.FORCED_TRANSFER,
}
OPPOSITE = {
    ForcedAct.FREEZE_WALLET: ForcedAct.UNFREEZE_WALLET,
    ForcedAct.FREEZE_UNITS: ForcedAct.UNFREEZE_UNITS,
}
BY_UNITS = frozenset({CaseKind.FREEZE_UNITS, CaseKind.FORCED_TRANSFER, CaseKind.BURN})
WHOLE = frozenset({CaseKind.RECOVERY, CaseKind.SUCCESSION})
"""Kinds that take everything which their subject holds: nobody lists tokens for them."""
BURNABLE = (TokenizationState.REDEEMING, TokenizationState.UNWINDING)
NOTHING_ON_CHAIN = (TokenizationState.BURNED, TokenizationState.CANCELLED)


@dataclass(frozen=True, slots=True)
class TokenUnits:
    """A token that a case names, and how many of its units; none for the whole wallet."""

    tokenization_id: UUID
    units: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedAct:
    """One act, before it has a number."""

    act: ForcedAct
    tokenization_id: UUID
    wallet: bytes
    counterparty: bytes | None = None
    units: int | None = None

    @classmethod
    def of(cls, row: CaseAct) -> PlannedAct:
        return cls(
            act=row.act,
            tokenization_id=row.tokenization_id,
            wallet=row.wallet,
            counterparty=row.counterparty,
            units=int(row.units) if row.units is not None else None,
        )


def lay_out(session: Session, case: Case, tokens: Sequence[TokenUnits] = ()) -> list[PlannedAct]:
    """Return what the case does, in the order of its numbers.

    Raises
    ------
    Invalid
        ``case_tokens_malformed``.
    Conflict
        ``nothing_held``, ``units_frozen``.
    """
    if case.kind == CaseKind.SUCCESSION:
        return _succession(session, case)
    assert case.wallet is not None
    if case.kind == CaseKind.RECOVERY:
        return _recovery(session, case)
    _require_tokens(case.kind, tokens)
    if case.kind == CaseKind.FREEZE_WALLET and not tokens:
        found = portfolio.list_tokens_of(session, case.wallet)
        tokens = [TokenUnits(tokenization.id) for tokenization in found]
        if not tokens:
            raise nothing_held()
    return [
        PlannedAct(
            act=ACT_OF[case.kind],
            tokenization_id=token.tokenization_id,
            wallet=case.wallet,
            counterparty=case.counterparty,
            units=token.units,
        )
        for token in sorted(tokens, key=lambda token: token.tokenization_id)
    ]


def _require_tokens(kind: CaseKind, tokens: Sequence[TokenUnits]) -> None:
    by_units = kind in BY_UNITS
    if by_units and not tokens:
        raise _malformed(f"A {kind} names its tokens and their units.")
    if len({token.tokenization_id for token in tokens}) != len(tokens) or len(tokens) > MAX_TOKENS:
        raise _malformed(f"Each token stands once, and at most {MAX_TOKENS} of them.")
    for token in tokens:
        if (token.units is not None) != by_units or token.units == 0:
            raise _malformed(
                "Units are above zero." if by_units else f"A {kind} is of whole wallets, not units."
            )


def _malformed(detail: str) -> Invalid:
    return Invalid("case_tokens_malformed", detail, field="/tokens")


def nothing_held() -> Conflict:
    return Conflict("nothing_held", "There is no token on which this case could act.")


def _held(session: Session, investor_id: UUID) -> list[Holding]:
    """List the holdings of an investor by token, then by the wallet's address."""
    found = portfolio.list_holdings(session, investor_id)
    if not found:
        raise nothing_held()
    return sorted(found, key=lambda holding: holding.tokenization.id)


def _recovery(session: Session, case: Case) -> list[PlannedAct]:
    assert case.wallet is not None
    assert case.investor_id is not None
    acts = [
        PlannedAct(
            act=ForcedAct.RECOVERY,
            tokenization_id=holding.tokenization.id,
            wallet=case.wallet,
            counterparty=case.counterparty,
        )
        for holding in _held(session, case.investor_id)
        if holding.wallet == case.wallet
    ]
    if not acts:
        raise nothing_held()
    return acts


def _succession(session: Session, case: Case) -> list[PlannedAct]:
    assert case.investor_id is not None
    heirs = [
        (bytes.fromhex(heir["wallet"][2:]), Fraction(*map(int, heir["share"])))
        for heir in case.heirs
    ]
    acts = []
    held = _held(session, case.investor_id)
    for token_id, group in groupby(held, key=lambda holding: holding.tokenization.id):
        holdings = list(group)
        if any(holding.frozen_units for holding in holdings):
            raise Conflict(
                "units_frozen",
                "Some units of the estate are frozen; to divide them would free them.",
                remedy="Lift that freeze first; a freeze of the whole wallet does no harm.",
            )
        estate = [(holding.wallet, holding.balance_units) for holding in holdings]
        acts += [
            PlannedAct(
                act=ForcedAct.FORCED_TRANSFER,
                tokenization_id=token_id,
                wallet=portion.source,
                counterparty=portion.target,
                units=portion.units,
            )
            for portion in divide(estate, heirs)
        ]
    # One transaction a wallet and token: what it does stands together.
    return sorted(acts, key=lambda act: (act.tokenization_id, act.wallet))


def lay_out_lift(session: Session, acts: Iterable[CaseAct]) -> list[PlannedAct]:
    """Return the opposite of acts that happened, on the wallet that has the units now.

    What is over has none: a lift of nothing else lets go what the register alone still holds.

    Raises
    ------
    Conflict
        ``nothing_held``: of the units that were frozen none is frozen still.
    """
    found, ended = [], False
    for act in acts:
        if is_over(session, act):
            ended = True
            continue
        wallet, units = successor_of(session, act.wallet), None
        if act.units is not None:
            tokenization = tokenizations.get_tokenization(session, act.tokenization_id)
            frozen = portfolio.holding_in(session, tokenization, wallet).frozen_units
            units = min(int(act.units), frozen)
        if units != 0:
            found.append(
                PlannedAct(
                    act=OPPOSITE[act.act],
                    tokenization_id=act.tokenization_id,
                    wallet=wallet,
                    units=units,
                )
            )
    if not found and not ended:
        raise nothing_held()
    return found


def is_over(session: Session, act: CaseAct | PlannedAct) -> bool:
    """Tell whether the chain shows nothing more of a freeze: nobody can, or need, undo it there.

    A burn undoes the freeze of fractions, and a token that has ended keeps its frozen wallets.
    """
    tokenization = tokenizations.get_tokenization(session, act.tokenization_id)
    if tokenization.state in NOTHING_ON_CHAIN:
        return True
    if act.units is None or tokenization.state not in BURNABLE:
        return False
    wallet = successor_of(session, act.wallet)
    return portfolio.holding_in(session, tokenization, wallet).balance_units == 0


def write_acts(
    session: Session, case: Case, planned: Sequence[PlannedAct], *, lift_id: UUID | None = None
) -> list[CaseAct]:
    """Give acts their numbers, after those that the case has."""
    first = max((act.number for act in list_acts(session, case.id)), default=0) + 1
    rows = [
        CaseAct(
            case_id=case.id,
            number=number,
            lift_id=lift_id,
            act=act.act,
            tokenization_id=act.tokenization_id,
            wallet=act.wallet,
            counterparty=act.counterparty,
            units=act.units,
        )
        for number, act in enumerate(planned, first)
    ]
    session.add_all(rows)
    session.flush()
    return rows
