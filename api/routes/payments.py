"""/v1/payments: signed notices of payment rails (Standard Webhooks)."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from fastapi import Depends, Request
from fastapi.concurrency import run_in_threadpool
from pydantic import ValidationError
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from api.auth.errors import Unauthenticated
from api.deps import ServicesDep, SessionDep
from api.routes.router import open_router
from api.schemas.common import PROBLEMS, Body, Instant, MoneyAmount, ShortText
from api.schemas.tokenizations import OrderRead
from registry.kernel.errors import Invalid
from registry.offering import orders

router = open_router("payments", prefix="/v1", responses=PROBLEMS)


class PaymentNotice(Body):
    """What a bank says has arrived."""

    bank_reference: ShortText
    order_reference: ShortText
    amount: MoneyAmount
    received_at: Instant


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


@router.post("/payments/webhooks/{rail}")
def receive_payment_notice(
    rail: Literal["bank_transfer"],
    notice: Annotated[dict[str, Any], Depends(_signed_body)],
    session: SessionDep,
) -> OrderRead:
    """Book money that a rail says has arrived; the same notice again changes nothing."""
    try:
        said = PaymentNotice.model_validate(notice)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        pointer = "/" + "/".join(str(part) for part in first["loc"])
        raise Invalid("notice_invalid", f"{pointer}: {first['msg']}.", field=pointer) from error
    order = orders.book_payment(
        session,
        rail=rail,
        rail_reference=said.bank_reference,
        order_reference=said.order_reference,
        amount_paisa=said.amount.paisa("/amount/amount"),
        received_at=said.received_at,
    )
    return OrderRead.of(order)
