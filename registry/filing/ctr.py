"""Use cases on currency transaction reports: prepared by one officer, filed by another.

Whom a report is about never sees it, also where they hold a role that reads reports.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from uuid import UUID

from sqlmodel import Session, col, select

from registry.filing.guards import CTR
from registry.filing.models import CtrFiling, CtrState
from registry.filing.references import require_new_reference
from registry.investor import service as investors
from registry.investor.models import Investor
from registry.journal import service as journal
from registry.kernel.actor import Actor
from registry.kernel.clock import SEAT, now, today
from registry.kernel.errors import Conflict, Invalid, NotFound
from registry.kernel.rows import get_row, page_after
from registry.lifecycle import service as lifecycle
from registry.offering.models import Order, Payment, PaymentState
from registry.party.models import Party
from registry.policy.models import PolicyName
from registry.policy.service import policy_on


def prepare_filing(session: Session, actor: Actor, *, party_id: UUID, day: date) -> CtrFiling:
    """Add up what a party paid on a day at the register's seat, for the FMU.

    Where it was reported before, only what no report has: money that was identified since.

    Raises
    ------
    NotFound
        There is no such party; of themselves, nobody prepares one.
    Invalid
        ``ctr_day_not_over``.
    Conflict
        ``ctr_nothing_paid``, ``ctr_filed_already``.
    """
    if investors.find_own_party(session, actor.person) == party_id:
        raise NotFound("party", party_id)
    # Two reports of one day at once: the second one waits, and finds the first.
    get_row(session, Party, party_id, kind="party", lock=True)
    if day >= today():
        raise Invalid("ctr_day_not_over", f"{day} has not ended yet.", field="/day")
    standing = list_standing(session, party_id, day)
    reported = {payment for filing in standing for payment in filing.payment_ids}
    every = payments_of(session, party_id, day)
    paid = [payment for payment in every if str(payment.id) not in reported]
    if standing and (not paid or any(filing.state != CtrState.FILED for filing in standing)):
        raise Conflict("ctr_filed_already", "This party and day have a report already.")
    if not paid:
        raise Conflict("ctr_nothing_paid", "The party paid nothing on that day.")
    filing = CtrFiling(
        party_id=party_id,
        day=day,
        total_paisa=sum(payment.amount_paisa for payment in paid),
        payment_ids=[str(payment.id) for payment in paid],
        maker=actor.subject,
    )
    session.add(filing)
    session.flush()
    journal.record(
        session, actor, "ctr_filing_prepared", "ctr_filing", filing.id,
        day=str(day), total_paisa=str(filing.total_paisa),
    )  # fmt: skip
    return filing


def payments_of(session: Session, party_id: UUID, day: date) -> Sequence[Payment]:
    """List what a party paid in currency on a day, oldest first, without what was taken back."""
    rails = policy_on(session, PolicyName.CTR, day).rails
    begins = datetime.combine(day, time(), SEAT)
    return session.exec(
        select(Payment)
        .join(Order, col(Order.id) == col(Payment.order_id))
        .join(Investor, col(Investor.id) == col(Order.investor_id))
        .where(
            col(Investor.party_id) == party_id,
            col(Payment.state) == PaymentState.ALLOCATED,
            col(Payment.rail).in_(rails),
            col(Payment.received_at) >= begins,
            col(Payment.received_at) < begins + timedelta(days=1),
        )
        .order_by(col(Payment.received_at), col(Payment.id))
    ).all()


def list_standing(session: Session, party_id: UUID, day: date) -> Sequence[CtrFiling]:
    """List the reports of a party and a day that were not withdrawn, oldest first."""
    return session.exec(
        select(CtrFiling)
        .where(
            col(CtrFiling.party_id) == party_id,
            col(CtrFiling.day) == day,
            col(CtrFiling.state) != CtrState.WITHDRAWN,
        )
        .order_by(col(CtrFiling.id))
    ).all()


def file_ctr(session: Session, actor: Actor, filing_id: UUID, *, reference: str) -> CtrFiling:
    """Record that it was filed, as another person than who prepared it.

    Raises
    ------
    NotFound
    Invalid
        ``filing_reference_missing``.
    Forbidden
        ``checker_is_maker``.
    Conflict
        ``filing_reference_reused``, ``ctr_payments_changed``, ``transition_refused``.
    """
    filing = get_filing(session, actor, filing_id, lock=True)
    require_new_reference(session, CtrFiling, reference, of=filing_id)
    paid = {str(payment.id) for payment in payments_of(session, filing.party_id, filing.day)}
    lifecycle.change(
        session, actor, CTR, filing, "file",
        given={"reference": reference, "paid": paid},
        changes={"filed_by": actor.subject, "filed_at": now(), "filed_reference": reference},
        reference=reference,
    )  # fmt: skip
    return filing


def withdraw_ctr(session: Session, actor: Actor, filing_id: UUID, *, reason: str) -> CtrFiling:
    """Give up a report that was not filed; the day may be prepared anew.

    Raises
    ------
    NotFound
    Invalid
        ``reason_missing``.
    Conflict
        ``transition_refused``.
    """
    filing = get_filing(session, actor, filing_id, lock=True)
    said = {"reason": reason}
    lifecycle.change(
        session, actor, CTR, filing, "withdraw", given=said, changes=said, reason=reason
    )
    return filing


def get_filing(session: Session, actor: Actor, filing_id: UUID, *, lock: bool = False) -> CtrFiling:
    """Return the report, save to whom it is about.

    Raises
    ------
    NotFound
    """
    filing = get_row(session, CtrFiling, filing_id, kind="filing", lock=lock)
    if investors.find_own_party(session, actor.person) == filing.party_id:
        raise NotFound("filing", filing_id)
    return filing


def list_filings(
    session: Session, actor: Actor, *, state: str | None, after: UUID | None, limit: int
) -> Sequence[CtrFiling]:
    """List reports in the order in which they were prepared, save those about the caller."""
    query = select(CtrFiling)
    if state is not None:
        query = query.where(col(CtrFiling.state) == state)
    own = investors.find_own_party(session, actor.person)
    if own is not None:
        query = query.where(col(CtrFiling.party_id) != own)
    return session.exec(page_after(query, col(CtrFiling.id), after=after, limit=limit)).all()
