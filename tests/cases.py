"""Cases for tests, on a live token whose chain the test writes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from sqlmodel import col, select

from registry.asset.models import Asset
from registry.captable import portfolio
from registry.captable.models import EventKind, ForcedAct
from registry.case import execution, repository
from registry.case import service as cases
from registry.case.hashing import case_hash
from registry.case.layout import TokenUnits
from registry.case.models import Case, CaseAct, CaseKind, CaseState
from registry.case.service import NamedHeir, NewCase, NewLift
from registry.kernel.actor import Actor, Role
from registry.kernel.clock import now
from registry.mutation.heirs import Relation
from registry.operation.models import Operation, OperationAttempt, OperationKind, OperationState
from registry.tokenization.models import TokenizationState
from tests import factories as make
from tests.deeds import refusal
from tests.factories import CHECKER, COMPLIANCE, Buyer, Desk
from tests.ledger import Ledger


def new_case(desk: Desk, kind: CaseKind, asset: Asset, **changes: Any) -> NewCase:
    """Write a case on an order that is filed and verified under the asset."""
    paper = make.file_document(desk, asset, "COURT_ORDER")
    new = NewCase(
        kind=kind,
        legal_basis="Section 94, Code of Criminal Procedure",
        reason="Ordered by the court",
        document_id=paper.id,
        document_sha256=paper.sha256,
    )
    return replace(new, **changes)


def terms_of(chain: Ledger, kind: CaseKind, units: int = 100) -> dict[str, Any]:
    """Say what each kind needs, about the first holder of a token."""
    first, *others = chain.holders
    token = chain.tokenization.id
    by_units = {"wallet": first.wallet.address, "tokens": (TokenUnits(token, units),)}
    if kind == CaseKind.FREEZE_WALLET:
        return {"wallet": first.wallet.address, "tokens": (TokenUnits(token),)}
    if kind == CaseKind.FORCED_TRANSFER:
        return by_units | {"counterparty": others[0].wallet.address}
    if kind == CaseKind.RECOVERY:
        new = make.proven_wallet(chain.desk, first.actor, first.investor.id)
        return {"wallet": first.wallet.address, "counterparty": new.address}
    if kind == CaseKind.SUCCESSION:
        return {"investor_id": first.investor.id, "heirs": heirs(*others)}
    return by_units


def heirs(*people: Buyer, hissa: tuple[int, ...] = ()) -> tuple[NamedHeir, ...]:
    """Name heirs by stated parts, or all as sons."""
    if not hissa:
        return tuple(NamedHeir(who.investor.id, Relation.SON) for who in people)
    return tuple(
        NamedHeir(who.investor.id, Relation.OTHER, part)
        for who, part in zip(people, hissa, strict=True)
    )


def opened(chain: Ledger, kind: CaseKind, *, who: Actor = COMPLIANCE, **changes: Any) -> Case:
    """Open a case of a kind on the token's first holder; more terms replace the usual ones."""
    said = terms_of(chain, kind) | changes
    new = new_case(chain.desk, kind, chain.wrapped.asset, **said)
    return cases.open_case(chain.desk.session, who, new)


def redeeming(chain: Ledger) -> None:
    """Put the token into its redemption: only then it is burned."""
    chain.tokenization.state = TokenizationState.REDEEMING
    chain.desk.session.flush()


def code_of(act: Callable[[], object]) -> str:
    """Return the code with which an act is refused."""
    return refusal(act)[0]


def open_refused(chain: Ledger, kind: CaseKind, **changes: Any) -> str:
    """Return the code with which a case is refused when it is opened."""
    return code_of(lambda: opened(chain, kind, **changes))


def state(case: Case) -> CaseState:
    """Return where a case stands; a checker of types would believe what it saw before."""
    return case.state


def approve(desk: Desk, case: Case, who: Actor = CHECKER, role: Role | None = None) -> Case:
    return cases.approve_case(
        desk.session,
        who,
        case.id,
        role=role or Role.REGISTRAR_CHECKER,
        seen_hash=case_hash(desk.session, case),
    )


def execute(desk: Desk, case: Case, who: Actor = COMPLIANCE) -> list[Operation]:
    return execution.execute_case(desk.session, who, case.id)


def executing(chain: Ledger, kind: CaseKind, **changes: Any) -> Case:
    case = approve(chain.desk, opened(chain, kind, **changes))
    execute(chain.desk, case)
    return case


def open_lift(chain: Ledger, case: Case, who: Actor = COMPLIANCE) -> Case:
    paper = make.file_document(chain.desk, chain.wrapped.asset, "VACATING_ORDER")
    new = NewLift(
        legal_basis="Vacating order",
        reason="The investigation is closed",
        document_id=paper.id,
        document_sha256=paper.sha256,
    )
    return cases.open_lift(chain.desk.session, who, case.id, new)


