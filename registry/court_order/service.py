"""Use cases on court orders: received, authenticated, applied, in force."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from uuid import UUID

from sqlmodel import Session

from registry.court_order.commands import put_on_title
from registry.court_order.guards import MACHINE, is_bound_otherwise
from registry.court_order.models import CourtOrder, OrderScope
from registry.court_order.repository import (
    due_orders,
    get_order,
    list_binding,
    list_orders,
    wallets_of,
)
from registry.document import sources
from registry.encumbrance import rules
from registry.encumbrance.models import EncumbranceKind
from registry.journal import service as journal
from registry.kernel.actor import THE_SYSTEM, Actor, Role
from registry.kernel.canonical import record_hash
from registry.kernel.clock import SEAT, now, today
from registry.kernel.errors import Invalid
from registry.kernel.machine import machine
from registry.lifecycle import service as lifecycle
from registry.onboarding import approvals
from registry.party import service as parties
from registry.title import service as titles
from registry.tokenization import service as tokenizations

ADDRESS_BYTES = 20
FIRST_YEAR = 1860
"""Of the oldest act that an order in force can rest on; years near 1 are slips of the pen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewOrder:
    """An order as it came in.

    Parameters
    ----------
    kind
        A stay, an attachment, a freeze or a notice of acquisition.
    document_id
        The paper under the asset, for the scope ASSET.
    document_sha256
        32 bytes; for the scope ASSET that of `document_id`.
    received_at
        When it reached the registry: from then the minutes are counted.
    ends_on
        The last day that the order itself names.
    """

    scope: OrderScope
    kind: EncumbranceKind
    authority: str
    case_no: str
    issued_on: date
    received_at: datetime
    document_sha256: bytes
    asset_id: UUID | None = None
    party_id: UUID | None = None
    wallet: bytes | None = None
    tokenization_id: UUID | None = None
    amount_units: int | None = None
    document_id: UUID | None = None
    ends_on: date | None = None


def receive_order(session: Session, actor: Actor, new: NewOrder) -> CourtOrder:
    """Record an order that came in; it binds nobody before it is applied.

    Raises
    ------
    Invalid
        ``order_scope_malformed``, ``order_kind_refused``, ``order_dates_malformed``,
        ``source_of_other_asset``, ``order_paper_differs``.
    Conflict
        ``title_ended``: another title is there now.
    """
    if new.kind not in rules.COURT_AND_STATE:
        raise Invalid("order_kind_refused", f"A {new.kind} is no order.", field="/kind")
    _check_dates(new)
    _check_scope(session, new)
    order = CourtOrder(
        **{name: getattr(new, name) for name in NewOrder.__dataclass_fields__},
        maker=actor.subject,
    )
    session.add(order)
    session.flush()
    journal.record(
        session, actor, "court_order_received", "court_order", order.id,
        scope=order.scope, kind=order.kind, document_sha256=order.document_sha256.hex(),
    )  # fmt: skip
    return order


def _check_dates(new: NewOrder) -> None:
    if new.issued_on > today() or new.received_at > now():
        raise _dates("An order is not issued or received in the future.")
    if new.issued_on.year < FIRST_YEAR or new.received_at.year < FIRST_YEAR:
        raise _dates(f"No order is older than {FIRST_YEAR}.")
    if new.received_at.astimezone(SEAT).date() < new.issued_on:
        raise _dates("An order is not received before it is issued.")
    require_end(new.issued_on, new.ends_on)


def require_end(issued_on: date, ends_on: date | None) -> None:
    """Refuse an order that ends before it begins.

    Raises
    ------
    Invalid
        ``order_dates_malformed``.
    """
    if ends_on is not None and ends_on < issued_on:
        raise _dates("An order does not end before it is issued.")


def _dates(detail: str) -> Invalid:
    return Invalid("order_dates_malformed", detail)


def _check_scope(session: Session, new: NewOrder) -> None:
    named = {
        name
        for name in ("asset_id", "party_id", "wallet", "tokenization_id", "amount_units")
        if getattr(new, name) is not None
    }
    needed = {
        OrderScope.ASSET: {"asset_id"},
        OrderScope.PARTY: {"party_id"},
        OrderScope.WALLET: {"wallet"},
        OrderScope.AMOUNT: {"wallet", "tokenization_id", "amount_units"},
    }[new.scope]
    if named != needed or (new.scope == OrderScope.ASSET) != (new.document_id is not None):
        raise Invalid(
            "order_scope_malformed",
            f"An order on {new.scope} names exactly {', '.join(sorted(needed))}.",
            field="/scope",
            remedy="An order on an asset also names the paper under that asset (document_id).",
        )
    if new.wallet is not None and len(new.wallet) != ADDRESS_BYTES:
        raise Invalid("order_scope_malformed", "A wallet has 20 bytes.", field="/wallet")
    if new.amount_units is not None and new.amount_units <= 0:
        raise Invalid("order_scope_malformed", "An amount is above zero.", field="/amount_units")
    if new.party_id is not None:
        parties.get_party(session, new.party_id)
    if new.tokenization_id is not None:
        tokenizations.get_tokenization(session, new.tokenization_id)
    if new.asset_id is not None and new.document_id is not None:
        _check_paper(session, new.asset_id, new.document_id, new.document_sha256)


