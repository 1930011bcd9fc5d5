"""Reading the cap table: now, as of a block, as of a time."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Integer,
    LargeBinary,
    any_,
    bindparam,
    case,
    column,
    exists,
    outerjoin,
    text,
    true,
)
from sqlalchemy import select as sql_select
from sqlmodel import Session, col, select

from registry.captable.blocks import AsOfBlock
from registry.captable.bulk import cursor_of
from registry.captable.held import held_by
from registry.captable.models import (
    Balance,
    BalanceAt,
    ChainBlock,
    EventKind,
    Holder,
    Reconciliation,
    RegisteredWallet,
    SyncCursor,
    Token,
    TokenEvent,
)
from registry.captable.page import HeldUnits, find_block
from registry.captable.spans import balance_at, frozen_at
from registry.investor.models import Investor, Wallet
from registry.kernel.errors import Conflict, NotFound, Unavailable
from registry.kernel.reading import Composed
from registry.operation.models import PlatformContract
from registry.party.models import Party


@dataclass(frozen=True, slots=True)
class CapTableEntry(HeldUnits):
    """One holder of one token, and who they are.

    Parameters
    ----------
    party : Party | None
        Whom the wallet belongs to; None for an address that no investor has proven.
    """

    identity: bytes | None
    country: int | None
    party: Party | None


def get_token(session: Session, address: bytes, *, chain_id: int | None = None) -> Token:
    """Return the projected token; see `find_token` for which one.

    Raises
    ------
    NotFound
        The chain's events have not told us of it (yet).
    Unavailable
        ``token_catching_up``: what is known of it does not reach the chain's newest block.
    Conflict
        ``token_refused``.
    """
    token = find_token(session, address, chain_id=chain_id)
    if token is None:
        raise NotFound("token", f"0x{address.hex()}")
    require_followed(token.refusal, token.caught_up_to)
    return token


def require_followed(refusal: str | None, caught_up_to: int | None) -> None:
    """Refuse to tell of a token of which not everything is known.

    Raises
    ------
    Conflict, Unavailable
        As `get_token`.
    """
    if refusal is not None:
        raise Conflict("token_refused", f"The token is not followed any more: {refusal}.")
    if caught_up_to is not None:
        raise Unavailable(
            "token_catching_up",
            f"The token is read again, and stands at block {caught_up_to}; try again soon.",
        )


def find_token(session: Session, address: bytes, *, chain_id: int | None = None) -> Token | None:
    """Return the projected token, if the chain's events have told us of it.

    Parameters
    ----------
    chain_id
        On which chain; without it, and several have a token at this address, that of the chain on
        which the platform stands: nothing is tokenized on another.
    """
    if chain_id is None:
        return _TOKEN.first(session, address=address)
    return _TOKEN_OF_CHAIN.first(session, address=address, chain_id=chain_id)


def find_tokens(session: Session, addresses: Collection[bytes]) -> dict[bytes, Token]:
    """Return the projected tokens of these addresses, by address, each as `find_token` does."""
    rows = _TOKENS.scalars(session, addresses=list(addresses))
    # Of several chains the platform's own comes last, and so stays.
    return {token.address: token for token in rows}


_IS_OURS = exists().where(col(PlatformContract.chain_id) == col(Token.chain_id))
_BY_ADDRESS = (
    sql_select(Token)
    .where(col(Token.address) == bindparam("address", type_=LargeBinary))
    .order_by(_IS_OURS.desc())
    .limit(1)
)
_TOKENS = Composed(
    sql_select(Token)
    .where(col(Token.address) == any_(bindparam("addresses", type_=ARRAY(LargeBinary))))
    .order_by(_IS_OURS)
)
_TOKEN = Composed(_BY_ADDRESS)
_TOKEN_OF_CHAIN = Composed(_BY_ADDRESS.where(col(Token.chain_id) == bindparam("chain_id")))


def confirmations_of_final(session: Session, chain_id: int) -> int:
    """Return how many blocks stand on the newest final one, as the sync noted it.

    Where nothing was noted yet, no block has as many.
    """
    cursor = sync_state(session, chain_id)
    final = cursor.finalized_number
    return cursor.head_number + 1 if final is None else max(cursor.head_number - final, 0)


def sync_state(session: Session, chain_id: int) -> SyncCursor:
    """Return how far the chain is projected.

    Raises
    ------
    Unavailable
        ``sync_not_started``.
    """
    cursor = session.get(SyncCursor, chain_id)
    if cursor is None:
        raise _not_started()
    return cursor


def _not_started() -> Unavailable:
    return Unavailable("sync_not_started", "The chain has not been read yet; try again soon.")


def block_at(session: Session, chain_id: int, as_of: int | datetime | None) -> AsOfBlock:
    """Return the last block at or before `as_of` that changed anything or ended a sync range.

    Parameters
    ----------
    as_of
        Block number, time, or None for the newest.

    Raises
    ------
    Conflict
        ``block_not_synced``: it lies beyond what is projected.
    NotFound
        It lies before the first block.
    """
    found = find_block_at(session, chain_id, as_of)
    if found is None:
        raise _not_started()
    return found


def find_block_at(
    session: Session, chain_id: int, as_of: int | datetime | None
) -> AsOfBlock | None:
    """Return what `block_at` does, or None where the chain was never read.

    Raises
    ------
    Conflict, NotFound
        As `block_at`.
    """
    row = find_block(session, chain_id, as_of)
    if row is None:
        return None
    last, head, degraded, number, digest, mined_at = row
    if isinstance(as_of, int) and as_of > last:
        raise Conflict("block_not_synced", f"Block {as_of} is not projected; the last is {last}.")
    if number is None:
        raise NotFound("block", f"at or before {as_of}")
    return AsOfBlock(number, digest, mined_at, max(head - number, 0), degraded=degraded)


def first_block_since(session: Session, chain_id: int, since: int | datetime | None) -> int | None:
    """Return the number of the first block not before `since`; far ahead where there is none."""
    if since is None or isinstance(since, int):
        return since
    found = session.exec(
        select(ChainBlock.number)
        .where(col(ChainBlock.chain_id) == chain_id, col(ChainBlock.mined_at) >= since)
        .order_by(col(ChainBlock.mined_at), col(ChainBlock.number))
        .limit(1)
    ).first()
    return sync_state(session, chain_id).number + 1 if found is None else found


def list_holders(
    session: Session,
    token: Token,
    block: AsOfBlock,
    *,
    after: bytes | None = None,
    limit: int | None = None,
) -> Sequence[CapTableEntry]:
    """List who held the token at `block`, by address, and who they are."""
    query = _held_at_block() if block.lost is None else _with_people(_held_known(token, block))
    values = {
        "token_no": token.token_no,
        "block": block.number,
        "after": after or b"",
        "page": limit,
    }
    return [
        CapTableEntry(
            address=address,
            balance_units=int(has),
            frozen_units=int(locked),
            identity=wallet.identity if wallet else None,
            country=wallet.country if wallet else None,
            party=party,
        )
        for has, locked, address, wallet, party in session.execute(query, values)
    ]


_HELD = "SELECT coalesce(sum(balance_units), 0) FROM ({held}) x"
_STRANGERS = """
SELECT h.address, x.balance_units FROM ({held}) x JOIN holder h USING (holder_no)
WHERE NOT EXISTS (
    SELECT FROM registered_wallet r WHERE r.token_no = {token} AND r.holder_no = x.holder_no)
  OR NOT EXISTS (
    SELECT FROM wallet w WHERE w.address = h.address)