# What the chain does


def carry_out(chain: Ledger, case: Case) -> None:
    """Let the chain do everything that is planned for a case, and show it."""
    for operation in pending(chain.desk, case):
        end(chain.desk, operation, OperationState.FINAL)
        if operation.kind == OperationKind.CASE_ACT:
            show(chain, operation)
    tell(chain.desk, case)


def fail(chain: Ledger, case: Case) -> None:
    """Let the chain refuse everything that is planned for a case."""
    for operation in pending(chain.desk, case):
        operation.problem = {"code": "call_would_revert", "detail": "TitleHalted."}
        end(chain.desk, operation, OperationState.REFUSED)
    tell(chain.desk, case)


def pending(desk: Desk, case: Case) -> list[Operation]:
    found = repository.list_case_operations(desk.session, case)
    return [item for item in found if item.state == OperationState.PLANNED]


def end(desk: Desk, operation: Operation, state: OperationState) -> None:
    operation.state, operation.ended_at = state, now()
    desk.session.add(operation)
    desk.session.flush()
    if state == OperationState.FINAL and operation.kind == OperationKind.RETIRE_WALLET:
        execution.confirm_retired(desk.session, operation)


def tell(desk: Desk, case: Case) -> None:
    execution.follow_case(desk.session, case.id)


def show(chain: Ledger, operation: Operation) -> None:
    """Project the agent's log of an operation's acts, and what the token logs beside it."""
    session = chain.desk.session
    tx_hash = hashlib.sha256(operation.id.bytes).digest()
    session.add(
        OperationAttempt(
            tx_hash=tx_hash,
            operation_id=operation.id,
            seq=1,
            raw=b"raw",
            gas=1,
            max_fee_wei=1,
            signed_at_block=1,
            signed_at=now(),
        )
    )
    events = []
    for act in execution.acts_of(session, operation):
        events += [logged(chain, act), *effects(chain, act)]
    chain.mine(*(event | {"tx_hash": tx_hash} for event in events))


def logged(chain: Ledger, act: CaseAct, **changes: Any) -> dict[str, Any]:
    """Give what the agent logs; of a recovery it says how much the wallet held."""
    whole = held(chain, act.wallet) if act.act == ForcedAct.RECOVERY else 0
    said = {
        "case_id": repository.chain_id_of(act.case_id).hex(),
        "number": str(act.number),
        "act": act.act.value,
        "operator": "0x00",
    }
    return {
        "kind": EventKind.CASE_ACT,
        "source": act.wallet,
        "target": act.counterparty,
        "units": int(act.units or whole),
        "extra": said | changes,
    }


def effects(chain: Ledger, act: CaseAct) -> list[dict[str, Any]]:
    """Give what the token itself logs (`erc3643-facts` section 6)."""
    wallet, other, units = act.wallet, act.counterparty, int(act.units or 0)
    if act.act in {ForcedAct.FREEZE_WALLET, ForcedAct.UNFREEZE_WALLET}:
        said = {"frozen": act.act == ForcedAct.FREEZE_WALLET, "agent": "0x00"}
        return [{"kind": EventKind.ADDRESS_FROZEN, "target": wallet, "extra": said}]
    if act.act == ForcedAct.FREEZE_UNITS:
        return [{"kind": EventKind.TOKENS_FROZEN, "target": wallet, "units": units}]
    if act.act == ForcedAct.UNFREEZE_UNITS:
        return [{"kind": EventKind.TOKENS_UNFROZEN, "target": wallet, "units": units}]
    moved: dict[str, Any] = {"kind": EventKind.TRANSFER, "source": wallet, "units": units}
    if act.act == ForcedAct.BURN:
        return [moved]
    assert other is not None
    if act.act == ForcedAct.FORCED_TRANSFER:
        return [moved | {"target": other, "extra": {"forced": True}}]
    moved["units"] = held(chain, wallet)
    return [
        moved | {"target": other, "extra": {"forced": True}},
        {"kind": EventKind.RECOVERY, "source": wallet, "target": other},
    ]


def held(chain: Ledger, wallet: bytes) -> int:
    return portfolio.holding_in(chain.desk.session, chain.tokenization, wallet).balance_units


def planned(desk: Desk, kind: OperationKind) -> list[Operation]:
    """List the operations of a kind, in the order of planning."""
    return list(
        desk.session.exec(
            select(Operation).where(col(Operation.kind) == kind).order_by(col(Operation.id))
        ).all()
    )
