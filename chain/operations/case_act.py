"""A forced act under its case, through the agent that logs the case before the token's events.

The agent carries each number of a case out once, so that even a second instruction for the same
act could not be executed twice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlmodel import Session

from chain.node.client import hex_of
from chain.operations.agent import agent_call
from chain.operations.effect import Call, Chain, PlainEffect
from registry.captable.models import ForcedAct
from registry.case import execution
from registry.case.models import CaseAct as Act
from registry.case.models import CaseKind
from registry.case.repository import chain_id_of, get_case
from registry.investor import wallets
from registry.operation.models import Operation
from registry.tokenization import service as tokenizations

_CALLS: Mapping[ForcedAct, tuple[str, Callable[[Act], tuple[Any, ...]]]] = {
    ForcedAct.FORCED_TRANSFER: (
        "forcedTransfer",
        lambda act: (hex_of(act.wallet), _counterparty(act), _units(act)),
    ),
    ForcedAct.BURN: ("burn", lambda act: (hex_of(act.wallet), _units(act))),
    ForcedAct.FREEZE_WALLET: ("setWalletFrozen", lambda act: (hex_of(act.wallet), True)),
    ForcedAct.UNFREEZE_WALLET: ("setWalletFrozen", lambda act: (hex_of(act.wallet), False)),
    ForcedAct.FREEZE_UNITS: ("freezeUnits", lambda act: (hex_of(act.wallet), _units(act))),
    ForcedAct.UNFREEZE_UNITS: ("unfreezeUnits", lambda act: (hex_of(act.wallet), _units(act))),
}


_BATCHES: Mapping[ForcedAct, str] = {
    ForcedAct.FREEZE_WALLET: "batchSetWalletFrozen",
    ForcedAct.UNFREEZE_WALLET: "batchSetWalletFrozen",
    ForcedAct.FREEZE_UNITS: "batchFreezeUnits",
    ForcedAct.UNFREEZE_UNITS: "batchUnfreezeUnits",
}
"""Acts that go together, each under its own case: freezes, which the token takes in batches."""


class CaseAct(PlainEffect):
    """Calls `CaseAgent` with the id of the case and the number of the act."""

    def lane(self, operation: Operation) -> str | None:
        """Keep the order of acts on one token: a later one may rest on an earlier one."""
        return str(operation.params["tokenization_id"])

    def batch_key(self, operation: Operation) -> str | None:
        together = _BATCHES.get(ForcedAct(operation.params["act"]))
        return f"{operation.params['tokenization_id']}:{together}" if together else None

    def fold(self, session: Session, chain: Chain, operations: Sequence[Operation]) -> Call:
        acts = [act for row in operations for act in execution.acts_of(session, row)]
        said = [(chain_id_of(act.case_id), act.number, *_CALLS[act.act][1](act)) for act in acts]
        return agent_call(session, chain, _BATCHES[acts[0].act], _token(session, acts[0]), said)

    def check(self, session: Session, operation: Operation) -> None:
        """Ask again whether the case stands, is approved, and its receivers may receive."""
        execution.require_act(session, operation)

    def prepare(self, session: Session, chain: Chain, operation: Operation) -> Call:
        acts = execution.acts_of(session, operation)
        function, values = _call(session, acts)
        head = (chain_id_of(acts[0].case_id), acts[0].number, _token(session, acts[0]))
        return agent_call(session, chain, function, *head, *values)

    def on_final(self, session: Session, operation: Operation) -> None:
        execution.follow_case(session, UUID(operation.params["case_id"]))

    def on_failed(self, session: Session, operation: Operation) -> None:
        execution.follow_case(session, UUID(operation.params["case_id"]))


def _call(session: Session, acts: Sequence[Act]) -> tuple[str, tuple[Any, ...]]:
    """Give the agent's function and its arguments after case, number and token."""
    first = acts[0]
    if first.act == ForcedAct.RECOVERY:
        return "recover", _recovery(session, first)
    if get_case(session, first.case_id).kind == CaseKind.SUCCESSION:
        receivers = [_counterparty(act) for act in acts]
        return "batchForcedTransfer", (hex_of(first.wallet), receivers, [*map(_units, acts)])
    [act] = acts
    function, values = _CALLS[act.act]
    return function, values(act)


def _token(session: Session, act: Act) -> str:
    suite = tokenizations.get_tokenization(session, act.tokenization_id).suite
    assert suite is not None, "a case is about tokens that stand"
    token: str = suite["token"]
    return token


def _recovery(session: Session, act: Act) -> tuple[Any, ...]:
    assert act.counterparty is not None
    new = wallets.find_wallet(session, act.counterparty)
    assert new is not None
    assert new.identity is not None, "the link of the new wallet is a dependency of its recovery"
    return hex_of(act.wallet), hex_of(act.counterparty), hex_of(new.identity)


def _counterparty(act: Act) -> str:
    assert act.counterparty is not None, "units are moved to somebody"
    return hex_of(act.counterparty)


def _units(act: Act) -> int:
    assert act.units is not None, "this kind of act is of so many units"
    return int(act.units)
