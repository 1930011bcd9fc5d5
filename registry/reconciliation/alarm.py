"""The alarm: what no case explains or the chain denies is a break at once, not at the next run."""

from __future__ import annotations

from uuid import UUID

import structlog
from sqlmodel import Session, col, select

from registry.captable.models import EventKind, Token, TokenEvent
from registry.captable.portfolio import tokenization_at
from registry.reconciliation.instructions import agent_acts
from registry.reconciliation.opening import open_breaks
from registry.reconciliation.proofs import differences_of
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


def sound_joined(session: Session, chain_id: int, address: bytes) -> int:
    """Sound the alarm for a token that was read late, wherever in the past its acts lie.

    Returns
    -------
    int
        Breaks that were not open before; none where the token is no tokenization of ours.
    """
    tokenization = tokenization_at(session, chain_id, address)
    return 0 if tokenization is None else sound_alarm(session, tokenization.id)


def sound_difference(session: Session, chain_id: int, address: bytes) -> int:
    """Open a break for each difference that the newest proof of a token found (TOK-08).

    Returns
    -------
    int
        Breaks that were not open before; none where the token is no tokenization of ours.
    """
    tokenization = tokenization_at(session, chain_id, address)
    if tokenization is None:
        return 0
    opened = open_breaks(session, tokenization.id, differences_of(session, address))
    for item in opened:
        log.error(
            "chain_differs",
            token=str(tokenization.id),
            reconciliation_break=str(item.id),
            place=item.subject,
            detail=item.detail,
        )
    return len(opened)
