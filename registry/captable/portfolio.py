"""Which tokens there are, and what one investor holds of them in all wallets."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import ColumnElement, Integer, bindparam, literal, literal_column, update
from sqlalchemy import select as sql_select
from sqlmodel import Session, col, select

from registry.captable.events import TokenLabel
from registry.captable.models import (
    Balance,
    ChainBlock,
    EventKind,
    Holder,
    RegisteredWallet,
    Token,
    TokenEvent,
)
from registry.captable.service import find_token
from registry.investor.models import Wallet
from registry.kernel.reading import Composed
from registry.kernel.rows import among
from registry.tokenization.models import Tokenization

FRACTION_DECIMALS = 0
"""Of the platform's own tokens: what is tokenized is held in whole fractions."""


@dataclass(frozen=True, slots=True)
class Holding:
    """One wallet's fractions of one token.

    Parameters
    ----------
    caught_up_to, refusal
        Those of the token (`captable.models.Token`): where one is not None, the numbers are not
        those of the chain's newest block.
    is_frozen
        Whether the wallet as a whole may not move them, whatever of them is frozen by number.
    """

    tokenization: Tokenization
    wallet: bytes
    balance_units: int
    frozen_units: int
    caught_up_to: int | None = None
    refusal: str | None = None
    is_frozen: bool = False


@dataclass(frozen=True, slots=True)
class FollowedToken:
    """A token that is projected, and its tokenization where it is one of ours."""

    token: Token
    tokenization_id: UUID | None
    label: TokenLabel


def list_followed(
    session: Session, chain_id: int, *, ours: bool, after: int | None, limit: int
) -> Sequence[FollowedToken]:
    """List the tokens that are projected of a chain, in the order in which they became known.

    Parameters
    ----------
    ours
        Whether it is the platform's own chain: nothing is tokenized on another.
    after
        Number of the last token that was seen.
    """
    rows = session.exec(
        select(Token, Tokenization.id, Tokenization.symbol, Tokenization.name)
        .outerjoin(Tokenization, _is_its_own(ours))
        .where(col(Token.chain_id) == chain_id, col(Token.token_no) > (after or 0))
        .order_by(col(Token.token_no))
        .limit(limit)
    ).all()
    return [
        FollowedToken(token, tokenization_id, _label_of(token, symbol, name))
        for token, tokenization_id, symbol, name in rows
    ]


def _is_its_own(ours: bool) -> ColumnElement[bool]:
    return (col(Tokenization.token_address) == col(Token.address)) & literal(ours)


def _label_of(token: Token, symbol: str | None, name: str | None) -> TokenLabel:
    if symbol is None:
        return TokenLabel(token.symbol, token.name, token.decimals)
    return TokenLabel(symbol, name, FRACTION_DECIMALS)


def tokenization_at(session: Session, chain_id: int, address: bytes) -> Tokenization | None:
    """Return the tokenization whose token stands at an address of the chain, if it is ours."""
    token = find_token(session, address)
    if token is None or token.chain_id != chain_id:
        return None
    return session.exec(
        select(Tokenization).where(col(Tokenization.token_address) == address)
    ).first()


def subject_of(token: Token, tokenization_id: UUID | None) -> tuple[str, str]:
    """Give kind and id under which the journal names a token: its tokenization, or its address."""
    if tokenization_id is not None:
        return "tokenization", str(tokenization_id)
    return "token", f"0x{token.address.hex()}"


def list_adopted(
    session: Session, chain_id: int, *, is_ours: bool
) -> Sequence[tuple[int, bytes, TokenLabel]]:
    """List the tokens of a chain that have no tokenization, and what they called themselves."""
    tokens = session.exec(
        select(Token)
        .outerjoin(Tokenization, _is_its_own(is_ours))
        .where(
            col(Token.chain_id) == chain_id,
            col(Token.refusal).is_(None),
            col(Tokenization.id).is_(None),
        )
        .order_by(col(Token.token_no))
    ).all()
    return [
        (token.token_no or 0, token.address, TokenLabel(token.symbol, token.name, token.decimals))
        for token in tokens
    ]


def note_label(session: Session, token_no: int, label: TokenLabel) -> None:
    """Note what a token calls itself now."""
    session.execute(
        update(Token)
        .where(col(Token.token_no) == token_no)
        .values(symbol=label.symbol, name=label.name, decimals=label.decimals)
    )


def list_holdings(session: Session, investor_id: UUID) -> Sequence[Holding]:
    """List what the investor's wallets hold now."""
    rows = _HELD_BY.all(session, investor_id=investor_id)
    return [
        Holding(tokenization, wallet, int(has), int(locked), caught_up_to, refusal, bool(whole))
        for tokenization, wallet, has, locked, caught_up_to, refusal, whole in rows
    ]


# By one probe of an index for each balance, which is over this kind alone: so it is written out.
_FROZEN_WHOLE = (
    sql_select(col(TokenEvent.extra)["frozen"].as_boolean())
    .where(
        col(TokenEvent.token_no) == col(Balance.token_no),
        col(TokenEvent.target) == col(Balance.holder_no),
        col(TokenEvent.kind) == literal_column(f"{EventKind.ADDRESS_FROZEN:d}", Integer),
    )
    .order_by(col(TokenEvent.block_number).desc(), col(TokenEvent.log_index).desc())
    .limit(1)
    .correlate(Balance)
    .scalar_subquery()
)


def list_read_again(session: Session, chain_id: int) -> Sequence[tuple[Tokenization, int]]:
    """List the tokens of ours that are being read again, and up to which block each is by now.

    Whoever got units of one later than that by a transfer is not known to hold any.
    """
    rows = _READ_AGAIN.all(session, chain_id=chain_id)
    return [(tokenization, number) for tokenization, number in rows if number is not None]


