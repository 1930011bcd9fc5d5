"""Correcting the dossier of a registered asset: proposed, read by another, then in force.

Owners are never corrected here: they change by a mutation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy.orm.attributes import flag_modified
from sqlmodel import Session, col, select

from registry.asset import service as assets
from registry.asset.models import Asset
from registry.kernel.actor import Actor
from registry.kernel.canonical import record_hash
from registry.kernel.clock import now
from registry.kernel.errors import Conflict, StaleVersion
from registry.lifecycle.service import fire
from registry.onboarding import claims, guards, standing
from registry.onboarding.dossier import Dossier, checked_details, dossier_hash
from registry.onboarding.facts import gather_facts
from registry.onboarding.models import Amendment, AmendmentState
from registry.rulebook import service as rulebook
from registry.rulebook.service import Moment
from registry.title import service as titles


def propose_amendment(
    session: Session,
    actor: Actor,
    asset_id: UUID,
    *,
    version: int,
    dossier: Dossier,
    reason: str,
) -> Amendment:
    """Propose a corrected dossier; the asset carries no new token until that is decided.

    Raises
    ------
    StaleVersion
        Somebody changed it since `version`.
    Invalid
        A field is wrong for this class; ``reason_missing``.
    Conflict
        ``title_not_proposed``: the owners differ. ``nothing_amended``, ``transfers_open``,
        ``transition_refused``.
    """
    asset = assets.get_asset(session, asset_id, lock=True)
    if asset.version != version:
        raise StaleVersion("asset", str(version), str(asset.version))
    given = {"reason": reason}
    fire(session, actor, guards.MACHINE, asset, "amend", given=given, reason=reason)
    after = {
        "title_regime": dossier.title_regime,
        "location": dict(dossier.location),
        "details": checked_details(session, asset.asset_class, dossier),
        "underlying_keys": sorted(dossier.underlying_keys),
    }
    title = titles.title_of_asset(session, asset.id)
    basis = titles.current_version(session, title.id).basis
    titles.restate_title(session, actor, title, basis=basis, ownership=dossier.ownership)
    diff = _difference(_stated(session, asset), after)
    if not diff:
        raise Conflict("nothing_amended", "The amendment changes nothing.")
    amendment = Amendment(
        asset_id=asset.id,
        reason=reason,
        after=after,
        diff=diff,
        amended_hash=_hash_of(session, asset, after),
        maker=actor.subject,
    )
    session.add(amendment)
    session.flush()
    return amendment


def _stated(session: Session, asset: Asset) -> dict[str, Any]:
    return {
        "title_regime": asset.title_regime,
        "location": asset.location,
        "details": asset.details,
        "underlying_keys": assets.list_keys(session, asset.id),
    }


def _difference(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """Map each changed field to its two values; those of groups by their path."""
    changed: dict[str, Any] = {}
    for name in sorted(before.keys() | after.keys()):
        was, will_be = before.get(name), after.get(name)
        if isinstance(was, Mapping) and isinstance(will_be, Mapping):
            inner = _difference(was, will_be)
            changed |= {f"{name}/{part}": pair for part, pair in inner.items()}
        elif was != will_be:
            changed[name] = {"before": was, "after": will_be}
    return changed


def _hash_of(session: Session, asset: Asset, after: Mapping[str, Any]) -> bytes:
    """Return what a checker agrees to: the dossier as it stands, and as it would stand."""
    return record_hash({"dossier_hash": dossier_hash(session, asset).hex(), "after": dict(after)})


def hash_to_approve(session: Session, amendment: Amendment) -> bytes:
    """Return what a checker agrees to by approving it; once it is decided, what was agreed to.

    A paper or a lien that was filed since it was proposed changes the dossier, so whoever reads
    the amendment anew agrees to another hash.
    """
    if amendment.state != AmendmentState.PROPOSED:
        return amendment.amended_hash
    asset = assets.get_asset(session, amendment.asset_id)
    return _hash_of(session, asset, amendment.after)


def approve_amendment(session: Session, actor: Actor, asset_id: UUID, *, seen_hash: bytes) -> Asset:
    """Put the corrected dossier in force, as the asset's next version.

    Raises
    ------
    Forbidden
        ``checker_is_maker``.
    Conflict
        ``amendment_missing``, ``dossier_changed``, ``transition_refused``.
    RulesRefused
        The rules of registration forbid the corrected dossier.
    """
    asset, amendment = _open(session, asset_id)
    given = {
        "amendment": amendment,
        "seen_hash": seen_hash,
        "hash_now": _hash_of(session, asset, amendment.after),
    }
    fire(
        session,
        actor,
        guards.MACHINE,
        asset,
        "amend_approve",
        given=given,
        amendment=str(amendment.id),
        changed=sorted(amendment.diff),
    )
    amendment.amended_hash = seen_hash
    asset.title_regime = amendment.after["title_regime"]
    asset.location = amendment.after["location"]
    asset.details = amendment.after["details"]
    # Keys stand in rows of their own; the version rises for them too.
    flag_modified(asset, "details")
    assets.replace_keys(session, asset.id, amendment.after["underlying_keys"])
    claims.take(session, asset)
    rulebook.require(Moment.REGISTRATION, gather_facts(session, asset))
    asset.dossier_hash = dossier_hash(session, asset)
    _end(session, actor, asset, amendment, AmendmentState.APPROVED)
    return asset


def cancel_amendment(session: Session, actor: Actor, asset_id: UUID) -> Asset:
    """Leave the dossier as it is.

    Raises
    ------
    Forbidden
        ``not_the_maker``.
    Conflict
        ``amendment_missing``, ``transition_refused``.
    """
    asset, amendment = _open(session, asset_id)
    given = {"amendment": amendment}
    fire(session, actor, guards.MACHINE, asset, "amend_cancel", given=given)
    _end(session, actor, asset, amendment, AmendmentState.CANCELLED)
    return asset


def _open(session: Session, asset_id: UUID) -> tuple[Asset, Amendment]:
    asset = assets.get_asset(session, asset_id, lock=True)
    amendment = next(
        (
            item
            for item in list_amendments(session, asset_id)
            if item.state == AmendmentState.PROPOSED
        ),
        None,
    )
    if amendment is None:
        raise Conflict("amendment_missing", "No amendment of this asset waits.")
    return asset, amendment


def _end(
    session: Session, actor: Actor, asset: Asset, amendment: Amendment, state: AmendmentState
) -> None:
    amendment.state, amendment.decided_at = state, now()
    if state == AmendmentState.APPROVED:
        amendment.checker = actor.subject
    session.flush()
    # What came in the meantime could not stop an asset that was being amended.
    standing.suspend_if_caused(session, asset)


def list_amendments(session: Session, asset_id: UUID) -> Sequence[Amendment]:
    """List every amendment that was ever proposed, oldest first."""
    return session.exec(
        select(Amendment).where(col(Amendment.asset_id) == asset_id).order_by(col(Amendment.id))
    ).all()
