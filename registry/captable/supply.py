"""How many units of a token there were at a block: minted less burned, up to and with it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime

from sqlalchemy import bindparam, func, literal_column
from sqlalchemy import select as sql_select
from sqlmodel import Session, col, select

from registry.captable.blocks import AsOfBlock
from registry.captable.degraded import is_doubtful
from registry.captable.models import TOLD, ChainBlock, EventKind, SyncCursor, Token, TokenEvent
from registry.kernel.reading import Composed, ReadSession
from registry.kernel.rows import among_named

_units = col(TokenEvent.units)
_minted = func.coalesce(func.sum(_units).filter(col(TokenEvent.source).is_(None)), 0)
_burned = func.coalesce(func.sum(_units).filter(col(TokenEvent.target).is_(None)), 0)
_SINCE = (
    sql_select(_minted - _burned)
    .where(
        col(TokenEvent.token_no) == col(Token.token_no),
        # Said for the planner: a small index has all of these (`ix_token_event_told`).
        col(TokenEvent.kind) == literal_column(str(int(EventKind.TRANSFER))),
        TOLD,
        col(TokenEvent.block_number) > bindparam("block"),
    )
    .correlate(Token)
    .scalar_subquery()
)
_SUPPLIES = Composed(
    sql_select(col(Token.token_no), col(Token.supply_units) - _SINCE).where(
        among_named(col(Token.token_no), "tokens")
    )
)


def supply_at(session: Session, token: Token, block: AsOfBlock) -> int:
    """Return minted less burned, up to and with `block`."""
    # Of one snapshot: elsewhere a block may have come between this token and this block.
    if block.is_newest and isinstance(session, ReadSession):
        return int(token.supply_units)
    return supplies_at(session, [token.token_no], block)[token.token_no]


def supplies_at(
    session: Session, token_nos: Collection[int | None], block: AsOfBlock
) -> Mapping[int | None, int]:
    """Return the same of many tokens, by their numbers.

    Counted back from what there is now, since most questions are of the newest blocks; in one
    statement, so that no block comes between.
    """
    found = _SUPPLIES.all(session, tokens=list(token_nos), block=block.kept)
    lost = block.lost
    return {
        token_no: int(units) + (lost.minted(token_no) if lost else 0) for token_no, units in found
    }


def first_minted_at(session: Session, token: Token) -> datetime | None:
    """Return when the first units came to be; None where none did yet."""
    first = (
        select(ChainBlock.mined_at)
        .join(TokenEvent, col(TokenEvent.block_number) == col(ChainBlock.number))
        .where(
            col(ChainBlock.chain_id) == token.chain_id,
            col(TokenEvent.token_no) == token.token_no,
            col(TokenEvent.kind) == EventKind.TRANSFER,
            TOLD,
            col(TokenEvent.source).is_(None),
        )
        .order_by(col(TokenEvent.block_number))
    )
    return session.exec(first.limit(1)).first()


def is_gone(session: Session, token: Token) -> bool:
    """Tell whether no unit of a token exists any more, in blocks that stay.

    Of a token that is read anew, in doubt, or not followed, not everything is known; and a burn in
    a block that is not final may be undone. Who relies on that nothing is left could not burn it
    then.
    """
    if not token.is_told_whole or token.supply_units or is_doubtful(session, token):
        return False
    cursor = session.get_one(SyncCursor, token.chain_id)
    final = -1 if cursor.finalized_number is None else cursor.finalized_number
    moved = select(TokenEvent.block_number).where(
        col(TokenEvent.token_no) == token.token_no,
        col(TokenEvent.kind) == EventKind.TRANSFER,
        TOLD,
        col(TokenEvent.block_number) > final,
    )
    return session.exec(moved.limit(1)).first() is None
