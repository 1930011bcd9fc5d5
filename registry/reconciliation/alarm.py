"""The alarm: an act of an agent that no case explains is a break at once, not at the next run."""

from __future__ import annotations

from uuid import UUID

import structlog
from sqlalchemy.dialects.postgresql import distinct_on
from sqlmodel import Session, col, select

from registry.captable.models import EventKind, Token, TokenEvent
from registry.reconciliation.instructions import agent_acts
from registry.reconciliation.service import run_rule
from registry.tokenization.models import Tokenization

log = structlog.get_logger()

RULE = "TOK-07"
Place = tuple[int, int, bytes]
"""Block, index and transaction of an event: where a reorg put another one, it differs."""


def list_newest_acts(session: Session, chain_id: int) -> dict[UUID, Place]:
    """Return the newest event of each token that only an agent can have caused."""
    rows = session.exec(
        select(Tokenization.id, TokenEvent.block_number, TokenEvent.log_index, TokenEvent.tx_hash)
        .join(Token, col(Token.address) == col(Tokenization.token_address))
        .join(TokenEvent, col(TokenEvent.token_no) == col(Token.token_no))
        .where(
            col(Token.chain_id) == chain_id,
            agent_acts() | (col(TokenEvent.kind) == EventKind.AGENT_ADDED),
        )
        .ext(distinct_on(col(Tokenization.id)))
        .order_by(
            col(Tokenization.id),
            col(TokenEvent.block_number).desc(),
            col(TokenEvent.log_index).desc(),
        )
    )
    return {token: (block, index, tx_hash) for token, block, index, tx_hash in rows.all()}


def sound_alarm(session: Session, tokenization_id: UUID) -> int:
    """Open a break for each act that no instruction explains, and say so in the log.

    Returns
    -------
    int
        Breaks that were not open before.
    """
    opened = [item for item, is_new in run_rule(session, tokenization_id, RULE) if is_new]
    for item in opened:
        log.error(
            "act_without_case",
            token=str(tokenization_id),
            reconciliation_break=str(item.id),
            place=item.subject,
            detail=item.detail,
        )
    return len(opened)
