"""Finding what is known of a token on chain: itself, its blocks and its proofs."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    LargeBinary,
    any_,
    bindparam,
)
from sqlalchemy import select as sql_select
from sqlmodel import Session, col, select

from registry.captable.blocks import AsOfBlock
from registry.captable.models import (
    EventKind,
    Reconciliation,
    SyncCursor,
    Token,
    TokenEvent,
)
from registry.captable.page import find_block
from registry.captable.readings import IS_OURS
from registry.captable.times import first_since
from registry.kernel.errors import Conflict, NotFound, Unavailable
from registry.kernel.reading import Composed
from registry.tokenization.models import Tokenization


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
    return _followed(find_token(session, address, chain_id=chain_id), address)


def get_token_of(session: Session, tokenization_id: UUID, *, chain_id: int) -> Token:
    """Return the projected token of a tokenization.

    Raises
    ------
    NotFound
        There is no such tokenization, or it has no token, or the chain has not told of it yet.
    Unavailable, Conflict
        As `get_token`.
    """
    found = _TOKEN_OF.all(session, tokenization_id=tokenization_id, chain_id=chain_id)
    if not found:
        raise NotFound("tokenization", tokenization_id)
    [(address, token)] = found
    if address is None:
        raise NotFound("token", tokenization_id)
    return _followed(token, address)


def _followed(token: Token | None, address: bytes) -> Token:
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


_BY_ADDRESS = (
    sql_select(Token)
    .where(col(Token.address) == bindparam("address", type_=LargeBinary))
    .order_by(IS_OURS.desc())
    .limit(1)
)
_TOKENS = Composed(
    sql_select(Token)
    .where(col(Token.address) == any_(bindparam("addresses", type_=ARRAY(LargeBinary))))
    .order_by(IS_OURS)
)
_TOKEN = Composed(_BY_ADDRESS)
_TOKEN_OF_CHAIN = Composed(_BY_ADDRESS.where(col(Token.chain_id) == bindparam("chain_id")))
_TOKEN_OF = Composed(
    sql_select(col(Tokenization.token_address), Token)
    .outerjoin(
        Token,
        (col(Token.address) == col(Tokenization.token_address))
        & (col(Token.chain_id) == bindparam("chain_id")),
    )
    .where(col(Tokenization.id) == bindparam("tokenization_id"))
)


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
    above = max(head - number, 0)
    return AsOfBlock(number, digest, mined_at, above, degraded=degraded, projected=last)


def first_block_since(session: Session, chain_id: int, since: int | datetime | None) -> int | None:
    """Return the number of the first block not before `since`; far ahead where there is none."""
    if since is None or isinstance(since, int):
        return since
    found = first_since(session, chain_id, since)
    return sync_state(session, chain_id).number + 1 if found is None else found


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
    session: Session,
    token: Token,
    *,
    until: int | None = None,
    known_at: datetime | None = None,
    limit: int,
) -> Sequence[Reconciliation]:
    """List the proofs of a token's projection, void ones too, newest first, up to `until`.

    Parameters
    ----------
    known_at
        Those that were made by then. One that was void only later is of a token that was read
        again since, of which `require_known` refuses to tell.
    """
    query = _PROOFS.where(col(Reconciliation.token_no) == token.token_no).limit(limit)
    if known_at is not None:
        query = query.where(col(Reconciliation.recorded_at) <= known_at)
    if until is not None:
        query = query.where(col(Reconciliation.block_number) <= until)
    return session.exec(query).all()
