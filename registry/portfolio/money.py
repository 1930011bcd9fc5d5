"""An investor's money with us over a period: what came, what was used and what went back.

The account of an investor is the sum of what the ledger holds, and owes back, for each of their
orders, less what they owe. Payouts of redemptions go to them directly and are listed beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import func, text
from sqlalchemy import select as sql_select
from sqlmodel import Session, col, select

from registry.investor.models import Investor
from registry.ledger.models import Account, EntryKind, LedgerEntry, LedgerPosting
from registry.offering.models import Order

OF_THE_BUYER = (Account.ORDER, Account.REFUND_DUE, Account.RECEIVABLE)

# A payout does not keep when it was paid: the act in the journal tells.
_PAID = text("""
SELECT p.redemption_id, j.recorded_at, p.amount_paisa
FROM redemption_payout p
JOIN journal_entry j
  ON j.act = 'redemption_payout_paid' AND j.facts ->> 'payout' = CAST(p.id AS text)
WHERE p.party_id = :party AND p.state = 'PAID'
  AND j.recorded_at >= :begins AND j.recorded_at < :ends
ORDER BY j.recorded_at, p.id
""")


@dataclass(frozen=True, slots=True)
class MoneyMovement:
    """One entry of the ledger, as it changes the investor's account.

    Parameters
    ----------
    amount_paisa
        Above 0 what came to the account, below what left it.
    """

    kind: EntryKind
    order_id: UUID
    reference: str
    booked_at: datetime
    amount_paisa: int


@dataclass(frozen=True, slots=True)
class PaidOut:
    """What a redemption paid to the investor, past this account."""

    redemption_id: UUID
    booked_at: datetime
    amount_paisa: int


@dataclass(frozen=True, slots=True)
class MoneyAccount:
    """The account over a period, in paisa; below 0 where the investor owes."""

    opening_paisa: int
    movements: Sequence[MoneyMovement]
    closing_paisa: int
    payouts: Sequence[PaidOut]

    @property
    def in_paisa(self) -> int:
        return sum(max(item.amount_paisa, 0) for item in self.movements)

    @property
    def out_paisa(self) -> int:
        return -sum(min(item.amount_paisa, 0) for item in self.movements)

    @property
    def adds_up(self) -> bool:
        moved = sum(item.amount_paisa for item in self.movements)
        return self.opening_paisa + moved == self.closing_paisa


def read_money(
    session: Session, investor: Investor, begins_at: datetime, ends_at: datetime
) -> MoneyAccount:
    """Read the account from a moment on, up to another."""
    return MoneyAccount(
        _balance_before(session, investor.id, begins_at),
        _movements(session, investor.id, begins_at, ends_at),
        _balance_before(session, investor.id, ends_at),
        _payouts(session, investor, begins_at, ends_at),
    )


def _balance_before(session: Session, investor_id: UUID, moment: datetime) -> int:
    total = session.exec(
        select(func.coalesce(func.sum(LedgerPosting.amount_paisa), 0))
        .join(Order, col(Order.id) == col(LedgerPosting.subject_id))
        .where(
            col(Order.investor_id) == investor_id,
            col(LedgerPosting.account).in_(OF_THE_BUYER),
            col(LedgerPosting.recorded_at) < moment,
        )
    ).one()
    return -int(total)  # a liability of ours is theirs


def _movements(
    session: Session, investor_id: UUID, begins_at: datetime, ends_at: datetime
) -> list[MoneyMovement]:
    total = func.sum(LedgerPosting.amount_paisa)
    rows = session.execute(
        sql_select(
            col(LedgerEntry.id),
            col(LedgerEntry.kind),
            col(LedgerEntry.recorded_at),
            col(Order.id),
            col(Order.reference),
            total,
        )
        .join(LedgerPosting, col(LedgerPosting.entry_id) == col(LedgerEntry.id))
        .join(Order, col(Order.id) == col(LedgerPosting.subject_id))
        .where(
            col(Order.investor_id) == investor_id,
            col(LedgerPosting.account).in_(OF_THE_BUYER),
            col(LedgerPosting.recorded_at) >= begins_at,
            col(LedgerPosting.recorded_at) < ends_at,
        )
        .group_by(
            col(LedgerEntry.id),
            col(LedgerEntry.kind),
            col(LedgerEntry.recorded_at),
            col(Order.id),
            col(Order.reference),
        )
        # What only moved within the account is no movement of it.
        .having(total != 0)
        .order_by(col(LedgerEntry.recorded_at), col(LedgerEntry.id))
    )
    return [
        MoneyMovement(EntryKind(kind), order_id, reference, moment, -int(paisa))
        for _, kind, moment, order_id, reference, paisa in rows
    ]


def _payouts(
    session: Session, investor: Investor, begins_at: datetime, ends_at: datetime
) -> list[PaidOut]:
    """List the payouts by the moment at which each was recorded as paid.

    Both the payout and the act are sealed; what was told of it is not.
    """
    rows = session.execute(
        _PAID, {"party": investor.party_id, "begins": begins_at, "ends": ends_at}
    )
    return [PaidOut(row.redemption_id, row.recorded_at, row.amount_paisa) for row in rows]
