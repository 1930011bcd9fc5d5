"""Payments, ledgers and what is owed, over HTTP."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

from pydantic import AfterValidator, BaseModel, Field, model_validator
from sqlmodel import Session

from api.schemas.common import Body, DatedInstant, MoneyAmount, OfPerson, Read, ShortText
from registry.investor.service import parties_of
from registry.kernel.clock import day_of, today
from registry.kernel.money import Money
from registry.kernel.vault import Vault
from registry.ledger.models import Account, AccountClass, EntryKind
from registry.ledger.service import Booked, Outstanding, TrialBalance
from registry.offering import orders
from registry.offering.models import Order, OrderState, Payment, PaymentState, Rail
from registry.party.details import masked_name
from registry.payment import allocating
from registry.payment.rails import Receipt, Reversal, masked_payer
from registry.payment.rules import is_to_come


class SignedMoney(BaseModel):
    """Money with its side: a debit above 0, a credit below."""

    amount: str
    currency: str = "PKR"

    @classmethod
    def of(cls, paisa: int) -> Self:
        return cls(amount=f"{'-' if paisa < 0 else ''}{Money(abs(paisa))}")


def _that_has_come(moment: datetime) -> datetime:
    if is_to_come(day_of(moment), today()):
        raise ValueError("has not come yet")
    return moment


class PaymentNotice(Body):
    """What a bank says has arrived; with `reverses`, what it took back."""

    bank_reference: ShortText
    order_reference: ShortText | None = None
    amount: MoneyAmount
    received_at: Annotated[DatedInstant, AfterValidator(_that_has_come)]
    payer: Annotated[
        ShortText | None, Field(description="Who sent it; only first letters are kept")
    ] = None
    reverses: Annotated[
        ShortText | None, Field(description="The `bank_reference` of what was taken back")
    ] = None

    def receipt(self) -> Receipt:
        return Receipt(
            rail_reference=self.bank_reference,
            said=self.order_reference,
            amount_paisa=self.amount.paisa("/amount/amount"),
            received_at=self.received_at,
            payer_hint=masked_payer(self.payer) if self.payer else None,
        )

    def reversal(self, reverses: str) -> Reversal:
        return Reversal(
            rail_reference=self.bank_reference,
            reverses=reverses,
            amount_paisa=self.amount.paisa("/amount/amount"),
            received_at=self.received_at,
            said=self.order_reference,
        )


class PaymentRead(OfPerson):
    """A payment; `order_reference` is what it said, as far as it could be read.

    With a `proposed_order_id` it waits for another person to assign it to that order, and with a
    `proposed_payment_id` to what that payment owes. It has made good what `owing_payment_id` owed.
    """

    id: UUID
    rail: Rail
    rail_reference: str
    state: PaymentState
    order_id: UUID | None
    order_reference: str | None
    payer_hint: str | None
    owing_payment_id: UUID | None
    proposed_order_id: UUID | None
    proposed_payment_id: UUID | None
    proposed_by: str | None
    amount: MoneyAmount
    received_at: datetime
    recorded_at: datetime

    @classmethod
    def of(cls, row: Payment) -> Self:
        return cls(**row.model_dump(), amount=MoneyAmount.of(row.amount_paisa))


class RefundDueRead(OfPerson):
    """What is to go back to a buyer, and since when; `party_name` is masked.

    It goes to the account from which it came: /v1/payments?order_id= has each payment's reference.
    """

    order_id: UUID
    offering_id: UUID
    investor_id: UUID
    party_name: str
    reference: str
    state: OrderState
    refund_due: MoneyAmount
    since: datetime

    @classmethod
    def reader(
        cls, session: Session, vault: Vault, rows: Sequence[Outstanding]
    ) -> Callable[[Outstanding], RefundDueRead]:
        """Give what shows each of these, having asked for their orders and buyers once."""
        found = orders.get_orders(session, [row.subject_id for row in rows])
        buyers = parties_of(session, {order.investor_id for order in found.values()})

        def show(row: Outstanding) -> RefundDueRead:
            order = found[row.subject_id]
            return cls(
                **order.model_dump(include={"offering_id", "investor_id", "reference", "state"}),
                order_id=order.id,
                party_name=masked_name(vault, buyers[order.investor_id]),
                refund_due=MoneyAmount.of(-row.amount_paisa),
                since=row.since,
            )

        return show


class CandidateRead(Read):
    """An order that a payment may be meant for."""

    order_id: UUID
    reference: str
    state: str
    amount: MoneyAmount


class PaymentWithCandidates(PaymentRead):
    """A payment; while it is UNALLOCATED, the orders that it may be meant for."""

    candidates: list[CandidateRead]

    @classmethod
    def suggesting(cls, session: Session, row: Payment) -> Self:
        open_one = row.state == PaymentState.UNALLOCATED
        return cls(
            **PaymentRead.of(row).model_dump(),
            candidates=[
                CandidateRead(
                    order_id=order.id,
                    reference=order.reference,
                    state=order.state,
                    amount=MoneyAmount.of(order.amount_paisa),
                )
                for order in (allocating.suggest_orders(session, row) if open_one else [])
            ],
        )


class PaymentAssign(Body):
    """What a payment is meant for: an order, or what another payment owes; one of them."""

    order_id: UUID | None = None
    payment_id: Annotated[
        UUID | None, Field(description="A payment of which /v1/receivables lists what is owed")
    ] = None

    @model_validator(mode="after")
    def _one_of_them(self) -> Self:
        if (self.order_id is None) == (self.payment_id is None):
            raise ValueError("send either order_id or payment_id")
        return self


class PostingRead(Read):
    """One side of an entry."""

    account: Account
    subject_id: UUID | None
    amount: SignedMoney


class EntryRead(OfPerson):
    """One entry of an order's ledger; its postings sum to nothing."""

    investor_id: Annotated[UUID, Field(exclude=True)]
    id: UUID
    kind: EntryKind
    recorded_at: datetime
    postings: list[PostingRead]

    @classmethod
    def of(cls, booked: Booked, order: Order) -> Self:
        return cls(
            **booked.entry.model_dump(),
            investor_id=order.investor_id,
            postings=[
                PostingRead(**side.model_dump(), amount=SignedMoney.of(side.amount_paisa))
                for side in booked.postings
            ],
        )


class AccountBalance(Read):
    """What one account holds: debits less credits."""

    account: Account
    account_class: AccountClass
    balance: SignedMoney


class TrialBalanceRead(Read):
    """All accounts at one moment; debits and credits are the same."""

    as_of: datetime
    accounts: list[AccountBalance]
    debits: MoneyAmount
    credits: MoneyAmount

    @classmethod
    def of(cls, found: TrialBalance) -> Self:
        return cls(
            as_of=found.as_of,
            accounts=[
                AccountBalance(
                    account=account,
                    account_class=account.account_class,
                    balance=SignedMoney.of(paisa),
                )
                for account, paisa in found.balances.items()
            ],
            debits=MoneyAmount.of(found.debits),
            credits=MoneyAmount.of(found.credits),
        )


class ReceivableRead(Read):
    """What a buyer owes, of an order; or who had a payment returned, of a payment."""

    subject_id: UUID
    owed: MoneyAmount
