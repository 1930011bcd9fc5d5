"""Reading people's own words in full: for those who may, for a purpose, and written down."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import Depends, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from api.deps import ActorDep, Services, ServicesDep, TurnDep
from api.schemas.free_text import show_in_full
from registry.kernel.actor import Actor
from registry.party.revealing import Reasons, note_free_texts, reasons_of

RevealParam = Annotated[bool, Query(description="Unmasked; journalled")]
ReasonParam = Annotated[
    str | None,
    Query(max_length=500, description="Needed with `reveal`, and always of who only looks"),
]

_KINDS = {
    "bill": "bill_of_lading",
    "break": "reconciliation_break",
    "case": "legal_case",
    "filing": "ctr_filing",
    "hit": "sanctions_hit",
    "order": "court_order",
    "reading": "energy_reading",
    "review": "kyc_review",
}
"""What the journal calls them, where the path says it shorter."""


# Not in a thread of its own: what it sets would end there, and not reach the handler.
async def read_texts(
    *,
    request: Request,
    response: Response,
    services: ServicesDep,
    actor: ActorDep,
    _turn: TurnDep,
    reveal: RevealParam = False,
    purpose: ReasonParam = None,
    legal_basis: ReasonParam = None,
) -> None:
    """Show free texts of the answer in full, if the caller asks with a purpose and may see them.

    Raises
    ------
    Forbidden
        ``reveal_not_allowed``.
    Invalid
        ``purpose_required``.
    """
    subject = subject_of(request)
    if not reveal or subject is None:
        return
    reasons = reasons_of(actor, purpose=purpose, legal_basis=legal_basis, reveal=True)
    await run_in_threadpool(_note, services, actor, subject, reasons)
    response.headers["Cache-Control"] = "no-store"
    show_in_full()


def subject_of(request: Request) -> tuple[str, UUID] | None:
    """Return what the path names, if anything; of a malformed id the route itself speaks."""
    if not request.path_params:
        return None
    name, value = next(iter(request.path_params.items()))
    kind = str(name).removesuffix("_id")
    if not request.url.path.startswith("/v1/orders/"):  # an order, and no court's
        kind = _KINDS.get(kind, kind)
    try:
        return kind, UUID(value)
    except ValueError:
        return None


def _note(
    services: Services,
    actor: Actor,
    subject: tuple[str, UUID],
    reasons: Reasons,
) -> None:
    with services.database.transaction() as session:
        note_free_texts(session, actor, subject, reasons)


REVEALING = [Depends(read_texts)]
"""For every read of a record with free texts that tells of no person (else `api.reading`)."""
