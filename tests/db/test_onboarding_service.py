"""Bringing an asset into the register, from the draft to the decision."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlmodel import col, select

from registry.asset import service as assets
from registry.asset.models import Asset, AssetClass, AssetState, UnderlyingKey
from registry.document import service as documents
from registry.document.models import DocumentState
from registry.journal import service as journal
from registry.kernel.actor import Role
from registry.kernel.clock import today
from registry.kernel.errors import Conflict, Forbidden, Invalid, NotFound, StaleVersion
from registry.onboarding import service as onboarding
from registry.rulebook.models import RuleRun
from registry.title import service as titles
from registry.title.models import TitleState
from registry.title.rules import Ownership, Share
from tests import factories as make
from tests.factories import CHECKER, MAKER, Desk

pytestmark = pytest.mark.db


def live_keys(desk: Desk) -> set[str]:
    return set(desk.session.exec(select(UnderlyingKey.key).where(col(UnderlyingKey.live))).all())


def failed_rules(run: RuleRun) -> list[str]:
    return [row["id"] for row in run.results if not row["passed"]]


@pytest.mark.parametrize("open_one", [make.open_apartment, make.open_wheat])
def test_onboarding__everything_in_order__registers_asset_and_title(
    desk: Desk, open_one: Callable[[Desk], Asset]
) -> None:
    asset = open_one(desk)
    title = titles.title_of_asset(desk.session, asset.id)
    assert (asset.state, title.state) == (AssetState.DRAFT, TitleState.PROPOSED)
    assert live_keys(desk) == set()

    make.in_review(desk, asset)
    assert (asset.state, title.state) == (AssetState.IN_REVIEW, TitleState.VERIFIED)
    assert live_keys(desk) == set(assets.list_keys(desk.session, asset.id))

    make.approve_all(desk, asset, but_the_last=True)
    assert asset.state == AssetState.IN_REVIEW

    make.approve(desk, asset, Role.REGISTRAR_CHECKER)
    assert (asset.state, title.state) == (AssetState.REGISTERED, TitleState.ACTIVE)
    assert titles.current_version(desk.session, title.id).checker == CHECKER.subject


def test_onboarding__registered__every_step_stands_in_the_journal(desk: Desk) -> None:
    asset = make.registered(desk, make.open_apartment(desk))
    desk.session.flush()

    entries = journal.list_entries(desk.session, subject_id=str(asset.id), after=None, limit=100)

    acts = [(entry.act, entry.actor) for entry in entries]
    assert acts[0] == ("dossier_opened", MAKER.subject)
    assert acts[-1] == ("asset_approve", CHECKER.subject)
    assert [actor for act, actor in acts if act == "asset_approved"] == [
        make.ACTORS[role].subject
        for role in (
            Role.DOCUMENT_VERIFIER,
            Role.LEGAL_COUNSEL,
            Role.VALUATION_CHECKER,
            Role.COMPLIANCE,
            Role.REGISTRAR_CHECKER,
        )
    ]


def test_open_dossier__code_of_another__is_refused(desk: Desk) -> None:
    asset = make.open_apartment(desk)
    dossier = make.apartment_dossier(make.owned_by(make.person(desk)))

    with pytest.raises(Conflict, match="asset_code_taken"):
        onboarding.open_dossier(
            desk.session, MAKER, code=asset.code, asset_class=asset.asset_class, dossier=dossier
        )


def test_open_dossier__unknown_owner__is_refused(desk: Desk) -> None:
    stranger = Ownership(1, (Share(make.open_apartment(desk).id, 1),))

    with pytest.raises(NotFound, match="party"):
        make.open_dossier(desk, AssetClass.LAND_APARTMENT, make.apartment_dossier(stranger))


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"title_regime": "EWR"}, "regime_not_applicable"),
        ({"underlying_keys": ["EWR|A|B"]}, "underlying_key_malformed"),
        ({"underlying_keys": []}, "underlying_key_malformed"),
        ({"details": {}}, "details_invalid"),
    ],
)
def test_open_dossier__wrong_for_its_class__is_refused(
    desk: Desk, changes: dict[str, object], code: str
) -> None:
    with pytest.raises(Invalid, match=code):
        make.open_apartment(desk, **changes)


def test_submit__papers_missing__names_them(desk: Desk) -> None:
    asset = make.open_apartment(desk)
    make.file_document(desk, asset, "REGISTERED_SALE_DEED")
    make.file_document(desk, asset, "NEC")

    with pytest.raises(Conflict) as refusal:
        make.submit(desk, asset)

    assert refusal.value.code == "documents_missing"
    assert refusal.value.detail.endswith("BUILDING_APPROVAL, PT1_EXTRACT.")
    assert asset.state == AssetState.DRAFT


def test_submit__paper_rejected__is_missing(desk: Desk) -> None:
    asset = make.open_apartment(desk)
    make.file_required(desk, asset)
    extra = make.file_document(desk, asset, "NEC", verified=False)
    [first] = [
        paper
        for paper in documents.list_documents(desk.session, asset.id)
        if paper.kind == "PT1_EXTRACT"
    ]
    assert extra.kind == "NEC"
    first.state = DocumentState.REJECTED
    desk.session.flush()

    with pytest.raises(Conflict, match=r"not attached: PT1_EXTRACT\."):
        make.submit(desk, asset)


def test_submit__by_another_maker__is_forbidden(desk: Desk) -> None:
    asset = make.open_apartment(desk)
    make.file_required(desk, asset)

    with pytest.raises(Forbidden, match="not_the_maker"):
        onboarding.submit_dossier(desk.session, make.actor(Role.REGISTRAR_MAKER), asset.id)


def test_submit__without_the_role__is_forbidden(desk: Desk) -> None:
    asset = make.open_apartment(desk)
    make.file_required(desk, asset)

    with pytest.raises(Forbidden, match="transition_forbidden"):
        onboarding.submit_dossier(desk.session, CHECKER, asset.id)


def test_submit__deed_not_verified__is_requisitioned_by_ttl_05_alone(desk: Desk) -> None:
    asset = make.open_apartment(desk)
    for kind in ("PT1_EXTRACT", "NEC", "BUILDING_APPROVAL"):
        make.file_document(desk, asset, kind)
    make.file_document(desk, asset, "REGISTERED_SALE_DEED", verified=False)

    run = make.submit(desk, asset)

    assert failed_rules(run) == ["TTL-05"]
    assert run.blocked
    assert asset.state == AssetState.REQUISITIONED
    assert titles.title_of_asset(desk.session, asset.id).state == TitleState.PROPOSED


def test_submit__allotment_letter_alone__is_no_title(desk: Desk) -> None:
    asset = make.open_apartment(desk, title_regime="LDA_ALLOTMENT")
    make.file_required(desk, asset, besides={"LDA_ALLOTMENT_LETTER", "MUTATION"})

    assert failed_rules(make.submit(desk, asset)) == ["TTL-05"]


def test_submit__deed_ran_out_yesterday__is_no_title(desk: Desk) -> None:
    asset = make.open_apartment(desk, title_regime="DHA_TRANSFER_LETTER")
    make.file_document(desk, asset, "NDC")
    make.file_document(desk, asset, "DHA_TRANSFER_LETTER", valid_until=today() - timedelta(days=1))

    assert failed_rules(make.submit(desk, asset)) == ["TTL-05"]


def test_submit__deed_runs_out_today__is_still_title(desk: Desk) -> None:
    asset = make.open_apartment(desk, title_regime="DHA_TRANSFER_LETTER")
    make.file_document(desk, asset, "NDC")
    make.file_document(desk, asset, "DHA_TRANSFER_LETTER", valid_until=today())

    assert failed_rules(make.submit(desk, asset)) == []


def test_submit__key_of_a_live_dossier__is_requisitioned_by_key_01_alone(desk: Desk) -> None:
    first = make.in_review(desk, make.open_apartment(desk))
    keys = assets.list_keys(desk.session, first.id)
    second = make.open_apartment(desk, underlying_keys=keys)
    make.file_required(desk, second)

    run = make.submit(desk, second)

    assert failed_rules(run) == ["KEY-01"]
    assert keys[0] in next(row["detail"] for row in run.results if row["id"] == "KEY-01")
    assert second.state == AssetState.REQUISITIONED
    assert assets.rival_claims(desk.session, second.id) == {keys[0]: first.id}


def test_submit__twice__is_refused(desk: Desk) -> None:
    asset = make.in_review(desk, make.open_apartment(desk))

    with pytest.raises(Conflict, match="transition_refused"):
        make.submit(desk, asset)


@pytest.mark.parametrize("decision", ["reject", "withdraw"])
def test_decision__against_the_asset__lets_its_keys_go(desk: Desk, decision: str) -> None:
    asset = make.in_review(desk, make.open_apartment(desk))
    keys = assets.list_keys(desk.session, asset.id)

    if decision == "reject":
        onboarding.reject_dossier(desk.session, CHECKER, asset.id, reason="Forged deed")
        assert asset.state == AssetState.REJECTED
        assert titles.title_of_asset(desk.session, asset.id).state == TitleState.REFUSED
    else:
        onboarding.withdraw_dossier(desk.session, MAKER, asset.id)
        assert asset.state == AssetState.WITHDRAWN

    assert live_keys(desk) == set()
    second = make.in_review(desk, make.open_apartment(desk, underlying_keys=keys))
    assert second.state == AssetState.IN_REVIEW
    assert live_keys(desk) == set(keys)


def test_reject__by_the_maker__is_forbidden(desk: Desk) -> None:
    asset = make.in_review(desk, make.open_apartment(desk))
    maker_and_checker = make.actor(
        Role.REGISTRAR_MAKER, Role.REGISTRAR_CHECKER, subject=MAKER.subject
    )

    with pytest.raises(Forbidden, match="checker_is_maker"):
        onboarding.reject_dossier(desk.session, maker_and_checker, asset.id, reason="Mine")


def test_withdraw__by_another__is_forbidden(desk: Desk) -> None:
    asset = make.open_apartment(desk)

    with pytest.raises(Forbidden, match="not_the_maker"):
        onboarding.withdraw_dossier(desk.session, make.actor(Role.REGISTRAR_MAKER), asset.id)


def test_withdraw__registered__is_refused(desk: Desk) -> None:
    asset = make.registered(desk, make.open_apartment(desk))

    with pytest.raises(Conflict, match="transition_refused"):
        onboarding.withdraw_dossier(desk.session, MAKER, asset.id)


@pytest.mark.parametrize("changed", ["details", "ownership", "underlying_keys", "location"])
def test_amend__any_part_of_the_dossier__raises_its_version(desk: Desk, changed: str) -> None:
    asset = make.open_apartment(desk)
    title = titles.title_of_asset(desk.session, asset.id)
    dossier = make.apartment_dossier(
        titles.ownership_of(desk.session, titles.current_version(desk.session, title.id)),
        underlying_keys=assets.list_keys(desk.session, asset.id),
    )
    others = make.apartment_dossier(
        make.owned_by(make.person(desk), make.person(desk)),
        details=dict(dossier.details) | {"covered_area_sqft": "1481"},
        location={"province": "PK-PB", "district": "Lahore", "place": "Elsewhere"},
    )
    read = asset.version

    edited = replace(dossier, **{changed: getattr(others, changed)})
    onboarding.amend_dossier(desk.session, MAKER, asset.id, version=read, dossier=edited)

    assert asset.version > read
    with pytest.raises(StaleVersion) as refusal:
        onboarding.amend_dossier(desk.session, MAKER, asset.id, version=read, dossier=dossier)
    assert refusal.value.code == "stale_version"


def test_amend__by_another_maker__is_forbidden(desk: Desk) -> None:
    asset = make.open_apartment(desk)
    dossier = make.apartment_dossier(make.owned_by(make.person(desk)))

    with pytest.raises(Forbidden, match="not_the_maker"):
        onboarding.amend_dossier(
            desk.session,
            make.actor(Role.REGISTRAR_MAKER),
            asset.id,
            version=asset.version,
            dossier=dossier,
        )


def test_amend__under_review__is_refused(desk: Desk) -> None:
    asset = make.in_review(desk, make.open_apartment(desk))
    dossier = make.apartment_dossier(make.owned_by(make.person(desk)))

    with pytest.raises(Conflict, match="dossier_closed"):
        onboarding.amend_dossier(
            desk.session, MAKER, asset.id, version=asset.version, dossier=dossier
        )


def test_resubmit__nothing_changed__is_refused(desk: Desk) -> None:
    asset = make.in_review(desk, make.open_apartment(desk))
    onboarding.return_dossier(desk.session, CHECKER, asset.id, reason="Illegible plan")

    with pytest.raises(Conflict, match="dossier_unchanged"):
        make.submit(desk, asset)

    assert asset.state == AssetState.REQUISITIONED


def test_resubmit__paper_added__is_reviewed_anew(desk: Desk) -> None:
    asset = make.in_review(desk, make.open_apartment(desk))
    onboarding.return_dossier(desk.session, CHECKER, asset.id, reason="Illegible plan")
    assert asset.state == AssetState.REQUISITIONED
    make.file_document(desk, asset, "BUILDING_APPROVAL")

    make.submit(desk, asset)

    assert make.approve_all(desk, asset).state == AssetState.REGISTERED


def test_return__before_review__is_refused(desk: Desk) -> None:
    asset = make.open_apartment(desk)

    with pytest.raises(Conflict, match="transition_refused"):
        onboarding.return_dossier(desk.session, CHECKER, asset.id, reason="Too early")


def test_resubmit__deed_verified_since_the_rules_sent_it_back__is_reviewed(desk: Desk) -> None:
    asset = make.open_apartment(desk)
    for kind in ("PT1_EXTRACT", "NEC", "BUILDING_APPROVAL"):
        make.file_document(desk, asset, kind)
    deed = make.file_document(desk, asset, "REGISTERED_SALE_DEED", verified=False)
    assert make.submit(desk, asset).blocked
    make.verify(desk, deed)

    assert not make.submit(desk, asset).blocked

    assert asset.state == AssetState.IN_REVIEW


def test_amend__on_requisition__keeps_the_claim_on_its_key(desk: Desk) -> None:
    asset = make.in_review(desk, make.open_apartment(desk))
    onboarding.return_dossier(desk.session, CHECKER, asset.id, reason="Illegible plan")
    (key,) = assets.list_keys(desk.session, asset.id)
    dossier = make.apartment_dossier(make.owned_by(make.person(desk)), underlying_keys=[key])

    onboarding.amend_dossier(desk.session, MAKER, asset.id, version=asset.version, dossier=dossier)

    assert live_keys(desk) == {key}
