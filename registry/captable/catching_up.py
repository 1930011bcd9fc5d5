"""Tokens that are projected beside their chain: adopted, repaired, or set apart for what they said.

Such a token has its own place, `Token.caught_up_to`. It is read range by range up to the cursor,
and then joins its chain in the same transaction. Until then nobody is shown half of it.
"""

from __future__ import annotations

from collections.abc import Iterable

import psycopg
import structlog
from sqlalchemy import delete, func, update
from sqlmodel import Session, col, select

from registry.captable import bulk, sums, times
from registry.captable.degraded import degrade, doubt
from registry.captable.events import ProjectedRange, ProjectedToken
from registry.captable.former_tokens import former_numbers
from registry.captable.held import doubled
from registry.captable.models import (
    ProofRound,
    Reconciliation,
    RegisteredWallet,
    SyncCursor,
    Token,
)
from registry.captable.projection import apply_events
from registry.captable.readings import ReadingKind, note_begun, note_joined
from registry.captable.rewind import wallet_events, was_paused
from registry.captable.suites import store_suites, suites_before
from registry.captable.sums import SumDiffers
from registry.captable.wallets import fold_wallets
from registry.journal import service as journal
from registry.kernel.actor import THE_SYSTEM, Actor

log = structlog.get_logger()

_IMPOSSIBLE = (psycopg.errors.CheckViolation, psycopg.errors.NumericValueOutOfRange)
_EVENTS = "token_event"


def adopt(session: Session, actor: Actor, chain_id: int, found: ProjectedToken) -> Token:
    """Begin to follow a token that stands already, from its first block."""
    token = Token(
        token_no=former_numbers(session, chain_id, [found.address]).get(found.address),
        chain_id=chain_id,
        address=found.address,
        identity_registry=found.identity_registry,
        identity_storage=found.identity_storage,
        compliance=found.compliance,
        block_number=found.block_number,
        caught_up_to=found.block_number - 1,
        is_adopted=True,
        symbol=found.label.symbol,
        name=found.label.name,
        decimals=found.label.decimals,
    )
    session.add(token)
    session.flush()
    note_begun(session, token, ReadingKind.ADOPTED, after=found.block_number - 1)
    journal.record(
        session, actor, "token_adopted", "token", f"0x{found.address.hex()}",
        chain_id=chain_id, first_block=found.block_number,
    )  # fmt: skip
    return token


def list_behind(session: Session, chain_id: int) -> list[Token]:
    """List the tokens that are being caught up."""
    query = select(Token).where(
        col(Token.chain_id) == chain_id,
        col(Token.caught_up_to).is_not(None),
        col(Token.refusal).is_(None),
    )
    return list(session.exec(query.order_by(col(Token.token_no))).all())


def set_apart(session: Session, chain_id: int, addresses: Iterable[bytes], *, after: int) -> int:
    """Let tokens be caught up by themselves from block `after` on, so that the rest goes on.

    Parameters
    ----------
    addresses
        Of tokens, of their identity registries, storages or compliance contracts.

    Returns
    -------
    int
        How many there were.
    """
    named = list(addresses)
    tokens = session.exec(
        select(Token).where(
            col(Token.chain_id) == chain_id,
            col(Token.caught_up_to).is_(None),
            col(Token.address).in_(named)
            | col(Token.identity_registry).in_(named)
            | col(Token.identity_storage).in_(named)
            | col(Token.compliance).in_(named),
        )
    ).all()
    for token in tokens:
        log.warning("token_set_apart", token=f"0x{token.address.hex()}", after=after)
        token.caught_up_to = after
        session.add(token)
        note_begun(session, token, ReadingKind.SET_APART, after=after)
    return len(tokens)


def is_impossible(fault: BaseException) -> bool:
    """Tell whether the database refused since a token moved what it has not, or said one log twice.

    Other rows that are there already are another writer's doing.
    """
    told = getattr(fault, "orig", fault)
    if isinstance(told, psycopg.errors.UniqueViolation):
        return told.diag.table_name == _EVENTS
    return isinstance(told, _IMPOSSIBLE)


def apply_part(session: Session, token: Token, found: ProjectedRange, *, joins: bool) -> None:
    """Apply the next range of a token, and let it join its chain if that was the last."""
    times.add_blocks(session, token.chain_id, found.blocks)
    apply_events(session, token.chain_id, found.transfers, found.events)
    if joins:
        join(session, token)
        return
    token.caught_up_to = found.end.number
    session.add(token)
    session.flush()


def join(session: Session, token: Token) -> None:
    """Let a token go on together with its chain."""
    token.caught_up_to = None
    session.add(token)
    session.flush()
    note_joined(session, token)


