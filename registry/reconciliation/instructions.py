"""TOK-07: nothing is minted, burned, frozen, forced or recovered that nobody instructed.

A mint is its operation's. Every other act of an agent is a case's: the agent logs the case in the
same transaction, and the register knows it, approved or by a KYC, with exactly this act.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import ColumnElement, true
from sqlmodel import Session, col, select

from registry.captable.models import EventKind, ForcedAct, Holder, Token, TokenEvent
from registry.case.models import Case, CaseAct
from registry.case.repository import is_taken_over
from registry.operation import service as operations
from registry.operation.models import (
    Operation,
    OperationAttempt,
    OperationKind,
    PlatformContract,
)
from registry.reconciliation.views import Difference, TokenView

CASE_AGENT = "CaseAgent"
"""The platform's contract that is the only agent of every token."""

FORCED_KINDS = (
    EventKind.TRANSFER,
    EventKind.ADDRESS_FROZEN,
    EventKind.TOKENS_FROZEN,
    EventKind.TOKENS_UNFROZEN,
    EventKind.RECOVERY,
)


@dataclass(frozen=True, slots=True)
class _Effect:
    """What an act makes the token log; None stands for any units."""

    kind: EventKind
    source: int | None
    target: int | None
    units: int | None = None
    frozen: bool | None = None

    def explains(self, event: TokenEvent) -> bool:
        extra = event.extra or {}
        return (
            (self.kind, self.source, self.target) == (event.kind, event.source, event.target)
            and (self.units is None or self.units == int(event.units or 0))
            and (self.frozen is None or self.frozen == bool(extra.get("frozen")))
        )


def instruction_differences(session: Session, view: TokenView) -> list[Difference]:
    """Find each act of an agent that is not exactly one approved instruction's."""
    return [
        *_mint_differences(session, view),
        *_forced_differences(session, view),
        *_agent_differences(session, view.token),
    ]


def agent_acts() -> ColumnElement[bool]:
    """Give the condition of the events that only an agent makes, besides mints."""
    forced = col(TokenEvent.extra)["forced"].as_boolean()
    moved = col(TokenEvent.source).is_not(None) & (col(TokenEvent.target).is_(None) | forced)
    no_transfer = col(TokenEvent.kind) != EventKind.TRANSFER
    acts: ColumnElement[bool] = col(TokenEvent.kind).in_(FORCED_KINDS) & (no_transfer | moved)
    return acts


def _place(event: TokenEvent) -> str:
    return f"{event.block_number}.{event.log_index}"


# Mints


def _mint_differences(session: Session, view: TokenView) -> Iterator[Difference]:
    used: dict[UUID, str] = {}
    carried: dict[UUID, Iterator[Operation]] = {}
    rows = session.exec(
        select(TokenEvent, Operation)
        .outerjoin(OperationAttempt, col(OperationAttempt.tx_hash) == col(TokenEvent.tx_hash))
        .outerjoin(Operation, col(Operation.id) == col(OperationAttempt.operation_id))
        .where(
            col(TokenEvent.token_no) == view.token.token_no,
            col(TokenEvent.kind) == EventKind.TRANSFER,
            col(TokenEvent.source).is_(None),
        )
        .order_by(col(TokenEvent.block_number), col(TokenEvent.log_index))
    )
    for event, sent in rows.all():
        operation: Operation | None = sent
        if sent is not None and sent.kind == OperationKind.BATCH:
            # The events of a batch come in the order of its rows.
            if sent.id not in carried:
                carried[sent.id] = iter(operations.list_carried(session, sent.id))
            operation = next(carried[sent.id], None)
        wrong = _fault_of_mint(event, operation, view)
        if wrong is None and operation is not None:
            first = used.setdefault(operation.id, _place(event))
            wrong = (
                None if first == _place(event) else f"Its instruction is that of {first} already."
            )
        if wrong is not None:
            yield Difference("TOK-07", _place(event), wrong)


def _fault_of_mint(event: TokenEvent, operation: Operation | None, view: TokenView) -> str | None:
    if operation is None or operation.kind != OperationKind.MINT:
        return f"A MINT of {event.units} matches no instruction."
    if operation.params.get("tokenization_id") != str(view.tokenization.id):
        return "The instruction of this MINT is for another token."
    if int(operation.params["units"]) != int(event.units or 0):
        return f"{event.units} were minted, {operation.params['units']} were instructed."
    return None


# Forced acts


def _forced_differences(session: Session, view: TokenView) -> Iterator[Difference]:
    events = session.exec(
        select(TokenEvent)
        .where(col(TokenEvent.token_no) == view.token.token_no, agent_acts())
        .order_by(col(TokenEvent.block_number), col(TokenEvent.log_index))
    ).all()
    expected = _expected_effects(session, view)
    for event in events:
        left = expected[event.tx_hash]
        cause = next((effect for effect in left if effect.explains(event)), None)
        if cause is not None:
            left.remove(cause)
            continue
        what = _name_of(event)
        said = f"{what} of {event.units}" if event.units is not None else what
        yield Difference("TOK-07", _place(event), f"A {said} matches no case of the register.")


def _name_of(event: TokenEvent) -> str:
    if event.kind != EventKind.TRANSFER:
        return EventKind(event.kind).name
    return "BURN" if event.target is None else "FORCED_TRANSFER"


