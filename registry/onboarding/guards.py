"""Whether an event of an asset may be fired now, and what of a dossier others need to know.

What depends on tokens stands with them (`registry.tokenization.guards`).
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlmodel import Session

from registry.asset.classes import check_details
from registry.asset.law import law_of
from registry.asset.models import Asset, AssetState
from registry.document import service as documents
from registry.document.models import DocumentState
from registry.encumbrance import service as encumbrances
from registry.encumbrance.guards import require_paper
from registry.investor import service as investors
from registry.kernel.clock import now
from registry.kernel.errors import Conflict, Forbidden
from registry.lifecycle.reasons import (
    require_maker_of_late,
    require_other_person,
    require_reason,
)
from registry.lifecycle.service import Attempt, guard
from registry.mutation.entry import require_no_open
from registry.mutation.guards import require_no_burden
from registry.onboarding.dossier import require_maker
from registry.onboarding.facts import gather_facts
from registry.onboarding.models import Amendment, SuspensionCause
from registry.rulebook import service as rulebook
from registry.rulebook.service import Moment
from registry.title import service as titles
from registry.title.models import TitleState
from registry.title.owners import parties_behind
from registry.valuation.models import Valuation
from registry.valuation.panel import parties_of_valuer
from registry.wrapper import service as wrappers

MACHINE = "asset_onboarding"
LOSS_REPORTS = frozenset({"LOSS_REPORT", "SURVEYOR_REPORT"})
"""Papers that show that the thing itself is gone."""


@guard(MACHINE, "submit", "resubmit", "withdraw")
def _it_is_ones_own(attempt: Attempt[Asset]) -> None:
    require_maker(attempt.actor, attempt.record)


@guard(MACHINE, "submit", "resubmit")
def _it_is_complete(attempt: Attempt[Asset]) -> None:
    asset = attempt.record
    law = law_of(asset)
    check_details(law.spec, asset.details)
    attached = {
        document.kind
        for document in documents.list_documents(attempt.session, asset.id)
        if document.state != DocumentState.REJECTED
    }
    missing = law.papers - attached
    if missing:
        raise Conflict(
            "documents_missing",
            f"{asset.title_regime} requires papers that are not attached: "
            f"{', '.join(sorted(missing))}.",
            remedy="Upload them to the asset, then submit.",
        )


@guard(MACHINE, "resubmit")
def _it_was_corrected(attempt: Attempt[Asset]) -> None:
    # What the rules asked for may have happened outside the dossier: a paper was verified, a
    # rival claim withdrawn. What a checker asked for is a change of the dossier itself.
    same = attempt.given["dossier_hash"] == attempt.record.dossier_hash
    if same and not attempt.given["sent_back_by_rules"]:
        raise Conflict(
            "dossier_unchanged", "Nothing in the dossier has changed since the requisition."
        )


@guard(MACHINE, "run_checks_pass", "run_checks_fail")
def _the_rules_say_so(attempt: Attempt[Asset]) -> None:
    failed = attempt.event == "run_checks_fail"
    assert attempt.given["run"].blocked == failed, "the verdict is not that of the rules"


@guard(MACHINE, "requisition", "reject")
def _somebody_else_says_why(attempt: Attempt[Asset]) -> None:
    require_other_person(attempt, attempt.record.maker)
    require_reason(attempt)


@guard(MACHINE, "lapse")
def _it_was_left_lying(attempt: Attempt[Asset]) -> None:
    since = attempt.record.requisitioned_at
    if since is None or now() - since <= attempt.given["lifetime"]:
        raise Conflict("requisition_fresh", "The maker still has time to correct the dossier.")


@guard(MACHINE, "approve")
def _everybody_agrees_and_the_rules_hold(attempt: Attempt[Asset]) -> None:
    if attempt.given["missing"]:
        raise Conflict(
            "approvals_missing",
            f"Approvals are still missing: {', '.join(sorted(attempt.given['missing']))}.",
        )
    rulebook.require(Moment.REGISTRATION, gather_facts(attempt.session, attempt.record))


@guard(MACHINE, "suspend")
def _there_is_a_cause(attempt: Attempt[Asset]) -> None:
    if not attempt.given["causes"]:
        raise Conflict("cause_missing", "Nothing is open for which the asset is suspended.")


def require_closed(causes: Sequence[SuspensionCause]) -> None:
    """Refuse a reinstatement while anything is open.

    Raises
    ------
    Conflict
        ``causes_open``.
    """
    still_open = [cause.kind for cause in causes if cause.closed_at is None]
    if still_open:
        raise Conflict(
            "causes_open",
            f"Still open: {', '.join(sorted(still_open))}.",
            remedy="Close each of them first: discharge, lift or renew what it comes from.",
        )


@guard(MACHINE, "reinstate")
def _every_cause_is_closed_and_all_agree(attempt: Attempt[Asset]) -> None:
    require_closed(attempt.given["causes"])
    if attempt.given["missing"]:
        raise Conflict(
            "approvals_missing",
            f"Approvals are still missing: {', '.join(sorted(attempt.given['missing']))}.",
        )


@guard(MACHINE, "amend")
def _a_reason_is_given(attempt: Attempt[Asset]) -> None:
    require_reason(attempt)


@guard(MACHINE, "amend_approve")
def _somebody_else_read_it(attempt: Attempt[Asset]) -> None:
    amendment: Amendment = attempt.given["amendment"]
    require_other_person(attempt, amendment.maker)
    if attempt.given["seen_hash"] != attempt.given["hash_now"]:
        raise Conflict(
            "dossier_changed",
            "The amendment is not the one that you read.",
            remedy="Read it again and approve the amended_hash that you then see.",
        )


@guard(MACHINE, "amend_cancel")
def _the_amendment_is_ones_own(attempt: Attempt[Asset]) -> None:
    amendment: Amendment = attempt.given["amendment"]
    require_maker_of_late(attempt, amendment.maker, amendment.recorded_at)


@guard(MACHINE, "retire")
def _nobody_holds_anything_against_it(attempt: Attempt[Asset]) -> None:
    require_reason(attempt)
    title = titles.title_of_asset(attempt.session, attempt.record.id)
    held = encumbrances.in_force(attempt.session, title.id)
    if held:
        raise Conflict(
            "asset_encumbered",
            f"In force against the title: {', '.join(item.kind for item in held)}.",
            remedy="End each of them first.",
        )
    if title.state == TitleState.DISPUTED:
        raise Conflict("title_disputed", "The title is in dispute; have that decided first.")
    require_no_open(attempt.session, title)
    require_no_burden(attempt.session, title)
    if attempt.record.state == AssetState.SUSPENDED and title.state != TitleState.CANCELLED:
        paper = attempt.given["loss"]
        if paper is None:
            raise Conflict(
                "loss_not_shown",
                "A suspended asset is retired when its title is cancelled, or it is lost.",
                remedy="Send a verified LOSS_REPORT of the asset.",
            )
        require_paper(paper, LOSS_REPORTS)


@guard("valuation", "accept")
def _valuer_is_a_stranger(attempt: Attempt[Valuation]) -> None:
    """Refuse an opinion of somebody who wins by it: the maker, an owner, the issuer.

    Whoever is behind an owner is one (a member of a group, a beneficial owner), and so is whoever
    shares somebody behind them with an owner.
    """
    session, valuation = attempt.session, attempt.record
    asset = attempt.given["asset"]
    title = titles.title_of_asset(session, asset.id)
    ownership = titles.ownership_of(session, titles.current_version(session, title.id))
    interested = {share.party_id for share in ownership.shares}
    wrapper = wrappers.find_wrapper(session, asset.id)
    if wrapper is not None:
        interested.add(wrapper.party_id)
    valuer = parties_valuing(session, valuation)
    connected = parties_behind(session, valuer) & parties_behind(session, interested)
    if connected or valuation.valuer == asset.maker:
        raise Forbidden(
            "valuer_connected",
            "The valuer is maker of the dossier, owner or issuer, or connected to one of them.",
            remedy="Have another valuer of the panel value it.",
        )


def parties_valuing(session: Session, valuation: Valuation) -> set[UUID]:
    """Return who gave an opinion of value: by the panel's entries, and by their enrolment."""
    valuer = parties_of_valuer(session, valuation.valuer)
    principal = investors.find_investor_of(session, valuation.valuer)
    return valuer if principal is None else valuer | {principal.party_id}
