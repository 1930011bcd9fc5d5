"""Tell investors what the chain did to their holdings, once it is final: moved, frozen, released.

A cursor by block goes over what is projected. What is told stands in the transaction that moves the
cursor, so nothing is told twice or left out, wherever a program dies.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from uuid import UUID

import structlog
from sqlalchemy import func
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Session, col, select

from registry.captable.bulk import cursor_of
from registry.captable.feed import Place, kept_place
from registry.captable.history import HoldingChange, list_changes_of_many
from registry.captable.models import ChainBlock, EventKind, SyncCursor, Token
from registry.kernel.errors import Invalid
from registry.kernel.rows import among
from registry.notice import service as notices
from registry.notice.models import NoticeCursor
from registry.notice.service import NewNotice
from registry.tokenization.models import Tokenization

log = structlog.get_logger()

HOLDERS_AT_ONCE = 500

# Of our own tokens and proven wallets only; by the index of each token's events.
_TOUCHED = f"""
SELECT DISTINCT t.token_no, h.holder_no, z.id, w.id, w.address, i.subject
FROM tokenization z JOIN token t ON t.address = z.token_address AND t.chain_id = %(chain)s
CROSS JOIN LATERAL (
  SELECT unnest(ARRAY[e.source, e.target]) AS holder_no FROM token_event e
  WHERE e.token_no = t.token_no AND e.block_number > %(after)s AND e.block_number <= %(until)s
    AND e.kind IN ({EventKind.TRANSFER:d}, {EventKind.TOKENS_FROZEN:d},
      {EventKind.TOKENS_UNFROZEN:d})) e
JOIN holder h ON h.holder_no = e.holder_no
JOIN wallet w ON w.address = h.address
JOIN investor i ON i.id = w.investor_id
ORDER BY 1, 4
"""  # noqa: S608 - numbers of our own
# `kind <> 1` is what the index is over.
_FROZEN = f"""
SELECT z.id, w.id, w.address, i.subject, e.extra ->> 'frozen', b.number, b.hash
FROM tokenization z JOIN token t ON t.address = z.token_address AND t.chain_id = %(chain)s
JOIN token_event e ON e.token_no = t.token_no AND e.kind <> 1
  AND e.kind = {EventKind.ADDRESS_FROZEN:d}
  AND e.block_number > %(after)s AND e.block_number <= %(until)s
