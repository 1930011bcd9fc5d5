"""The walk of an asset."""

from __future__ import annotations

from datetime import timedelta

from registry.asset.models import Asset, AssetState
from registry.kernel.actor import Role
from registry.kernel.clock import now
from registry.onboarding import service as onboarding
from tests import factories as make
from tests import standing
from tests.db.beginnings import after
from tests.db.walks.board import Scenario, Walk
from tests.factories import CHECKER, MAKER, Desk

MAKER_AND_CHECKER = make.actor(*Role, subject=MAKER.subject)


def complete_and_submit(desk: Desk, asset: Asset) -> None:
    make.file_required(desk, asset)
    make.submit(desk, asset)


def submitted(desk: Desk) -> Asset:
    """Give one that is handed in and not judged yet, as nobody ever sees it."""
    asset = make.open_apartment(desk)
    asset.state = AssetState.SUBMITTED
    desk.session.flush()
    return asset


def in_review(desk: Desk) -> Asset:
    return make.in_review(desk, make.open_apartment(desk))


def sent_back_by_the_rules(desk: Desk) -> Asset:
    rival = in_review(desk)
    [key] = keys_of(desk, rival)
    asset = make.open_apartment(desk, underlying_keys=[key])
    complete_and_submit(desk, asset)
    return asset


def keys_of(desk: Desk, asset: Asset) -> list[str]:
    return list(standing.dossier_of(desk, asset).underlying_keys)


def return_dossier(desk: Desk, asset: Asset, reason: str = "Illegible plan") -> Asset:
    return onboarding.return_dossier(desk.session, CHECKER, asset.id, reason=reason)


@after(in_review)
def returned(desk: Desk, asset: Asset) -> Asset:
    return return_dossier(desk, asset)


def add_paper_and_submit(desk: Desk, asset: Asset) -> None:
    make.file_document(desk, asset, "NEC")
    make.submit(desk, asset)


def lapse(desk: Desk, asset: Asset) -> None:
    onboarding.lapse_dossier(desk.session, asset.id)


def forget_and_lapse(desk: Desk, asset: Asset) -> None:
    asset.requisitioned_at = now() - timedelta(days=61)
    desk.session.flush()
    lapse(desk, asset)


def withdraw(desk: Desk, asset: Asset) -> None:
    onboarding.withdraw_dossier(desk.session, MAKER, asset.id)


def reject(desk: Desk, asset: Asset, reason: str = "Forged deed") -> None:
    onboarding.reject_dossier(desk.session, CHECKER, asset.id, reason=reason)


def retire(desk: Desk, asset: Asset, reason: str = "Out of the register") -> None:
    onboarding.retire_asset(desk.session, CHECKER, asset.id, reason=reason)


def report_loss_and_retire(desk: Desk, asset: Asset) -> None:
    paper = make.file_document(desk, asset, "LOSS_REPORT")
    onboarding.retire_asset(
        desk.session, CHECKER, asset.id, reason="Burnt down", loss_document_id=paper.id
    )


def approve_own_amendment(desk: Desk, asset: Asset) -> None:
    [amendment] = onboarding.list_amendments(desk.session, asset.id)
    onboarding.approve_amendment(
        desk.session, MAKER_AND_CHECKER, asset.id, seen_hash=amendment.amended_hash
    )


def approve_amendment(desk: Desk, asset: Asset) -> None:
    [amendment] = onboarding.list_amendments(desk.session, asset.id)
    standing.approve_amendment(desk, asset, amendment)


def close_and_reinstate(desk: Desk, asset: Asset) -> None:
    standing.reinstate(desk, standing.close_causes(desk, asset))


IN_ONE_ACT = "the rules decide in the very act of handing in"

BEFORE_REGISTRATION = (
    Scenario(
        source="DRAFT",
        event="submit",
        prepare=make.open_apartment,
        denied=make.submit,
        code="documents_missing",
        play=complete_and_submit,
    ),
    Scenario(source="DRAFT", event="withdraw", prepare=make.open_apartment, play=withdraw),
    Scenario(
        source="SUBMITTED",
        event="run_checks_pass",
        prepare=None,
        play=lambda desk, _: in_review(desk),
        kept=IN_ONE_ACT,
    ),
    Scenario(
        source="SUBMITTED",
        event="run_checks_fail",
        prepare=None,
        play=lambda desk, _: sent_back_by_the_rules(desk),
        kept=IN_ONE_ACT,
    ),
    Scenario(source="SUBMITTED", event="withdraw", prepare=submitted, play=withdraw),
    Scenario(
        source="IN_REVIEW",
        event="requisition",
        prepare=in_review,
        denied=lambda desk, asset: return_dossier(desk, asset, ""),
        code="reason_missing",
        play=return_dossier,
    ),
    Scenario(
        source="REQUISITIONED",
        event="resubmit",
        prepare=returned,
        denied=make.submit,
        code="dossier_unchanged",
        play=add_paper_and_submit,
    ),
    Scenario(
        source="REQUISITIONED",
        event="lapse",
        prepare=returned,
        denied=lapse,
        code="requisition_fresh",
        play=forget_and_lapse,
    ),
    Scenario(source="REQUISITIONED", event="withdraw", prepare=returned, play=withdraw),
    Scenario(source="IN_REVIEW", event="withdraw", prepare=in_review, play=withdraw),
    Scenario(
        source="IN_REVIEW",
        event="reject",
        prepare=in_review,
        denied=lambda desk, asset: reject(desk, asset, ""),
        code="reason_missing",
        play=reject,
    ),
    Scenario(
        source="IN_REVIEW",
        event="approve",
        prepare=in_review,
        denied=lambda desk, asset: make.approve(desk, asset, Role.REGISTRAR_CHECKER),
        code="approvals_missing",
        play=make.approve_all,
    ),
)

SINCE_REGISTRATION = (
    Scenario(
        source="REGISTERED",
        event="suspend",
        prepare=standing.registered_apartment,
        play=standing.suspend,
        kept="whoever suspends names the cause in the very same act",
    ),
    Scenario(
        source="SUSPENDED",
        event="reinstate",
        prepare=standing.suspended,
        denied=standing.reinstate,
        code="causes_open",
        play=close_and_reinstate,
    ),
    Scenario(
        source="REGISTERED",
        event="amend",
        prepare=standing.registered_apartment,
        denied=lambda desk, asset: standing.propose(desk, asset, reason=" "),
        code="reason_missing",
        play=standing.propose,
    ),
    Scenario(
        source="AMENDING",
        event="amend_approve",
        prepare=standing.amending,
        denied=approve_own_amendment,
        code="checker_is_maker",
        play=approve_amendment,
    ),
    Scenario(
        source="AMENDING",
        event="amend_cancel",
        prepare=standing.amending,
        play=lambda desk, asset: onboarding.cancel_amendment(desk.session, MAKER, asset.id),
    ),
    Scenario(
        source="REGISTERED",
        event="retire",
        prepare=standing.registered_apartment,
        denied=lambda desk, asset: retire(desk, asset, " "),
        code="reason_missing",
        play=retire,
    ),
    Scenario(
        source="SUSPENDED",
        event="retire",
        prepare=standing.suspended,
        denied=retire,
        code="loss_not_shown",
        play=report_loss_and_retire,
    ),
)

WALK = Walk(
    machine="asset_onboarding",
    record=make.open_apartment,
    scenarios=BEFORE_REGISTRATION + SINCE_REGISTRATION,
)
