"""When the projection is not to be relied on: why, since when, and what ends it.

Nobody has to say that it is over: each token is proven anew, and once all of them were proven
since the alarm, none of them differing, it is lifted (ADR 0037). A token that was adopted is
somebody else's: where it differs that is said of it alone, and stops nothing of the platform's own.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import structlog
from sqlalchemy import exists
from sqlalchemy.orm import aliased
from sqlmodel import Session, col, select

from registry.captable.events import ProjectedBlock
from registry.captable.models import ProofRound, Reconciliation, SyncCursor, Token
from registry.captable.readings import list_foreign
from registry.journal import service as journal
from registry.kernel.actor import THE_SYSTEM
from registry.kernel.clock import now

log = structlog.get_logger()

SUBJECT = "sync_cursor"


def degrade(session: Session, chain_id: int, reason: str, **evidence: Any) -> None:
    """Say that the projection is not to be relied on; told again, it is not journalled again.

    Parameters
    ----------
    evidence
        What makes us say so, for the journal and the log.
    """
    cursor = session.get(SyncCursor, chain_id, with_for_update=True, populate_existing=True)
    if cursor is None or cursor.degraded == reason:
        return
    cursor.degraded, cursor.degraded_since = reason, now()
    session.add(cursor)
    session.flush()
    log.error("cap_table_degraded", chain=chain_id, reason=reason, **evidence)
    journal.record(
        session, THE_SYSTEM, "cap_table_degraded", SUBJECT, chain_id, reason=reason, **evidence
    )


def note_taken_back(
    session: Session,
    chain_id: int,
    was: SyncCursor,
    ancestor: ProjectedBlock,
    *,
    is_reset: bool,
) -> None:
    """Raise the alarm if blocks were taken back that were final.

    Parameters
    ----------
    was
        The cursor as it stood before.
    is_reset
        The node has none of the blocks that we stored.
    """
    final = was.finalized_number
    if final is None or ancestor.number >= final:
        return
    reason = (
        "the chain was reset: the node has none of the blocks that were projected"
        if is_reset
        else f"blocks above {ancestor.number} left the chain, and {final} was final"
    )
    cursor = session.get_one(SyncCursor, chain_id, with_for_update=True, populate_existing=True)
    cursor.finalized_number, cursor.finalized_hash = ancestor.number, ancestor.hash
    session.add(cursor)
    session.flush()
    degrade(
        session,
        chain_id,
        reason,
        was_number=was.number,
        was_hash=was.hash.hex(),
        was_final=final,
        was_final_hash=(was.finalized_hash or b"").hex(),
        ancestor=ancestor.number,
        ancestor_hash=ancestor.hash.hex(),
    )


def lift(session: Session, chain_id: int) -> bool:
    """Say that all is well, once every token was proven as a whole since, and none differs.

    A token that is caught up beside its chain is waited for: it may be read again for this. Those
    that were adopted are not.

    Returns
    -------
    bool
        Whether the projection is to be relied on now.
    """
    cursor = session.get(SyncCursor, chain_id, with_for_update=True, populate_existing=True)
    if cursor is None or cursor.degraded is None:
        return True
    if _unproven(session, cursor):
        return False
    since = cursor.degraded_since
    log.warning("cap_table_recovered", chain=chain_id, was=cursor.degraded)
    journal.record(
        session, THE_SYSTEM, "cap_table_recovered", SUBJECT, chain_id,
        was=cursor.degraded, since=since.isoformat() if since else None, block=cursor.number,
    )  # fmt: skip
    cursor.degraded = cursor.degraded_since = None
    session.add(cursor)
    session.flush()
    return True


def list_differing(session: Session, chain_id: int, *, foreign: bool) -> list[bytes]:
    """List the tokens whose newest proof found a difference: foreign ones, or the others."""
    known = list_foreign(session, chain_id)
    return [
        token.address
        for token, proof in _newest_proofs(session, chain_id)
        if proof is not None and proof.differences and (token.token_no in known) == foreign
    ]


def doubt_of(session: Session, token: Token) -> str | None:
    """Say why what is told of an adopted token alone is not to be relied on; None where it is."""
    newest = select(Reconciliation).where(
        col(Reconciliation.token_no) == token.token_no, col(Reconciliation.void_since).is_(None)
    )
    proof = session.exec(newest.order_by(col(Reconciliation.id).desc()).limit(1)).first()
    if proof is None or not proof.differences:
        return None
    if token.token_no not in list_foreign(session, token.chain_id):
        return None
    return difference_of([token.address])


def difference_of(tokens: Sequence[bytes]) -> str:
    """Write that tokens differ, by their addresses."""
    names = ", ".join(f"0x{address.hex()}" for address in tokens)
    return f"the cap table of {names} differs from the chain"


def _unproven(session: Session, cursor: SyncCursor) -> bool:
    foreign = list_foreign(session, cursor.chain_id)
    if _is_any_read_again(session, cursor.chain_id, but=foreign):
        return True
    for token, proof in _newest_proofs(session, cursor.chain_id):
        if token.token_no in foreign:
            continue
        proven = session.get(ProofRound, token.token_no)
        if proof is None or proof.differences or proven is None or proven.ended_at is None:
            return True
        if cursor.degraded_since is not None and proven.begun_at < cursor.degraded_since:
            return True
    return False


def _is_any_read_again(session: Session, chain_id: int, *, but: Collection[int]) -> bool:
    """Tell whether a token is behind its chain: it may be what was wrong."""
    query = select(Token.token_no).where(
        col(Token.chain_id) == chain_id,
        col(Token.refusal).is_(None),
        col(Token.caught_up_to).is_not(None),
        col(Token.token_no).not_in(but),
    )
    return session.exec(query.limit(1)).first() is not None


# Made once: an alias of a table takes longer to make than the database to answer.
_LATER = aliased(Reconciliation)
_SUPERSEDED = exists().where(
    col(_LATER.token_no) == col(Reconciliation.token_no),
    col(_LATER.id) > col(Reconciliation.id),
    col(_LATER.void_since).is_(None),
)


def _newest_proofs(session: Session, chain_id: int) -> list[tuple[Token, Reconciliation | None]]:
    """Give each token that is projected with its chain, and its newest proof."""
    rows = session.exec(
        select(Token, Reconciliation)
        .outerjoin(
            Reconciliation,
            (col(Reconciliation.token_no) == col(Token.token_no))
            & col(Reconciliation.void_since).is_(None)
            & ~_SUPERSEDED,
        )
        .where(
            col(Token.chain_id) == chain_id,
            col(Token.refusal).is_(None),
            col(Token.caught_up_to).is_(None),
        )
        .order_by(col(Token.token_no))
    )
    return [(token, proof) for token, proof in rows]
