"""/v1/bills_of_lading: who possesses the cargo at sea, and who is entitled to it."""

from __future__ import annotations

from uuid import UUID

from fastapi import Response

from api.as_of import LegalSessionDep
from api.deps import ActorDep, SessionDep
from api.idempotency import IDEMPOTENT
from api.revealing import REVEALING
from api.routes.router import resource_router
from api.schemas.assets import Reason
from api.schemas.goods import (
    BillCreate,
    BillRead,
    EndorsementCreate,
    EndorsementRead,
    KeeperCreate,
    KeeperRead,
    PartyNamed,
    ReferenceNamed,
)
from registry.asset import service as assets
from registry.bill_of_lading import chain, possession
from registry.bill_of_lading import service as bills
from registry.keeping import service as keeping
from registry.redemption import paying
from registry.tokenization import cargo

router = resource_router("bills of lading")


@router.post("/assets/{asset_id}/bills_of_lading", status_code=201, dependencies=IDEMPOTENT)
def make_out_bill(
    asset_id: UUID, body: BillCreate, session: SessionDep, actor: ActorDep, response: Response
) -> BillRead:
    """Make out the bill of a cargo, as its carrier."""
    bill = cargo.make_out_bill(session, actor, asset_id, body.new())
    response.headers["Location"] = f"/v1/bills_of_lading/{bill.id}"
    return BillRead.of(session, bill)


@router.get("/assets/{asset_id}/bills_of_lading")
def list_bills(asset_id: UUID, session: LegalSessionDep) -> list[BillRead]:
    """List every bill of a cargo."""
    assets.get_asset(session, asset_id)
    return [BillRead.of(session, row) for row in bills.list_bills(session, asset_id)]


@router.get("/bills_of_lading/{bill_id}")
def get_bill(bill_id: UUID, session: LegalSessionDep) -> BillRead:
    """Read one bill."""
    return BillRead.of(session, bills.get_bill(session, bill_id))


@router.get("/bills_of_lading/{bill_id}/endorsements", dependencies=REVEALING)
def list_endorsements(bill_id: UUID, session: LegalSessionDep) -> list[EndorsementRead]:
    """Read the endorsement chain, those void by a reissue included."""
    bills.get_bill(session, bill_id)
    rows = chain.list_endorsements(session, bill_id)
    return [EndorsementRead.model_validate(row) for row in rows]


@router.post("/bills_of_lading/{bill_id}/approve", dependencies=IDEMPOTENT)
def approve_bill(bill_id: UUID, session: SessionDep, actor: ActorDep) -> BillRead:
    """Approve the draft, as the shipper."""
    return BillRead.of(session, bills.approve_draft(session, actor, bill_id))


@router.post("/bills_of_lading/{bill_id}/void", dependencies=IDEMPOTENT)
def void_bill(bill_id: UUID, session: SessionDep, actor: ActorDep) -> BillRead:
    """Void a draft, as the carrier."""
    return BillRead.of(session, bills.void_draft(session, actor, bill_id))


@router.post("/bills_of_lading/{bill_id}/issue", dependencies=IDEMPOTENT)
def issue_bill(bill_id: UUID, session: SessionDep, actor: ActorDep) -> BillRead:
    """Issue the bill to its shipper, as the carrier."""
    return BillRead.of(session, bills.issue_bill(session, actor, bill_id))


@router.post("/bills_of_lading/{bill_id}/offer_possession", dependencies=IDEMPOTENT)
def offer_possession(
    bill_id: UUID, body: PartyNamed, session: SessionDep, actor: ActorDep
) -> BillRead:
    """Offer possession, as the holder."""
    row = possession.offer_possession(session, actor, bill_id, to_party_id=body.party_id)
    return BillRead.of(session, row)


@router.post("/bills_of_lading/{bill_id}/endorse", dependencies=IDEMPOTENT)
def endorse_bill(
    bill_id: UUID, body: EndorsementCreate, session: SessionDep, actor: ActorDep
) -> BillRead:
    """Offer the entitlement, as the holder."""
    row = possession.offer_endorsement(
        session, actor, bill_id, to_party_id=body.party_id, action=body.action
    )
    return BillRead.of(session, row)


