"""The walk of a court order: received, authenticated, applied, in force, lifted."""

from __future__ import annotations

import secrets
from datetime import timedelta
from uuid import UUID

from registry.court_order import lifting
from registry.court_order import service as orders
from registry.court_order.models import CourtOrder
from registry.kernel.actor import Actor, Role
from registry.kernel.clock import today
from registry.reconciliation import service as reconciliation
from tests import court
from tests import factories as make
from tests.court import SECOND_COMPLIANCE
from tests.db.beginnings import after
from tests.db.walks.board import Scenario, Walk, live_token
from tests.factories import CHECKER, COMPLIANCE, Desk
from tests.ledger import Ledger

_CHAINS: dict[UUID, Ledger] = {}
RECEIVER_IN_COMPLIANCE = Actor(court.REGULATOR.subject, frozenset({Role.COMPLIANCE}))


@after(live_token)
def received(desk: Desk, chain: Ledger) -> CourtOrder:
    """Receive an order on a wallet that holds a live token."""
    order = court.on_wallet(desk, chain.holders[0].wallet.address)
    _CHAINS[order.id] = chain
    return order


def freeze(order: CourtOrder, *, frozen: bool = True) -> None:
    chain = _CHAINS[order.id]
    chain.freeze(chain.holders[0].wallet.address, frozen=frozen)


def authenticate(desk: Desk, order: CourtOrder, who: Actor = COMPLIANCE) -> None:
    orders.authenticate_order(desk.session, who, order.id, confirmation="By letter of today")


def reject(desk: Desk, order: CourtOrder, who: Actor) -> None:
    orders.reject_order(desk.session, who, order.id, reason="No such case.")


def reject_together(desk: Desk, order: CourtOrder) -> None:
    reject(desk, order, COMPLIANCE)
    reject(desk, order, SECOND_COMPLIANCE)


def reject_twice_by_one(desk: Desk, order: CourtOrder) -> None:
    reject(desk, order, COMPLIANCE)
    reject(desk, order, COMPLIANCE)


@after(received)
def authenticated(desk: Desk, order: CourtOrder) -> CourtOrder:
    return court.authenticate(desk, order)


def apply(desk: Desk, order: CourtOrder, who: Actor = SECOND_COMPLIANCE) -> None:
    orders.apply_order(desk.session, who, order.id)


@after(received)
def applying(desk: Desk, order: CourtOrder) -> CourtOrder:
    return court.apply(desk, order)


def confirm(desk: Desk, order: CourtOrder) -> None:
    reconciliation.confirm_order(desk.session, order.id)


def claim_confirmed(desk: Desk, order: CourtOrder) -> None:
    """Confirm an order whose encumbrance has been taken off the title meanwhile."""
    title = make.open_apartment(desk)
    lodged = court.on_asset(desk, title)
    court.apply(desk, lodged)
    assert lodged.encumbrance_id is not None
    order.encumbrance_id = lodged.encumbrance_id
    reconciliation.confirm_order(desk.session, lodged.id)
    court.vacate(desk, lodged, **court.vacating_paper(desk, title))
    freeze(order)
    confirm(desk, order)


def freeze_and_confirm(desk: Desk, order: CourtOrder) -> None:
    freeze(order)
    confirm(desk, order)


@after(applying)
def in_force(desk: Desk, order: CourtOrder) -> CourtOrder:
    freeze_and_confirm(desk, order)
    return order


def vary(desk: Desk, order: CourtOrder) -> None:
    lifting.vary_order(desk.session, COMPLIANCE, order.id, document_sha256=secrets.token_bytes(32))


def vary_by_the_same_paper(desk: Desk, order: CourtOrder) -> None:
    lifting.vary_order(desk.session, COMPLIANCE, order.id, document_sha256=order.document_sha256)


@after(in_force)
def varied(desk: Desk, order: CourtOrder) -> CourtOrder:
    vary(desk, order)
    return order


def vacate_alone(desk: Desk, order: CourtOrder) -> None:
    lifting.vacate_order(
        desk.session, CHECKER, order.id, role=Role.REGISTRAR_CHECKER, vacating_sha256=bytes(32)
    )


@after(in_force)
def lifting_now(desk: Desk, order: CourtOrder) -> CourtOrder:
    return court.vacate(desk, order)


def lift(desk: Desk, order: CourtOrder) -> None:
    reconciliation.lift_order(desk.session, order.id)


def unfreeze_and_lift(desk: Desk, order: CourtOrder) -> None:
    freeze(order, frozen=False)
    lift(desk, order)


def expire(desk: Desk, order: CourtOrder) -> None:
    lifting.expire_order(desk.session, order.id)


def end_and_expire(desk: Desk, order: CourtOrder) -> None:
    order.ends_on = today() - timedelta(days=1)
    desk.session.flush()
    assert order.id in orders.due_orders(desk.session)
    expire(desk, order)


BINDING = (("IN_FORCE", in_force), ("APPLYING", applying), ("AUTHENTICATED", varied))
"""Where an order binds and can end: as it is obeyed, before that, and varied meanwhile."""

WALK = Walk(
    machine="order",
    record=received,
    scenarios=(
        Scenario(
            source="RECEIVED",
            event="authenticate",
            prepare=received,
            play=authenticate,
            denied=lambda desk, order: authenticate(desk, order, RECEIVER_IN_COMPLIANCE),
            code="checker_is_maker",
        ),
        Scenario(
            source="RECEIVED",
            event="reject",
            prepare=received,
            play=reject_together,
            denied=reject_twice_by_one,
            code="already_approved",
        ),
        Scenario(
            source="AUTHENTICATED",
            event="apply",
            prepare=authenticated,
            play=apply,
            denied=lambda desk, order: apply(desk, order, COMPLIANCE),
            code="checker_is_maker",
        ),
        Scenario(
            source="APPLYING",
            event="confirmed",
            prepare=applying,
            play=freeze_and_confirm,
            denied=claim_confirmed,
            code="order_not_registered",
        ),
        Scenario(
            source="APPLYING",
            event="retry",
            prepare=applying,
            play=confirm,
            kept="An order that the chain obeys is confirmed instead: the use case looks itself.",
        ),
        Scenario(
            source="IN_FORCE",
            event="vary",
            prepare=in_force,
            play=vary,
            denied=vary_by_the_same_paper,
            code="order_paper_unchanged",
        ),
        *(
            Scenario(
                source=source,
                event="vacate",
                prepare=prepare,
                play=court.vacate,
                denied=vacate_alone,
                code="approvals_missing",
            )
            for source, prepare in BINDING
        ),
        Scenario(
            source="LIFTING",
            event="lifted",
            prepare=lifting_now,
            play=unfreeze_and_lift,
            denied=lift,
            code="order_still_on_chain",
        ),
        *(
            Scenario(
                source=source,
                event="expire",
                prepare=prepare,
                play=end_and_expire,
                denied=expire,
                code="order_in_term",
            )
            for source, prepare in BINDING
        ),
    ),
)
