"""When the projection is not to be relied on: why, since when, and what ends it.

Nobody has to say that it is over: each token is proven anew, and once all of them were proven
since the alarm, none of them differing, it is lifted (ADR 0037). The alarm is for everybody to see.
What is paid stops for all tokens only where the chain itself is in doubt; where one of them
differs, or was read again, for that one. A token that was adopted is somebody else's: where it
differs that is said of it alone, and stops nothing of the platform's own.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy import exists
from sqlalchemy.orm import aliased
from sqlmodel import Session, col, select

from registry.captable.events import ProjectedBlock
from registry.captable.models import ProofRound, Reconciliation, SyncCursor, Token
from registry.captable.readings import list_foreign
from registry.captable.rounds import moment_after_rounds
from registry.journal import service as journal
from registry.kernel.actor import THE_SYSTEM
from registry.kernel.clock import now

log = structlog.get_logger()

SUBJECT = "sync_cursor"


def degrade(
    session: Session, chain_id: int, reason: str, *, is_of_chain: bool = True, **evidence: Any
) -> None:
    """Say that the projection is not to be relied on; told again, it is not journalled again.

    Parameters
    ----------
    is_of_chain
        Whether the chain itself is in doubt, and with it every token; else it is one token.
    evidence
        What makes us say so, for the journal and the log.
    """
    cursor = session.get(SyncCursor, chain_id, with_for_update=True, populate_existing=True)
    if cursor is None:
        return
    # Another alarm may have come since, or this one ended but for a token that differs.
    is_told = cursor.degraded == reason and (not is_of_chain or cursor.chain_doubt == reason)
    if is_told:
        return
    cursor.degraded, cursor.degraded_since = reason, moment_after_rounds(session, chain_id)
    if is_of_chain:
        cursor.chain_doubt, cursor.chain_doubted_since = reason, cursor.degraded_since
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
    that were adopted are not, unless the chain has no other: then they are to be proven, whatever
    is found. Where there is no token at all the chain has to be looked at since. What was said of
    the chain, or of one token, ends before the alarm does where only another token still differs.

    Returns
    -------
    bool
        Whether the projection is to be relied on now.
    """
    cursor = session.get(SyncCursor, chain_id, with_for_update=True, populate_existing=True)
    if cursor is None or cursor.degraded is None:
        return True
    foreign = list_foreign(session, chain_id)
    newest = _newest_proofs(session, chain_id)
    own = [pair for pair in newest if pair[0].token_no not in foreign]
    is_all_read = not _is_any_read_again(session, chain_id, but=foreign)
    # Where nothing is ours, what others have there is all that tells of the chain.
    proofs = own or newest
    _lift_doubts(session, cursor, proofs, is_all_read=is_all_read)
    since = cursor.degraded_since
    if (
        not is_all_read
        or not all(_is_clean(proof) for _, proof in own)
        or not _are_proven(session, cursor, proofs, since)
    ):
        return False
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
    if not _differences_of(session, token):
        return None
    if token.token_no not in list_foreign(session, token.chain_id):
        return None
    return difference_of([token.address])


def _differences_of(session: Session, token: Token) -> Sequence[dict[str, Any]]:
    newest = select(Reconciliation).where(
        col(Reconciliation.token_no) == token.token_no, col(Reconciliation.void_since).is_(None)
    )
    proof = session.exec(newest.order_by(col(Reconciliation.id).desc()).limit(1)).first()
    return [] if proof is None else proof.differences


def difference_of(tokens: Sequence[bytes]) -> str:
    """Write that tokens differ, by their addresses."""
    names = ", ".join(f"0x{address.hex()}" for address in tokens)
    return f"the cap table of {names} differs from the chain"


def doubt(session: Session, token: Token) -> None:
    """Let nothing be paid by a token of ours until it is proven as a whole, and clean, from now on.

    Once said it stays while the chain's alarm does; see `degrade`.
    """
    token.doubted_since = moment_after_rounds(session, token.chain_id)
    session.add(token)
    session.flush()


def obstacle_of(session: Session, token: Token) -> str | None:
    """Say why nothing may be paid by a token of ours, whatever its proof says; None where it may.

    Others may differ meanwhile; where it differs itself, its newest proof says so.
    """
    cursor = session.get(SyncCursor, token.chain_id)
    if cursor is None or cursor.degraded is None:
        return None
    if cursor.chain_doubt is not None:
        return cursor.chain_doubt
    if token.doubted_since is None:
        return None
    return f"it differed at {token.doubted_since.isoformat()}, and is not proven as a whole since"


def is_doubtful(session: Session, token: Token) -> bool:
    """Tell whether what is said of a token of ours is not to be acted on."""
    return obstacle_of(session, token) is not None or bool(_differences_of(session, token))


def _lift_doubts(
    session: Session,
    cursor: SyncCursor,
    proofs: Sequence[tuple[Token, Reconciliation | None]],
    *,
    is_all_read: bool,
) -> None:
    """Say that the chain, or a token that was read again, is no longer in doubt."""
    for token, proof in proofs:
        since = token.doubted_since
        if since is not None and _is_clean(proof) and _is_proven(session, token, proof, since):
            token.doubted_since = None
            session.add(token)
    since = cursor.chain_doubted_since
    # Proven, whatever was found: who differs is stopped by that, and nobody else for it.
    is_proven = is_all_read and _are_proven(session, cursor, proofs, since)
    if cursor.chain_doubt is not None and is_proven:
        log.warning("chain_proven_again", chain=cursor.chain_id, was=cursor.chain_doubt)
        cursor.chain_doubt = cursor.chain_doubted_since = None
        session.add(cursor)
    session.flush()


def _are_proven(
    session: Session,
    cursor: SyncCursor,
    proofs: Sequence[tuple[Token, Reconciliation | None]],
    since: datetime | None,
) -> bool:
    """Tell whether tokens were proven since a moment; without any, whether the chain was read."""
    if proofs:
        return all(_is_proven(session, *pair, since) for pair in proofs)
    if _is_any_read_again(session, cursor.chain_id, but=()):
        return False
    # Whoever reads it has found our cursor on it since, and there is no cap table to prove. An
    # alarm of the future is of a clock that was ahead: nothing will be read after it for long.
    return since is None or cursor.checked_at > since or since > now()


def _is_proven(
    session: Session, token: Token, proof: Reconciliation | None, since: datetime | None
) -> bool:
    """Tell whether a token was proven as a whole since a moment, whatever was found."""
    proven = session.get(ProofRound, token.token_no)
    if proof is None or proven is None or proven.ended_at is None:
        return False
    return since is None or proven.begun_at >= since


def _is_clean(proof: Reconciliation | None) -> bool:
    return proof is not None and not proof.differences


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
