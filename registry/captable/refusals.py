"""Tokens that are not followed any more, since what they say cannot be."""

from __future__ import annotations

from sqlmodel import Session

from registry.captable import bulk
from registry.captable.models import Token
from registry.journal import service as journal
from registry.kernel.actor import THE_SYSTEM


def refuse(session: Session, token: Token, reason: str, *, at: int) -> None:
    """Project nothing of a token any more: what it says cannot be.

    Parameters
    ----------
    at
        The last block that was read of it: it has said so in this one, or before.
    """
    token.refusal, token.refused_at = reason, at
    session.add(token)
    session.flush()
    journal.record(
        session, THE_SYSTEM, "token_refused", "token", f"0x{token.address.hex()}", reason=reason
    )


_WITHDRAW = """
UPDATE token SET refusal = NULL, refused_at = NULL
WHERE chain_id = %(chain)s AND refused_at > %(ancestor)s
RETURNING address, old.refusal, old.refused_at
"""


def withdraw_above(session: Session, chain_id: int, ancestor: int) -> None:
    """Read tokens on that were refused for what a reorg may have taken back.

    Where they have said it before the ancestor, they are refused again.
    """
    with bulk.cursor_of(session) as cursor:
        told = cursor.execute(_WITHDRAW, {"chain": chain_id, "ancestor": ancestor}).fetchall()
    for address, reason, refused_at in told:
        journal.record(
            session, THE_SYSTEM, "token_refusal_withdrawn", "token", f"0x{address.hex()}",
            reason=reason, refused_at=refused_at, ancestor=ancestor,
        )  # fmt: skip
