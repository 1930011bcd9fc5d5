"""/v1/payments: signed notices of payment rails (Standard Webhooks), and the books."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import Depends, Request, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import ValidationError
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from api.auth.errors import Unauthenticated
from api.deps import ActorDep, ReadSessionDep, ServicesDep, SessionDep, VaultDep
from api.idempotency import IDEMPOTENT
from api.pagination import PagingDep
from api.reading import ReadingDep
from api.routes.router import open_router, resource_router
from api.schemas.common import PROBLEMS, DatedInstant, MoneyAmount, Page
from api.schemas.offerings import OrderRead
from api.schemas.payments import (
    PaymentAssign,
    PaymentNotice,
    PaymentRead,
    PaymentWithCandidates,
    ReceivableRead,
    RefundDueRead,
    TrialBalanceRead,
)
from api.schemas.redemptions import RailReference
from registry.kernel.errors import Invalid
from registry.kernel.rows import get_row
from registry.ledger import service as ledger
from registry.ledger.models import Account
from registry.offering.models import Order, PaymentState, Rail
from registry.payment import allocating
from registry.payment.rails import RAILS
from registry.payment.receiving import book_receipt
from registry.payment.reversing import reverse_receipt

webhooks = open_router("payments", prefix="/v1", responses=PROBLEMS)
router = resource_router("payments")


async def _signed_body(request: Request, services: ServicesDep) -> dict[str, Any]:
    """Return the notice, if the rail signed exactly these bytes a moment ago.

    Raises
    ------
    Unauthenticated
        ``notice_signature_invalid``.
    TooManyRequests
    """
    secret = services.settings.payment_webhook_secret
    assert secret is not None, "the settings or the embedded secrets hold one"
    body = await request.body()
    try:
        Webhook(secret.get_secret_value()).verify(body, dict(request.headers), json_parse=False)
        notice: dict[str, Any] = json.loads(body)
    except (WebhookVerificationError, ValueError) as error:
        await run_in_threadpool(services.limits.count_address, request)
        raise Unauthenticated(
            "notice_signature_invalid",
            "The notice is not signed with this rail's secret, or is too old.",
            remedy="Sign webhook-id.webhook-timestamp.body as Standard Webhooks says.",
        ) from error
    except RecursionError as error:
        raise Invalid("notice_invalid", "The notice is nested too deeply.") from error
    return notice


@webhooks.post(
    "/payments/webhooks/{rail}", response_model=OrderRead, responses={202: {"model": PaymentRead}}
)
def receive_payment_notice(
    rail: Literal["bank_transfer"],
    notice: Annotated[dict[str, Any], Depends(_signed_body)],
    session: SessionDep,
) -> OrderRead | Response:
    """Book money that a rail says has arrived, or taken back; the same again changes nothing.

    Money of an order that we know answers with the order. Other money is kept apart (202).
    """
    try:
        said = PaymentNotice.model_validate(notice)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        pointer = "/" + "/".join(str(part) for part in first["loc"])
        raise Invalid("notice_invalid", f"{pointer}: {first['msg']}.", field=pointer) from error
    by = RAILS[Rail(rail)]
    if said.reverses is not None:
        payment = reverse_receipt(session, by, said.reversal(said.reverses))
    else:
        payment = book_receipt(session, by, said.receipt())
    if payment.order_id is None:
        kept = PaymentRead.of(payment).model_dump_json()
        return Response(kept, 202, media_type="application/json")
    return OrderRead.read(session, get_row(session, Order, payment.order_id, kind="order"))


@router.get("/payments")
def list_payments(
    session: ReadSessionDep,
    reading: ReadingDep,
    paging: PagingDep,
    state: PaymentState | None = None,
    order_id: UUID | None = None,
) -> Page[PaymentRead]:
    """List what came, oldest first."""
    rows = allocating.list_payments(
        session, state=state, order_id=order_id, after=paging.after_id, limit=paging.fetch
    )
    return reading.of(paging.page(rows, lambda row: str(row.id), PaymentRead.of))


@router.get("/payments/{payment_id}")
def get_payment(
    payment_id: UUID, session: ReadSessionDep, reading: ReadingDep
) -> PaymentWithCandidates:
    """Read a payment; of one that names no order, also those that it may be meant for."""
    payment = allocating.get_payment(session, payment_id)
    return reading.of(PaymentWithCandidates.suggesting(session, payment))


@router.post("/payments/{payment_id}/assign", dependencies=IDEMPOTENT)
def assign_payment(
    payment_id: UUID, body: PaymentAssign, session: SessionDep, actor: ActorDep
) -> PaymentRead:
    """Use money of no order for one, or for what another payment owes.

    For a debt, or an order that it does not point to, as the second person.
    """
    if body.order_id is not None:
        row = allocating.assign_payment(session, actor, payment_id, body.order_id)
    else:
        assert body.payment_id is not None, "the schema asks for one of the two"
        row = allocating.assign_to_debt(session, actor, payment_id, body.payment_id)
    return PaymentRead.of(row)


@router.post("/payments/{payment_id}/return", dependencies=IDEMPOTENT)
def return_payment(
    payment_id: UUID, body: RailReference, session: SessionDep, actor: ActorDep
) -> PaymentRead:
    """Record that money of no order went back, by the bank's own reference."""
    row = allocating.return_payment(session, actor, payment_id, rail_reference=body.rail_reference)
    return PaymentRead.of(row)


@router.get("/refunds_due")
def list_refunds_due(
    session: ReadSessionDep, reading: ReadingDep, vault: VaultDep, paging: PagingDep
) -> Page[RefundDueRead]:
    """List what is to go back to buyers of every sale, who has waited longest first."""
    rows = ledger.outstanding(
        session, Account.REFUND_DUE, after=paging.after_moment, limit=paging.fetch
    )
    show = RefundDueRead.reader(session, vault, rows)
    return reading.of(
        paging.page(rows, lambda row: f"{row.since.isoformat()} {row.subject_id}", show)
    )


@router.get("/receivables")
def list_receivables(session: ReadSessionDep, paging: PagingDep) -> Page[ReceivableRead]:
    """List what is owed since the bank took back what had been used."""
    rows = ledger.owed_by_subject(
        session, Account.RECEIVABLE, after=paging.after_id, limit=paging.fetch
    )
    return paging.page(
        rows,
        lambda row: str(row[0]),
        lambda row: ReceivableRead(subject_id=row[0], owed=MoneyAmount.of(row[1])),
    )


@router.get("/ledger/trial_balance")
def get_trial_balance(
    session: ReadSessionDep, recorded_until: DatedInstant | None = None
) -> TrialBalanceRead:
    """Sum up every account, of what was recorded until a moment."""
    return TrialBalanceRead.of(ledger.trial_balance(session, as_of=recorded_until))
