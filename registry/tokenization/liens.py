"""No lien that the token does not feel: an order in force stops the asset and its token."""

from __future__ import annotations

from uuid import UUID

from sqlmodel import Session, col, select

from registry.asset import service as assets
from registry.encumbrance import service as encumbrances
from registry.encumbrance.models import Effect, Encumbrance
from registry.kernel.actor import THE_SYSTEM, Actor
from registry.onboarding.service import suspend_asset
from registry.title import service as titles
from registry.tokenization import service as tokenizations
from registry.tokenization.models import Tokenization, TokenizationState


def put_encumbrance_in_force(session: Session, actor: Actor, encumbrance_id: UUID) -> Encumbrance:
    """Register an encumbrance; BLOCK_ALL suspends the asset and pauses its token (ENC-02).

    Raises
    ------
    Forbidden, Conflict
        As `encumbrance.service.register_encumbrance`.
    """
    encumbrance = encumbrances.register_encumbrance(session, actor, encumbrance_id)
    if encumbrance.effect == Effect.BLOCK_ALL:
        title = titles.get_title(session, encumbrance.title_id)
        asset = assets.get_asset(session, title.asset_id, lock=True)
        reason = f"{encumbrance.kind} {encumbrance.id}"
        suspend_asset(session, asset, reason=reason)
        live = session.exec(
            select(Tokenization).where(
                col(Tokenization.asset_id) == asset.id,
                col(Tokenization.state) == TokenizationState.LIVE,
            )
        ).first()
        if live is not None:
            tokenizations.pause_token(session, THE_SYSTEM, live.id, reason=reason)
    return encumbrance
