"""Handing a dossier in: its claims become live, and the rules send it to review or back."""

from __future__ import annotations

from uuid import UUID

from sqlmodel import Session

from registry.asset import service as assets
from registry.asset.models import Asset, AssetState
from registry.kernel.actor import THE_SYSTEM, Actor
from registry.kernel.clock import now
from registry.lifecycle.service import fire
from registry.onboarding import approvals, claims, guards
from registry.onboarding.dossier import dossier_hash
from registry.onboarding.facts import gather_facts
from registry.rulebook import service as rulebook
from registry.rulebook.models import RuleRun
from registry.rulebook.service import Moment
from registry.title import service as titles
from registry.title.models import TitleState


def submit_dossier(session: Session, actor: Actor, asset_id: UUID) -> RuleRun:
    """Hand the dossier in: its claims become live, and the rules of submission decide.

    Returns
    -------
    RuleRun
        What each rule said. The asset is then IN_REVIEW, or REQUISITIONED.

    Raises
    ------
    Forbidden
        ``not_the_maker``.
    Conflict
        ``documents_missing``, ``dossier_unchanged``, ``transition_refused``.
    """
    asset = assets.get_asset(session, asset_id, lock=True)
    again = asset.state == AssetState.REQUISITIONED
    digest = dossier_hash(session, asset)
    fire(
        session,
        actor,
        guards.MACHINE,
        asset,
        "resubmit" if again else "submit",
        given={"dossier_hash": digest, "sent_back_by_rules": _sent_back_by_rules(session, asset)},
        dossier_hash=digest.hex(),
    )
    if again:
        # Also those of a dossier that was the same as this one, two edits ago.
        approvals.void(session, asset.id)
    asset.dossier_hash = digest
    claims.take(session, asset)
    rule_run = rulebook.run(
        session, actor, asset.id, Moment.SUBMISSION, gather_facts(session, asset)
    )
    verdict = "run_checks_fail" if rule_run.blocked else "run_checks_pass"
    fire(session, THE_SYSTEM, guards.MACHINE, asset, verdict, given={"run": rule_run})
    if rule_run.blocked:
        asset.requisitioned_at = now()
    title = titles.title_of_asset(session, asset.id)
    if not rule_run.blocked and title.state == TitleState.PROPOSED:
        titles.fire(session, actor, title, "verify")
    session.flush()
    return rule_run


def _sent_back_by_rules(session: Session, asset: Asset) -> bool:
    """Tell whether the rules, and not a person, sent the dossier back."""
    runs = rulebook.list_runs(session, asset.id)
    last = next((run for run in runs if run.moment == Moment.SUBMISSION), None)
    return last is not None and last.blocked
