"""When a token was read beside its chain, and why: what was told of it before may be gone since.

A reorg keeps what it takes, as orphans; reading again keeps nothing. So there is a row for each
time that a token was adopted, read again or set apart, and whoever asks what was known of it
before is refused rather than told what is known now (ADR 0036).
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from datetime import datetime
from enum import StrEnum

from pydantic import AwareDatetime
from sqlalchemy import Column, ColumnElement, DateTime, bindparam, exists, func, text, update
from sqlalchemy import select as sql_select
from sqlmodel import Field, Session, SQLModel, col, select

from registry.captable.models import Token
from registry.kernel.columns import bigint, enumeration, instant
from registry.kernel.errors import Conflict
from registry.kernel.reading import Composed
from registry.operation.models import PlatformContract
from registry.tokenization.models import Tokenization


class ReadingKind(StrEnum):
    """Why a token was read beside its chain."""

    ADOPTED = "ADOPTED"
    READ_AGAIN = "READ_AGAIN"
    SET_APART = "SET_APART"


class TokenReading(SQLModel, table=True):
    """One time that a token was read beside its chain.

    Parameters
    ----------
    number
        Of the token's readings, from 1.
    after_block
        Everything up to it stayed as it was known.
    begun_at, joined_at
        From when to when nothing was told of the token, by the database's own clock; not joined,
        it still is read.
    """

    __tablename__ = "token_reading"

    token_no: int = Field(primary_key=True)
    number: int = Field(primary_key=True)
    kind: ReadingKind = enumeration(ReadingKind)
    after_block: int = bigint()
    begun_at: AwareDatetime = Field(
        default=None,
        sa_column=Column(DateTime(timezone=True), nullable=False, server_default=text("now()")),
    )
    joined_at: AwareDatetime | None = instant()


def note_begun(session: Session, token: Token, kind: ReadingKind, *, after: int) -> None:
    """Note that a token, which is locked, is read beside its chain from now on."""
    assert token.token_no is not None
    newest = select(func.max(TokenReading.number)).where(
        col(TokenReading.token_no) == token.token_no
    )
    number = (session.exec(newest).one() or 0) + 1
    session.add(TokenReading(token_no=token.token_no, number=number, kind=kind, after_block=after))
    session.flush()


def note_apart(session: Session, token: Token, *, after: int) -> None:
    """Note that a token is read apart from now on, unless it is so already."""
    query = select(TokenReading.number).where(
        col(TokenReading.token_no) == token.token_no, col(TokenReading.joined_at).is_(None)
    )
    if session.exec(query).first() is None:
        note_begun(session, token, ReadingKind.SET_APART, after=after)


def note_joined(session: Session, token: Token) -> None:
    """Note that a token is read together with its chain again."""
    session.execute(
        update(TokenReading)
        .where(col(TokenReading.token_no) == token.token_no, col(TokenReading.joined_at).is_(None))
        .values(joined_at=func.now())
    )


IS_OURS = exists().where(col(PlatformContract.chain_id) == col(Token.chain_id))
"""The platform stands on the token's chain."""


def list_foreign(session: Session, chain_id: int) -> AbstractSet[int]:
    """Return the numbers of the adopted tokens of a chain of which none is tokenized here.

    Where the platform does not stand nothing is, whatever address a token has there.
    """
    is_tokenized = (
        exists().where(col(Tokenization.token_address) == col(Token.address)).correlate(Token)
    )
    query = select(Token.token_no).where(
        col(Token.chain_id) == chain_id, col(Token.is_adopted), ~(is_tokenized & IS_OURS)
    )
    return {number for number in session.exec(query) if number is not None}


def times_read_again(session: Session, token: Token) -> int:
    """Return how often what was known of a token was thrown away."""
    query = select(func.count()).where(
        col(TokenReading.token_no) == token.token_no,
        col(TokenReading.kind) == ReadingKind.READ_AGAIN,
    )
    return session.exec(query).one()


_REREAD_BELOW = Composed(
    sql_select(func.count()).where(
        col(TokenReading.token_no) == bindparam("token_no"),
        col(TokenReading.kind) == ReadingKind.READ_AGAIN,
        col(TokenReading.after_block) < bindparam("block"),
    )
)


def times_read_again_below(session: Session, token: Token, block: int) -> int:
    """Return how often something that was known of a token up to a block was thrown away."""
    (count,) = _REREAD_BELOW.scalars(session, token_no=token.token_no, block=block)
    return count


def is_read_again_since(session: Session, token: Token, moment: datetime) -> bool:
    """Tell whether a token was repaired since, so that its figures of before may be wrong.

    From whichever block: a repair that keeps every event still makes balances and supply anew.
    Told by when it had been read, since a repair that was under way at that moment counts, and
    one that had ended does not: nothing is told of a token in between.

    Parameters
    ----------
    moment
        When a transaction that knew the token began, by the database's own clock.
    """
    joined = col(TokenReading.joined_at)
    query = select(TokenReading.number).where(
        col(TokenReading.token_no) == token.token_no,
        col(TokenReading.kind) == ReadingKind.READ_AGAIN,
        joined.is_(None) | (joined > moment),
    )
    return session.exec(query.limit(1)).first() is not None


def require_known(session: Session, token: Token, known_at: datetime | None, *, block: int) -> None:
    """Refuse to tell what was known of a token at a moment of which nothing is kept.

    Parameters
    ----------
    block
        The last one that is told of: what was thrown away is above some block.

    Raises
    ------
    Conflict
        ``token_read_since``.
    """
    if known_at is not None:
        _refuse_first(session, known_at, block, col(TokenReading.token_no) == token.token_no)


def require_all_known(
    session: Session, chain_id: int, known_at: datetime | None, *, block: int
) -> None:
    """Refuse the same of all the platform's own tokens, for what counts each of them.

    Raises
    ------
    Conflict
        ``token_read_since``.
    """
    if known_at is None:
        return
    own = (
        select(Token.token_no)
        .join(Tokenization, col(Tokenization.token_address) == col(Token.address))
        .where(col(Token.chain_id) == chain_id)
    )
    _refuse_first(session, known_at, block, col(TokenReading.token_no).in_(own))


def _refuse_first(
    session: Session, known_at: datetime, block: int, whose: ColumnElement[bool]
) -> None:
    is_until = col(TokenReading.joined_at).is_(None) | (col(TokenReading.joined_at) > known_at)
    kind = col(TokenReading.kind)
    is_gone = (
        (kind == ReadingKind.ADOPTED)
        | ((kind == ReadingKind.READ_AGAIN) & (col(TokenReading.after_block) < block))
        | ((kind == ReadingKind.SET_APART) & (col(TokenReading.begun_at) <= known_at))
    )
    found = session.exec(
        select(TokenReading, Token.address)
        .join(Token, col(Token.token_no) == col(TokenReading.token_no))
        .where(whose, is_until, is_gone)
        .order_by(col(TokenReading.joined_at).desc().nulls_first())
        .limit(1)
    ).first()
    if found is None:
        return
    reading, address = found
    since = reading.joined_at
    raise Conflict(
        "token_read_since",
        f"What was known of token 0x{address.hex()} at {known_at.isoformat()} is not kept: "
        f"{_WHY[reading.kind]}.",
        remedy="Leave known_at out, or wait until the token is read."
        if since is None
        else f"Leave known_at out, or give {since.isoformat()} or later.",
    )


_WHY = {
    ReadingKind.ADOPTED: "it was adopted, and read from its first block, only afterwards",
    ReadingKind.READ_AGAIN: "it was repaired, and read again, since",
    ReadingKind.SET_APART: "it was being read apart from its chain",
}