ORDER BY h.address
"""


def held_and_strangers(
    session: Session, token: Token, block: AsOfBlock
) -> tuple[int, Sequence[tuple[bytes, int]]]:
    """Return what all holders have together, and which of them have no identity, or are nobody."""
    held = held_by(token, block)
    with cursor_of(session) as cursor:
        total = cursor.execute(_HELD.format(held=held).encode()).fetchone()
        assert total is not None, "an aggregate has one row"
        query = _STRANGERS.format(held=held, token=int(token.token_no or 0))
        strangers = cursor.execute(query.encode()).fetchall()
    return int(total[0]), [(address, int(units)) for address, units in strangers]


@cache
def _held_at_block() -> Any:
    """Compose once what every page asks: composing it takes longer than its answer."""
    return _with_people(_held_now_or_then())


def _with_people(held: _Held) -> Any:
    """Give the query of a page of holders: how much, and whose the wallet is."""
    token_no = bindparam("token_no", type_=Integer)
    after = bindparam("after", type_=LargeBinary)
    page = bindparam("page", type_=Integer)
    return (
        sql_select(held.balance, held.frozen, col(Holder.address), RegisteredWallet, Party)
        .select_from(held.rows)
        .join(Holder, col(Holder.holder_no) == held.holder_no)
        .outerjoin(
            RegisteredWallet,
            (col(RegisteredWallet.token_no) == token_no)
            & (col(RegisteredWallet.holder_no) == held.holder_no),
        )
        .outerjoin(Wallet, col(Wallet.address) == col(Holder.address))
        .outerjoin(Investor, col(Investor.id) == col(Wallet.investor_id))
        .outerjoin(Party, col(Party.id) == col(Investor.party_id))
        .where(held.balance > 0, *held.where, col(Holder.address) > after)
        .order_by(col(Holder.address))
        .limit(page)
    )


# One probe of one index: composing it anew each time would take ten times as long as its answer.
_HOLDING = """
SELECT coalesce(later_balances[width_bucket(%(block)s::int8, later_blocks)], balance_units),
  coalesce(later_frozen[width_bucket(%(block)s::int8, later_blocks)], frozen_units)
