"""Two people at one moment, on what is decided: approvals, edits, liens, values, suspensions."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any
from uuid import UUID

import pytest
from sqlmodel import Session, select

from registry.asset.models import Asset, AssetState
from registry.encumbrance import service as encumbrances
from registry.encumbrance.models import Encumbrance, EncumbranceKind, EncumbranceState
from registry.kernel.actor import Actor, Role
from registry.kernel.db import Database
from registry.kernel.errors import Conflict, RegistryError
from registry.onboarding import service as onboarding
from registry.onboarding.models import Approval
from registry.tokenization.liens import put_encumbrance_in_force
from registry.valuation import service as valuations
from registry.valuation.models import Valuation, ValuationState
from tests import factories as make
from tests import liens, standing
from tests.db.races import together
from tests.db.stage import StageMaker
from tests.factories import ACTORS, CHECKER, COMPLIANCE, MAKER, SECOND_CHECKER, Desk

pytestmark = pytest.mark.db

Act = Callable[[Session], Any]


def refusals(outcomes: list[Any]) -> list[str]:
    """Return the codes of those who were refused; anything else that went wrong is raised."""
    codes = []
    for outcome in outcomes:
        if isinstance(outcome, RegistryError):
            codes.append(outcome.code)
        elif isinstance(outcome, Exception):
            raise outcome
    return codes


def test_approve__last_approval_meets_a_requisition__one_of_them_stands(
    make_stage: StageMaker,
) -> None:
    def build(desk: Desk) -> Asset:
        asset = make.in_review(desk, make.open_apartment(desk))
        return make.approve_all(desk, asset, but_the_last=True)

    with make_stage(build) as stage:
        with stage.database.reading() as reader:
            digest = onboarding.dossier_hash(reader, stage.on(reader))

        def approve(session: Session) -> Asset:
            return onboarding.approve_dossier(
                session,
                CHECKER,
                stage.scene.id,
                role=Role.REGISTRAR_CHECKER,
                seen_hash=digest,
            )

        def send_back(session: Session) -> Asset:
            return onboarding.return_dossier(
                session, SECOND_CHECKER, stage.scene.id, reason="Illegible plan"
            )

        codes = refusals(together(stage.database, [approve, send_back]))

        state = state_of(stage.database, stage.scene)
    expected = {
        AssetState.REGISTERED: ["transition_refused"],
        AssetState.REQUISITIONED: ["asset_not_in_review"],
    }
    assert codes == expected[state]


def state_of(database: Database, asset: Asset) -> AssetState:
    with database.reading() as reader:
        return reader.get_one(Asset, asset.id).state


def test_approve__meets_the_edit_of_what_was_read__never_counts_for_the_new_dossier(
    make_stage: StageMaker,
) -> None:
    def build(desk: Desk) -> Asset:
        asset = make.in_review(desk, make.open_apartment(desk))
        return onboarding.return_dossier(desk.session, CHECKER, asset.id, reason="Wrong place")

    with make_stage(build) as stage:
        with stage.database.transaction() as session:
            asset = stage.on(session)
            digest, version = onboarding.dossier_hash(session, asset), asset.version
            dossier = make.apartment_dossier(
                standing.dossier_of(Desk(session, None, None), asset).ownership,  # type: ignore[arg-type]
                location={"province": "PK-PB", "district": "Lahore", "place": "Elsewhere"},
            )

        def edit_and_submit(session: Session) -> None:
            onboarding.amend_dossier(session, MAKER, asset.id, version=version, dossier=dossier)
            onboarding.submit_dossier(session, MAKER, asset.id)

        def approve(session: Session) -> Asset:
            return onboarding.approve_dossier(
                session, COMPLIANCE, asset.id, role=Role.COMPLIANCE, seen_hash=digest
            )

        codes = refusals(together(stage.database, [edit_and_submit, approve]))

        with stage.database.reading() as reader:
            given = reader.exec(select(Approval)).all()
    assert codes in (["asset_not_in_review"], ["dossier_changed"])
    assert given == []


def put_in_force(lien: UUID, session: Session) -> object:
    return put_encumbrance_in_force(session, CHECKER, lien)


def test_register__two_of_one_rank_at_one_moment__one_has_it(make_stage: StageMaker) -> None:
    def build(desk: Desk) -> Asset:
        asset = make.open_apartment(desk)
        for _ in range(2):
            liens.lodged(desk, asset)
        return asset

    with make_stage(build) as stage:
        with stage.database.reading() as reader:
            ids = list(reader.exec(select(Encumbrance.id)))
        acts: list[Act] = [partial(put_in_force, lien) for lien in ids]

        codes = refusals(together(stage.database, acts))

        with stage.database.reading() as reader:
            states = sorted(reader.exec(select(Encumbrance.state)))
    assert codes == ["rank_taken"]
    assert states == [EncumbranceState.ACTIVE, EncumbranceState.LODGED]


def test_vary__meets_a_discharge_request__neither_is_lost(make_stage: StageMaker) -> None:
    def build(desk: Desk) -> Encumbrance:
        mortgage = liens.active(desk, make.open_apartment(desk))
        deed = liens.paper(desk, mortgage, "REDEMPTION_DEED")
        mortgage.closing_document_id = deed.id
        encumbrances.propose_variation(
            desk.session,
            MAKER,
            mortgage.id,
            encumbrances.Variation(
                source_document_id=mortgage.source_document_id,
                rank=2,
                amount_paisa=1,
                holder_id=mortgage.holder_id,
            ),
        )
        return mortgage

    with make_stage(build) as stage:
        scene = stage.scene
        assert scene.closing_document_id is not None
        deed = scene.closing_document_id
        acts: list[Act] = [
            lambda session: encumbrances.vary_encumbrance(session, CHECKER, scene.id),
            lambda session: encumbrances.request_discharge(
                session, MAKER, scene.id, document_id=deed
            ),
        ]

        codes = refusals(together(stage.database, acts))

        with stage.database.reading() as reader:
            after = reader.get_one(Encumbrance, scene.id)
            terms = encumbrances.list_terms(reader, scene.id)
    assert after.state == EncumbranceState.DISCHARGE_PENDING
    # the variation came first, or is refused while a discharge waits
    assert codes == ([] if after.rank == 2 else ["transition_refused"])
    assert [item.valid_to is None for item in terms if item.valid_from].count(True) == 1


def test_accept__two_checkers_of_a_great_change_at_one_moment__accept_it_together(
    make_stage: StageMaker,
) -> None:
    def build(desk: Desk) -> Valuation:
        asset = make.open_apartment(desk)
        standing_one = make.value(desk, asset, 100)
        return valuations.submit_valuation(
            desk.session,
            ACTORS[Role.VALUER],
            asset.id,
            amount_paisa=1000,
            basis_date=standing_one.basis_date,
            method="MARKET_COMPARABLE",
            report_sha256=bytes(32),
        )

    with make_stage(build) as stage:

        def accept(checker: Actor) -> Act:
            return lambda session: valuations.accept_valuation(session, checker, stage.scene.id)

        checkers = (ACTORS[Role.VALUATION_CHECKER], make.SECOND_VALUATION_CHECKER)
        codes = refusals(together(stage.database, [accept(checker) for checker in checkers]))

        with stage.database.reading() as reader:
            after = reader.get_one(Valuation, stage.scene.id)
    assert (codes, after.state) == ([], ValuationState.ACCEPTED)
    assert {after.checker, after.second_checker} == {checker.subject for checker in checkers}


def test_accept__one_checker_twice_at_one_moment__counts_once(make_stage: StageMaker) -> None:
    def build(desk: Desk) -> Valuation:
        asset = make.open_apartment(desk)
        standing_one = make.value(desk, asset, 100)
        return valuations.submit_valuation(
            desk.session,
            ACTORS[Role.VALUER],
            asset.id,
            amount_paisa=1000,
            basis_date=standing_one.basis_date,
            method="MARKET_COMPARABLE",
            report_sha256=bytes(32),
        )

    with make_stage(build) as stage:
        checker = ACTORS[Role.VALUATION_CHECKER]
        acts: list[Act] = [
            lambda session: valuations.accept_valuation(session, checker, stage.scene.id)
        ] * 2

        codes = refusals(together(stage.database, acts))

        with stage.database.reading() as reader:
            after = reader.get_one(Valuation, stage.scene.id)
    assert (codes, after.state) == (["checker_is_maker"], ValuationState.SUBMITTED)


def test_reinstate__meets_a_new_cause__is_suspended_in_the_end(make_stage: StageMaker) -> None:
    def build(desk: Desk) -> Encumbrance:
        asset = standing.close_causes(desk, standing.suspended(desk))
        standing.agree(desk, asset, Role.COMPLIANCE)
        return liens.lodged(desk, asset, EncumbranceKind.STAY_ORDER)

    with make_stage(build) as stage:
        with stage.database.reading() as reader:
            asset = reader.exec(select(Asset)).one()
            digest = onboarding.standing_hash(reader, asset)
        acts: list[Act] = [
            lambda session: onboarding.reinstate_asset(
                session,
                CHECKER,
                asset.id,
                role=Role.REGISTRAR_CHECKER,
                seen_hash=digest,
            ),
            lambda session: put_encumbrance_in_force(session, CHECKER, stage.scene.id),
        ]

        outcomes = together(stage.database, acts)

        assert state_of(stage.database, asset) == AssetState.SUSPENDED
    refused = [item for item in outcomes if isinstance(item, Exception)]
    assert all(isinstance(item, Conflict) for item in refused)
    assert outcomes[1] not in refused
