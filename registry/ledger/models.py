"""Money in double entry: entries, each of whose postings sum to nothing (ADR 0045)."""

from __future__ import annotations

from enum import StrEnum
from uuid import UUID

from sqlalchemy import CheckConstraint, Index
from sqlmodel import Field

from registry.kernel.columns import Record, bigint, enumeration


class AccountClass(StrEnum):
    ASSET = "ASSET"
    LIABILITY = "LIABILITY"


class Account(StrEnum):
    """What a posting moves; all but where money lies are of one subject each."""

    BANK = "BANK"
    """Rupees on our account at the bank."""
    RUPEE_ON_CHAIN = "RUPEE_ON_CHAIN"
    """Rupees on chain; the Settlement hands them on in the transaction that takes them."""
    RECEIVABLE = "RECEIVABLE"
    """A buyer owes it: the bank took back what had been used already. Of an order, or of a
    payment that had been returned."""
    UNALLOCATED = "UNALLOCATED"
    """Came without an order that we know. Of a payment."""
    ORDER = "ORDER"
    """Held for a buyer until the fractions are theirs. Of an order."""
    REFUND_DUE = "REFUND_DUE"
    """To be sent back to a buyer. Of an order."""
    SALE_PROCEEDS = "SALE_PROCEEDS"
    """Owed to the issuer. Of an offering."""

    @property
    def account_class(self) -> AccountClass:
        return AccountClass.ASSET if self in ASSETS else AccountClass.LIABILITY


PLACES = frozenset({Account.BANK, Account.RUPEE_ON_CHAIN})
"""Where money lies: they are of no subject."""

ASSETS = PLACES | {Account.RECEIVABLE}


class EntryKind(StrEnum):
    RECEIPT = "RECEIPT"
    ALLOCATION = "ALLOCATION"
    """Money of an unknown reference is given to its order, or makes good what a payment owes."""
    RELEASE = "RELEASE"
    """What was held for an order is to go back."""
    ALLOTMENT = "ALLOTMENT"
    """Fewer fractions were allotted than are paid for: the difference is to go back."""
    REUSE = "REUSE"
    """What was to go back is held for the order again, which waits for money after all."""
    SETTLEMENT = "SETTLEMENT"
    """The fractions are the buyer's, the money the issuer's."""
    RESCISSION = "RESCISSION"
    """The sale is given up: the fractions are burned, and the money is held for the buyer again."""
    REVERSAL = "REVERSAL"
    REFUND = "REFUND"
    RETURN = "RETURN"
    """Money that belongs to no order went back."""
    PAYOUT = "PAYOUT"


class LedgerEntry(Record, table=True):
    """One effect, booked once.

    Parameters
    ----------
    key
        Names the effect: the same one is never booked twice.
    subject_kind, subject_id
        What it is about: ``order``, ``payment`` or ``offering``.
    """

    __tablename__ = "ledger_entry"
    __table_args__ = (Index("ix_ledger_entry_subject", "subject_id"),)

    kind: EntryKind = enumeration(EntryKind)
    key: str = Field(unique=True)
    subject_kind: str
    subject_id: UUID


class LedgerPosting(Record, table=True):
    """One side of an entry.

    Parameters
    ----------
    subject_id
        Whose account it is; None for the places where money lies.
    amount_paisa
        A debit above 0, a credit below; never 0.
    """

    __tablename__ = "ledger_posting"
    __table_args__ = (
        CheckConstraint("amount_paisa <> 0", name="ck_ledger_posting_amount"),
        CheckConstraint(
            "(account IN ('BANK', 'RUPEE_ON_CHAIN')) = (subject_id IS NULL)",
            name="ck_ledger_posting_subject",
        ),
        Index("ix_ledger_posting_account", "account", "subject_id"),
    )

    entry_id: UUID = Field(foreign_key="ledger_entry.id", index=True)
    account: Account = enumeration(Account)
    subject_id: UUID | None = None
    amount_paisa: int = bigint()
