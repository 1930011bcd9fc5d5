"""Use cases by which the chain carries a case out: planned, followed, ended."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from uuid import UUID

from sqlmodel import Session

from registry.captable import portfolio
from registry.case import grounds, soundness
from registry.case.guards import MACHINE
from registry.case.hashing import case_hash
from registry.case.layout import is_over, lay_out, write_acts
from registry.case.models import RUNNING, Case, CaseAct, CaseKind, CaseState
from registry.case.repository import (
    acts_in_hand,
    await_turn,
    get_case,
    happened,
    is_by_itself,
    list_acts,
    list_case_operations,
    retire_key,
)
from registry.investor import wallets
from registry.kernel.actor import THE_SYSTEM, Actor
from registry.kernel.clock import now
from registry.kernel.errors import Conflict
from registry.lifecycle import service as lifecycle
from registry.onboarding import approvals
from registry.operation import service as operations
from registry.operation.models import FAILED, Operation, OperationKind, OperationState
from registry.tokenization import service as tokenizations
from registry.tokenization.registration import plan_registration


def execute_case(session: Session, actor: Actor, case_id: UUID) -> list[Operation]:
    """Have the chain carry out every act that has not happened: of the case, or of its lift.

    Returns
    -------
    list[Operation]
        One for each act; of a succession one for each wallet and token, of a recovery one more
        that takes the lost wallet out of use.

    Raises
    ------
    Conflict
        ``approval_expired``, ``holdings_changed``, ``transition_refused``, or as
        `soundness.require_sound` and `require_liftable`.
    Forbidden
        ``transition_forbidden``.
    """
    case = get_case(session, case_id, lock=True)
    await_turn(session)
    again = case.state == CaseState.INCOMPLETE
    lifecycle.ask(session, actor, MACHINE, case, "execute", given={"again": again})
    if case.kind == CaseKind.RECOVERY:
        _renew_recovery(session, case)
    lifecycle.fire(session, actor, MACHINE, case, "execute", given={"again": again})
    left = [act for act in acts_in_hand(session, case) if _is_left(session, act)]
    planned = plan_acts(session, actor, case, left)
    if case.kind == CaseKind.RECOVERY:
        planned.append(_plan_retirement(session, actor, case, planned))
    # Where the chain shows every act already, nothing is planned and nothing will call back.
    follow_case(session, case.id)
    return planned


def _renew_recovery(session: Session, case: Case) -> None:
    """Recover what the lost wallet holds now: what it was given since, not what it lost since."""
    try:
        held = lay_out(session, case)
    except Conflict:
        held = []
    tokens = {act.tokenization_id for act in held}
    known = set()
    for act in list_acts(session, case.id):
        if act.tokenization_id in tokens or happened(session, act):
            known.add(act.tokenization_id)
        else:
            session.delete(act)
    session.flush()
    write_acts(session, case, [act for act in held if act.tokenization_id not in known])


def plan_acts(
    session: Session, actor: Actor, case: Case, acts: Sequence[CaseAct]
) -> list[Operation]:
    """Have the chain carry acts out, one operation for what one transaction does."""
    planned = []
    for _, group in groupby(acts, key=lambda act: (act.tokenization_id, act.wallet, act.act)):
        together = list(group)
        first = together[0]
        needs = _needs(session, actor, case, together)
        operation = operations.plan(
            session,
            actor,
            OperationKind.CASE_ACT,
            key=f"case_act:{case.id}:{first.number}",
            subject=("case", case.id),
            params={
                "case_id": str(case.id),
                "tokenization_id": str(first.tokenization_id),
                "act": first.act.value,
                "numbers": [act.number for act in together],
                "wallet": f"0x{first.wallet.hex()}",
            },
            after=needs,
        )
        for act in together:
            act.operation_id = operation.id
        planned.append(operation)
    session.flush()
    return planned


def _needs(session: Session, actor: Actor, case: Case, acts: Sequence[CaseAct]) -> list[Operation]:
    """Plan what must be on chain before: the new wallet's link, a receiver's registration."""
    if case.kind == CaseKind.RECOVERY:
        assert case.counterparty is not None
        wallet = soundness.require_receiver(session, case.counterparty, linked=False)
        return [] if wallet.identity else [wallets.plan_link(session, actor, wallet)]
    tokenization = tokenizations.get_tokenization(session, acts[0].tokenization_id)
    return [
        plan_registration(
            session, actor, tokenization, soundness.require_receiver(session, act.counterparty)
        )
        for act in acts
        if act.counterparty is not None
        and not portfolio.is_registered(session, tokenization, act.counterparty)
    ]


def _plan_retirement(
    session: Session, actor: Actor, case: Case, after: Sequence[Operation]
) -> Operation:
    assert case.wallet is not None
    lost = wallets.find_wallet(session, case.wallet)
    assert lost is not None, "a recovery is of a wallet that was proven"
    return operations.plan(
        session,
        actor,
        OperationKind.RETIRE_WALLET,
        key=retire_key(case),
        subject=("case", case.id),
        params={
            "case_id": str(case.id),
            "wallet_id": str(lost.id),
            "wallet": f"0x{lost.address.hex()}",
        },
        after=after,
    )


def require_act(session: Session, operation: Operation) -> None:
    """Refuse, when it is signed, an act whose case no longer stands as it was approved.

    Raises
    ------
    Conflict
        ``case_not_executing``, ``approval_expired``, ``receiver_not_eligible``,
        ``cap_table_frozen``, ``kyc_in_force``, ``kyc_not_passed``, ``units_frozen``.
    """
    case = get_case(session, UUID(operation.params["case_id"]))
    if case.state not in RUNNING:
        raise Conflict("case_not_executing", f"The case is {case.state}.")
    if is_by_itself(session, case):
        grounds.require_ground(session, case)
    elif not approvals.live_approvals(session, case.id, case_hash(session, case)):
        raise Conflict("approval_expired", "The approval of this case has run out.")
    acts = acts_of(session, operation)
    # Since it was planned a court may have frozen what it takes.
    soundness.require_free(session, case, acts)
    for act in acts:
        tokenization = tokenizations.get_tokenization(session, act.tokenization_id)
        soundness.require_movable(act.act, tokenization)
        if act.counterparty is not None:
            soundness.require_receiver(
                session, act.counterparty, linked=case.kind != CaseKind.RECOVERY
            )


def acts_of(session: Session, operation: Operation) -> list[CaseAct]:
    """List the acts that an operation carries out, by number."""
    numbers = set(operation.params["numbers"])
    found = list_acts(session, UUID(operation.params["case_id"]))
    return [act for act in found if act.number in numbers]


def follow_case(session: Session, case_id: UUID) -> None:
    """Move a case on once the chain has ended all its operations; a repeat changes nothing."""
    case = get_case(session, case_id, lock=True)
    if case.state not in RUNNING:
        return
    states = {operation.state for operation in list_case_operations(session, case)}
    failed = states.intersection(FAILED)
    if states - {OperationState.FINAL} - failed:
        return
    left = any(_is_left(session, act) for act in acts_in_hand(session, case))
    if not left and not _retirement_failed(session, case):
        _end(session, case)
    else:
        given = {"states": states}
        lifecycle.fire(session, THE_SYSTEM, MACHINE, case, "stopped", given=given)


def _is_left(session: Session, act: CaseAct) -> bool:
    """Tell whether the chain must still do an act: nobody lifts a freeze that is over."""
    if happened(session, act):
        return False
    return act.lift_id is None or not is_over(session, act)


def _retirement_failed(session: Session, case: Case) -> bool:
    closing = operations.find_by_key(session, retire_key(case))
    return closing is not None and closing.state in FAILED


def _end(session: Session, case: Case) -> None:
    lifting = case.state == CaseState.LIFTING
    given = {"states": {OperationState.FINAL}}
    lifecycle.fire(session, THE_SYSTEM, MACHINE, case, "executed", given=given)
    if lifting:
        case.lifted_at = now()
    else:
        case.executed_at = now()
    session.flush()


def confirm_retired(session: Session, operation: Operation) -> None:
    """Record that a lost wallet is out of use; a repeat changes nothing."""
    wallets.retire_wallet(session, UUID(operation.params["wallet_id"]))
    follow_case(session, UUID(operation.params["case_id"]))