_READ_AGAIN = Composed(
    sql_select(Tokenization, col(Token.caught_up_to))
    .join(Token, col(Token.address) == col(Tokenization.token_address))
    .where(
        col(Token.chain_id) == bindparam("chain_id"),
        col(Token.caught_up_to).is_not(None),
        col(Token.refusal).is_(None),
    )
    .order_by(col(Tokenization.id))
)
_HELD_BY = Composed(
    sql_select(
        Tokenization,
        col(Wallet.address),
        col(Balance.balance_units),
        col(Balance.frozen_units),
        col(Token.caught_up_to),
        col(Token.refusal),
        _FROZEN_WHOLE,
    )
    .join(Token, col(Token.address) == col(Tokenization.token_address))
    .join(Balance, col(Balance.token_no) == col(Token.token_no))
    .join(Holder, col(Holder.holder_no) == col(Balance.holder_no))
    .join(Wallet, col(Wallet.address) == col(Holder.address))
    .where(
        col(Wallet.investor_id) == bindparam("investor_id"),
        col(Balance.balance_units) > 0,
    )
    .order_by(col(Tokenization.id), col(Wallet.address))
)


def holding_in(session: Session, tokenization: Tokenization, wallet: bytes) -> Holding:
    """Return what a wallet, known to us or not, holds of one token now."""
    row = session.exec(
        select(Balance, _FROZEN_WHOLE)
        .join(Token, col(Token.token_no) == col(Balance.token_no))
        .join(Holder, col(Holder.holder_no) == col(Balance.holder_no))
        .where(col(Token.address) == tokenization.token_address, col(Holder.address) == wallet)
    ).first()
    if row is None:
        return Holding(tokenization, wallet, 0, 0)
    balance, whole = row
    has, locked = int(balance.balance_units), int(balance.frozen_units)
    return Holding(tokenization, wallet, has, locked, is_frozen=bool(whole))


def is_frozen(
    session: Session, token: Token, address: bytes, *, at_block: int | None = None
) -> bool:
    """Tell whether the wallet as a whole was frozen last, now or at a block."""
    query = (
        select(TokenEvent.extra)
        .where(*_freezes(token, address))
        .order_by(col(TokenEvent.block_number).desc(), col(TokenEvent.log_index).desc())
        .limit(1)
    )
    if at_block is not None:
        query = query.where(col(TokenEvent.block_number) <= at_block)
    extra = session.exec(query).first()
    return bool(extra and extra["frozen"])


def first_freeze(
    session: Session, token: Token, address: bytes, *, since: int, until: int
) -> ChainBlock | None:
    """Return the first block above `since`, up to `until`, that froze or freed a wallet whole."""
    return session.exec(
        select(ChainBlock)
        .where(
            *_freezes(token, address),
            col(ChainBlock.chain_id) == token.chain_id,
            col(ChainBlock.number) == col(TokenEvent.block_number),
            col(TokenEvent.block_number) > since,
            col(TokenEvent.block_number) <= until,
        )
        .order_by(col(TokenEvent.block_number))
        .limit(1)
    ).first()


def _freezes(token: Token, address: bytes) -> Sequence[ColumnElement[bool]]:
    return (
        col(TokenEvent.token_no) == token.token_no,
        col(TokenEvent.kind) == EventKind.ADDRESS_FROZEN,
        col(TokenEvent.target) == col(Holder.holder_no),
        col(Holder.address) == address,
    )


def holds_any(session: Session, wallet: bytes) -> bool:
    """Tell whether a wallet holds units of any token that is projected."""
    query = (
        select(Balance.token_no)
        .join(Holder, col(Holder.holder_no) == col(Balance.holder_no))
        .where(col(Holder.address) == wallet, col(Balance.balance_units) > 0)
    )
    return session.exec(query).first() is not None


def list_tokens_of(
    session: Session, wallet: bytes, *, ever: bool = False
) -> Sequence[Tokenization]:
    """List the tokens that a wallet holds, or is registered for.

    Parameters
    ----------
    ever
        Those that it held at any time too.
    """
    held = select(Balance.token_no).where(col(Balance.holder_no) == col(Holder.holder_no))
    if not ever:
        held = held.where(col(Balance.balance_units) > 0)
    registered = select(RegisteredWallet.token_no).where(
        col(RegisteredWallet.holder_no) == col(Holder.holder_no)
    )
    return session.exec(
        select(Tokenization)
        .join(Token, col(Token.address) == col(Tokenization.token_address))
        .join(Holder, col(Holder.address) == wallet)
        .where(col(Token.token_no).in_(held) | col(Token.token_no).in_(registered))
        .order_by(col(Tokenization.id))
    ).all()


def is_registered(session: Session, tokenization: Tokenization, wallet: bytes) -> bool:
    """Tell whether a wallet is registered for a token, or for one that shares its storage."""
    return bool(registered_among(session, tokenization, [wallet]))


def registered_among(
    session: Session, tokenization: Tokenization, wallets: Collection[bytes]
) -> set[bytes]:
    """Return those of some wallets that are registered for a token, or one of its storage."""
    assert tokenization.suite is not None
    storage = tokenization.suite["identity_registry_storage"]
    return set(
        session.exec(
            select(Holder.address)
            .join(RegisteredWallet, col(Holder.holder_no) == col(RegisteredWallet.holder_no))
            .join(Token, col(Token.token_no) == col(RegisteredWallet.token_no))
            .join(Tokenization, col(Tokenization.token_address) == col(Token.address))
            .where(
                among(col(Holder.address), wallets),
                col(Tokenization.suite)["identity_registry_storage"].astext == storage,
            )
        )
    )
