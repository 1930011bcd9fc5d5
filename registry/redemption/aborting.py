"""Giving up a redemption whose cap table is frozen: its token lives on."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import update
from sqlmodel import Session, col

from registry.asset import service as assets
from registry.asset.models import AssetState
from registry.kernel.actor import THE_SYSTEM, Actor
from registry.lifecycle import service as lifecycle
from registry.operation import service as operations
from registry.operation.models import OperationKind
from registry.reconciliation.payable import find_open_break
from registry.redemption.guards import MACHINE
from registry.redemption.models import Redemption, RedemptionPayout, RedemptionState
from registry.redemption.repository import get_redemption, has_paused, supply_of
from registry.tokenization import service as tokenizations
from registry.tokenization.models import Tokenization


def abort_redemption(
    session: Session, actor: Actor, redemption_id: UUID, *, reason: str | None = None
) -> Redemption:
    """Give up what nobody funded by its long stop, or would pay others than held; the token lives.

    The token's transfers go on only where nothing else holds it: its asset stands registered, no
    break is open, and it was the redemption that paused it. Otherwise two people open it.

    Parameters
    ----------
    reason
        Needed once it is funded; then the escrow goes back to whoever paid it in.

    Raises
    ------
    Conflict
        ``long_stop_ahead``, ``record_block_stands``, ``supply_not_as_expected``,
        ``transition_refused``.
    Forbidden
        ``transition_forbidden``.
    Invalid
        ``reason_missing``.
    """
    redemption = get_redemption(session, redemption_id, lock=True)
    said: dict[str, str] = {} if reason is None else {"reason": reason}
    back = _escrow_of(redemption)
    lifecycle.fire(session, actor, MACHINE, redemption, "abort", given=said, **said, **back)
    if back:
        redemption.funded_paisa = 0
        # By set: of a large token there is a payout for each holder.
        session.execute(
            update(RedemptionPayout)
            .where(col(RedemptionPayout.redemption_id) == redemption.id)
            .values(amount_paisa=0)
        )
    tokenization = tokenizations.get_tokenization(session, redemption.tokenization_id, lock=True)
    given = {"supply_units": supply_of(session, tokenization)}
    tokenizations.fire(session, actor, tokenization, "redemption_aborted", given=given)
    holds = _what_else_holds(session, redemption, tokenization)
    if holds is None:
        operations.plan(
            session,
            actor,
            OperationKind.UNPAUSE,
            key=f"unpause:redemption:{redemption.id}",
            subject=("tokenization", tokenization.id),
            params={"tokenization_id": str(tokenization.id)},
        )
    else:
        reason = f"{holds} after redemption {redemption.id}"
        tokenizations.pause_token(session, THE_SYSTEM, tokenization.id, reason=reason)
    return redemption


def _escrow_of(redemption: Redemption) -> dict[str, str]:
    """Name what goes back to whoever paid it in, for the journal."""
    if redemption.state != RedemptionState.FUNDED:
        return {}
    return {
        "escrow_refund_paisa": str(redemption.funded_paisa),
        "escrow_reference": str(redemption.escrow_reference),
    }


def _what_else_holds(
    session: Session, redemption: Redemption, tokenization: Tokenization
) -> str | None:
    """Tell why a token stays paused without its redemption; None where nothing says so."""
    asset = assets.get_asset(session, tokenization.asset_id)
    if asset.state != AssetState.REGISTERED:
        return f"asset {asset.state}"
    if find_open_break(session, tokenization) is not None:
        return "open break"
    if not has_paused(session, redemption):
        return "earlier pause"
    return None
