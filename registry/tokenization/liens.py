"""No lien that the token does not feel: an order in force stops the asset and its token."""

from __future__ import annotations

from uuid import UUID

from sqlmodel import Session

from registry.asset import service as assets
from registry.asset.models import Asset
from registry.encumbrance import service as encumbrances
from registry.encumbrance.models import Effect, Encumbrance
from registry.encumbrance.rules import COURT_AND_STATE
from registry.kernel.actor import THE_SYSTEM, Actor
from registry.onboarding import service as onboarding
from registry.onboarding.models import CauseKind
from registry.title import service as titles
from registry.tokenization import guards
from registry.tokenization import service as tokenizations
from registry.tokenization.models import TokenizationState
from registry.tokenization.title_status import tell_chain


def stop_dealings(
    session: Session,
    actor: Actor,
    asset: Asset,
    kind: CauseKind,
    *,
    reference: str,
    reason: str,
    by_court: bool = False,
) -> None:
    """Suspend the asset for a cause, and pause its token if people hold it (ENC-02).

    The asset's row must be locked.
    """
    onboarding.open_cause(
        session, actor, asset, kind, reference=reference, reason=reason, by_court=by_court
    )
    _pause_live_token(session, asset, reason)


def suspend_asset(
    session: Session,
    actor: Actor,
    asset_id: UUID,
    *,
    kind: CauseKind,
    reference: str,
    reason: str,
) -> Asset:
    """Suspend an asset by compliance, and pause its token.

    Raises
    ------
    Invalid, Conflict
        As `onboarding.service.suspend_asset`.
    """
    asset = onboarding.suspend_asset(
        session, actor, asset_id, kind=kind, reference=reference, reason=reason
    )
    _pause_live_token(session, asset, reason)
    return asset


def _pause_live_token(session: Session, asset: Asset, reason: str) -> None:
    alive = guards.find_alive(session, asset.id)
    if alive is not None and alive.state == TokenizationState.LIVE:
        tokenizations.pause_token(session, THE_SYSTEM, alive.id, reason=reason)


def put_encumbrance_in_force(session: Session, actor: Actor, encumbrance_id: UUID) -> Encumbrance:
    """Register an encumbrance; BLOCK_ALL suspends the asset and pauses its token (ENC-02).

    Raises
    ------
    Forbidden, Conflict
        As `encumbrance.service.register_encumbrance`.
    """
    encumbrance = encumbrances.register_encumbrance(session, actor, encumbrance_id)
    if encumbrance.effect == Effect.BLOCK_ALL:
        stop_dealings(
            session,
            THE_SYSTEM,
            _asset_of(session, encumbrance),
            CauseKind.ENCUMBRANCE,
            reference=str(encumbrance.id),
            reason=f"{encumbrance.kind} {encumbrance.id}",
            by_court=encumbrance.kind in COURT_AND_STATE,
        )
    tell_chain(session, _asset_of(session, encumbrance))
    return encumbrance


def grant_discharge(
    session: Session, actor: Actor, encumbrance_id: UUID, *, confirmation: str
) -> Encumbrance:
    """Discharge an encumbrance; what it suspended can be reinstated.

    Raises
    ------
    Forbidden, Conflict
        As `encumbrance.service.discharge_encumbrance`.
    """
    encumbrance = encumbrances.discharge_encumbrance(
        session, actor, encumbrance_id, confirmation=confirmation
    )
    onboarding.close_cause(
        session,
        actor,
        _asset_of(session, encumbrance),
        CauseKind.ENCUMBRANCE,
        reference=str(encumbrance.id),
        closing=f"{encumbrance.kind} discharged",
    )
    tell_chain(session, _asset_of(session, encumbrance))
    return encumbrance


def finish_enforcement(
    session: Session, actor: Actor, encumbrance_id: UUID, *, document_id: UUID
) -> Encumbrance:
    """End an enforcement by a sale: dealings stop until the new owner's mutation stands.

    Raises
    ------
    Forbidden, Invalid, Conflict
        As `encumbrance.service.finish_enforcement`.
    """
    encumbrance = encumbrances.finish_enforcement(
        session, actor, encumbrance_id, document_id=document_id
    )
    stop_dealings(
        session,
        THE_SYSTEM,
        _asset_of(session, encumbrance),
        CauseKind.FORCED_SALE,
        reference=str(encumbrance.id),
        reason=f"{encumbrance.kind} {encumbrance.id} enforced by sale",
    )
    return encumbrance


def _asset_of(session: Session, encumbrance: Encumbrance) -> Asset:
    title = titles.get_title(session, encumbrance.title_id)
    return assets.get_asset(session, title.asset_id, lock=True)
