"""Whether a freeze may begin or end: which orders, which KYC and which other cases want it."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from sqlmodel import Session

from registry.captable import portfolio
from registry.captable.models import ForcedAct
from registry.case.layout import OPPOSITE, PlannedAct, is_over
from registry.case.models import FREEZES, Case, CaseKind, CaseState
from registry.case.repository import (
    Recoveries,
    list_freezes,
    list_own_acts,
    read_recoveries,
    successor_of,
    units_being_lifted,
    units_by_order,
)
from registry.case.soundness import deployed, find_holder, require_act, require_at_rest
from registry.court_order import service as orders
from registry.court_order.models import COMMANDING, ENDED, CourtOrder, CourtOrderState, OrderScope
from registry.investor import service as investors
from registry.investor.models import BARRED
from registry.kernel.errors import Conflict
from registry.tokenization import service as tokenizations


def require_liftable(session: Session, case: Case, acts: Iterable[PlannedAct]) -> None:
    """Refuse to end a freeze that an order in force still wants, also where the chain has ended it.

    Raises
    ------
    Conflict
        ``order_in_force``, ``units_not_held``, ``kyc_holds_freeze``, ``recovery_under_way``,
        ``wallet_recovered``.
    """
    require_at_rest(session, case)
    holding = [order for order in orders.list_binding(session) if _commands(order)]
    recoveries = read_recoveries(session)
    for act in [*acts, *_ended_acts(session, case)]:
        if recoveries.successor_of(act.wallet) != act.wallet:
            raise Conflict(
                "wallet_recovered",
                f"0x{act.wallet.hex()} was recovered since this lift was opened.",
                remedy="Reject or withdraw the lift, and open it anew: it is of the new wallet.",
            )
        if not is_over(session, act):
            require_act(session, case, act, deployed(session, act.tokenization_id))
        _require_standing(session, act)
        for order in holding:
            if _wants_frozen(session, order, act, recoveries) or _would_lack(
                session, case, order, act, recoveries
            ):
                raise Conflict(
                    "order_in_force",
                    f"Order {order.id} wants this frozen.",
                    remedy="Have the order vacated first.",
                )


def _ended_acts(session: Session, case: Case) -> list[PlannedAct]:
    """Give the opposite of what is over of a freeze, which no lift lays out."""
    return [
        PlannedAct(
            act=OPPOSITE[act.act],
            tokenization_id=act.tokenization_id,
            wallet=successor_of(session, act.wallet),
            units=int(act.units) if act.units is not None else None,
        )
        for act in list_own_acts(session, case.id)
        if case.kind in FREEZES and is_over(session, act)
    ]


def _commands(order: CourtOrder) -> bool:
    """Tell whether the order still commands: one that is being lifted does not."""
    return order.state != CourtOrderState.LIFTING


def _wants_frozen(
    session: Session, order: CourtOrder, act: PlannedAct, recoveries: Recoveries
) -> bool:
    if order.scope == OrderScope.AMOUNT:
        if act.units is None or not wants_units(order, act, recoveries):
            return False
        left = frozen_in(session, act.tokenization_id, act.wallet) - act.units
        return left < _wanted_units(session, act, recoveries)
    if act.act != ForcedAct.UNFREEZE_WALLET:
        return False
    return act.wallet in wanted_wallets(session, order, recoveries)


def _would_lack(
    session: Session, case: Case, order: CourtOrder, act: PlannedAct, recoveries: Recoveries
) -> bool:
    """Tell whether a lift leaves an order on units of the wallet less than it wants.

    What else is being lifted is as good as gone, or others could end at once what it rests on;
    and of its own units an order that has no more than it wants lets nothing go.
    """
    if act.units is None or not wants_units(order, act, recoveries):
        return False
    if case.order_id == order.id:
        own = units_by_order(session, act.tokenization_id, recoveries)[order.id, act.wallet]
        if own - act.units < int(order.amount_units or 0):
            return True
    leaving = units_being_lifted(
        session, act.tokenization_id, act.wallet, recoveries, besides=case.id
    )
    left = frozen_in(session, act.tokenization_id, act.wallet) - act.units - leaving
    return left < _wanted_units(session, act, recoveries)


def wanted_wallets(session: Session, order: CourtOrder, recoveries: Recoveries) -> set[bytes]:
    """Return what an order on a party or a wallet wants frozen: whatever recoveries made of it.

    The wallets that it names are among them, though nobody holds anything in one that was lost.
    """
    return {
        place
        for wallet in orders.wallets_of(session, order)
        for place in recoveries.places_of(wallet)
    }


def wants_units(order: CourtOrder, act: PlannedAct, recoveries: Recoveries) -> bool:
    """Tell whether an order is on an amount of the token and the wallet of an act."""
    return (
        order.scope == OrderScope.AMOUNT
        and order.tokenization_id == act.tokenization_id
        and recoveries.successor_of(order.wallet or b"") == act.wallet
    )


def frozen_in(session: Session, tokenization_id: UUID, wallet: bytes) -> int:
    """Return how many units of a wallet the chain shows frozen."""
    tokenization = tokenizations.get_tokenization(session, tokenization_id)
    return portfolio.holding_in(session, tokenization, wallet).frozen_units


def _wanted_units(session: Session, act: PlannedAct, recoveries: Recoveries) -> int:
    """Return how many units of an act's wallet the orders that command want frozen, together."""
    return sum(
        int(order.amount_units or 0)
        for order in orders.list_binding(session)
        if _commands(order) and wants_units(order, act, recoveries)
    )