FROM balance_at
WHERE token_no = %(token)s AND block_number <= %(block)s
  AND holder_no = (SELECT holder_no FROM holder WHERE address = %(address)s)
ORDER BY block_number DESC LIMIT 1
"""


def holding_known(
    session: Session, token: Token, address: bytes, block: AsOfBlock
) -> tuple[int, int]:
    """Return what an address held at a block that a reorg may have taken since."""
    balance, frozen = holding_at(session, token, address, block.kept)
    if block.lost is None:
        return balance, frozen
    number = session.exec(select(Holder.holder_no).where(col(Holder.address) == address)).first()
    changed = block.lost.changes(token.token_no).get(number or 0, (0, 0))
    return balance + changed[0], frozen + changed[1]


def holding_at(session: Session, token: Token, address: bytes, number: int) -> tuple[int, int]:
    """Return what an address held at a block: balance and frozen part; nothing is (0, 0)."""
    with cursor_of(session) as cursor:
        row = cursor.execute(
            _HOLDING, {"token": token.token_no, "address": address, "block": number}
        ).fetchone()
    return (int(row[0]), int(row[1])) if row else (0, 0)


class _Held(NamedTuple):
    """Rows with a holder each, and what is to be selected of them."""

    rows: Any
    holder_no: Any
    balance: ColumnElement[int]
    frozen: ColumnElement[int]
    where: Sequence[ColumnElement[bool]] = ()


def _held_now_or_then() -> _Held:
    """Give balance and frozen part at a block; it and the token are told with each question.

    Who has not changed since the block is told by `Balance` alone; the history is asked only
    for the others, one probe of its index each.
    """
    number = bindparam("block", type_=BigInteger)
    token_no = bindparam("token_no", type_=Integer)
    held: Any = (
        sql_select(
            balance_at(number).label("balance_units"), frozen_at(number).label("frozen_units")
        )
        .where(
            col(BalanceAt.token_no) == token_no,
            col(BalanceAt.holder_no) == col(Balance.holder_no),
            col(BalanceAt.block_number) <= number,
            col(Balance.block_number) > number,
        )
        .order_by(col(BalanceAt.block_number).desc())
        .limit(1)
        .correlate(Balance)
        .lateral("held")
    )
    unchanged = col(Balance.block_number) <= number
    table: Any = Balance
    return _Held(
        outerjoin(table, held, true()),
        col(Balance.holder_no),
        case((unchanged, col(Balance.balance_units)), else_=held.c.balance_units),
        case((unchanged, col(Balance.frozen_units)), else_=held.c.frozen_units),
        (col(Balance.token_no) == token_no,),
    )


def _held_known(token: Token, block: AsOfBlock) -> _Held:
    """Give balance and frozen part at a block that a reorg has taken since."""
    rows = (
        text(held_by(token, block))
        .columns(column("holder_no"), column("balance_units"), column("frozen_units"))
        .subquery("held")
    )
    return _Held(rows, rows.c.holder_no, rows.c.balance_units, rows.c.frozen_units)


def is_paused_at(session: Session, token: Token, block: AsOfBlock) -> bool:
    """Tell whether a token was paused at a block; it begins paused."""
    kinds = (EventKind.PAUSED, EventKind.UNPAUSED)
    said = [
        event["kind"]
        for event in (block.lost.events(token.token_no) if block.lost else ())
        if event["kind"] in kinds
    ]
    last = (
        said[-1]
        if said
        else session.exec(
            select(TokenEvent.kind)
            .where(
                col(TokenEvent.token_no) == token.token_no,
                # Said for the planner: all of these are in the small index.
                col(TokenEvent.kind) != EventKind.TRANSFER,
                col(TokenEvent.kind).in_(kinds),
                col(TokenEvent.block_number) <= block.kept,
            )
            .order_by(col(TokenEvent.block_number).desc(), col(TokenEvent.log_index).desc())
            .limit(1)
        ).first()
    )
    return last is None or last == EventKind.PAUSED


_PROOFS = select(Reconciliation).order_by(col(Reconciliation.id).desc())


def latest_reconciliation(session: Session, token_address: bytes) -> Reconciliation | None:
    """Return the newest proof of the projection as it stands, if one was made."""
    token = find_token(session, token_address)
    if token is None:
        return None
    query = _PROOFS.where(
        col(Reconciliation.token_no) == token.token_no, col(Reconciliation.void_since).is_(None)
    )
    return session.exec(query.limit(1)).first()


def list_reconciliations(
    session: Session, token: Token, *, until: int | None = None, limit: int
) -> Sequence[Reconciliation]:
    """List the proofs of a token's projection, void ones too, newest first, up to `until`."""
    query = _PROOFS.where(col(Reconciliation.token_no) == token.token_no).limit(limit)
    if until is not None:
        query = query.where(col(Reconciliation.block_number) <= until)
    return session.exec(query).all()
