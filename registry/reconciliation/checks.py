"""What is held against what: the rules of reconciliation, each a function of one token.

A check reads the projected chain and the register, and says what differs; it writes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from uuid import UUID

from sqlmodel import Session, col, select

from registry.captable import service as captable
from registry.captable.models import EventKind, Token, TokenEvent
from registry.operation import service as operations
from registry.operation.models import Operation, OperationAttempt, OperationKind
from registry.reconciliation.freezes import order_differences
from registry.reconciliation.statements import statement_differences
from registry.reconciliation.views import Difference, TokenView
from registry.tokenization.models import Tokenization, TokenizationState

_INSTRUCTED: Mapping[EventKind, frozenset[OperationKind]] = {
    EventKind.TRANSFER: frozenset({OperationKind.MINT}),
    # The register has no instruction yet that freezes, burns or recovers: whoever did it did it
    # past the register.
    EventKind.ADDRESS_FROZEN: frozenset(),
    EventKind.TOKENS_FROZEN: frozenset(),
    EventKind.TOKENS_UNFROZEN: frozenset(),
    EventKind.RECOVERY: frozenset(),
}


_WHOLE = frozenset({TokenizationState.LIVE, TokenizationState.PAUSED})
_CHANGING = frozenset({TokenizationState.MINTING, TokenizationState.REDEEMING})


def supply_differences(session: Session, view: TokenView) -> list[Difference]:
    """TOK-02: the declared fractions while it lives; none before the mint and after the burn."""
    supply, declared = captable.supply_at(session, view.token, view.block), view.tokenization
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
    held = sum(entry.balance_units for entry in view.entries)
    supply = captable.supply_at(session, view.token, view.block)
    if held != supply:
        found.append(
            Difference("TOK-03", "supply", f"The holders have {held}, the supply is {supply}.")
        )
    found += [
        Difference(
            "TOK-03",
            f"0x{entry.address.hex()}",
            f"Holds {entry.balance_units} without a verified identity.",
        )
        for entry in view.entries
        if entry.identity is None or entry.party is None
    ]
    return found


@dataclass(frozen=True, slots=True)
class _Instructed:
    event: TokenEvent
    operation: Operation | None


def instruction_differences(session: Session, view: TokenView) -> list[Difference]:
    """TOK-07: each mint, burn, freeze and recovery is exactly one approved instruction's."""
    used: dict[str, str] = {}
    found = []
    for item in _instructed_events(session, view.token):
        where = f"{item.event.block_number}.{item.event.log_index}"
        wrong = _fault(item, view.tokenization)
        if wrong is None and item.operation is not None:
            first = used.setdefault(str(item.operation.id), where)
            wrong = None if first == where else f"Its instruction is that of {first} already."
        if wrong is not None:
            found.append(Difference("TOK-07", where, wrong))
    return found


def _instructed_events(session: Session, token: Token) -> list[_Instructed]:
    rows = session.exec(
        select(TokenEvent, Operation)
        .outerjoin(OperationAttempt, col(OperationAttempt.tx_hash) == col(TokenEvent.tx_hash))
        .outerjoin(Operation, col(Operation.id) == col(OperationAttempt.operation_id))
        .where(
            col(TokenEvent.token_no) == token.token_no,
            col(TokenEvent.kind).in_(list(_INSTRUCTED)),
            # Between two holders nobody instructs: that is their own transfer.
            (col(TokenEvent.kind) != EventKind.TRANSFER)
            | col(TokenEvent.source).is_(None)
            | col(TokenEvent.target).is_(None),
        )
        .order_by(col(TokenEvent.block_number), col(TokenEvent.log_index))
    )
    carried: dict[UUID, Iterator[Operation]] = {}
    found = []
    for event, operation in rows.all():
        instruction: Operation | None = operation
        if operation is not None and operation.kind == OperationKind.BATCH:
            # The events of a batch come in the order of its rows.
            if operation.id not in carried:
                carried[operation.id] = iter(operations.list_carried(session, operation.id))
            instruction = next(carried[operation.id], None)
        found.append(_Instructed(event, instruction))
    return found


def _fault(item: _Instructed, tokenization: Tokenization) -> str | None:
    event, operation = item.event, item.operation
    kind = EventKind(event.kind)
    what = kind.name
    if kind == EventKind.TRANSFER:
        what = "MINT" if event.source is None else "BURN"
    if operation is None or what == "BURN" or operation.kind not in _INSTRUCTED[kind]:
        return f"A {what} of {event.units} matches no instruction."
    if operation.params.get("tokenization_id") != str(tokenization.id):
        return f"The instruction of this {what} is for another token."
    if int(operation.params["units"]) != int(event.units or 0):
        return f"{event.units} were minted, {operation.params['units']} were instructed."
    return None


Check = Callable[[Session, TokenView], list[Difference]]

CHECKS: Mapping[str, Check] = {
    "TOK-02": supply_differences,
    "TOK-03": cap_table_differences,
    "TOK-07": instruction_differences,
    "ORD-01": order_differences,
    "REG-01": statement_differences,
}
