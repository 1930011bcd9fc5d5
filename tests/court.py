"""Court orders for tests, in the states that a test begins with."""

from __future__ import annotations

import secrets
from typing import Any
from uuid import UUID

from sqlmodel import col, select

from registry.asset.models import Asset
from registry.case import order_freeze
from registry.case.models import Case
from registry.court_order import lifting
from registry.court_order import service as orders
from registry.court_order.models import CourtOrder, OrderScope
from registry.court_order.service import NewOrder
from registry.encumbrance.models import EncumbranceKind
from registry.kernel.actor import Role
from registry.kernel.clock import now, today
from registry.reconciliation import service as reconciliation
from tests import cases as make_case
from tests import factories as make
from tests.factories import ACTORS, CHECKER, COMPLIANCE, Desk
from tests.ledger import Ledger

REGULATOR = ACTORS[Role.REGULATOR]
SECOND_COMPLIANCE = make.actor(Role.COMPLIANCE, subject="the-second-compliance")


def new_order(scope: OrderScope, **changes: Any) -> NewOrder:
    said: dict[str, Any] = {
        "scope": scope,
        "kind": EncumbranceKind.STAY_ORDER,
        "authority": "Lahore High Court",
        "case_no": f"W.P. {next(make.numbers)}/2026",
        "issued_on": today(),
        "received_at": now(),
        "document_sha256": secrets.token_bytes(32),
    }
    return NewOrder(**(said | changes))


def on_asset(desk: Desk, asset: Asset, **changes: Any) -> CourtOrder:
    paper = make.file_document(desk, asset, "COURT_ORDER")
    new = new_order(
        OrderScope.ASSET,
        asset_id=asset.id,
        document_id=paper.id,
        document_sha256=paper.sha256,
        **changes,
    )
    return orders.receive_order(desk.session, REGULATOR, new)


def on_party(desk: Desk, party_id: UUID, **changes: Any) -> CourtOrder:
    new = new_order(OrderScope.PARTY, party_id=party_id, **changes)
    return orders.receive_order(desk.session, REGULATOR, new)


def on_wallet(desk: Desk, wallet: bytes, **changes: Any) -> CourtOrder:
    new = new_order(OrderScope.WALLET, wallet=wallet, **changes)
    return orders.receive_order(desk.session, REGULATOR, new)


def on_amount(desk: Desk, chain: Ledger, units: int, **changes: Any) -> CourtOrder:
    """Receive an order on so many fractions, of the first holder where no wallet is named."""
    said = {"wallet": chain.holders[0].wallet.address, "tokenization_id": chain.tokenization.id}
    new = new_order(OrderScope.AMOUNT, amount_units=units, **(said | changes))
    return orders.receive_order(desk.session, REGULATOR, new)


def authenticate(desk: Desk, order: CourtOrder) -> CourtOrder:
    return orders.authenticate_order(
        desk.session, COMPLIANCE, order.id, confirmation="Registrar's list of today"
    )


def apply(desk: Desk, order: CourtOrder) -> CourtOrder:
    authenticate(desk, order)
    return orders.apply_order(desk.session, SECOND_COMPLIANCE, order.id)


def frozen_for(chain: Ledger, order: CourtOrder) -> CourtOrder:
    """Apply an order, have the chain freeze all for it that it can, and confirm it."""
    desk = chain.desk
    authenticate(desk, order)
    order_freeze.apply_order(desk.session, SECOND_COMPLIANCE, order.id)
    for case in desk.session.exec(select(Case).where(col(Case.order_id) == order.id)).all():
        make_case.carry_out(chain, case)
    return reconciliation.confirm_order(desk.session, order.id)


def in_force(desk: Desk, order: CourtOrder) -> CourtOrder:
    apply(desk, order)
    return reconciliation.confirm_order(desk.session, order.id)


def vacating_paper(desk: Desk, asset: Asset) -> dict[str, Any]:
    """File the vacating order under the asset, and name it as `vacate` wants it."""
    paper = make.file_document(desk, asset, "VACATING_ORDER")
    return {"vacating_document_id": paper.id, "vacating_sha256": paper.sha256}


def vacate(desk: Desk, order: CourtOrder, **more: Any) -> CourtOrder:
    said: dict[str, Any] = {"vacating_sha256": secrets.token_bytes(32), **more}
    lifting.vacate_order(desk.session, COMPLIANCE, order.id, role=Role.COMPLIANCE, **said)
    return lifting.vacate_order(
        desk.session, CHECKER, order.id, role=Role.REGISTRAR_CHECKER, **said
    )