def _check_paper(session: Session, asset_id: UUID, document_id: UUID, sha256: bytes) -> None:
    titles.lock_living_title(session, titles.title_of_asset(session, asset_id).id)
    paper = sources.paper_of(session, asset_id, document_id)
    if paper.sha256 != sha256:
        raise Invalid("order_paper_differs", "The paper that is filed has another hash.")


def authenticate_order(
    session: Session, actor: Actor, order_id: UUID, *, confirmation: str
) -> CourtOrder:
    """Record that the authority confirmed the order.

    Raises
    ------
    Forbidden
        ``checker_is_maker``.
    Invalid
        ``order_incomplete``.
    Conflict
        ``order_not_confirmed``, ``transition_refused``.
    """
    order = get_order(session, order_id, lock=True)
    given = {"confirmation": confirmation}
    lifecycle.fire(session, actor, MACHINE, order, "authenticate", given=given)
    order.authenticated_by = actor.subject
    session.flush()
    return order


def reject_order(session: Session, actor: Actor, order_id: UUID, *, reason: str) -> CourtOrder:
    """Say that an order is not authentic; the second person of compliance decides it.

    Raises
    ------
    Forbidden
        ``checker_is_maker``, ``transition_forbidden``.
    Invalid
        ``reason_missing``.
    Conflict
        ``already_approved``, ``transition_refused``.
    """
    order = get_order(session, order_id, lock=True)
    machine(MACHINE).arrow(order.state, "reject", actor.roles)
    if not reason.strip():
        raise Invalid("reason_missing", "A rejection says why.", field="/reason")
    missing = approvals.approve(
        session,
        actor,
        subject=("court_order", order.id),
        role=Role.COMPLIANCE,
        maker=order.maker,
        dossier_hash=decision_hash(order, "reject"),
        required=Counter({Role.COMPLIANCE: 2}),
    )
    if not missing:
        given = {"missing": missing}
        lifecycle.fire(session, actor, MACHINE, order, "reject", given=given, reason=reason)
    return order


def decision_hash(order: CourtOrder, decision: str) -> bytes:
    """Return what two people agree on: this decision on this order by this paper."""
    paper = order.vacating_sha256 if decision == "vacate" else order.document_sha256
    return record_hash(
        {"order": str(order.id), "decision": decision, "paper": paper.hex() if paper else None}
    )


def apply_order(session: Session, actor: Actor, order_id: UUID) -> CourtOrder:
    """Have the register obey at once, and the chain as soon as it can.

    An asset gets the encumbrance that blocks everything: it is suspended, its title is in
    dispute, a mutation that waits for its officer is stayed, its live token is paused. A party
    or a wallet is barred from new dealings; the freeze on chain is seen by the reconciliation.
    One that was varied has bound since it was applied first, and keeps that time.

    Raises
    ------
    Forbidden
        ``checker_is_maker``.
    Conflict
        ``order_over``, ``source_not_verified``, ``transition_refused``.
    """
    order = get_order(session, order_id, lock=True)
    lifecycle.fire(session, actor, MACHINE, order, "apply", scope=order.scope)
    order.applied_at = order.applied_at or now()
    if order.scope == OrderScope.ASSET and order.encumbrance_id is None:
        put_on_title(session, actor, order)
    session.flush()
    return order


def confirm_order(session: Session, order_id: UUID, *, chain_obeys: bool) -> CourtOrder:
    """Put an applied order in force once register and chain obey; else say that it waits.

    It keeps the time at which it was so first, whatever varied it since.

    Parameters
    ----------
    chain_obeys
        What the projection shows; `registry.reconciliation` looks.

    Raises
    ------
    Conflict
        ``order_not_registered``, ``transition_refused``.
    """
    order = get_order(session, order_id, lock=True)
    given = {"chain_obeys": chain_obeys}
    event = "confirmed" if chain_obeys else "retry"
    changes = {"in_force_at": order.in_force_at or now()} if chain_obeys else {}
    lifecycle.change(session, THE_SYSTEM, MACHINE, order, event, given=given, changes=changes)
    return order


def minutes_to_apply(order: CourtOrder) -> int | None:
    """Return how long it took from the receipt until the chain first showed it, in whole minutes.

    A variation does not change it: the order has bound since.
    """
    if order.in_force_at is None:
        return None
    return (order.in_force_at - order.received_at) // timedelta(minutes=1)


__all__ = [
    "NewOrder",
    "apply_order",
    "authenticate_order",
    "confirm_order",
    "decision_hash",
    "due_orders",
    "get_order",
    "is_bound_otherwise",
    "list_binding",
    "list_orders",
    "minutes_to_apply",
    "receive_order",
    "reject_order",
    "require_end",
    "wallets_of",
]
