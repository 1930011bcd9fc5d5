"""/v1/valuations and an asset's wrapper: what it is worth, and who holds it for the holders."""

from __future__ import annotations

from uuid import UUID

from api.as_of import KnownSessionDep, LegalSessionDep, LegalTimeParam
from api.deps import ActorDep, SessionDep
from api.idempotency import IDEMPOTENT
from api.revealing import REVEALING
from api.routes.router import resource_router
from api.schemas.assets import Reason
from api.schemas.valuations import ValuationCreate, ValuationRead, WrapperCreate, WrapperRead
from registry.asset import service as assets
from registry.kernel.clock import day_of
from registry.kernel.errors import NotFound
from registry.valuation import service as valuations
from registry.wrapper import service as wrappers

router = resource_router("valuations")


@router.post("/assets/{asset_id}/valuations", status_code=201, dependencies=IDEMPOTENT)
def submit_valuation(
    asset_id: UUID, body: ValuationCreate, session: SessionDep, actor: ActorDep
) -> ValuationRead:
    """Submit an opinion of value."""
    valuation = valuations.submit_valuation(
        session,
        actor,
        asset_id,
        amount_paisa=body.value.paisa("/value/amount"),
        low_paisa=body.low.paisa("/low/amount") if body.low else None,
        high_paisa=body.high.paisa("/high/amount") if body.high else None,
        basis_date=body.basis_date,
        method=body.method,
        report_sha256=bytes.fromhex(body.report_sha256),
    )
    return ValuationRead.of(valuation)


@router.get("/assets/{asset_id}/valuations", dependencies=REVEALING)
def list_valuations(
    asset_id: UUID, session: KnownSessionDep, as_of: LegalTimeParam = None
) -> list[ValuationRead]:
    """List every opinion on an asset, or those of its worth up to a time."""
    assets.get_asset(session, asset_id)
    until = day_of(as_of) if as_of else None
    rows = valuations.list_valuations(session, asset_id, until=until)
    return [ValuationRead.of(row) for row in rows]


@router.post("/valuations/{valuation_id}/accept", dependencies=IDEMPOTENT)
def accept_valuation(valuation_id: UUID, session: SessionDep, actor: ActorDep) -> ValuationRead:
    """Accept an opinion of somebody else's; a change of more than a fifth needs two of you."""
    return ValuationRead.of(valuations.accept_valuation(session, actor, valuation_id))


@router.post("/valuations/{valuation_id}/reject", dependencies=IDEMPOTENT)
def reject_valuation(
    valuation_id: UUID, body: Reason, session: SessionDep, actor: ActorDep
) -> ValuationRead:
    """Refuse an opinion of somebody else's."""
    valuation = valuations.reject_valuation(session, actor, valuation_id, reason=body.reason)
    return ValuationRead.of(valuation)


@router.post("/assets/{asset_id}/wrapper", status_code=201, dependencies=IDEMPOTENT)
def name_wrapper(
    asset_id: UUID, body: WrapperCreate, session: SessionDep, actor: ActorDep
) -> WrapperRead:
    """Name the vehicle that holds the asset for its token holders."""
    wrapper = wrappers.name_wrapper(
        session,
        actor,
        asset_id,
        party_id=body.party_id,
        wrapper_type=body.type,
        register_of_record=body.register_of_record,
    )
    return WrapperRead.model_validate(wrapper)


@router.get("/assets/{asset_id}/wrapper")
def get_wrapper(asset_id: UUID, session: LegalSessionDep) -> WrapperRead:
    """Read which vehicle holds the asset."""
    wrapper = wrappers.find_wrapper(session, asset_id)
    if wrapper is None:
        raise NotFound("wrapper", f"of asset {asset_id}")
    return WrapperRead.model_validate(wrapper)
