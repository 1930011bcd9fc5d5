"""The alarm: an act of an agent that no case explains is a break at once, not at the next run."""

from __future__ import annotations

from uuid import UUID

import structlog
from sqlmodel import Session, col, select

from registry.captable.models import EventKind, Token, TokenEvent
from registry.reconciliation.instructions import agent_acts
from registry.reconciliation.service import run_rule
from registry.tokenization.models import Tokenization

log = structlog.get_logger()

RULE = "TOK-07"


def list_acted_on(session: Session, chain_id: int, *, after: int) -> list[UUID]:
    """List the tokens on which an agent has acted in blocks above `after`."""
    rows = session.exec(
        select(Tokenization.id)
        .join(Token, col(Token.address) == col(Tokenization.token_address))
        .join(TokenEvent, col(TokenEvent.token_no) == col(Token.token_no))
        .where(
            col(Token.chain_id) == chain_id,
            col(TokenEvent.block_number) > after,
            agent_acts() | (col(TokenEvent.kind) == EventKind.AGENT_ADDED),
        )
        .distinct()
        .order_by(col(Tokenization.id))
    )
    return list(rows.all())


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
