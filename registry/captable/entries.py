"""The entries of a cap table at a block: who held how much, and whose the wallets are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Integer,
    LargeBinary,
    bindparam,
    case,
    column,
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
    Holder,
    RegisteredWallet,
    Token,
)
from registry.captable.page import HeldUnits
from registry.captable.spans import balance_at, frozen_at
from registry.investor.models import Investor, Wallet
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


_FIRST_CHANGE = """
SELECT c.number, c.mined_at
FROM balance_history b
JOIN chain_block c ON c.chain_id = %(chain)s AND c.number = b.block_number
WHERE b.token_no = %(token)s
  AND b.holder_no = (SELECT holder_no FROM holder WHERE address = %(address)s)
  AND b.block_number > %(since)s AND b.block_number <= %(until)s
  AND (b.balance_units, b.frozen_units) <> (%(units)s, %(frozen)s)
ORDER BY b.block_number LIMIT 1
"""


def first_change(
    session: Session, token: Token, address: bytes, held: tuple[int, int], *, since: int, until: int
) -> tuple[int, datetime] | None:
    """Return number and time of the first block that left an address with something else.

    A transfer to itself, or back within its block, leaves it as it was.

    Parameters
    ----------
    held
        Balance and frozen part at block `since`; what comes after `until` is left out.
    """
    asked = {
        "chain": token.chain_id, "token": token.token_no, "address": address,
        "since": since, "until": until, "units": held[0], "frozen": held[1],
    }  # fmt: skip
    with cursor_of(session) as cursor:
        row = cursor.execute(_FIRST_CHANGE, asked).fetchone()
    return (row[0], row[1]) if row else None


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
