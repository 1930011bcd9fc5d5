"""Freezes that nobody petitions for: their ground itself imposes them, and its end releases them.

Such a ground is a KYC that has ended, or an order of a court. There is no approval of the case:
two people agreed on the ground already.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlmodel import Session, col
from sqlmodel.sql.expression import SelectOfScalar

from registry.case.execution import follow_case, plan_acts
from registry.case.grounds import frozen_in, held_otherwise, wanted_by_order
from registry.case.guards import MACHINE
from registry.case.layout import OPPOSITE, PlannedAct, is_over, write_acts
from registry.case.models import Case, CaseKind, CaseLift, CaseState
from registry.case.repository import (
    find_unfinished,
    happened,
    list_freezes,
    list_own_acts,
    successor_of,
)
from registry.kernel.actor import THE_SYSTEM
from registry.lifecycle import service as lifecycle
from registry.operation.models import Operation


def impose(session: Session, case: Case, acts: Sequence[PlannedAct]) -> list[Operation]:
    """Open a case and have the chain carry it out at once."""
    session.add(case)
    session.flush()
    rows = write_acts(session, case, acts)
    ground = "kyc_review_id" if case.kyc_review_id is not None else "order_id"
    said: dict[str, Any] = {ground: str(getattr(case, ground))}
    lifecycle.fire(session, THE_SYSTEM, MACHINE, case, "impose", **said, acts=len(rows))
    return plan_acts(session, THE_SYSTEM, case, rows)


def release(session: Session, case: Case, lift: CaseLift) -> list[Operation]:
    """Undo a freeze whose ground has gone, but for what something else holds, or what is over.

    Raises
    ------
    Conflict
        As the guard of ``release``.
    """
    planned = lay_out_release(session, case)
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
    # Where nothing is left to free, nothing is planned and nothing will call back.
    follow_case(session, case.id)
    return found


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
        and not any(wanted_by_order(session, act) for act in lay_out_release(session, case))
    ]


def lay_out_release(session: Session, case: Case) -> list[PlannedAct]:
    """Return the opposite of what happened of a freeze: units never more than it froze itself."""
    found = []
    for act in list_own_acts(session, case.id):
        if not happened(session, act):
            continue
        wallet, units = successor_of(session, act.wallet), None
        if act.units is not None:
            frozen = frozen_in(session, act.tokenization_id, wallet)
            kept = _held_by_others(session, case, act.tokenization_id, wallet)
            units = min(int(act.units), frozen - kept)
        if units is None or units > 0:
            found.append(
                PlannedAct(
                    act=OPPOSITE[act.act],
                    tokenization_id=act.tokenization_id,
                    wallet=wallet,
                    units=units,
                )
            )
    return found


def _held_by_others(session: Session, case: Case, tokenization_id: UUID, wallet: bytes) -> int:
    """Return how many units other cases have frozen: theirs stay, whatever became of ours."""
    return sum(
        int(act.units or 0)
        for other, act in list_freezes(session, CaseKind.FREEZE_UNITS)
        if other.id != case.id
        and act.tokenization_id == tokenization_id
        and successor_of(session, act.wallet) == wallet
        and happened(session, act)
    )
