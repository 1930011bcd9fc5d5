"""Bringing an asset into the register: dossier, checks, approvals, decision."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm.attributes import flag_modified
from sqlmodel import Session

from registry.asset import service as assets
from registry.asset.classes import check_details, check_keys, check_regime, class_of
from registry.asset.models import EDITABLE_STATES, Asset, AssetClass, AssetState
from registry.document import service as documents
from registry.document.models import DocumentState
from registry.journal import service as journal
from registry.kernel.actor import THE_SYSTEM, Actor, Role
from registry.kernel.canonical import record_hash
from registry.kernel.errors import Conflict, Forbidden, StaleVersion
from registry.kernel.machine import machine
from registry.kernel.money import PAISA_PER_RUPEE
from registry.onboarding import approvals
from registry.onboarding.facts import gather_facts
from registry.party import service as parties
from registry.rulebook import service as rulebook
from registry.rulebook.models import RuleRun
from registry.rulebook.service import Moment
from registry.title import service as titles
from registry.title.models import TitleState
from registry.title.rules import Ownership
from registry.valuation import service as valuations

SECOND_CHECKER_ABOVE_PAISA = 500_000_000 * PAISA_PER_RUPEE
"""Above PKR 500 m a second registrar's checker decides too (`registry-domain` 1.6)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dossier:
    """What a maker says of an asset.

    Parameters
    ----------
    details
        The fields of the asset's class.
    underlying_keys
        Natural keys of the real thing, at least one.
    """

    title_regime: str
    location: Mapping[str, str]
    details: Mapping[str, Any]
    underlying_keys: Sequence[str]
    ownership: Ownership


def open_dossier(
    session: Session, actor: Actor, *, code: str, asset_class: AssetClass, dossier: Dossier
) -> Asset:
    """Open the dossier of an asset, with the title that it claims.

    Raises
    ------
    Invalid
        A field is wrong for this class.
    Conflict
        ``asset_code_taken``.
    """
    asset = Asset(
        code=code,
        asset_class=asset_class,
        title_regime=dossier.title_regime,
        location=dict(dossier.location),
        details=_checked_details(session, asset_class, dossier),
        maker=actor.subject,
    )
    if assets.list_assets(session, code=code, state=None, after=None, limit=1):
        raise Conflict("asset_code_taken", f"The code {code} names another asset.")
    session.add(asset)
    session.flush()
    assets.replace_keys(session, asset.id, dossier.underlying_keys)
    basis = class_of(asset_class).regimes[dossier.title_regime].basis
    titles.propose_title(session, actor, asset.id, basis=basis, ownership=dossier.ownership)
    journal.record(session, actor, "dossier_opened", "asset", asset.id, code=code)
    return asset


def amend_dossier(
    session: Session, actor: Actor, asset_id: UUID, *, version: int, dossier: Dossier
) -> Asset:
    """Replace the dossier of an asset that is not under review.

    Raises
    ------
    StaleVersion
        Somebody changed it since `version`.
    Forbidden
        ``not_the_maker``.
    Conflict
        ``dossier_closed``: it is under review, decided or withdrawn.
    """
    asset = assets.get_asset(session, asset_id, lock=True)
    if asset.version != version:
        raise StaleVersion("asset", str(version), str(asset.version))
    _require_maker(actor, asset)
    if asset.state not in EDITABLE_STATES:
        raise Conflict(
            "dossier_closed",
            f"The dossier is {asset.state}; it can be edited only as a draft or on requisition.",
        )
    asset.details = _checked_details(session, asset.asset_class, dossier)
    asset.title_regime = dossier.title_regime
    asset.location = dict(dossier.location)
    # Keys and owners stand in rows of their own; the version rises for them too.
    flag_modified(asset, "details")
    assets.replace_keys(session, asset.id, dossier.underlying_keys)
    title = titles.title_of_asset(session, asset.id)
    basis = class_of(asset.asset_class).regimes[dossier.title_regime].basis
    titles.restate_title(session, actor, title, basis=basis, ownership=dossier.ownership)
    session.flush()
    journal.record(session, actor, "dossier_amended", "asset", asset.id, version=asset.version)
    return asset


def _checked_details(session: Session, asset_class: AssetClass, dossier: Dossier) -> dict[str, Any]:
    spec = class_of(asset_class)
    check_regime(spec, dossier.title_regime)
    check_keys(spec, list(dossier.underlying_keys))
    for share in dossier.ownership.shares:
        parties.get_party(session, share.party_id)
    return check_details(spec, dossier.details).model_dump(mode="json")


