"""Registered assets that are suspended or being amended: a part of `tests.factories`."""

from __future__ import annotations

from dataclasses import replace

from registry.asset import service as assets
from registry.asset.models import Asset
from registry.kernel.actor import Role
from registry.onboarding import service as onboarding
from registry.onboarding.models import Amendment, CauseKind
from registry.onboarding.service import Dossier
from registry.title import service as titles
from registry.tokenization import liens
from tests.factories import (
    ACTORS,
    CHECKER,
    COMPLIANCE,
    MAKER,
    SECOND_CHECKER,
    Desk,
    open_apartment,
    registered,
)


def registered_apartment(desk: Desk) -> Asset:
    return registered(desk, open_apartment(desk))


def suspend(desk: Desk, asset: Asset, kind: CauseKind = CauseKind.INSURANCE_EXPIRED) -> Asset:
    return liens.suspend_asset(
        desk.session,
        COMPLIANCE,
        asset.id,
        kind=kind,
        reference="POLICY-1",
        reason="The policy ran out",
    )


def suspended(desk: Desk) -> Asset:
    return suspend(desk, registered_apartment(desk))


def close_causes(desk: Desk, asset: Asset) -> Asset:
    """Close every cause that people close by hand."""
    for cause in onboarding.list_causes(desk.session, asset.id):
        if cause.closed_at is None:
            onboarding.close_cause_by_hand(
                desk.session, ACTORS[Role.COMPLIANCE], cause.id, closing="Insured again"
            )
    return asset


def agree(desk: Desk, asset: Asset, role: Role) -> Asset:
    """Agree to a reinstatement as the next of `role`'s people."""
    digest = onboarding.standing_hash(desk.session, asset)
    return onboarding.reinstate_asset(
        desk.session, ACTORS[role], asset.id, role=role, seen_hash=digest
    )


def reinstate(desk: Desk, asset: Asset) -> Asset:
    """Have everybody agree whose agreement is needed."""
    checkers = [CHECKER, SECOND_CHECKER]
    needed = onboarding.required_for_reinstatement(desk.session, asset)
    agree(desk, asset, Role.COMPLIANCE)
    for checker in checkers[: needed[Role.REGISTRAR_CHECKER]]:
        onboarding.reinstate_asset(
            desk.session,
            checker,
            asset.id,
            role=Role.REGISTRAR_CHECKER,
            seen_hash=onboarding.standing_hash(desk.session, asset),
        )
    return asset


def dossier_of(desk: Desk, asset: Asset) -> Dossier:
    """Return the dossier as it stands."""
    title = titles.title_of_asset(desk.session, asset.id)
    return Dossier(
        title_regime=asset.title_regime,
        location=asset.location,
        details=asset.details,
        underlying_keys=assets.list_keys(desk.session, asset.id),
        ownership=titles.ownership_of(desk.session, titles.current_version(desk.session, title.id)),
    )


def propose(
    desk: Desk, asset: Asset, *, reason: str = "Measured anew", **changes: object
) -> Amendment:
    """Propose to correct the covered area, or `changes`."""
    corrected = dossier_of(desk, asset)
    if not changes:
        changes = {"details": {**corrected.details, "covered_area_sqft": "1481.00"}}
    return onboarding.propose_amendment(
        desk.session,
        MAKER,
        asset.id,
        version=asset.version,
        dossier=replace(corrected, **changes),  # type: ignore[arg-type]
        reason=reason,
    )


def amending(desk: Desk) -> Asset:
    asset = registered_apartment(desk)
    propose(desk, asset)
    return asset


def approve_amendment(desk: Desk, asset: Asset, amendment: Amendment) -> Asset:
    return onboarding.approve_amendment(
        desk.session, CHECKER, asset.id, seen_hash=amendment.amended_hash
    )
