"""/v1/assets once registered: suspended for causes, reinstated, amended, retired."""

from __future__ import annotations

from collections import Counter
from uuid import UUID

from api.as_of import LegalSessionDep
from api.deps import ActorDep, SessionDep
from api.etag import IfMatch, version_of
from api.idempotency import IDEMPOTENT
from api.revealing import REVEALING
from api.routes.router import resource_router
from api.schemas.assets import ApprovalRead, AssetRead, Reason
from api.schemas.common import problems
from api.schemas.standing import (
    AmendmentCreate,
    AmendmentDecision,
    AmendmentRead,
    CauseRead,
    ReinstatementCreate,
    RetirementCreate,
    StandingRead,
    SuspensionCreate,
)
from registry.asset import service as assets
from registry.kernel.actor import Role
from registry.onboarding import approvals
from registry.onboarding import service as onboarding
from registry.onboarding.models import ApprovalState
from registry.tokenization import liens

router = resource_router("assets")


@router.post("/assets/{asset_id}/suspend", dependencies=IDEMPOTENT)
def suspend_asset(
    asset_id: UUID, body: SuspensionCreate, session: SessionDep, actor: ActorDep
) -> AssetRead:
    """Stop every dealing in a registered asset, and pause its token."""
    asset = liens.suspend_asset(
        session, actor, asset_id, kind=body.kind, reference=body.reference, reason=body.reason
    )
    return AssetRead.of(session, asset)


@router.get("/assets/{asset_id}/standing", dependencies=REVEALING)
def get_asset_standing(asset_id: UUID, session: LegalSessionDep) -> StandingRead:
    """Read why the asset is suspended, and who must agree to its reinstatement."""
    asset = assets.get_asset(session, asset_id)
    digest = onboarding.standing_hash(session, asset)
    given = approvals.list_approvals(session, ("reinstatement", asset_id))
    live = Counter(item.role for item in given if item.state_of(digest) == ApprovalState.LIVE)
    missing = onboarding.required_for_reinstatement(session, asset) - Counter[Role](live)
    return StandingRead(
        standing_hash=digest.hex(),
        causes=[CauseRead.of(cause) for cause in onboarding.list_causes(session, asset_id)],
        given=[ApprovalRead.of(approval, digest) for approval in given],
        missing=dict(missing),
    )


@router.post("/suspension_causes/{cause_id}/close", dependencies=IDEMPOTENT)
def close_suspension_cause(
    cause_id: UUID, body: Reason, session: SessionDep, actor: ActorDep
) -> CauseRead:
    """Record that a cause is gone; orders and liens close theirs by themselves."""
    cause = onboarding.close_cause_by_hand(session, actor, cause_id, closing=body.reason)
    return CauseRead.of(cause)


@router.post("/assets/{asset_id}/reinstate", dependencies=IDEMPOTENT)
def reinstate_asset(
    asset_id: UUID, body: ReinstatementCreate, session: SessionDep, actor: ActorDep
) -> AssetRead:
    """Agree to a reinstatement; the last approval of a new pair lets dealings go on."""
    asset = onboarding.reinstate_asset(
        session, actor, asset_id, role=body.role, seen_hash=bytes.fromhex(body.standing_hash)
    )
    return AssetRead.of(session, asset)


@router.post("/assets/{asset_id}/retire", dependencies=IDEMPOTENT)
def retire_asset(
    asset_id: UUID, body: RetirementCreate, session: SessionDep, actor: ActorDep
) -> AssetRead:
    """Take an asset out of the register for good; no token may live on it."""
    asset = onboarding.retire_asset(
        session, actor, asset_id, reason=body.reason, loss_document_id=body.loss_document_id
    )
    return AssetRead.of(session, asset)


@router.post(
    "/assets/{asset_id}/amendments",
    status_code=201,
    dependencies=IDEMPOTENT,
    responses=problems(412, 428),
)
def propose_asset_amendment(
    asset_id: UUID,
    body: AmendmentCreate,
    session: SessionDep,
    actor: ActorDep,
    if_match: IfMatch = None,
) -> AmendmentRead:
    """Propose a corrected dossier of a registered asset."""
    amendment = onboarding.propose_amendment(
        session,
        actor,
        asset_id,
        version=version_of(if_match, "asset"),
        dossier=body.dossier(),
        reason=body.reason,
    )
    return AmendmentRead.of(session, amendment)


@router.get("/assets/{asset_id}/amendments", dependencies=REVEALING)
def list_asset_amendments(asset_id: UUID, session: LegalSessionDep) -> list[AmendmentRead]:
    """List every amendment ever proposed, with what it changes."""
    assets.get_asset(session, asset_id)
    return [AmendmentRead.of(session, row) for row in onboarding.list_amendments(session, asset_id)]


@router.post("/assets/{asset_id}/amendments/approve", dependencies=IDEMPOTENT)
def approve_asset_amendment(
    asset_id: UUID, body: AmendmentDecision, session: SessionDep, actor: ActorDep
) -> AssetRead:
    """Put the proposed dossier in force as the asset's next version."""
    asset = onboarding.approve_amendment(
        session, actor, asset_id, seen_hash=bytes.fromhex(body.amended_hash)
    )
    return AssetRead.of(session, asset)


@router.post("/assets/{asset_id}/amendments/cancel", dependencies=IDEMPOTENT)
def cancel_asset_amendment(asset_id: UUID, session: SessionDep, actor: ActorDep) -> AssetRead:
    """Take one's own proposal back; the dossier stays as it is."""
    return AssetRead.of(session, onboarding.cancel_amendment(session, actor, asset_id))
