"""/v1/redemptions: the end of a token, and what its holders are paid."""

from __future__ import annotations

from uuid import UUID

from fastapi import Response

from api.accepted import AcceptAllDep
from api.as_of import LegalSessionDep
from api.deps import ActorDep, ReadSessionDep, SessionDep
from api.idempotency import IDEMPOTENT
from api.pagination import PagingDep
from api.reading import FullReadingDep
from api.routes.router import resource_router
from api.schemas.assets import Reason
from api.schemas.common import Page
from api.schemas.operations import OperationRead
from api.schemas.redemptions import (
    FundingCreate,
    PayoutRead,
    RailReference,
    RedemptionCreate,
    RedemptionRead,
    RoleGiven,
    VoteCreate,
)
from registry.redemption import aborting, burning, paying, repository
from registry.redemption import service as redemptions
from registry.redemption.models import PayoutState
from registry.tokenization import service as tokenizations

router = resource_router("redemptions")


@router.post(
    "/tokenizations/{tokenization_id}/redemptions", status_code=201, dependencies=IDEMPOTENT
)
def request_redemption(
    tokenization_id: UUID,
    body: RedemptionCreate,
    session: SessionDep,
    actor: ActorDep,
    response: Response,
) -> RedemptionRead:
    """Ask for the redemption of a token, as its wrapper; for a court's order, as compliance."""
    row = redemptions.request_redemption(session, actor, tokenization_id, body.terms())
    response.headers["Location"] = f"/v1/redemptions/{row.id}"
    return RedemptionRead.of(session, row)


@router.get("/tokenizations/{tokenization_id}/redemptions")
def list_redemptions(tokenization_id: UUID, session: LegalSessionDep) -> list[RedemptionRead]:
    """List the redemptions of a token."""
    tokenizations.get_tokenization(session, tokenization_id)
    rows = repository.list_redemptions(session, tokenization_id)
    return [RedemptionRead.of(session, row) for row in rows]


@router.get("/redemptions/{redemption_id}")
def get_redemption(redemption_id: UUID, session: LegalSessionDep) -> RedemptionRead:
    """Read one redemption."""
    return RedemptionRead.of(session, repository.get_redemption(session, redemption_id))


@router.get("/redemptions/{redemption_id}/payouts")
def list_payouts(
    redemption_id: UUID,
    session: ReadSessionDep,
    reading: FullReadingDep,
    paging: PagingDep,
    state: PayoutState | None = None,
) -> Page[PayoutRead]:
    """List who is paid what, by address: all of them, or those of one state."""
    repository.get_redemption(session, redemption_id)
    after = bytes.fromhex(paging.after) if paging.after else None
    rows = repository.list_payouts(
        session, redemption_id, state=state, after=after, limit=paging.fetch
    )
    return reading.of(paging.page(rows, lambda row: row.address.hex(), PayoutRead.of))


@router.post("/redemptions/{redemption_id}/votes", dependencies=IDEMPOTENT)
def vote_on_redemption(
    redemption_id: UUID, body: VoteCreate, session: SessionDep, actor: ActorDep
) -> RedemptionRead:
    """Vote with the fractions that one held when the redemption was asked for."""
    row = redemptions.cast_vote(session, actor, redemption_id, in_favour=body.in_favour)
    return RedemptionRead.of(session, row)


@router.post("/redemptions/{redemption_id}/close_vote", dependencies=IDEMPOTENT)
def close_redemption_vote(redemption_id: UUID, session: SessionDep) -> RedemptionRead:
    """Close a vote whose time is over."""
    return RedemptionRead.of(session, redemptions.close_vote(session, redemption_id))


@router.post("/redemptions/{redemption_id}/approve", dependencies=IDEMPOTENT)
def approve_redemption(
    redemption_id: UUID, body: RoleGiven, session: SessionDep, actor: ActorDep
) -> RedemptionRead:
    """Approve it: compliance, then a registrar's checker; the token pauses."""
    row = redemptions.approve_redemption(session, actor, redemption_id, role=body.role)
    return RedemptionRead.of(session, row)


@router.post("/redemptions/{redemption_id}/reject", dependencies=IDEMPOTENT)
def reject_redemption(
    redemption_id: UUID, body: Reason, session: SessionDep, actor: ActorDep
) -> RedemptionRead:
    """Refuse what the holders have not carried."""
    row = redemptions.reject_redemption(session, actor, redemption_id, reason=body.reason)
    return RedemptionRead.of(session, row)


@router.post("/redemptions/{redemption_id}/withdraw", dependencies=IDEMPOTENT)
def withdraw_redemption(
    redemption_id: UUID, body: Reason, session: SessionDep, actor: ActorDep
) -> RedemptionRead:
    """Give up what one has asked for, before it is approved."""
    row = redemptions.withdraw_redemption(session, actor, redemption_id, reason=body.reason)
    return RedemptionRead.of(session, row)


