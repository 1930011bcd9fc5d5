"""Burning what a redemption has paid for: each holder's fractions, once, under its own number.

The redemption is the case of these burns: two people approved it, and every paisa has its payee.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlmodel import Session, col, select

from registry.captable import service as captable
from registry.captable.supply import is_gone
from registry.kernel.actor import THE_SYSTEM, Actor
from registry.kernel.errors import Conflict
from registry.operation import service as operations
from registry.operation.models import Operation, OperationKind
from registry.redemption import paying
from registry.redemption.models import Redemption, RedemptionState
from registry.redemption.repository import get_redemption, list_payouts
from registry.tokenization import service as tokenizations
from registry.tokenization.models import Tokenization, TokenizationState


def burn_redeemed(session: Session, actor: Actor, redemption_id: UUID) -> list[Operation]:
    """Have the chain burn the fractions of every payout; asked again, only what did not happen.

    Returns
    -------
    list[Operation]
        One for each holder of the frozen cap table, in the order of their addresses.

    Raises
    ------
    Conflict
        ``redemption_not_paid``, ``token_not_redeeming``.
    """
    redemption = get_redemption(session, redemption_id, lock=True)
    _require_paid(session, redemption)
    return [
        operations.plan(
            session,
            actor,
            OperationKind.REDEEM,
            key=f"redeem:{redemption.id}:{payout.address.hex()}",
            subject=("redemption", redemption.id),
            params={
                "redemption_id": str(redemption.id),
                "tokenization_id": str(redemption.tokenization_id),
                "number": number,
                "wallet": f"0x{payout.address.hex()}",
                "units": str(payout.units),
            },
        )
        for number, payout in enumerate(list_payouts(session, redemption.id), start=1)
    ]


def require_burnable(session: Session, operation: Operation) -> None:
    """Ask again, when a burn is signed, whether its redemption still stands.

    Raises
    ------
    Conflict
        As `burn_redeemed`.
    """
    _require_paid(session, get_redemption(session, UUID(operation.params["redemption_id"])))


def _require_paid(session: Session, redemption: Redemption) -> None:
    if redemption.state != RedemptionState.PAID:
        raise Conflict(
            "redemption_not_paid",
            f"The redemption is {redemption.state}, not PAID.",
            remedy="Pay or hold every payout, and close them, first.",
        )
    tokenization = tokenizations.get_tokenization(session, redemption.tokenization_id)
    if tokenization.state != TokenizationState.REDEEMING:
        raise Conflict("token_not_redeeming", f"The token is {tokenization.state}.")


def due_endings(session: Session) -> Sequence[UUID]:
    """List the redemptions whose token is burned for good, and the register does not say so yet."""
    rows = session.exec(
        select(Redemption, Tokenization)
        .join(Tokenization, col(Tokenization.id) == col(Redemption.tokenization_id))
        .where(
            col(Redemption.state) == RedemptionState.PAID,
            col(Tokenization.state) == TokenizationState.REDEEMING,
        )
    ).all()
    return [redemption.id for redemption, token in rows if _is_burned(session, token)]


def _is_burned(session: Session, tokenization: Tokenization) -> bool:
    assert tokenization.token_address is not None, "a REDEEMING token was deployed"
    token = captable.find_token(session, tokenization.token_address)
    return token is not None and is_gone(session, token)


def end_burned(session: Session, redemption_id: UUID) -> None:
    """End the token of a redemption whose last burn is final, and close its contracts.

    Raises
    ------
    Conflict
        As `paying.end_token`.
    """
    tokenization = paying.end_token(session, redemption_id)
    if not _is_burned(session, tokenization):
        raise Conflict(
            "supply_not_as_expected",
            "The last burn is not final (rule TOK-02).",
            remedy="Wait: the clock ends the token once it is.",
            rule="TOK-02",
        )
    tokenizations.close_on_chain(session, THE_SYSTEM, tokenization)
