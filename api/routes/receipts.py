"""/v1/receipts: goods in a warehouse, from the weighbridge to delivery."""

from __future__ import annotations

from uuid import UUID

from fastapi import Response

from api.as_of import LegalSessionDep
from api.deps import ActorDep, SessionDep
from api.idempotency import IDEMPOTENT
from api.routes.router import resource_router
from api.schemas.assets import Reason
from api.schemas.goods import (
    ExtensionCreate,
    GradingCreate,
    KeeperCreate,
    KeeperRead,
    LossCreate,
    PaperNamed,
    PartyNamed,
    PledgeCreate,
    ReceiptCreate,
    ReceiptRead,
    RenewalCreate,
    SaleCreate,
    SplitCreate,
)
from registry.asset import service as assets
from registry.keeping import service as keeping
from registry.receipt import disposal
from registry.receipt import service as receipts
from registry.receipt.models import ReceiptState
from registry.receipt.renewal import NO_RENEWAL
from registry.redemption import paying
from registry.tokenization import goods

router = resource_router("receipts")


@router.post("/assets/{asset_id}/receipts", status_code=201, dependencies=IDEMPOTENT)
def open_receipt(
    asset_id: UUID, body: ReceiptCreate, session: SessionDep, actor: ActorDep, response: Response
) -> ReceiptRead:
    """Take goods in that stand in a dossier."""
    receipt = goods.open_receipt(session, actor, asset_id, body.deposit())
    response.headers["Location"] = f"/v1/receipts/{receipt.id}"
    return ReceiptRead.of(receipt)


@router.get("/assets/{asset_id}/receipts")
def list_receipts(asset_id: UUID, session: LegalSessionDep) -> list[ReceiptRead]:
    """List every receipt of an asset's goods, those that were split included."""
    assets.get_asset(session, asset_id)
    return [ReceiptRead.of(row) for row in receipts.list_receipts(session, asset_id)]


@router.get("/receipts/{receipt_id}")
def get_receipt(receipt_id: UUID, session: LegalSessionDep) -> ReceiptRead:
    """Read one receipt."""
    return ReceiptRead.of(receipts.get_receipt(session, receipt_id))


@router.post("/receipts/{receipt_id}/grade", dependencies=IDEMPOTENT)
def grade_receipt(
    receipt_id: UUID, body: GradingCreate, session: SessionDep, actor: ActorDep
) -> ReceiptRead:
    """Offer a grade to the depositor."""
    return ReceiptRead.of(receipts.grade_goods(session, actor, receipt_id, body.grading()))


@router.post("/receipts/{receipt_id}/accept_grade", dependencies=IDEMPOTENT)
def accept_grade(receipt_id: UUID, session: SessionDep, actor: ActorDep) -> ReceiptRead:
    """Take the offered grade, as the depositor."""
    return ReceiptRead.of(receipts.accept_grade(session, actor, receipt_id))


@router.post("/receipts/{receipt_id}/refuse_offer", dependencies=IDEMPOTENT)
def refuse_receipt_offer(receipt_id: UUID, session: SessionDep, actor: ActorDep) -> ReceiptRead:
    """Refuse a grade or a pledge that was offered; or take one's own offer back."""
    return ReceiptRead.of(receipts.refuse_offer(session, actor, receipt_id))


@router.post("/receipts/{receipt_id}/reject", dependencies=IDEMPOTENT)
def reject_receipt(
    receipt_id: UUID, body: Reason, session: SessionDep, actor: ActorDep
) -> ReceiptRead:
    """Refuse goods below the quality floor."""
    row = receipts.reject_goods(session, actor, receipt_id, reason=body.reason)
    return ReceiptRead.of(row)


@router.post("/receipts/{receipt_id}/issue", dependencies=IDEMPOTENT)
def issue_receipt(
    receipt_id: UUID, session: SessionDep, actor: ActorDep, body: RenewalCreate | None = None
) -> ReceiptRead:
    """Issue the receipt of assayed goods."""
    renewal = body.renewal() if body else NO_RENEWAL
    return ReceiptRead.of(receipts.issue_receipt(session, actor, receipt_id, renewal))


@router.post("/receipts/{receipt_id}/split", dependencies=IDEMPOTENT)
def split_receipt(
    receipt_id: UUID, body: SplitCreate, session: SessionDep, actor: ActorDep
) -> list[ReceiptRead]:
    """Replace the receipt by one for each part."""
    rows = disposal.split_receipt(session, actor, receipt_id, parts=body.parts_kg)
    return [ReceiptRead.of(row) for row in rows]


@router.post("/receipts/{receipt_id}/transfer", dependencies=IDEMPOTENT)
def transfer_receipt(
    receipt_id: UUID, body: PartyNamed, session: SessionDep, actor: ActorDep
) -> ReceiptRead:
    """Hand the receipt to another party, as its holder."""
    row = disposal.transfer_receipt(session, actor, receipt_id, to_party_id=body.party_id)
    return ReceiptRead.of(row)


