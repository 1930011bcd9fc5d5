"""Payments of one party that stay below the limit one by one, and together do not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from uuid import UUID

from sqlmodel import Session, col, select

from registry.alert.finding import Found
from registry.alert.models import AlertRule
from registry.alert.policy import AlertPolicies, AlertPolicy
from registry.investor.models import Investor
from registry.kernel.clock import now
from registry.kernel.rows import among
from registry.ledger.models import EntryKind, LedgerEntry
from registry.offering.models import Order, Payment, PaymentState

ENTRIES_AT_ONCE = 5_000


@dataclass(frozen=True, slots=True)
class Paid:
    """A payment that a party has made."""

    party_id: UUID
    payment_id: UUID
    amount_paisa: int
    received_at: datetime


def booked_since(session: Session, last_id: UUID) -> Sequence[tuple[UUID, UUID]]:
    """Give the entries by which money came to orders, with their parties, oldest first."""
    rows = session.exec(
        select(LedgerEntry.id, Investor.party_id)
        .join(Order, col(Order.id) == col(LedgerEntry.subject_id))
        .join(Investor, col(Investor.id) == col(Order.investor_id))
        .where(
            col(LedgerEntry.id) > last_id,
            col(LedgerEntry.kind).in_([EntryKind.RECEIPT, EntryKind.ALLOCATION]),
        )
        .order_by(col(LedgerEntry.id))
        .limit(ENTRIES_AT_ONCE)
    )
    return list(rows.all())


def find_of(session: Session, parties: set[UUID], policies: AlertPolicies) -> Iterator[Found]:
    """Give the groups of payments of these parties that the rule is about."""
    policy = policies.at(now())
    rows = session.exec(
        select(Investor.party_id, Payment.id, Payment.amount_paisa, Payment.received_at)
        .join(Order, col(Order.investor_id) == col(Investor.id))
        .join(Payment, col(Payment.order_id) == col(Order.id))
        .where(
            among(col(Investor.party_id), sorted(parties)),
            col(Payment.state) == PaymentState.ALLOCATED,
            col(Payment.rail).in_(policy.rails),
        )
        .order_by(col(Investor.party_id), col(Payment.received_at), col(Payment.id))
    )
    for party_id, paid in groupby((Paid(*row) for row in rows), lambda item: item.party_id):
        small = [
            item for item in paid if item.amount_paisa < policies.at(item.received_at).limit_paisa
        ]
        for group in groups_of(small, policies):
            yield _found(party_id, group, policies.at(group[0].received_at))


def groups_of(paid: Sequence[Paid], policies: AlertPolicies) -> Iterator[Sequence[Paid]]:
    """Give the windows of payments, oldest first, that reach the limit of their first day.

    Each payment begins one; told are those with a payment that none before has. To go on behind
    a group would leave out what its later half makes with what comes next.
    """
    end = told = 0
    for first, begun in enumerate(paid):
        policy = policies.at(begun.received_at)
        # By differences: behind the last days of the calendar there is no date.
        while (
            end < len(paid)
            and paid[end].received_at - begun.received_at < policy.structuring_window
        ):
            end += 1
        group = paid[first:end]
        total = sum(item.amount_paisa for item in group)
        if end > told and len(group) >= policy.least_payments and total >= policy.limit_paisa:
            told = end
            yield group


def _found(party_id: UUID, group: Sequence[Paid], policy: AlertPolicy) -> Found:
    first, last = group[0], group[-1]
    return Found(
        rule=AlertRule.STRUCTURING,
        key=f"{AlertRule.STRUCTURING}:{first.payment_id}:{last.payment_id}",
        happened_at=last.received_at,
        party_id=party_id,
        evidence={
            "payments": [str(item.payment_id) for item in group],
            "total_paisa": str(sum(item.amount_paisa for item in group)),
            "limit_paisa": str(policy.limit_paisa),
            "first_at": first.received_at.isoformat(),
            "last_at": last.received_at.isoformat(),
        },
    )