@router.post("/redemptions/{redemption_id}/freeze", dependencies=IDEMPOTENT)
def freeze_redemption(redemption_id: UUID, session: SessionDep, actor: ActorDep) -> RedemptionRead:
    """Record who is paid, once the chain shows the token paused."""
    return RedemptionRead.of(session, redemptions.freeze_cap_table(session, actor, redemption_id))


@router.post("/redemptions/{redemption_id}/fund", dependencies=IDEMPOTENT)
def fund_redemption(
    redemption_id: UUID, body: FundingCreate, session: SessionDep, actor: ActorDep
) -> RedemptionRead:
    """Record that the escrow holds the price less the costs, and allot it to the paisa."""
    row = paying.fund_redemption(
        session,
        actor,
        redemption_id,
        escrow_paisa=body.escrow.paisa("/escrow/amount"),
        reference=body.reference,
    )
    return RedemptionRead.of(session, row)


@router.post("/redemptions/{redemption_id}/pay", dependencies=IDEMPOTENT)
def pay_redemption(redemption_id: UUID, session: SessionDep, actor: ActorDep) -> RedemptionRead:
    """Begin to pay; what nobody may be paid is held."""
    return RedemptionRead.of(session, paying.start_paying(session, actor, redemption_id))


@router.post("/redemption_payouts/{payout_id}/pay", dependencies=IDEMPOTENT)
def record_payout(
    payout_id: UUID, body: RailReference, session: SessionDep, actor: ActorDep
) -> PayoutRead:
    """Record that one holder was paid; what was held too, once nothing stops it any more.

    What a person holds is released first.
    """
    row = paying.record_payout(session, actor, payout_id, rail_reference=body.rail_reference)
    return PayoutRead.of(row)


@router.post("/redemption_payouts/{payout_id}/hold", dependencies=IDEMPOTENT)
def hold_payout(payout_id: UUID, body: Reason, session: SessionDep, actor: ActorDep) -> PayoutRead:
    """Hold what a holder could not be paid."""
    return PayoutRead.of(paying.hold_payout(session, actor, payout_id, reason=body.reason))


@router.post("/redemption_payouts/{payout_id}/release", dependencies=IDEMPOTENT)
def release_payout(
    payout_id: UUID, body: Reason, session: SessionDep, actor: ActorDep
) -> PayoutRead:
    """Let go what another person holds: it is due again."""
    return PayoutRead.of(paying.release_payout(session, actor, payout_id, reason=body.reason))


@router.post("/redemptions/{redemption_id}/close_payouts", dependencies=IDEMPOTENT)
def close_payouts(redemption_id: UUID, session: SessionDep) -> RedemptionRead:
    """Say that every paisa has its payee."""
    return RedemptionRead.of(session, paying.close_payouts(session, redemption_id))


@router.post("/redemptions/{redemption_id}/abort", dependencies=IDEMPOTENT)
def abort_redemption(
    redemption_id: UUID, session: SessionDep, actor: ActorDep, body: Reason | None = None
) -> RedemptionRead:
    """Give up what nobody funded by its long stop, or, for a reason, what would pay others.

    The token lives on.
    """
    reason = body.reason if body else None
    row = aborting.abort_redemption(session, actor, redemption_id, reason=reason)
    return RedemptionRead.of(session, row)


@router.post("/redemptions/{redemption_id}/burn", status_code=202, dependencies=IDEMPOTENT)
def burn_redeemed(
    redemption_id: UUID, session: SessionDep, actor: ActorDep, accept_all: AcceptAllDep
) -> list[OperationRead]:
    """Burn every fraction that was paid for, or held; asked again, what did not happen."""
    planned = burning.burn_redeemed(session, actor, redemption_id)
    return accept_all(planned)


@router.post("/redemptions/{redemption_id}/end_token", dependencies=IDEMPOTENT)
def end_redeemed_token(redemption_id: UUID, session: SessionDep) -> RedemptionRead:
    """Record that the token is burned, once the chain shows no fraction; the clock does too."""
    burning.end_burned(session, redemption_id)
    return RedemptionRead.of(session, repository.get_redemption(session, redemption_id))


@router.post("/redemptions/{redemption_id}/settle", dependencies=IDEMPOTENT)
def settle_redemption(redemption_id: UUID, session: SessionDep) -> RedemptionRead:
    """Close it, once nothing is left on chain, in the register or in the wrapper."""
    return RedemptionRead.of(session, paying.settle_redemption(session, redemption_id))
