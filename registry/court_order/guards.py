"""Whether an event may happen to a court order; who may fire it stands in the table."""

from __future__ import annotations

from uuid import UUID

from sqlmodel import Session, col, or_, select
from sqlmodel.sql.expression import SelectOfScalar

from registry.asset.models import Asset
from registry.court_order.models import CourtOrder, CourtOrderState, OrderScope
from registry.court_order.repository import find_pending
from registry.encumbrance import service as encumbrances
from registry.encumbrance.models import IN_FORCE
from registry.kernel.clock import today
from registry.kernel.errors import Conflict, Invalid
from registry.lifecycle.reasons import require_other_person
from registry.lifecycle.service import Attempt, guard
from registry.mutation.models import Mutation, TitlePart
from registry.mutation.repository import titles_of
from registry.mutation.rules import DIVISIONS
from registry.title.models import Title, TitleState

MACHINE = "order"
SHA256_BYTES = 32

Try = Attempt[CourtOrder]


@guard(MACHINE, "authenticate", "reject")
def somebody_else_looks(attempt: Try) -> None:
    require_other_person(attempt, attempt.record.maker)


@guard(MACHINE, "authenticate")
def order_is_complete(attempt: Try) -> None:
    """Issuing authority, case, scope and the hash of the paper; the authority confirmed it."""
    order = attempt.record
    if not (order.authority.strip() and order.case_no.strip()):
        raise Invalid("order_incomplete", "An order names its authority and its case.")
    if len(order.document_sha256) != SHA256_BYTES:
        raise Invalid("order_incomplete", "An order is known by the SHA-256 of its paper.")
    if not str(attempt.given.get("confirmation") or "").strip():
        raise Conflict(
            "order_not_confirmed",
            "The authority has not confirmed the order.",
            remedy="Send how it was confirmed: register, reference, date.",
        )


@guard(MACHINE, "reject")
def second_person_confirms(attempt: Try) -> None:
    if attempt.given["missing"]:
        raise Conflict("approvals_missing", "A second person must confirm the rejection.")


@guard(MACHINE, "apply")
def somebody_else_applies(attempt: Try) -> None:
    order = attempt.record
    require_other_person(attempt, order.authenticated_by)
    if order.ends_on is not None and order.ends_on < today():
        raise Conflict("order_over", f"The order itself ended on {order.ends_on}.")


@guard(MACHINE, "confirmed")
def register_and_chain_obey(attempt: Try) -> None:
    """The chain shows it finally, and the register holds it."""
    if not attempt.given["chain_obeys"]:
        raise Conflict("order_not_on_chain", "The chain does not show the freeze yet.")
    order = attempt.record
    if order.encumbrance_id is not None:
        held = encumbrances.get_encumbrance(attempt.session, order.encumbrance_id)
        if held.state not in IN_FORCE:
            raise Conflict("order_not_registered", f"Its encumbrance is {held.state}.")


@guard(MACHINE, "retry")
def is_not_there_yet(attempt: Try) -> None:
    """Asking again is harmless while the chain does not obey."""
    if attempt.given["chain_obeys"]:
        raise Conflict("order_obeyed", "The chain shows the freeze; confirm the order.")


@guard(MACHINE, "vary")
def another_paper_says_so(attempt: Try) -> None:
    if attempt.given["document_sha256"] == attempt.record.document_sha256:
        raise Invalid("order_paper_unchanged", "An order is varied by a new order.")


@guard(MACHINE, "vacate", "expire")
def it_was_applied(attempt: Try) -> None:
    require_applied(attempt.record)


@guard(MACHINE, "vacate")
def a_vacating_order_and_two_people(attempt: Try) -> None:
    if len(attempt.given.get("vacating_sha256") or b"") != SHA256_BYTES:
        raise Invalid("order_incomplete", "A vacating order is known by the SHA-256 of its paper.")
    if attempt.given["missing"]:
        raise Conflict("approvals_missing", "Compliance and a registrar's checker lift together.")


@guard(MACHINE, "lifted")
def nothing_else_binds(attempt: Try) -> None:
    """The chain shows the release finally, and no other order binds the same thing."""
    if is_bound_otherwise(attempt.session, attempt.record):
        raise Conflict("other_order_in_force", "Another order on the same thing is in force.")
    if not attempt.given["chain_released"]:
        raise Conflict("order_still_on_chain", "The chain still shows the freeze.")


@guard(MACHINE, "expire")
def its_own_last_day_is_over(attempt: Try) -> None:
    ends_on = attempt.record.ends_on
    if ends_on is None or ends_on >= today():
        raise Conflict(
            "order_in_term", f"The order ends on {ends_on or 'no day'}; a vacating order lifts it."
        )


def require_applied(order: CourtOrder) -> None:
    """Refuse to end an order that was never applied: it has bound nobody.

    AUTHENTICATED is such an order, and also one that was varied and binds on.

    Raises
    ------
    Conflict
        ``order_not_in_force``.
    """
    if order.applied_at is None:
        raise Conflict("order_not_in_force", "The order was never applied: it binds nobody.")


def is_bound_otherwise(session: Session, order: CourtOrder) -> bool:
    """Tell whether another order on the same asset, party or wallet is in force.

    Amounts add up: each has its own, and none binds what another one does.
    """
    if order.scope == OrderScope.AMOUNT:
        return False
    others = session.exec(same_scope(order)).all()
    return any(other.state == CourtOrderState.IN_FORCE for other in others)


def same_scope(order: CourtOrder) -> SelectOfScalar[CourtOrder]:
    """Select the other orders on the same asset, party or wallet."""
    named = [
        column == value
        for column, value in (
            (col(CourtOrder.asset_id), order.asset_id),
            (col(CourtOrder.party_id), order.party_id),
            (col(CourtOrder.wallet), order.wallet),
        )
        if value is not None
    ]
    return select(CourtOrder).where(
        col(CourtOrder.id) != order.id, col(CourtOrder.scope) == order.scope, or_(*named)
    )


@guard("mutation", "implement")
def no_order_waits_for_what_is_divided(attempt: Attempt[Mutation]) -> None:
    if attempt.record.kind in DIVISIONS:
        for title in titles_of(attempt.session, attempt.record.id, TitlePart.SUBJECT):
            require_none_pending(attempt.session, title.asset_id)


@guard("title", "cancel")
def no_order_waits_for_the_title(attempt: Attempt[Title]) -> None:
    if attempt.record.state != TitleState.DISPUTED:
        require_none_pending(attempt.session, attempt.record.asset_id)


@guard("asset_onboarding", "retire")
def no_order_waits_for_the_asset(attempt: Attempt[Asset]) -> None:
    require_none_pending(attempt.session, attempt.record.id)


def require_none_pending(session: Session, asset_id: UUID) -> None:
    """Refuse to end what an order came in for: it could never be applied.

    Raises
    ------
    Conflict
        ``order_pending``.
    """
    order = find_pending(session, asset_id)
    if order is not None:
        raise Conflict(
            "order_pending",
            f"The order in {order.case_no} on this asset is {order.state}.",
            remedy="Apply it, or have it rejected, first.",
        )
