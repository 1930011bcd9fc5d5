"""The port of payment rails, and the two that there are: a bank's account, and rupees on chain.

A rail says what came and what it took back; how that is booked is nobody's business but ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Protocol
from uuid import UUID

from registry.kernel.errors import Conflict
from registry.kernel.masking import mask_text
from registry.ledger.models import Account
from registry.ledger.service import Posting, move
from registry.offering.models import Rail


@dataclass(frozen=True, slots=True)
class Receipt:
    """Money that came.

    Parameters
    ----------
    rail_reference
        The rail's own name of it, the same wherever the rail tells it.
    said
        What it is for, in the payer's words; None where the rail carries none.
    payer_hint
        Who sent it, masked: see `masked_payer`.
    booked_on
        The day of the bank's books, as a statement says it; None in a notice.
    number
        The bank's number of it, where that is all that a statement names it by.
    """

    rail_reference: str
    said: str | None
    amount_paisa: int
    received_at: datetime
    payer_hint: str | None = None
    booked_on: date | None = None
    number: str | None = None


@dataclass(frozen=True, slots=True)
class Reversal:
    """A receipt that the rail took back, whole.

    Parameters
    ----------
    rail_reference
        The rail's own name of the reversal; some rails give it that of the receipt.
    reverses
        The receipt's `rail_reference`.
    said, booked_on, number
        As in `Receipt`.
    """

    rail_reference: str
    reverses: str
    amount_paisa: int
    received_at: datetime
    said: str | None = None
    booked_on: date | None = None
    number: str | None = None


class PaymentRail(Protocol):
    """What is asked of every rail.

    Parameters
    ----------
    name
        What payments are told apart by.
    account
        Where its money lies.
    """

    @property
    def name(self) -> Rail: ...

    @property
    def account(self) -> Account: ...

    def require_reversible(self, reversal: Reversal) -> None:
        """Refuse to believe that money was taken back where that cannot be.

        Raises
        ------
        Conflict
            ``payment_not_reversible``.
        """

    def pay_out(self, paisa: int, *, debit: tuple[Account, UUID | None]) -> tuple[Posting, ...]:
        """Give the postings of money that leaves by this rail."""


@dataclass(frozen=True, slots=True)
class BankTransfer:
    """Our account at a bank: notices, statements, and what treasury sends from it by hand."""

    name: Rail = Rail.BANK_TRANSFER
    account: Account = Account.BANK

    def require_reversible(self, reversal: Reversal) -> None:
        """Banks take transfers back."""

    def pay_out(self, paisa: int, *, debit: tuple[Account, UUID | None]) -> tuple[Posting, ...]:
        return move(paisa, debit=debit, credit=(self.account, None))


@dataclass(frozen=True, slots=True)
class OnchainRupee:
    """Rupees on chain, which the Settlement contract hands to the seller as it takes them."""

    name: Rail = Rail.ONCHAIN_RUPEE
    account: Account = Account.RUPEE_ON_CHAIN

    def require_reversible(self, reversal: Reversal) -> None:
        raise Conflict(
            "payment_not_reversible",
            f"{reversal.reverses} is final on chain.",
            remedy="Look which payment is meant.",
        )

    def pay_out(self, paisa: int, *, debit: tuple[Account, UUID | None]) -> tuple[Posting, ...]:
        return move(paisa, debit=debit, credit=(self.account, None))


BANK = BankTransfer()
ONCHAIN = OnchainRupee()
RAILS: Mapping[Rail, PaymentRail] = {rail.name: rail for rail in (BANK, ONCHAIN)}


def masked_payer(name: str) -> str:
    """Keep the first letter of each of a payer's names, and none of their numbers."""
    words = mask_text(name).split()
    return " ".join(f"{word[0]}***" for word in words[:4])
