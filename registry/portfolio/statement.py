"""A statement: what an investor had at the beginning, each movement, and what they had at the end.

Fractions are told by the chain's own events and money by the ledger. Beginning and end are read for
themselves, and a statement whose movements do not lead from one to the other is not handed out.
Nor is one of days that are over before all of them is read and final: it would say less than later.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import chain
from uuid import UUID

from sqlmodel import Session, col, select

from registry.captable.blocks import AsOfBlock
from registry.captable.entries import holding_at
from registry.captable.models import SyncCursor, Token
from registry.captable.portfolio import is_frozen, list_read_again, list_tokens_of
from registry.captable.service import find_block_at, find_tokens, sync_state
from registry.captable.times import newest_final
from registry.investor.models import Investor, Wallet
from registry.kernel.clock import now
from registry.kernel.errors import Invalid, NotFound, Unavailable
from registry.offering.models import Offering, Order, OrderState
from registry.portfolio.money import MoneyAccount, read_money
from registry.portfolio.movements import Movement, list_movements
from registry.portfolio.period import Period
from registry.tokenization.models import Tokenization

MOST_MOVEMENTS = 2_000
"""A PDF of so many takes some seconds of a processor."""


@dataclass(frozen=True, slots=True)
class HoldingAccount:
    """One wallet's fractions of one token over the period.

    Parameters
    ----------
    opening_whole, closing_whole
        Whether the wallet as a whole was frozen then.
    """

    tokenization: Tokenization
    wallet: bytes
    opening_units: int
    opening_frozen: int
    movements: Sequence[Movement]
    closing_units: int
    closing_frozen: int
    opening_whole: bool = False
    closing_whole: bool = False

    @property
    def adds_up(self) -> bool:
        moved = sum(item.units for item in self.movements)
        frozen = sum(item.frozen_units for item in self.movements)
        return (self.opening_units + moved, self.opening_frozen + frozen) == (
            self.closing_units,
            self.closing_frozen,
        )


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A token of which nothing is told: it is not followed any more, or is being read again.

    Parameters
    ----------
    reason
        Why it is not followed.
    caught_up_to
        The block up to which it is read again: whether the investor held any is not known yet.
    """

    tokenization: Tokenization
    reason: str | None
    caught_up_to: int | None = None


class Finality(StrEnum):
    """Whether what is told at a block can still change."""

    FINALIZED = "finalized"
    LATEST = "latest"
    DEGRADED = "degraded"
    """What is known of the chain is not to be relied on at this moment."""


@dataclass(frozen=True, slots=True)
class Statement:
    """Everything of one investor over a period.

    Parameters
    ----------
    opening_block, closing_block
        Of which the fractions are told; None before the chain was first read.
    final_number
        The newest final block; None where no block is.
    left_out
        Tokens that the investor may hold, and of which the statement knows nothing.
    """

    investor: Investor
    period: Period
    made_at: datetime
    opening_block: AsOfBlock | None
    closing_block: AsOfBlock | None
    final_number: int | None
    holdings: Sequence[HoldingAccount]
    money: MoneyAccount
    left_out: Sequence[LeftOut] = ()

    def finality_of(self, block: AsOfBlock) -> Finality:
        """Tell whether what was told at a block can still change."""
        if block.degraded is not None:
            return Finality.DEGRADED
        is_final = self.final_number is not None and block.number <= self.final_number
        return Finality.FINALIZED if is_final else Finality.LATEST


def make_statement(
    session: Session, investor: Investor, period: Period, chain_id: int
) -> Statement:
    """Make the statement of a period, in one snapshot.

    Raises
    ------
    Invalid
        ``statement_too_long``: of more movements than one statement takes.
    Unavailable
        ``statement_does_not_add_up``, ``token_catching_up``; of a period that is over also
        ``statement_not_complete``, ``cap_table_degraded``, ``sync_not_started``.
    """
    if period.is_over:
        _require_all_read(session, chain_id, period)
    sync = session.get(SyncCursor, chain_id)
    opening = _block_before(session, chain_id, period.begins_at)
    closing = _block_before(session, chain_id, period.ends_at)
    concerned = _concerned(session, investor)
    holdings = [] if closing is None else _holdings(session, concerned, opening, closing)
    if sum(len(account.movements) for account in holdings) > MOST_MOVEMENTS:
        raise Invalid(
            "statement_too_long",
            f"There are more than {MOST_MOVEMENTS} movements.",
            field="/path/period",
            remedy="Ask for the parts.",
        )
    money = read_money(session, investor, period.begins_at, period.ends_at)
    if not money.adds_up or not all(account.adds_up for account in holdings):
        raise Unavailable(
            "statement_does_not_add_up",
            "The movements do not lead from the opening to the closing balance.",
            remedy="Try again when the cap table is proven again; see /readyz.",
        )
    final = None if sync is None else sync.finalized_number
    told = [*concerned.left_out, *_read_again(session, chain_id, concerned, closing)]
    return Statement(investor, period, now(), opening, closing, final, holdings, money, told)