@router.post("/bills_of_lading/{bill_id}/accept_offer", dependencies=IDEMPOTENT)
def accept_bill_offer(bill_id: UUID, session: SessionDep, actor: ActorDep) -> BillRead:
    """Accept possession or entitlement, as whoever got the offer."""
    return BillRead.of(session, possession.accept_offer(session, actor, bill_id))


@router.post("/bills_of_lading/{bill_id}/refuse_offer", dependencies=IDEMPOTENT)
def refuse_bill_offer(bill_id: UUID, session: SessionDep, actor: ActorDep) -> BillRead:
    """Refuse an offer; or take one's own back."""
    return BillRead.of(session, possession.refuse_offer(session, actor, bill_id))


@router.post("/bills_of_lading/{bill_id}/surrender_for_delivery", dependencies=IDEMPOTENT)
def surrender_for_delivery(bill_id: UUID, session: SessionDep, actor: ActorDep) -> BillRead:
    """Ask the carrier for the cargo, as its sole possessor."""
    return BillRead.of(session, paying.surrender_redeemed(session, actor, bill_id))


@router.post("/bills_of_lading/{bill_id}/surrender_for_amendment", dependencies=IDEMPOTENT)
def surrender_for_amendment(bill_id: UUID, session: SessionDep, actor: ActorDep) -> BillRead:
    """Give the bill back to have it amended, as the holder."""
    return BillRead.of(session, possession.surrender_for_amendment(session, actor, bill_id))


@router.post("/bills_of_lading/{bill_id}/accept_surrender", dependencies=IDEMPOTENT)
def accept_surrender(bill_id: UUID, session: SessionDep, actor: ActorDep) -> BillRead:
    """Accept what was surrendered, as the carrier."""
    return BillRead.of(session, possession.accept_surrender(session, actor, bill_id))


@router.post("/bills_of_lading/{bill_id}/refuse_surrender", dependencies=IDEMPOTENT)
def refuse_surrender(bill_id: UUID, body: Reason, session: SessionDep, actor: ActorDep) -> BillRead:
    """Refuse what was surrendered, as the carrier; a bill whose token lives is locked again."""
    row = cargo.refuse_surrender(session, actor, bill_id, reason=body.reason)
    return BillRead.of(session, row)


@router.post("/bills_of_lading/{bill_id}/reissue", dependencies=IDEMPOTENT)
def reissue_bill(
    bill_id: UUID, body: ReferenceNamed, session: SessionDep, actor: ActorDep
) -> BillRead:
    """Issue an amended bill under a new reference, as the carrier."""
    row = bills.reissue_bill(session, actor, bill_id, reference=body.reference)
    return BillRead.of(session, row)


@router.post("/bills_of_lading/{bill_id}/switch_to_paper", dependencies=IDEMPOTENT)
def switch_bill_to_paper(
    bill_id: UUID, body: Reason, session: SessionDep, actor: ActorDep
) -> BillRead:
    """End the electronic bill of a retired asset, as the carrier; the reason is SWTP."""
    row = bills.switch_to_paper(session, actor, bill_id, reason=body.reason)
    return BillRead.of(session, row)


@router.post("/bills_of_lading/{bill_id}/keeper", dependencies=IDEMPOTENT)
def name_bill_keeper(
    bill_id: UUID, body: KeeperCreate, session: SessionDep, actor: ActorDep
) -> KeeperRead:
    """Agree who acts on it for its carrier: compliance, then a registrar's checker."""
    missing = keeping.name_bill_keeper(session, actor, bill_id, body.naming())
    return KeeperRead(missing=sorted(missing.elements()))


@router.post("/bills_of_lading/{bill_id}/unlock", dependencies=IDEMPOTENT)
def unlock_bill(bill_id: UUID, session: SessionDep, actor: ActorDep) -> BillRead:
    """Let the bill go after its token has ended."""
    return BillRead.of(session, cargo.unlock_bill(session, actor, bill_id))