def dossier_hash(session: Session, asset: Asset) -> bytes:
    """Return the SHA-256 of what there is to approve: dossier, title and papers."""
    title = titles.title_of_asset(session, asset.id)
    ownership = titles.ownership_of(session, titles.current_version(session, title.id))
    return record_hash(
        {
            "code": asset.code,
            "asset_class": asset.asset_class,
            "title_regime": asset.title_regime,
            "location": asset.location,
            "details": asset.details,
            "underlying_keys": assets.list_keys(session, asset.id),
            "kul_hissay": str(ownership.kul_hissay),
            "owners": [
                {"party_id": str(share.party_id), "hissa": str(share.hissa)}
                for share in ownership.shares
            ],
            "documents": sorted(
                [document.kind, document.sha256.hex()]
                for document in documents.list_documents(session, asset.id)
                if document.state != DocumentState.REJECTED
            ),
        }
    )


def submit_dossier(session: Session, actor: Actor, asset_id: UUID) -> RuleRun:
    """Hand the dossier in: its claims become live, and the rules of submission decide.

    Returns
    -------
    RuleRun
        What each rule said. The asset is then IN_REVIEW, or REQUISITIONED.

    Raises
    ------
    Conflict
        ``documents_missing``, ``dossier_unchanged``, ``transition_refused``.
    """
    asset = assets.get_asset(session, asset_id, lock=True)
    again = asset.state == AssetState.REQUISITIONED
    state = machine("asset_onboarding").next_state(
        asset.state, "resubmit" if again else "submit", actor.roles
    )
    _require_maker(actor, asset)
    _require_documents(session, asset)
    digest = dossier_hash(session, asset)
    # What the rules asked for may have happened outside the dossier: a paper was verified, a
    # rival claim withdrawn. What a checker asked for is a change of the dossier itself.
    if again and digest == asset.dossier_hash and not _sent_back_by_rules(session, asset):
        raise Conflict(
            "dossier_unchanged", "Nothing in the dossier has changed since the requisition."
        )
    if again:
        # Also those of a dossier that was the same as this one, two edits ago.
        approvals.void(session, asset.id)
    asset.dossier_hash = digest
    asset.state = AssetState(state)
    _take_keys(session, asset)
    rule_run = rulebook.run(
        session, actor, asset.id, Moment.SUBMISSION, gather_facts(session, asset)
    )
    verdict = "run_checks_fail" if rule_run.blocked else "run_checks_pass"
    _fire(session, THE_SYSTEM, asset, verdict)
    title = titles.title_of_asset(session, asset.id)
    if not rule_run.blocked and title.state == TitleState.PROPOSED:
        titles.fire(session, actor, title, "verify")
    journal.record(
        session,
        actor,
        "dossier_submitted",
        "asset",
        asset.id,
        dossier_hash=digest.hex(),
        state=asset.state,
    )
    return rule_run


def _sent_back_by_rules(session: Session, asset: Asset) -> bool:
    """Tell whether the rules, and not a person, sent the dossier back."""
    runs = rulebook.list_runs(session, asset.id)
    last = next((run for run in runs if run.moment == Moment.SUBMISSION), None)
    return last is not None and last.blocked


def _take_keys(session: Session, asset: Asset) -> None:
    try:
        with session.begin_nested():
            assets.make_claims_live(session, asset.id)
    except IntegrityError:
        # Somebody took a key between our look and our write: look again, now it is visible.
        session.expire_all()
        assets.make_claims_live(session, asset.id)


def _require_documents(session: Session, asset: Asset) -> None:
    attached = {
        document.kind
        for document in documents.list_documents(session, asset.id)
        if document.state != DocumentState.REJECTED
    }
    missing = class_of(asset.asset_class).regimes[asset.title_regime].required - attached
    if missing:
        raise Conflict(
            "documents_missing",
            f"{asset.title_regime} requires papers that are not attached: "
            f"{', '.join(sorted(missing))}.",
            remedy="Upload them to the asset, then submit.",
        )


def required_approvals(session: Session, asset: Asset) -> Counter[Role]:
    """Return how many different people of each role must approve."""
    required = Counter(class_of(asset.asset_class).approvals)
    valuation = valuations.accepted_valuation(session, asset.id)
    if valuation is not None and valuation.amount_paisa > SECOND_CHECKER_ABOVE_PAISA:
        required[Role.REGISTRAR_CHECKER] += 1
    return required