def lacked_units(session: Session, order: CourtOrder, recoveries: Recoveries) -> int:
    """Return how many units an order on an amount wants that no case of its own freezes."""
    wallet = recoveries.successor_of(order.wallet or b"")
    return int(order.amount_units or 0) - sum(
        int(act.units or 0)
        for case, act in list_freezes(session, CaseKind.FREEZE_UNITS)
        if case.order_id == order.id
        and act.tokenization_id == order.tokenization_id
        and recoveries.successor_of(act.wallet) == wallet
    )


def _require_standing(session: Session, act: PlannedAct) -> None:
    holder = find_holder(session, act.wallet)
    barred = holder is not None and holder.kyc_state in BARRED
    if barred and act.act == ForcedAct.UNFREEZE_WALLET:
        raise Conflict(
            "kyc_holds_freeze",
            "The holder's KYC has ended, so their wallets stay frozen.",
            remedy="Have the KYC renewed first; that releases what was frozen for it.",
        )


def wanted_by_order(session: Session, act: PlannedAct) -> bool:
    """Tell whether an order in force wants the wallet of an act frozen."""
    recoveries = read_recoveries(session)
    return any(
        _commands(order) and _wants_frozen(session, order, act, recoveries)
        for order in orders.list_binding(session)
    )


def held_otherwise(session: Session, case: Case, act: PlannedAct) -> bool:
    """Tell whether another case freezes the same wallet for the same token."""
    return any(
        other.id != case.id
        and frozen.tokenization_id == act.tokenization_id
        and successor_of(session, frozen.wallet) == act.wallet
        for other, frozen in list_freezes(session, CaseKind.FREEZE_WALLET)
    )


def require_ground(session: Session, case: Case, *, lifting: bool | None = None) -> None:
    """Refuse an act of a freeze by KYC, or by an order, whose reason has gone.

    Parameters
    ----------
    lifting
        Whether it is the end of the freeze; by default, as the case stands.

    Raises
    ------
    Conflict
        ``kyc_in_force``, ``kyc_not_passed``, ``order_in_force``, ``order_not_in_force``.
    """
    if lifting is None:
        lifting = case.state in {CaseState.LIFTING, CaseState.LIFT_INCOMPLETE}
    if case.order_id is not None:
        _require_order(session, case.order_id, lifting=lifting)
        return
    assert case.investor_id is not None, "a freeze by KYC is of an investor"
    stands = investors.may_hold(investors.get_investor(session, case.investor_id))
    if stands and not lifting:
        raise Conflict("kyc_in_force", "The KYC of the holder is in force again.")
    if not stands and lifting:
        raise Conflict("kyc_not_passed", "The holder's KYC is not passed, or has run out.")


def _require_order(session: Session, order_id: UUID, *, lifting: bool) -> None:
    order = orders.get_order(session, order_id)
    if lifting and order.state not in ENDED:
        raise Conflict("order_in_force", f"Order {order.id} is {order.state}: it wants it frozen.")
    if not lifting and order.state not in COMMANDING:
        raise Conflict("order_not_in_force", "The order of this case binds nobody now.")