def _require_all_read(session: Session, chain_id: int, period: Period) -> None:
    """Ask that the newest final block was mined when the period was over: all of that is known.

    The sync may be behind or stand still. The newest block that is known would then be taken for
    the last of the period, however far before its end.
    """
    cursor = sync_state(session, chain_id)
    if cursor.degraded is not None:
        raise Unavailable(
            "cap_table_degraded",
            f"What is known of the chain is not to be relied on: {cursor.degraded}.",
            remedy="Try again when the cap table is proven again; see /readyz.",
        )
    newest = session.exec(newest_final(chain_id)).first()
    if newest is None or newest < period.ends_at:
        raise Unavailable(
            "statement_not_complete",
            f"The chain is not read to the end of {period.last} yet, or that is not final.",
            remedy="Try again soon; a statement of days up to today shows what is known.",
        )


def _block_before(session: Session, chain_id: int, moment: datetime) -> AsOfBlock | None:
    """Return the last block before a moment; None where there is none, or no chain was read."""
    try:
        return find_block_at(session, chain_id, moment - timedelta.resolution)
    except NotFound:
        return None


@dataclass(frozen=True, slots=True)
class _Concerned:
    """The tokens that a statement is about, with their places, and in which wallet each was."""

    tokens: Mapping[UUID, tuple[Tokenization, Token]]
    wallets: Sequence[tuple[bytes, UUID]]

    @property
    def left_out(self) -> list[LeftOut]:
        return [
            LeftOut(each, token.refusal)
            for each, token in self.tokens.values()
            if token.refusal is not None
        ]


def _concerned(session: Session, investor: Investor) -> _Concerned:
    """Find the tokens that the investor's wallets held or are registered for, or that they bought.

    Of one that is read from its first block again only what was bought is known.
    """
    wallets = session.exec(
        select(Wallet).where(col(Wallet.investor_id) == investor.id).order_by(col(Wallet.id))
    ).all()
    named = {
        wallet.address: list_tokens_of(session, wallet.address, ever=True) for wallet in wallets
    }
    bought = session.exec(
        select(Tokenization)
        .join(Offering, col(Offering.tokenization_id) == col(Tokenization.id))
        .join(Order, col(Order.offering_id) == col(Offering.id))
        .where(
            col(Order.investor_id) == investor.id,
            col(Order.state).in_((OrderState.MINTING, OrderState.SETTLED)),
        )
    ).all()
    all_of_them = {each.id: each for each in (*bought, *chain.from_iterable(named.values()))}
    addresses = [each.token_address for each in all_of_them.values() if each.token_address]
    places = find_tokens(session, addresses)
    tokens = {
        each.id: (each, places[each.token_address])
        for each in sorted(all_of_them.values(), key=lambda each: each.id)
        if each.token_address in places
    }
    pairs = [(address, each.id) for address, found in named.items() for each in found]
    return _Concerned(tokens, pairs)


def _read_again(
    session: Session, chain_id: int, concerned: _Concerned, closing: AsOfBlock | None
) -> list[LeftOut]:
    """List the other tokens that are read again, and not to the end yet: any may have been held."""
    if closing is None:
        return []
    return [
        LeftOut(tokenization, None, caught_up_to)
        for tokenization, caught_up_to in list_read_again(session, chain_id)
        if caught_up_to < closing.number and tokenization.id not in concerned.tokens
    ]


def _holdings(
    session: Session, concerned: _Concerned, opening: AsOfBlock | None, closing: AsOfBlock
) -> list[HoldingAccount]:
    followed = {key: row for key, row in concerned.tokens.items() if row[1].refusal is None}
    for tokenization, token in followed.values():
        if token.caught_up_to is not None and token.caught_up_to < closing.number:
            raise Unavailable(
                "token_catching_up", f"{tokenization.symbol} is read again; try again soon."
            )
    accounts = (
        _account(session, followed[token_id], address, opening, closing)
        for address, token_id in concerned.wallets
        if token_id in followed
    )
    return [account for account in accounts if account is not None]


def _account(
    session: Session,
    of: tuple[Tokenization, Token],
    wallet: bytes,
    opening: AsOfBlock | None,
    closing: AsOfBlock,
) -> HoldingAccount | None:
    """Give one account; None where there was nothing, and nothing moved."""
    tokenization, token = of
    before = (0, 0) if opening is None else holding_at(session, token, wallet, opening.number)
    after = holding_at(session, token, wallet, closing.number)
    since = 0 if opening is None else opening.number
    movements = list_movements(session, token, wallet, since, closing, MOST_MOVEMENTS)
    if not movements and before == after == (0, 0):
        return None
    whole = [
        block is not None and is_frozen(session, token, wallet, at_block=block.number)
        for block in (opening, closing)
    ]
    return HoldingAccount(tokenization, wallet, *before, movements, *after, *whole)