def approve_dossier(
    session: Session, actor: Actor, asset_id: UUID, *, role: Role, seen_hash: bytes
) -> Asset:
    """Approve the dossier in one role; the last approval registers the asset.

    Parameters
    ----------
    seen_hash
        Hash of the dossier that the person read; an edit since then is refused.

    Raises
    ------
    Conflict
        ``dossier_changed``, ``asset_not_in_review``, ``documents_pending``,
        ``valuation_missing``, or as `approvals.approve`.
    RulesRefused
        The rules of registration, asked once more at the decision.
    """
    asset = assets.get_asset(session, asset_id, lock=True)
    if asset.state != AssetState.IN_REVIEW:
        raise Conflict("asset_not_in_review", f"The dossier is {asset.state}, not under review.")
    digest = dossier_hash(session, asset)
    if digest != seen_hash:
        raise Conflict(
            "dossier_changed",
            "The dossier is not the one that you read.",
            remedy="Read it again and approve the dossier_hash that you then see.",
        )
    _require_own_work(session, asset, role)
    missing = approvals.approve(
        session,
        actor,
        subject=("asset", asset.id),
        role=role,
        maker=asset.maker,
        dossier_hash=digest,
        required=required_approvals(session, asset),
    )
    if not missing:
        _register(session, actor, asset)
    session.flush()
    return asset


def _require_own_work(session: Session, asset: Asset, role: Role) -> None:
    """Refuse an approval by somebody whose own part is not done."""
    pending = [
        document.kind
        for document in documents.list_documents(session, asset.id)
        if document.state == DocumentState.PENDING_VERIFICATION
    ]
    if role == Role.DOCUMENT_VERIFIER and pending:
        raise Conflict(
            "documents_pending", f"Papers wait for verification: {', '.join(sorted(pending))}."
        )
    if role == Role.VALUATION_CHECKER and not valuations.accepted_valuation(session, asset.id):
        raise Conflict("valuation_missing", "No valuation of this asset is accepted.")


def _register(session: Session, actor: Actor, asset: Asset) -> None:
    rulebook.require(Moment.REGISTRATION, gather_facts(session, asset))
    _fire(session, actor, asset, "approve")
    title = titles.title_of_asset(session, asset.id)
    titles.current_version(session, title.id).checker = actor.subject
    titles.fire(session, actor, title, "activate")


def return_dossier(session: Session, actor: Actor, asset_id: UUID, *, reason: str) -> Asset:
    """Send the dossier back to its maker with what is missing.

    Raises
    ------
    Conflict
        ``transition_refused``.
    """
    return _decide(session, actor, asset_id, "requisition", reason)


def reject_dossier(session: Session, actor: Actor, asset_id: UUID, *, reason: str) -> Asset:
    """Refuse the asset and its title for good, and let its keys go.

    Raises
    ------
    Conflict
        ``transition_refused``.
    """
    asset = _decide(session, actor, asset_id, "reject", reason)
    titles.fire(session, actor, titles.title_of_asset(session, asset.id), "refuse")
    assets.release_claims(session, asset.id)
    return asset


def withdraw_dossier(session: Session, actor: Actor, asset_id: UUID) -> Asset:
    """Take one's own dossier back, and let its keys go.

    Raises
    ------
    Forbidden
        ``not_the_maker``.
    Conflict
        ``transition_refused``.
    """
    asset = assets.get_asset(session, asset_id, lock=True)
    _require_maker(actor, asset)
    _fire(session, actor, asset, "withdraw")
    assets.release_claims(session, asset.id)
    return asset


def suspend_asset(session: Session, asset: Asset, *, reason: str) -> None:
    """Stop every dealing in a registered asset; another state is left as it is."""
    if asset.state == AssetState.REGISTERED:
        _fire(session, THE_SYSTEM, asset, "suspend", reason=reason)


def _decide(session: Session, actor: Actor, asset_id: UUID, event: str, reason: str) -> Asset:
    asset = assets.get_asset(session, asset_id, lock=True)
    if actor.subject == asset.maker:
        raise Forbidden(
            "checker_is_maker", "Whoever made this dossier cannot decide on it (rule APR-01)."
        )
    _fire(session, actor, asset, event, reason=reason)
    return asset


def _fire(session: Session, actor: Actor, asset: Asset, event: str, **facts: str) -> None:
    asset.state = AssetState(
        machine("asset_onboarding").next_state(asset.state, event, actor.roles)
    )
    session.flush()
    journal.record(session, actor, f"asset_{event}", "asset", asset.id, state=asset.state, **facts)


def _require_maker(actor: Actor, asset: Asset) -> None:
    if actor.subject != asset.maker:
        raise Forbidden("not_the_maker", "Only the maker of a dossier edits or submits it.")