JOIN chain_block b ON b.chain_id = t.chain_id AND b.number = e.block_number
JOIN holder h ON h.holder_no = e.target
JOIN wallet w ON w.address = h.address
JOIN investor i ON i.id = w.investor_id
ORDER BY e.block_number, e.log_index
"""  # noqa: S608 - numbers of our own


@dataclass(frozen=True, slots=True)
class _Touched:
    """A wallet whose holding of a token may have changed."""

    holder_no: int
    tokenization_id: UUID
    wallet_id: UUID
    address: bytes
    subject: str


def tell_holdings(session: Session, chain_id: int) -> int:
    """Tell of what became final since the last time, and return how much that was.

    The first time nothing is told: what was before is no news.
    """
    cursor = session.get(NoticeCursor, chain_id, with_for_update=True)
    until = _final_block(session, chain_id, known=cursor is not None)
    if until is None:
        return 0
    if cursor is None:
        begin = {"chain_id": chain_id, "block_number": until.number, "block_hash": until.hash}
        # Another program may begin at this very moment.
        session.execute(insert(NoticeCursor).values(**begin).on_conflict_do_nothing())
        return 0
    after = _kept_place(session, cursor)
    if until.number <= after:
        return 0
    with session.begin_nested() as telling:
        told = _tell_changes(session, chain_id, after, until.number) + _tell_wallets(
            session, chain_id, after, until.number
        )
        if _known_up_to(session, chain_id, until.number) < until.number:
            # Somebody began to read a token again meanwhile: what was found may lack some of it.
            telling.rollback()
            return 0
    cursor.block_number, cursor.block_hash = until.number, until.hash
    session.add(cursor)
    session.flush()
    return told


def _final_block(session: Session, chain_id: int, *, known: bool) -> ChainBlock | None:
    """Return the newest block that we keep of those that are final; none while we are in doubt.

    Parameters
    ----------
    known
        Whether everything of our own tokens must be known up to it.
    """
    sync = session.get(SyncCursor, chain_id)
    if sync is None or sync.degraded is not None or sync.finalized_number is None:
        return None
    most = min(sync.finalized_number, sync.number)
    if known:
        most = _known_up_to(session, chain_id, most)
    return session.exec(
        select(ChainBlock)
        .where(col(ChainBlock.chain_id) == chain_id, col(ChainBlock.number) <= most)
        .order_by(col(ChainBlock.number).desc())
        .limit(1)
    ).first()


def _known_up_to(session: Session, chain_id: int, number: int) -> int:
    """Return `number`, or up to where those of our tokens are known that are being read again."""
    lowest = session.exec(
        select(func.min(Token.caught_up_to))
        .join(Tokenization, col(Tokenization.token_address) == col(Token.address))
        .where(col(Token.chain_id) == chain_id, col(Token.refusal).is_(None))
    ).one()
    return number if lowest is None else min(number, lowest)


def _kept_place(session: Session, cursor: NoticeCursor) -> int:
    """Return up to where is told of the chain as it is now.

    Blocks that were final and left the chain all the same are told anew as they came back.
    """
    try:
        place = Place(cursor.block_number, cursor.block_hash)
        return kept_place(session, cursor.chain_id, place).number
    except Invalid:
        # No reorg took it: what is projected was read anew, and need not have kept this block.
        log.warning("notices_lost_their_place", block=cursor.block_number)
    below = session.exec(
        select(ChainBlock.number)
        .where(
            col(ChainBlock.chain_id) == cursor.chain_id,
            col(ChainBlock.number) < cursor.block_number,
        )
        .order_by(col(ChainBlock.number).desc())
        .limit(1)
    ).first()
    return cursor.block_number if below is None else below


def _tell_changes(session: Session, chain_id: int, after: int, until: int) -> int:
    values = {"chain": chain_id, "after": after, "until": until}
    with cursor_of(session) as cursor:
        rows: Sequence[tuple[int, int, UUID, UUID, bytes, str]] = cursor.execute(
            _TOUCHED, values
        ).fetchall()
    touched = [(row[0], _Touched(*row[1:])) for row in rows]
    numbers = {token_no for token_no, _ in touched}
    known = session.exec(select(Token).where(among(col(Token.token_no), sorted(numbers))))
    told = 0
    for token in known:
        if token.refusal is not None:
            continue  # nothing more is read of it
        of_token = [each for token_no, each in touched if token_no == token.token_no]
        for start in range(0, len(of_token), HOLDERS_AT_ONCE):
            some = of_token[start : start + HOLDERS_AT_ONCE]
            told += _tell_some(session, token, some, after=after, until=until)
    return told


def _tell_some(
    session: Session, token: Token, some: Sequence[_Touched], *, after: int, until: int
) -> int:
    """Tell some of the holders of a token what changed for each."""
    numbers = [each.holder_no for each in some]
    changes = list_changes_of_many(session, token, numbers, after=after, until=until)
    told = [(each, change) for each in some for change in changes[each.holder_no]]
    notices.tell_all(
        session, [notice for each, change in told for notice in _notices_of(each, change)]
    )
    return len(told)


def _notices_of(of: _Touched, change: HoldingChange) -> Iterator[NewNotice]:
    kinds = (
        ("holding.changed", change.balance_change),
        ("holding.frozen", max(change.frozen_change, 0)),
        ("holding.released", max(-change.frozen_change, 0)),
    )
    for kind, units in kinds:
        if units:
            facts = {
                "token_id": str(of.tokenization_id),
                "address": f"0x{of.address.hex()}",
                "units": str(units),
                "balance_units": str(change.balance_units),
                "frozen_units": str(change.frozen_units),
                "block_number": str(change.block_number),
                "block_hash": f"0x{change.block_hash.hex()}",
            }
            yield NewNotice(of.subject, kind, ("wallet", of.wallet_id), facts)


def _tell_wallets(session: Session, chain_id: int, after: int, until: int) -> int:
    values = {"chain": chain_id, "after": after, "until": until}
    with cursor_of(session) as cursor:
        rows = cursor.execute(_FROZEN, values).fetchall()
    for tokenization_id, wallet_id, address, subject, frozen, number, digest in rows:
        kind = "wallet.frozen" if frozen == "true" else "wallet.released"
        notices.tell(
            session,
            subject,
            kind,
            ("wallet", wallet_id),
            token_id=str(tokenization_id),
            address=f"0x{address.hex()}",
            block_number=str(number),
            block_hash=f"0x{digest.hex()}",
        )
    return len(rows)
