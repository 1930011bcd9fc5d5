"""/v1/tokenizations: from a checked title to a live token."""

from __future__ import annotations

from uuid import UUID

from fastapi import Response

from api.accepted import AcceptAllDep, AcceptDep
from api.as_of import LegalSessionDep
from api.deps import ActorDep, SessionDep
from api.idempotency import IDEMPOTENT
from api.routes.router import resource_router
from api.schemas.assets import Reason
from api.schemas.offerings import OfferingCreate, OfferingRead
from api.schemas.operations import OperationRead
from api.schemas.tokenizations import (
    GiveUpCreate,
    GiveUpRead,
    TokenizationApproval,
    TokenizationCreate,
    TokenizationRead,
    UnpauseCreate,
    UnpauseRead,
)
from registry.asset import service as assets
from registry.offering import service as offerings
from registry.offering import unwinding
from registry.offering.giving_up import agree_to_give_up
from registry.reopening.service import agree_to_unpause
from registry.tokenization import service as tokenizations

router = resource_router("tokenizations")


@router.post("/assets/{asset_id}/tokenizations", status_code=201, dependencies=IDEMPOTENT)
def structure_tokenization(
    asset_id: UUID,
    body: TokenizationCreate,
    session: SessionDep,
    actor: ActorDep,
    response: Response,
) -> TokenizationRead:
    """Structure a token of an asset, if every rule of the gate passes."""
    row = tokenizations.structure_tokenization(session, actor, asset_id, body.terms())
    response.headers["Location"] = f"/v1/tokenizations/{row.id}"
    return TokenizationRead.of(row)


@router.get("/assets/{asset_id}/tokenizations")
def list_tokenizations(asset_id: UUID, session: LegalSessionDep) -> list[TokenizationRead]:
    """List the tokenizations of an asset."""
    assets.get_asset(session, asset_id)
    return [TokenizationRead.of(row) for row in tokenizations.list_tokenizations(session, asset_id)]


@router.get("/tokenizations/{tokenization_id}")
def get_tokenization(tokenization_id: UUID, session: LegalSessionDep) -> TokenizationRead:
    """Read one tokenization."""
    return TokenizationRead.of(tokenizations.get_tokenization(session, tokenization_id))


@router.post("/tokenizations/{tokenization_id}/approve", dependencies=IDEMPOTENT)
def approve_tokenization(
    tokenization_id: UUID, body: TokenizationApproval, session: SessionDep, actor: ActorDep
) -> TokenizationRead:
    """Approve exactly the terms that you read; compliance and a registrar's checker must."""
    row = tokenizations.approve_tokenization(
        session,
        actor,
        tokenization_id,
        role=body.role,
        seen_hash=bytes.fromhex(body.terms_hash),
    )
    return TokenizationRead.of(row)


@router.post("/tokenizations/{tokenization_id}/cancel", dependencies=IDEMPOTENT)
def cancel_tokenization(
    tokenization_id: UUID, body: Reason, session: SessionDep, actor: ActorDep
) -> TokenizationRead:
    """Give up a token of which no fraction exists; its contracts are closed for ever."""
    tokenization = tokenizations.cancel_tokenization(
        session, actor, tokenization_id, reason=body.reason
    )
    return TokenizationRead.of(tokenization)


@router.post("/tokenizations/{tokenization_id}/deploy", status_code=202, dependencies=IDEMPOTENT)
def deploy_tokenization(
    tokenization_id: UUID, session: SessionDep, actor: ActorDep, accept: AcceptDep
) -> OperationRead:
    """Have the token's contracts deployed."""
    return accept(tokenizations.deploy_token(session, actor, tokenization_id))


@router.post("/tokenizations/{tokenization_id}/open", status_code=201, dependencies=IDEMPOTENT)
def open_tokenization(
    tokenization_id: UUID,
    body: OfferingCreate,
    session: SessionDep,
    actor: ActorDep,
    response: Response,
) -> OfferingRead:
    """Open the first sale."""
    offering = offerings.open_offering(session, actor, tokenization_id, body.terms())
    response.headers["Location"] = f"/v1/offerings/{offering.id}"
    return OfferingRead.read(session, offering)


@router.post("/tokenizations/{tokenization_id}/mint", status_code=202, dependencies=IDEMPOTENT)
def mint_tokenization(
    tokenization_id: UUID, session: SessionDep, actor: ActorDep, accept_all: AcceptAllDep
) -> list[OperationRead]:
    """Close the sale and mint to buyers, the rest to the wrapper; asked again: what failed."""
    planned = offerings.close_and_mint(session, actor, tokenization_id)
    return accept_all(planned)


@router.post("/tokenizations/{tokenization_id}/unwind", dependencies=IDEMPOTENT)
def unwind_tokenization(
    tokenization_id: UUID, body: Reason, session: SessionDep, actor: ActorDep
) -> TokenizationRead:
    """End a sale that missed its minimum, or sold nothing; what was paid is to be refunded."""
    row = unwinding.unwind_offering(session, actor, tokenization_id, reason=body.reason)
    return TokenizationRead.of(row)


@router.post("/tokenizations/{tokenization_id}/give_up", dependencies=IDEMPOTENT)
def give_up_tokenization(
    tokenization_id: UUID, body: GiveUpCreate, session: SessionDep, actor: ActorDep
) -> GiveUpRead:
    """Agree that a sale which cannot be closed ends: compliance, then a registrar's checker."""
    given_up = agree_to_give_up(session, actor, tokenization_id, role=body.role, reason=body.reason)
    return GiveUpRead(
        missing=sorted(given_up.missing.elements()),
        tokenization=TokenizationRead.of(given_up.tokenization),
    )


@router.post("/tokenizations/{tokenization_id}/go_live", status_code=202, dependencies=IDEMPOTENT)
def go_live_tokenization(
    tokenization_id: UUID, session: SessionDep, actor: ActorDep, accept: AcceptDep
) -> OperationRead:
    """Open the token's transfers, once all of it is minted and reconciled."""
    return accept(offerings.go_live(session, actor, tokenization_id))


@router.post("/tokenizations/{tokenization_id}/pause", status_code=202, dependencies=IDEMPOTENT)
def pause_tokenization(
    tokenization_id: UUID,
    body: Reason,
    session: SessionDep,
    actor: ActorDep,
    accept: AcceptDep,
) -> OperationRead:
    """Stop the token's transfers."""
    operation = tokenizations.pause_token(session, actor, tokenization_id, reason=body.reason)
    return accept(operation)


@router.post("/tokenizations/{tokenization_id}/unpause", status_code=202, dependencies=IDEMPOTENT)
def unpause_tokenization(
    tokenization_id: UUID,
    body: UnpauseCreate,
    session: SessionDep,
    actor: ActorDep,
    accept: AcceptDep,
) -> UnpauseRead:
    """Agree that transfers go on: compliance, then a registrar's checker; then the chain opens."""
    reopening = agree_to_unpause(
        session, actor, tokenization_id, role=body.role, reason=body.reason
    )
    operation = accept(reopening.operation) if reopening.operation else None
    return UnpauseRead(missing=sorted(reopening.missing.elements()), operation=operation)