@router.post("/receipts/{receipt_id}/pledge", dependencies=IDEMPOTENT)
def offer_pledge(
    receipt_id: UUID, body: PledgeCreate, session: SessionDep, actor: ActorDep
) -> ReceiptRead:
    """Offer goods as a pledge, as the holder."""
    row = disposal.offer_pledge(
        session, actor, receipt_id, pledgee_id=body.pledgee_id, kg=body.qty_kg
    )
    return ReceiptRead.of(row)


@router.post("/receipts/{receipt_id}/accept_pledge", dependencies=IDEMPOTENT)
def accept_pledge(receipt_id: UUID, session: SessionDep, actor: ActorDep) -> ReceiptRead:
    """Take the pledge, as the party to whom it was offered."""
    return ReceiptRead.of(disposal.accept_pledge(session, actor, receipt_id))


@router.post("/receipts/{receipt_id}/release", dependencies=IDEMPOTENT)
def release_pledge(receipt_id: UUID, session: SessionDep, actor: ActorDep) -> ReceiptRead:
    """Let the pledge go, as the pledgee."""
    return ReceiptRead.of(disposal.release_pledge(session, actor, receipt_id))


@router.post("/receipts/{receipt_id}/invoke", dependencies=IDEMPOTENT)
def invoke_pledge(
    receipt_id: UUID, body: PaperNamed, session: SessionDep, actor: ActorDep
) -> ReceiptRead:
    """Invoke the pledge on a notice of default, as the pledgee."""
    row = disposal.invoke_pledge(session, actor, receipt_id, notice_id=body.document_id)
    return ReceiptRead.of(row)


@router.post("/receipts/{receipt_id}/liquidate", dependencies=IDEMPOTENT)
def liquidate_receipt(
    receipt_id: UUID, body: SaleCreate, session: SessionDep, actor: ActorDep
) -> ReceiptRead:
    """Record the pledgee's sale of invoked goods, or the warehouse's auction of expired ones."""
    paisa = body.proceeds.paisa("/proceeds/amount")
    if receipts.get_receipt(session, receipt_id).state == ReceiptState.EXPIRED:
        row = goods.auction_goods(
            session, actor, receipt_id, auction_note_id=body.document_id, proceeds_paisa=paisa
        )
    else:
        row = disposal.liquidate_pledge(
            session, actor, receipt_id, sale_note_id=body.document_id, proceeds_paisa=paisa
        )
    return ReceiptRead.of(row)


@router.post("/receipts/{receipt_id}/extend", dependencies=IDEMPOTENT)
def extend_receipt(
    receipt_id: UUID, body: ExtensionCreate, session: SessionDep, actor: ActorDep
) -> ReceiptRead:
    """Give an expired receipt a new term after a new assay."""
    row = goods.extend_receipt(
        session, actor, receipt_id, assay_id=body.assay_id, expires_on=body.expires_on,
        renewal=body.renewal(),
    )  # fmt: skip
    return ReceiptRead.of(row)


@router.post("/receipts/{receipt_id}/loss", dependencies=IDEMPOTENT)
def record_loss(
    receipt_id: UUID, body: LossCreate, session: SessionDep, actor: ActorDep
) -> ReceiptRead:
    """Record goods that an audit found short; the token behind them is paused."""
    row = goods.record_loss(session, actor, receipt_id, kg=body.qty_kg, audit_id=body.audit_id)
    return ReceiptRead.of(row)


@router.post("/receipts/{receipt_id}/deliver", dependencies=IDEMPOTENT)
def deliver_goods(
    receipt_id: UUID, session: SessionDep, actor: ActorDep, body: PaperNamed | None = None
) -> ReceiptRead:
    """Let the goods leave: on a release order, or after the token was redeemed in kind."""
    if body is None:
        return ReceiptRead.of(paying.deliver_redeemed(session, actor, receipt_id))
    row = disposal.deliver_goods(session, actor, receipt_id, release_order_id=body.document_id)
    return ReceiptRead.of(row)


@router.post("/receipts/{receipt_id}/keeper", dependencies=IDEMPOTENT)
def name_receipt_keeper(
    receipt_id: UUID, body: KeeperCreate, session: SessionDep, actor: ActorDep
) -> KeeperRead:
    """Agree who acts on it for its warehouse: compliance, then a registrar's checker."""
    missing = keeping.name_receipt_keeper(session, actor, receipt_id, body.naming())
    return KeeperRead(missing=sorted(missing.elements()))


@router.post("/receipts/{receipt_id}/unlock", dependencies=IDEMPOTENT)
def unlock_receipt(receipt_id: UUID, session: SessionDep, actor: ActorDep) -> ReceiptRead:
    """Let the goods go after their token has ended."""
    return ReceiptRead.of(goods.unlock_receipt(session, actor, receipt_id))
