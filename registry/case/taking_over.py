"""What an order that ends leaves frozen for others: orders on an amount take over what they lack.

Were it freed first, its holder could move it before it is frozen anew; and where all is frozen,
nothing can be frozen beside it. So the chain does nothing: the units change their case. That stands
as an act of both, under the operation that froze them, and no agent ever sends it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sqlmodel import Session

from registry.case.grounds import lacked_units, wants_units
from registry.case.layout import PlannedAct, is_over
from registry.case.models import CaseAct
from registry.case.repository import is_projected_finally, is_taken_over, read_recoveries
from registry.court_order import service as orders
from registry.court_order.models import COMMANDING, CourtOrder
from registry.operation import service as operations
from registry.operation.models import OperationState


@dataclass(frozen=True, slots=True)
class Takeover:
    """Units that an order takes over, by the act that froze them, in the wallet they are in now."""

    order: CourtOrder
    frozen_by: CaseAct
    wallet: bytes
    units: int


def find_takeovers(session: Session, freeze: CaseAct, freed: PlannedAct) -> Iterator[Takeover]:
    """Give what the orders that lack units take over of those that would be freed, oldest first.

    Parameters
    ----------
    freeze
        The act of a case by which they are frozen.
    """
    if is_over(session, freed) or not _is_final(session, freeze):
        return
    recoveries = read_recoveries(session)
    left = freed.units or 0
    for order in orders.list_binding(session):
        if order.state in COMMANDING and wants_units(order, freed, recoveries):
            units = min(left, lacked_units(session, order, recoveries))
            if units > 0:
                yield Takeover(order, freeze, freed.wallet, units)
                left -= units


def _is_final(session: Session, act: CaseAct) -> bool:
    """Tell whether no reorg can take a freeze back, whichever attempt it was that did it."""
    if act.operation_id is None:
        return False
    operation = operations.get_operation(session, act.operation_id)
    return (
        operation.state == OperationState.FINAL
        or is_taken_over(session, act)
        or is_projected_finally(session, act)
    )
