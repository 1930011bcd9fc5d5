"""Freezes that nobody petitions for: their ground itself imposes them, and its end releases them.

Such a ground is a KYC that has ended, or an order of a court. There is no approval of the case:
two people agreed on the ground already.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

from sqlmodel import Session, col
from sqlmodel.sql.expression import SelectOfScalar

from registry.case.execution import follow_case, plan_acts
from registry.case.grounds import frozen_in, held_otherwise, wanted_by_order
from registry.case.guards import MACHINE
from registry.case.layout import OPPOSITE, PlannedAct, is_over, write_acts
from registry.case.models import Case, CaseAct, CaseKind, CaseLift, CaseState
from registry.case.repository import (
    acts_in_hand,
    find_unfinished,
    happened,
    is_projected,
    list_freezes,
    list_own_acts,
    successor_of,
)
from registry.case.soundness import find_holder
from registry.case.taking_over import Takeover, find_takeovers
from registry.court_order.models import CourtOrder
from registry.kernel.actor import THE_SYSTEM
from registry.lifecycle import service as lifecycle
from registry.operation.models import Operation


def freeze_by_order(session: Session, order: CourtOrder, kind: CaseKind, wallet: bytes) -> Case:
    """Write the case by which an order freezes something of a wallet."""
    holder = find_holder(session, wallet)
    return Case(
        kind=kind,
        legal_basis=f"{order.kind} of {order.authority}, {order.case_no}",
        reason=f"Order {order.id} wants it frozen.",
        order_id=order.id,
        wallet=wallet,
        investor_id=holder.id if holder else None,
        maker=f"order:{order.id}",
    )


def impose(session: Session, case: Case, acts: Sequence[PlannedAct]) -> list[Operation]:
    """Open a case and have the chain carry it out at once."""
    return plan_acts(session, THE_SYSTEM, case, _open(session, case, acts))


def _open(
    session: Session, case: Case, acts: Sequence[PlannedAct], **more: str
) -> Sequence[CaseAct]:
    session.add(case)
    session.flush()
    rows = write_acts(session, case, acts)
    ground = "kyc_review_id" if case.kyc_review_id is not None else "order_id"
    said: dict[str, Any] = {ground: str(getattr(case, ground)), **more}
    lifecycle.fire(session, THE_SYSTEM, MACHINE, case, "impose", **said, acts=len(rows))
    return rows


def release(session: Session, case: Case, lift: CaseLift) -> list[Operation]:
    """Undo a freeze whose ground has gone, but for what something else holds, or what is over.

    Raises
    ------
    Conflict
        As the guard of ``release``.
    """
    planned, takeovers = lay_out_release(session, case)
    lifecycle.ask(session, THE_SYSTEM, MACHINE, case, "release", given={"acts": planned})
    session.add(lift)
    session.flush()
    freed = [
        act
        for act in planned
        if not held_otherwise(session, case, act) and not is_over(session, act)
    ]
    rows = write_acts(session, case, freed, lift_id=lift.id)
    given = {"acts": planned}
    lifecycle.fire(session, THE_SYSTEM, MACHINE, case, "release", given=given, acts=len(rows))
    found = plan_acts(session, THE_SYSTEM, case, rows)
    for takeover in takeovers:
        _take_over(session, case, lift, takeover)
    # Where nothing is left to free, nothing is planned and nothing will call back.
    follow_case(session, case.id)
    return found


def _take_over(session: Session, case: Case, lift: CaseLift, takeover: Takeover) -> None:
    """Write units to the case of another order, and off the one whose order has ended."""
    freeze, wallet = takeover.frozen_by, takeover.wallet
    act = PlannedAct(
        act=freeze.act,
        tokenization_id=freeze.tokenization_id,
        wallet=wallet,
        units=takeover.units,
    )
    undone = replace(act, act=OPPOSITE[act.act])
    new = freeze_by_order(session, takeover.order, case.kind, wallet)
    rows = [
        *_open(session, new, [act], taken_over_from=str(case.id)),
        *write_acts(session, case, [undone], lift_id=lift.id),
    ]
    for row in rows:
        row.operation_id = freeze.operation_id
    session.flush()
    follow_case(session, new.id)


def list_releasable(session: Session, cases: SelectOfScalar[Case]) -> list[UUID]:
    """List those of some cases that are carried out, and of which no order wants the freeze.

    What a recovery is carrying to another wallet waits for it.
    """
    carried_out = cases.where(
        col(Case.state).in_([CaseState.EXECUTED, CaseState.INCOMPLETE])
    ).order_by(col(Case.id))
    return [
        case.id
        for case in session.exec(carried_out).all()
        if find_unfinished(session, case.wallet or b"") is None
        and not any(wanted_by_order(session, act) for act in lay_out_release(session, case)[0])
    ]


def lay_out_release(session: Session, case: Case) -> tuple[list[PlannedAct], list[Takeover]]:
    """Return the opposite of what happened of a freeze, and what other orders take over of it.

    Units are never more than it froze itself.
    """
    found, takeovers = [], []
    for act in list_own_acts(session, case.id):
        if not happened(session, act):
            continue
        freed = _undo(session, case, act)
        if freed.units is not None:
            taken = list(find_takeovers(session, act, freed))
            takeovers += taken
            freed = replace(freed, units=freed.units - sum(item.units for item in taken))
        if freed.units is None or freed.units > 0:
            found.append(freed)
    return found, takeovers


def _undo(session: Session, case: Case, act: CaseAct) -> PlannedAct:
    wallet, units = successor_of(session, act.wallet), None
    if act.units is not None:
        frozen = frozen_in(session, act.tokenization_id, wallet)
        kept = _held_by_others(session, case, act.tokenization_id, wallet)
        units = min(int(act.units), frozen - kept)
    return PlannedAct(
        act=OPPOSITE[act.act], tokenization_id=act.tokenization_id, wallet=wallet, units=units
    )


def _held_by_others(session: Session, case: Case, tokenization_id: UUID, wallet: bytes) -> int:
    """Return how many units other cases have frozen: theirs stay, whatever became of ours."""
    return sum(
        int(act.units or 0) - _undone_of(session, other, act)
        for other, act in list_freezes(session, CaseKind.FREEZE_UNITS)
        if other.id != case.id
        and act.tokenization_id == tokenization_id
        and successor_of(session, act.wallet) == wallet
        and happened(session, act)
    )


def _undone_of(session: Session, case: Case, freeze: CaseAct) -> int:
    """Return how many units of a freeze are not its case's any more, though its lift goes on."""
    if case.state not in {CaseState.LIFTING, CaseState.LIFT_INCOMPLETE}:
        return 0
    return sum(
        int(act.units or 0)
        for act in acts_in_hand(session, case)
        if act.tokenization_id == freeze.tokenization_id and is_projected(session, act)
    )
