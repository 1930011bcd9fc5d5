"""/v1/assets: the dossier and its workflow."""

from __future__ import annotations

from uuid import UUID

from fastapi import Response

from api.as_of import KnownSessionDep, LegalSessionDep, LegalTimeParam
from api.deps import ActorDep, ReadSessionDep, SessionDep
from api.etag import IfMatch, set_etag, version_of
from api.idempotency import IDEMPOTENT
from api.pagination import PagingDep
from api.routes.router import resource_router
from api.schemas.assets import (
    ApprovalCreate,
    ApprovalRead,
    ApprovalsRead,
    AssetCreate,
    AssetPatch,
    AssetRead,
    Reason,
    RuleRunRead,
)
from api.schemas.common import Page, problems
from registry.asset import service as assets
from registry.asset.models import AssetState
from registry.onboarding import approvals
from registry.onboarding import service as onboarding
from registry.rulebook import service as rulebook
from registry.title import service as titles
from registry.tokenization import service as tokenizations

router = resource_router("assets")


@router.post("/assets", status_code=201, dependencies=IDEMPOTENT)
def create_asset(
    body: AssetCreate, session: SessionDep, actor: ActorDep, response: Response
) -> AssetRead:
    """Open the dossier of an asset, with the title that it claims."""
    asset = onboarding.open_dossier(
        session, actor, code=body.code, asset_class=body.asset_class, dossier=body.dossier()
    )
    response.headers["Location"] = f"/v1/assets/{asset.id}"
    set_etag(response, asset.version)
    return AssetRead.of(session, asset)


@router.get("/assets")
def list_assets(
    session: KnownSessionDep,
    paging: PagingDep,
    code: str | None = None,
    state: AssetState | None = None,
    as_of: LegalTimeParam = None,
) -> Page[AssetRead]:
    """List assets, or find the one of a code; or those that had an owner at a time, with it."""
    among = titles.assets_with_right(as_of) if as_of else None
    rows = assets.list_assets(
        session, code=code, state=state, after=paging.after_id, limit=paging.fetch, among=among
    )
    return paging.page(
        rows, lambda row: str(row.id), lambda row: AssetRead.of(session, row, as_of=as_of)
    )


@router.get("/assets/{asset_id}")
def get_asset(
    asset_id: UUID, session: KnownSessionDep, response: Response, as_of: LegalTimeParam = None
) -> AssetRead:
    """Read one asset, with its owners at a time; its ETag goes with an edit as If-Match."""
    asset = assets.get_asset(session, asset_id)
    set_etag(response, asset.version)
    return AssetRead.of(session, asset, as_of=as_of)


@router.patch("/assets/{asset_id}", dependencies=IDEMPOTENT, responses=problems(412, 428))
def amend_asset(
    asset_id: UUID,
    body: AssetPatch,
    session: SessionDep,
    actor: ActorDep,
    response: Response,
    if_match: IfMatch = None,
) -> AssetRead:
    """Correct a dossier that is a draft or was sent back; approvals given before are void."""
    asset = onboarding.amend_dossier(
        session, actor, asset_id, version=version_of(if_match, "asset"), dossier=body.dossier()
    )
    set_etag(response, asset.version)
    return AssetRead.of(session, asset)


@router.post("/assets/{asset_id}/submit", dependencies=IDEMPOTENT)
def submit_asset(asset_id: UUID, session: SessionDep, actor: ActorDep) -> RuleRunRead:
    """Hand the dossier in; the rules of submission send it to review or back."""
    return RuleRunRead.of(onboarding.submit_dossier(session, actor, asset_id))


@router.post("/assets/{asset_id}/approvals", status_code=201, dependencies=IDEMPOTENT)
def approve_asset(
    asset_id: UUID, body: ApprovalCreate, session: SessionDep, actor: ActorDep
) -> AssetRead:
    """Approve exactly the dossier that you read; the last approval registers the asset."""
    asset = onboarding.approve_dossier(
        session, actor, asset_id, role=body.role, seen_hash=bytes.fromhex(body.dossier_hash)
    )
    return AssetRead.of(session, asset)


@router.get("/assets/{asset_id}/approvals")
def list_asset_approvals(asset_id: UUID, session: LegalSessionDep) -> ApprovalsRead:
    """See who ever approved the dossier, what counts now, and which roles are missing."""
    asset = assets.get_asset(session, asset_id)
    digest = onboarding.dossier_hash(session, asset)
    given = approvals.list_approvals(session, ("asset", asset_id))
    return ApprovalsRead(
        dossier_hash=digest.hex(),
        given=[ApprovalRead.of(approval, digest) for approval in given],
        missing=dict(onboarding.missing_approvals(session, asset, digest)),
    )


@router.post("/assets/{asset_id}/requisition", dependencies=IDEMPOTENT)
def requisition_asset(
    asset_id: UUID, body: Reason, session: SessionDep, actor: ActorDep
) -> AssetRead:
    """Send the dossier back to its maker with what is missing."""
    asset = onboarding.return_dossier(session, actor, asset_id, reason=body.reason)
    return AssetRead.of(session, asset)


@router.post("/assets/{asset_id}/reject", dependencies=IDEMPOTENT)
def reject_asset(asset_id: UUID, body: Reason, session: SessionDep, actor: ActorDep) -> AssetRead:
    """Refuse the asset and its title for good."""
    asset = onboarding.reject_dossier(session, actor, asset_id, reason=body.reason)
    return AssetRead.of(session, asset)


@router.post("/assets/{asset_id}/withdraw", dependencies=IDEMPOTENT)
def withdraw_asset(asset_id: UUID, session: SessionDep, actor: ActorDep) -> AssetRead:
    """Take one's own dossier back."""
    return AssetRead.of(session, onboarding.withdraw_dossier(session, actor, asset_id))


@router.post("/assets/{asset_id}/rule_runs", status_code=201, dependencies=IDEMPOTENT)
def run_rules(asset_id: UUID, session: SessionDep, actor: ActorDep) -> RuleRunRead:
    """Ask the tokenization gate: every rule with its result, stored."""
    return RuleRunRead.of(tokenizations.run_gate(session, actor, asset_id))


@router.get("/assets/{asset_id}/rule_runs")
def list_rule_runs(asset_id: UUID, session: ReadSessionDep) -> list[RuleRunRead]:
    """List the stored runs, newest first."""
    assets.get_asset(session, asset_id)
    return [RuleRunRead.of(run) for run in rulebook.list_runs(session, asset_id)]
