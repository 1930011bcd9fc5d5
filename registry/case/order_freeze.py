"""Freezes by order: imposed when an order is applied, released when it has ended.

Whoever authenticated the order and whoever applied it are the four eyes of these cases; nobody
opens or approves them. What an order wants and cannot have yet, a wallet that is registered later
or fractions that come later, is frozen when the clock asks again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from uuid import UUID

from sqlmodel import Session, col, select

from registry.captable import portfolio
from registry.captable.models import ForcedAct
from registry.case import imposed
from registry.case.grounds import lacked_units, wanted_wallets
from registry.case.layout import PlannedAct
from registry.case.models import Case, CaseKind, CaseLift
from registry.case.repository import await_turn, get_case, read_recoveries
from registry.case.soundness import free_units, is_deployed
from registry.case.standing_freezes import frozen_wallets
from registry.court_order import lifting
from registry.court_order import service as orders
from registry.court_order.models import COMMANDING, ENDED, CourtOrder, OrderScope
from registry.kernel.actor import Actor, Role
from registry.kernel.errors import Conflict
from registry.operation.models import Operation
from registry.tokenization import service as tokenizations

KIND_OF = {
    ForcedAct.FREEZE_WALLET: CaseKind.FREEZE_WALLET,
    ForcedAct.FREEZE_UNITS: CaseKind.FREEZE_UNITS,
}


def apply_order(session: Session, actor: Actor, order_id: UUID) -> CourtOrder:
    """Apply an order as `court_order.service.apply_order` does, and have its freezes carried out.

    Raises
    ------
    Forbidden
        ``checker_is_maker``.
    Conflict
        ``order_over``, ``source_not_verified``, ``transition_refused``.
    """
    # The turn before the order: whoever has the turn may let this order take over units.
    await_turn(session)
    order = orders.apply_order(session, actor, order_id)
    impose(session, order.id)
    return order


def vacate_order(
    session: Session,
    actor: Actor,
    order_id: UUID,
    *,
    role: Role,
    vacating_sha256: bytes,
    vacating_document_id: UUID | None = None,
) -> CourtOrder:
    """Vacate an order as `court_order.lifting.vacate_order` does, and free what it froze.

    Raises
    ------
    Invalid, Forbidden, Conflict
        As `court_order.lifting.vacate_order`.
    """
    await_turn(session)
    order = lifting.vacate_order(
        session, actor, order_id, role=role,
        vacating_sha256=vacating_sha256, vacating_document_id=vacating_document_id,
    )  # fmt: skip
    for case_id in list_releasable(session, order.id):
        release(session, case_id)
    return order


def impose(session: Session, order_id: UUID) -> list[Operation]:
    """Freeze whatever the order wants and no case freezes for it yet; a repeat adds nothing.

    Raises
    ------
    Conflict
        ``order_not_in_force``.
    NotFound
    """
    await_turn(session)
    order = orders.get_order(session, order_id, lock=True)
    if order.state not in COMMANDING:
        raise Conflict("order_not_in_force", f"The order is {order.state}: it freezes nothing.")
    planned: list[Operation] = []
    for wallet, acts in groupby(list(_missing(session, order)), lambda act: act.wallet):
        planned += _impose(session, order, wallet, list(acts))
    return planned


def _impose(
    session: Session, order: CourtOrder, wallet: bytes, acts: Sequence[PlannedAct]
) -> list[Operation]:
    kind = KIND_OF[acts[0].act]
    return imposed.impose(session, imposed.freeze_by_order(session, order, kind, wallet), acts)


def _missing(session: Session, order: CourtOrder) -> Iterator[PlannedAct]:
    """Give what the order wants frozen and no case freezes, wallet by wallet."""
    if order.scope == OrderScope.AMOUNT:
        yield from _missing_units(session, order)
        return
    # A freeze by KYC ends by itself, and then asks no order: it does not stand for one.
    frozen = frozen_wallets(session, lambda case: case.kyc_review_id is None)
    for wallet in sorted(wanted_wallets(session, order, read_recoveries(session))):
        for tokenization in portfolio.list_tokens_of(session, wallet):
            if is_deployed(tokenization) and (tokenization.id, wallet) not in frozen:
                yield PlannedAct(
                    act=ForcedAct.FREEZE_WALLET, tokenization_id=tokenization.id, wallet=wallet
                )


def _missing_units(session: Session, order: CourtOrder) -> Iterator[PlannedAct]:
    assert order.tokenization_id is not None
    tokenization = tokenizations.get_tokenization(session, order.tokenization_id)
    if not is_deployed(tokenization):
        return
    recoveries = read_recoveries(session)
    wallet = recoveries.successor_of(order.wallet or b"")
    free = free_units(session, tokenization, wallet)
    units = min(lacked_units(session, order, recoveries), free)
    if units > 0:
        yield PlannedAct(
            act=ForcedAct.FREEZE_UNITS,
            tokenization_id=tokenization.id,
            wallet=wallet,
            units=units,
        )


def list_unfrozen(session: Session) -> list[UUID]:
    """List the orders that want something frozen which no case freezes for them."""
    return [
        order.id
        for order in orders.list_binding(session)
        if order.state in COMMANDING
        and order.scope != OrderScope.ASSET
        and next(_missing(session, order), None) is not None
    ]


def release(session: Session, case_id: UUID) -> list[Operation]:
    """Undo a freeze by an order that has ended, unless another order wants the same.

    What orders on an amount lack they take over; the rest is freed.

    Raises
    ------
    Conflict
        ``order_in_force``, ``transition_refused``.
    NotFound
    """
    case = get_case(session, case_id, lock=True)
    await_turn(session)
    assert case.order_id is not None
    order = orders.get_order(session, case.order_id)
    lift = CaseLift(
        case_id=case.id,
        legal_basis=case.legal_basis,
        reason=f"Order {order.id} is {order.state}.",
        order_id=order.id,
        maker=case.maker,
    )
    return imposed.release(session, case, lift)


def list_releasable(session: Session, order_id: UUID | None = None) -> Sequence[UUID]:
    """List the freezes by orders that have ended, but for wallets that another order wants.

    Parameters
    ----------
    order_id
        By which order; by any by default.
    """
    query = (
        select(Case)
        .join(CourtOrder, col(CourtOrder.id) == col(Case.order_id))
        .where(
            col(Case.document_id).is_(None),
            col(CourtOrder.state).in_(ENDED),
        )
    )
    if order_id is not None:
        query = query.where(col(Case.order_id) == order_id)
    return imposed.list_releasable(session, query)
