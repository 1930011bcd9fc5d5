"""Statements over HTTP."""

from __future__ import annotations

from datetime import date, datetime
from typing import Self
from uuid import UUID

from api.schemas.common import AsOfBlockRead, BigInteger, Read, address_of, hash_of
from api.schemas.payments import SignedMoney
from registry.captable.blocks import AsOfBlock
from registry.ledger.models import EntryKind
from registry.portfolio.money import MoneyAccount, MoneyMovement, PaidOut
from registry.portfolio.movements import Movement
from registry.portfolio.period import Period
from registry.portfolio.statement import HoldingAccount, LeftOut, Statement


class StatementPeriodRead(Read):
    """A month of which there is a statement; one that is not over yet still grows."""

    period: str
    first: date
    last: date
    is_over: bool

    @classmethod
    def of(cls, row: Period) -> Self:
        month = f"{row.first:%Y-%m}"
        return cls(period=month, first=row.first, last=row.last, is_over=row.is_over)


class StatementMovementRead(Read):
    """One event of the chain in one wallet; `units` is below 0 for what the wallet gave.

    WALLET_FROZEN and WALLET_RELEASED are of the wallet as a whole, and move nothing.
    """

    kind: str
    time: datetime
    block_number: int
    log_index: int
    tx_hash: str
    units: BigInteger
    frozen_units: BigInteger
    counterparty: str | None

    @classmethod
    def of(cls, row: Movement) -> Self:
        return cls(
            kind=row.kind,
            time=row.mined_at,
            block_number=row.block_number,
            log_index=row.log_index,
            tx_hash=hash_of(row.tx_hash),
            units=row.units,
            frozen_units=row.frozen_units,
            counterparty=address_of(row.counterparty) if row.counterparty else None,
        )


class StatementHoldingRead(Read):
    """One wallet's fractions of one token: opening balance, movements, closing balance."""

    token_id: UUID
    symbol: str
    wallet: str
    opening_units: BigInteger
    opening_frozen_units: BigInteger
    opening_wallet_frozen: bool
    movements: list[StatementMovementRead]
    closing_units: BigInteger
    closing_frozen_units: BigInteger
    closing_wallet_frozen: bool

    @classmethod
    def of(cls, row: HoldingAccount) -> Self:
        return cls(
            token_id=row.tokenization.id,
            symbol=row.tokenization.symbol,
            wallet=address_of(row.wallet),
            opening_units=row.opening_units,
            opening_frozen_units=row.opening_frozen,
            opening_wallet_frozen=row.opening_whole,
            movements=[StatementMovementRead.of(item) for item in row.movements],
            closing_units=row.closing_units,
            closing_frozen_units=row.closing_frozen,
            closing_wallet_frozen=row.closing_whole,
        )


class StatementLeftOutRead(Read):
    """A token of which the statement tells nothing.

    It is not followed any more (`refusal` says why), or it is being read again, and stands at the
    block `caught_up_to`: whether you held any is not known yet.
    """

    token_id: UUID
    symbol: str
    refusal: str | None
    caught_up_to: int | None

    @classmethod
    def of(cls, row: LeftOut) -> Self:
        token = row.tokenization
        return cls(
            token_id=token.id,
            symbol=token.symbol,
            refusal=row.reason,
            caught_up_to=row.caught_up_to,
        )


class StatementEntryRead(Read):
    """One movement of your money with us; `order_id` and `reference` name its order."""

    kind: EntryKind
    time: datetime
    order_id: UUID
    reference: str
    amount: SignedMoney

    @classmethod
    def of(cls, row: MoneyMovement) -> Self:
        return cls(
            kind=row.kind,
            time=row.booked_at,
            order_id=row.order_id,
            reference=row.reference,
            amount=SignedMoney.of(row.amount_paisa),
        )


class StatementPayoutRead(Read):
    """What a redemption paid to you, past your account with us."""

    redemption_id: UUID
    time: datetime
    amount: SignedMoney

    @classmethod
    def of(cls, row: PaidOut) -> Self:
        return cls(
            redemption_id=row.redemption_id,
            time=row.booked_at,
            amount=SignedMoney.of(row.amount_paisa),
        )


class StatementMoneyRead(Read):
    """Your money with us: what is held for your orders, and to be sent back; below 0 you owe."""

    opening_balance: SignedMoney
    movements: list[StatementEntryRead]
    money_in: SignedMoney
    money_out: SignedMoney
    closing_balance: SignedMoney
    payouts: list[StatementPayoutRead]

    @classmethod
    def of(cls, row: MoneyAccount) -> Self:
        return cls(
            opening_balance=SignedMoney.of(row.opening_paisa),
            movements=[StatementEntryRead.of(item) for item in row.movements],
            money_in=SignedMoney.of(row.in_paisa),
            money_out=SignedMoney.of(row.out_paisa),
            closing_balance=SignedMoney.of(row.closing_paisa),
            payouts=[StatementPayoutRead.of(item) for item in row.payouts],
        )


class AccountStatementRead(Read):
    """A statement: closing is opening and all movements together, of fractions and of money.

    `left_out` are tokens that you may hold and of which it tells nothing.
    """

    investor_id: UUID
    first: date
    last: date
    is_over: bool
    made_at: datetime
    opening_block: AsOfBlockRead | None
    closing_block: AsOfBlockRead | None
    holdings: list[StatementHoldingRead]
    left_out: list[StatementLeftOutRead]
    money: StatementMoneyRead

    @classmethod
    def of(cls, row: Statement, needed: int) -> Self:
        def block(found: AsOfBlock | None) -> AsOfBlockRead | None:
            return None if found is None else AsOfBlockRead.of(found, needed)

        return cls(
            investor_id=row.investor.id,
            first=row.period.first,
            last=row.period.last,
            is_over=row.period.is_over,
            made_at=row.made_at,
            opening_block=block(row.opening_block),
            closing_block=block(row.closing_block),
            holdings=[StatementHoldingRead.of(item) for item in row.holdings],
            left_out=[StatementLeftOutRead.of(item) for item in row.left_out],
            money=StatementMoneyRead.of(row.money),
        )