def read_again(session: Session, wrong: SumDiffers, *, back_to: int | None = None) -> bool:
    """Mend a token whose holders do not have its supply, and say that it was not to be relied on.

    Its balances are made anew from the history, up to where it is projected. Where the history
    is wrong too, nothing of it is believed and the token is read again from its first block.
    Either way it joins its chain only after what came since, and `degraded.lift` asks for a proof.

    Parameters
    ----------
    back_to
        Block to which a reorg goes back. The history must be right there as well: balances are
        restored from it, and one that is wrong below the newest would refuse that for ever.

    Returns
    -------
    bool
        False where there is no such token: the transaction that was refused had added it.
    """
    token = session.get(Token, wrong.token_no, populate_existing=True)
    if token is None:
        return False
    assert token.token_no is not None
    # The cursor first, as whoever lifts the alarm.
    cursor = session.get_one(SyncCursor, token.chain_id, with_for_update=True)
    session.refresh(token, with_for_update=True)
    degrade(
        session,
        token.chain_id,
        f"{wrong}; it is read again",
        is_of_chain=False,
        token=f"0x{token.address.hex()}",
        held=str(wrong.held),
        supply=str(wrong.supply),
    )
    doubt(session, token)
    place = cursor.number if token.caught_up_to is None else token.caught_up_to
    begin_again(session, token, after=place)
    still = sums.find_differing(session, [token.token_no])
    if still is None and back_to is not None:
        still = sums.find_differing_at(session, token.token_no, back_to)
    if still is not None:
        log.error("history_wrong", token=f"0x{token.address.hex()}", reason=str(still))
        begin_again(session, token, after=token.block_number - 1)
    return True


_CUT_ALL = """
UPDATE balance_at SET
  later_blocks = later_blocks[:width_bucket(%(after)s::int8, later_blocks)],
  later_balances = later_balances[:width_bucket(%(after)s::int8, later_blocks)],
  later_frozen = later_frozen[:width_bucket(%(after)s::int8, later_blocks)]
WHERE token_no = %(token)s AND later_blocks[cardinality(later_blocks)] > %(after)s
"""
_BALANCES = f"""
INSERT INTO balance (token_no, holder_no, balance_units, frozen_units, block_number, most_units)
SELECT DISTINCT ON (holder_no) token_no, holder_no, balance_units, frozen_units, block_number,
  {doubled("max(balance_units) OVER (PARTITION BY holder_no)")}
FROM balance_history WHERE token_no = %(token)s
ORDER BY holder_no, block_number DESC
"""  # noqa: S608 - a number of our own


def begin_again(session: Session, token: Token, *, after: int) -> None:
    """Throw away what a token is said to have done above block `after`, to read it once more.

    Unlike a reorg it does not rely on what is thrown away: balances are made anew from the
    history that stays, supply, pause and wallets from the events. Proofs stay, as what was found
    then, but are void from now on.
    """
    assert token.token_no is not None
    where = {"token": token.token_no, "after": after}
    store_suites(session, suites_before(session, [token.token_no], after))
    session.refresh(token)
    with bulk.cursor_of(session) as cursor:
        for table in ("token_event", "balance_at"):
            query = f"DELETE FROM {table} WHERE token_no = %(token)s AND block_number > %(after)s"  # noqa: S608
            cursor.execute(query.encode(), where)
        cursor.execute(_CUT_ALL, where)
        cursor.execute("DELETE FROM balance WHERE token_no = %(token)s", where)
        cursor.execute(_BALANCES, where)
        supply = cursor.execute(sums.MINTED, where).fetchone()
    assert supply is not None
    token.supply_units = int(supply[0])
    token.paused = was_paused(session, token.token_no)
    token.caught_up_to = after
    session.add(token)
    of_token = col(RegisteredWallet.token_no) == token.token_no
    session.execute(delete(RegisteredWallet).where(of_token))
    session.execute(delete(ProofRound).where(col(ProofRound.token_no) == token.token_no))
    _void_proofs(session, token, after)
    note_begun(session, token, ReadingKind.READ_AGAIN, after=after)
    session.expire_all()
    fold_wallets(session, wallet_events(session, token.token_no))


def _void_proofs(session: Session, token: Token, after: int) -> None:
    """Have proofs say nothing any more of what is thrown away, and the journal tell of it."""
    void = session.scalars(
        update(Reconciliation)
        .where(
            col(Reconciliation.token_no) == token.token_no,
            col(Reconciliation.block_number) > after,
            col(Reconciliation.void_since).is_(None),
        )
        .values(void_since=func.now())
        .returning(col(Reconciliation.id))
    ).all()
    if void:
        journal.record(
            session, THE_SYSTEM, "proofs_voided", "token", f"0x{token.address.hex()}",
            chain_id=token.chain_id, after_block=after, proofs=len(void),
        )  # fmt: skip
