"""/v1/orders/{id}/trade and /settlement: what the wrapper kept, against rupees on chain."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from fastapi import Depends, Request, Response

from api.deps import ActorDep, ReadSessionDep, ServicesDep, SessionDep, TurnDep
from api.idempotency import IDEMPOTENT
from api.pagination import PagingDep
from api.routes.router import resource_router
from api.schemas.common import Page
from api.schemas.offerings import OfferingRead
from api.schemas.operations import OperationRead
from api.schemas.trades import PurchaseConfirm, SecondaryOfferingCreate, TradeRead, TradeSign
from chain.trades import check_seller, lockup_place, market_of, permit_of, typed_data_of
from registry.kernel.errors import RegistryError
from registry.offering import secondary
from registry.settlement import service as settlements
from registry.settlement import trades

router = resource_router("offerings")


@router.post(
    "/tokenizations/{tokenization_id}/secondary_offerings",
    status_code=201,
    dependencies=IDEMPOTENT,
)
def open_secondary_offering(
    tokenization_id: UUID,
    body: SecondaryOfferingCreate,
    session: SessionDep,
    actor: ActorDep,
    response: Response,
) -> OfferingRead:
    """Put fractions of a live token on sale that the wrapper's wallet holds."""
    price = body.price.paisa("/price/amount")
    row = secondary.open_secondary(session, actor, tokenization_id, body.terms(), price_paisa=price)
    response.headers["Location"] = f"/v1/offerings/{row.id}"
    return OfferingRead.read(session, row)


@router.get("/offerings/{offering_id}/trades")
def list_unsigned_trades(
    offering_id: UUID,
    session: ReadSessionDep,
    actor: ActorDep,
    services: ServicesDep,
    paging: PagingDep,
) -> Page[TradeRead]:
    """List the orders of your sale that wait for your signature."""
    rows = trades.list_unsigned(
        session, actor, offering_id, after=paging.after_id, limit=paging.fetch
    )
    chain_id = services.settings.chain_id
    return paging.page(rows, lambda row: str(row.id), TradeRead.reader(session, chain_id))


@router.get("/orders/{order_id}/trade")
def get_trade(order_id: UUID, actor: ActorDep, services: ServicesDep, _turn: TurnDep) -> TradeRead:
    """Read what is to be signed of an order that is paid on chain: yours, or of your sale."""
    with services.database.reading() as session:
        order = trades.get_trade(session, actor, order_id)
        found = TradeRead.read(session, services.settings.chain_id, order)
        is_buyer = trades.is_buyer(session, actor, order)
    if is_buyer:
        # The node is asked when no transaction is open.
        found.permit_typed_data = permit_of(services.node, found.typed_data)
    return found


@dataclass(frozen=True, slots=True)
class Checked:
    """The digest of a trade whose signature was checked, or what speaks against it."""

    digest: bytes
    refusal: RegistryError | None


def check_trade(
    request: Request,
    order_id: UUID,
    body: TradeSign,
    actor: ActorDep,
    services: ServicesDep,
    _turn: TurnDep,
) -> None:
    """Check the signature before any transaction is open: the node is asked."""
    with services.database.reading() as session:
        order = trades.get_trade(session, actor, order_id)
        terms = trades.terms_of(session, order)
        chain_id = services.settings.chain_id
        typed_data = typed_data_of(market_of(session, chain_id), terms)
        lockup = lockup_place(session, chain_id)
    try:
        digest = check_seller(services.node, typed_data, body.raw, lockup=lockup)
        checked = Checked(digest, None)
    except RegistryError as refusal:
        checked = Checked(b"", refusal)
    request.state.checked = checked


@router.post(
    "/orders/{order_id}/trade",
    status_code=201,
    dependencies=[Depends(check_trade), *IDEMPOTENT],
)
def sign_trade(
    order_id: UUID,
    body: TradeSign,
    session: SessionDep,
    actor: ActorDep,
    services: ServicesDep,
    request: Request,
    response: Response,
) -> TradeRead:
    """Hand in your signature as the seller; from then on the buyer can settle the order."""
    order = trades.open_to_sign(session, actor, order_id)
    checked: Checked = request.state.checked
    if checked.refusal is not None:
        raise checked.refusal
    trades.record_signature(session, actor, order, digest=checked.digest, signature=body.raw)
    response.headers["Location"] = f"/v1/orders/{order_id}/trade"
    return TradeRead.read(session, services.settings.chain_id, order)


@router.post("/orders/{order_id}/settlement", status_code=202, dependencies=IDEMPOTENT)
def confirm_purchase(
    order_id: UUID,
    body: PurchaseConfirm,
    session: SessionDep,
    actor: ActorDep,
    services: ServicesDep,
    response: Response,
) -> OperationRead:
    """Pay an order of yours in rupees on chain, once the seller has signed it."""
    operation = settlements.confirm_purchase(session, actor, order_id, body.agreed())
    response.headers["Location"] = f"/v1/operations/{operation.id}"
    return OperationRead.of(session, services.settings.chain_id, operation)
