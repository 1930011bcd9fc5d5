"""Tokens of ours that stand on chain and are not followed: no log has told of their deployment."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import text
from sqlmodel import Session

# A token has its address in the register once the block that deployed it is final. What a batch
# carries has no transaction of its own.
_UNTOLD = text("""
SELECT DISTINCT z.token_address
FROM tokenization z
JOIN operation o ON o.key = 'deploy_suite:' || z.id AND o.state = 'final'
JOIN operation_attempt a ON a.operation_id = coalesce(o.batch_id, o.id)
JOIN sync_cursor c ON c.chain_id = :chain_id AND a.block_number <= c.number
WHERE z.token_address IS NOT NULL
  AND NOT EXISTS (
    SELECT FROM token t WHERE t.chain_id = c.chain_id AND t.address = z.token_address)
ORDER BY z.token_address
""")


def list_untold(session: Session, chain_id: int) -> Sequence[bytes]:
    """List the tokens whose deployment lies in what is projected, and that are not there.

    Parameters
    ----------
    chain_id
        The chain on which the platform stands.

    Returns
    -------
    sequence of bytes
        Their addresses.
    """
    return list(session.execute(_UNTOLD, {"chain_id": chain_id}).scalars())
