"""/v1/me/wallets: wallets in our custody."""

from __future__ import annotations

from fastapi import Response

from api.deps import ActorDep, ReadSessionDep, ServicesDep, SessionDep
from api.idempotency import IDEMPOTENT
from api.routes.router import resource_router
from api.schemas.custody import CustodialWalletCreate, CustodialWalletRead
from registry.investor import custody
from registry.kernel.errors import Conflict

router = resource_router("custody")


@router.post("/me/wallets", status_code=202, dependencies=IDEMPOTENT)
def request_custodial_wallet(
    body: CustodialWalletCreate,  # noqa: ARG001 (says that custody is meant)
    session: SessionDep,
    actor: ActorDep,
    services: ServicesDep,
    response: Response,
) -> CustodialWalletRead:
    """Ask for a wallet whose key we keep; there is one, however often you ask."""
    settings = services.settings
    if settings.custody_place is None:
        raise Conflict(
            "custody_not_offered",
            "This service keeps no keys of wallets.",
            remedy="Prove a wallet of your own at /v1/investors/{id}/wallets.",
        )
    response.headers["Location"] = "/v1/me/wallets"
    key = custody.request_wallet(session, actor, settings.chain_id)
    return CustodialWalletRead.of(session, key)


@router.get("/me/wallets")
def list_custodial_wallets(session: ReadSessionDep, actor: ActorDep) -> list[CustodialWalletRead]:
    """List your custodial wallets, also those given up; the others stand at your enrolment."""
    return [CustodialWalletRead.of(session, row) for row in custody.list_own(session, actor)]