def _expected_effects(session: Session, view: TokenView) -> Mapping[bytes, list[_Effect]]:
    """Return what the cases that we know explain, by transaction."""
    found: dict[bytes, list[_Effect]] = defaultdict(list)
    rows = session.exec(
        select(TokenEvent).where(
            col(TokenEvent.token_no) == view.token.token_no,
            col(TokenEvent.kind) == EventKind.CASE_ACT,
        )
    ).all()
    names = _addresses(session, rows)
    for event in rows:
        act = _known_act(session, view, event, names)
        if act is not None or _is_redeemed(session, view, event, names):
            found[event.tx_hash] += _effects(event)
    return found


def _is_redeemed(
    session: Session, view: TokenView, event: TokenEvent, names: Mapping[int | None, bytes]
) -> bool:
    """Tell whether the act is a burn that a paid redemption, or a sale given up, has planned."""
    sent = session.exec(
        select(Operation)
        .join(OperationAttempt, col(OperationAttempt.operation_id) == col(Operation.id))
        .where(
            col(OperationAttempt.tx_hash) == event.tx_hash,
            col(Operation.kind) == OperationKind.REDEEM,
        )
    ).first()
    if sent is None or event.source is None or (event.extra or {})["act"] != ForcedAct.BURN:
        return False
    said = sent.params
    return (
        said["tokenization_id"] == str(view.tokenization.id)
        and said["wallet"] == f"0x{names[event.source].hex()}"
        and int(said["units"]) == int(event.units or 0)
    )


def _addresses(session: Session, events: Sequence[TokenEvent]) -> dict[int | None, bytes]:
    numbers = {number for event in events for number in (event.source, event.target)}
    rows = session.exec(
        select(Holder.holder_no, Holder.address).where(col(Holder.holder_no).in_(numbers))
    )
    return dict(rows.all())


def _known_act(
    session: Session, view: TokenView, event: TokenEvent, names: Mapping[int | None, bytes]
) -> CaseAct | None:
    """Return the act of an approved case that a log of the agent names, if it is just that."""
    said = event.extra or {}
    padded = bytes.fromhex(said["case_id"])
    if any(padded[:16]):
        return None
    row = session.exec(
        select(CaseAct)
        .join(Case, col(Case.id) == col(CaseAct.case_id))
        .where(
            col(CaseAct.case_id) == UUID(bytes=padded[16:]),
            col(CaseAct.number) == int(said["number"]),
            col(CaseAct.tokenization_id) == view.tokenization.id,
            col(CaseAct.act) == ForcedAct(said["act"]),
            col(CaseAct.operation_id).is_not(None),
            col(Case.approved_by).is_not(None) | col(Case.document_id).is_(None),
        )
    ).first()
    if row is None or is_taken_over(session, row) or row.wallet != names.get(event.source):
        return None
    whole = row.units is None
    same_units = whole or int(row.units or 0) == int(event.units or 0)
    return row if same_units and row.counterparty == names.get(event.target) else None


def _effects(event: TokenEvent) -> list[_Effect]:
    """Return what the token logs beside one act of the agent (`erc3643-facts` section 6)."""
    wallet, other, units = event.source, event.target, int(event.units or 0)
    freed = _Effect(EventKind.TOKENS_UNFROZEN, None, wallet)
    moved = _Effect(EventKind.TRANSFER, wallet, other, units)
    return {
        ForcedAct.FORCED_TRANSFER: [freed, moved],
        ForcedAct.BURN: [freed, moved],
        ForcedAct.FREEZE_WALLET: [_Effect(EventKind.ADDRESS_FROZEN, None, wallet, frozen=True)],
        ForcedAct.UNFREEZE_WALLET: [_Effect(EventKind.ADDRESS_FROZEN, None, wallet, frozen=False)],
        ForcedAct.FREEZE_UNITS: [_Effect(EventKind.TOKENS_FROZEN, None, wallet, units)],
        ForcedAct.UNFREEZE_UNITS: [_Effect(EventKind.TOKENS_UNFROZEN, None, wallet, units)],
        ForcedAct.RECOVERY: [
            freed,
            moved,
            _Effect(EventKind.TOKENS_FROZEN, None, other),
            _Effect(EventKind.ADDRESS_FROZEN, None, other, frozen=True),
            _Effect(EventKind.RECOVERY, wallet, other),
        ],
    }[ForcedAct((event.extra or {})["act"])]


# Agents


def _agent_differences(session: Session, token: Token) -> Iterator[Difference]:
    """Find the agents of a token besides the one through which everything goes."""
    ours = session.get(PlatformContract, (token.chain_id, CASE_AGENT))
    rows = session.exec(
        select(Holder.address, TokenEvent.kind)
        .join(TokenEvent, col(TokenEvent.target) == col(Holder.holder_no))
        .where(
            col(TokenEvent.token_no) == token.token_no,
            col(TokenEvent.kind).in_([EventKind.AGENT_ADDED, EventKind.AGENT_REMOVED]),
            (col(Holder.address) != ours.address) if ours else true(),
        )
        .order_by(col(TokenEvent.block_number), col(TokenEvent.log_index))
    )
    newest = dict(rows.all())
    for address, kind in sorted(newest.items()):
        if kind == EventKind.AGENT_ADDED:
            yield Difference(
                "TOK-07",
                f"agent:0x{address.hex()}",
                "An agent besides the case agent can act on every holder's units.",
            )
