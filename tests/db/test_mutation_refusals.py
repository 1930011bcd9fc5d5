"""What a mutation must have, and the rules that refuse it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from fractions import Fraction
from typing import Any

import pytest

from registry.asset.models import Asset
from registry.document import service as documents
from registry.document.models import DocumentState
from registry.encumbrance.models import EncumbranceKind
from registry.kernel.clock import now, today
from registry.kernel.errors import NotFound
from registry.mutation import service as mutations
from registry.mutation.forms import Estate, NewMutation, Side
from registry.mutation.heirs import Heir, Relation
from registry.mutation.models import Initiation, Mutation, MutationKind, MutationState
from registry.mutation.sides import sides_of
from registry.title import service as titles
from registry.title import versions
from registry.title.models import TitleState
from registry.tokenization.liens import put_encumbrance_in_force
from tests import deeds, sales
from tests import factories as make
from tests.api.town import lodge
from tests.deeds import refusal
from tests.factories import CHECKER, MAKER, Desk

pytestmark = pytest.mark.db


# Sources and what a dossier needs


def test_complete__source_not_verified__is_refused(desk: Desk) -> None:
    title, seller, _ = deeds.half_and_half(desk)
    mutation = deeds.entered(desk, title, deeds.sale(seller, make.person(desk)))
    asset = desk.session.get_one(Asset, title.asset_id)
    paper = make.file_document(desk, asset, "DEED", verified=False)
    instrument = deeds.instrument(desk, mutation, source_document_id=paper.id)

    assert refusal(
        lambda: mutations.complete_mutation(desk.session, MAKER, mutation.id, instrument)
    ) == ("source_not_verified", None)
    assert mutation.source_document_id is None


@pytest.mark.parametrize("kind", ["PHOTO", "ALLOTMENT_LETTER"])
def test_complete__sale_to_the_wrapper_on_no_deed__is_ttl_05(desk: Desk, kind: str) -> None:
    title, seller, _ = deeds.half_and_half(desk)
    asset, vehicle = desk.session.get_one(Asset, title.asset_id), make.company(desk)
    sales.name_wrapper(desk, asset, vehicle)
    mutation = deeds.entered(desk, title, deeds.sale(seller, vehicle))

    def complete(kind: str) -> Mutation:
        paper = make.file_document(desk, asset, kind)
        instrument = deeds.instrument(desk, mutation, source_document_id=paper.id)
        return mutations.complete_mutation(desk.session, MAKER, mutation.id, instrument)

    assert refusal(lambda: complete(kind)) == ("instrument_required", "TTL-05")
    assert complete("REGISTERED_SALE_DEED").state == MutationState.FIELD_VERIFICATION


def test_implement__source_revoked_meanwhile__is_refused(desk: Desk) -> None:
    title, seller, _ = deeds.half_and_half(desk)
    mutation = deeds.entered(desk, title, deeds.sale(seller, make.person(desk)))
    deeds.attested(desk, mutation)
    assert mutation.source_document_id is not None
    paper = documents.get_document(desk.session, mutation.source_document_id)
    paper.state = DocumentState.REVOKED

    assert refusal(lambda: deeds.implement(desk, mutation)) == ("source_not_verified", None)


@pytest.mark.parametrize(
    ("initiation", "left_out"),
    [
        (Initiation.REGISTERED_DEED, {"deed_no": None}),
        (Initiation.COURT, {"misl_no": None}),
        (Initiation.COURT, {"decree_on": None}),
        (Initiation.ORAL, {"rapat_no": None}),
        (Initiation.ORAL, {}),  # no witnesses
        (Initiation.REGISTERED_DEED, {"fee_receipt_no": ""}),
    ],
)
def test_complete__something_is_missing__is_refused(
    desk: Desk, initiation: Initiation, left_out: dict[str, Any]
) -> None:
    title, seller, _ = deeds.half_and_half(desk)
    new = deeds.sale(seller, make.person(desk), initiation=initiation)
    mutation = deeds.entered(desk, title, new)
    instrument = deeds.instrument(desk, mutation, **left_out)

    assert refusal(
        lambda: mutations.complete_mutation(desk.session, MAKER, mutation.id, instrument)
    ) == ("mutation_incomplete", None)
    assert mutation.state == MutationState.ENTERED


def test_return__with_a_reason__can_be_completed_again(desk: Desk) -> None:
    title, seller, _ = deeds.half_and_half(desk)
    mutation = deeds.entered(desk, title, deeds.sale(seller, make.person(desk)))
    deeds.completed(desk, mutation)
    mutations.return_mutation(desk.session, deeds.FIELD_VERIFIER, mutation.id, reason="Wrong page.")

    deeds.implemented(desk, mutation)

    assert (mutation.reason, mutation.state) == ("Wrong page.", MutationState.IMPLEMENTED)


# The rules


def test_lodge__second_one__is_mut_01(desk: Desk) -> None:
    title, seller, _ = deeds.half_and_half(desk)
    new = deeds.sale(seller, make.person(desk))
    deeds.entered(desk, title, new)

    assert refusal(lambda: deeds.entered(desk, title, replace(new, number="2"))) == (
        "mutation_open",
        "MUT-01",
    )


@pytest.mark.parametrize("end", ["withdrawn", "rejected"])
def test_lodge__after_the_first_ended__is_accepted(desk: Desk, end: str) -> None:
    title, seller, _ = deeds.half_and_half(desk)
    first = deeds.entered(desk, title, deeds.sale(seller, make.person(desk)))
    if end == "withdrawn":
        mutations.withdraw_mutation(desk.session, MAKER, first.id)
    else:
        deeds.verified(desk, first)
        mutations.reject_mutation(
            desk.session, deeds.REVENUE_OFFICER, first.id, order_text="Not proven."
        )
    assert titles.get_title(desk.session, title.id).state == TitleState.ACTIVE

    second = deeds.entered(desk, title, deeds.sale(seller, make.person(desk)))

    assert (second.state, title.state) == (MutationState.ENTERED, TitleState.MUTATION_PENDING)


def test_implement__predecessor_still_open__is_mut_02(desk: Desk) -> None:
    title, seller, _ = deeds.half_and_half(desk)
    elsewhere, other, _ = deeds.half_and_half(desk)
    before = deeds.entered(desk, elsewhere, deeds.sale(other, make.person(desk)))
    new = deeds.sale(seller, make.person(desk), predecessor_id=before.id)
    mutation = deeds.attested(desk, deeds.entered(desk, title, new))
    assert refusal(lambda: deeds.implement(desk, mutation)) == (
        "predecessor_not_implemented",
        "MUT-02",
    )

    deeds.implemented(desk, before)

    assert deeds.implement(desk, mutation).state == MutationState.IMPLEMENTED


def test_implement__row_of_another_version__is_shr_03(desk: Desk) -> None:
    title, seller, _ = deeds.half_and_half(desk)
    mutation = deeds.attested(
        desk, deeds.entered(desk, title, deeds.sale(seller, make.person(desk)))
    )
    stale = titles.current_version(desk.session, title.id)
    right = versions.right_of(desk.session, stale)
    versions.replace_version(desk.session, title, replace(right, valid_from=now()))

    assert refusal(lambda: deeds.implement(desk, mutation)) == ("share_row_changed", "SHR-03")


@pytest.mark.parametrize(
    ("kind", "rule"),
    [(EncumbranceKind.CAVEAT, None), (EncumbranceKind.STAY_ORDER, "ENC-02")],
)
def test_implement__restriction_in_force__is_refused(
    desk: Desk, kind: EncumbranceKind, rule: str | None
) -> None:
    title, seller, _ = deeds.half_and_half(desk)
    mutation = deeds.attested(
        desk, deeds.entered(desk, title, deeds.sale(seller, make.person(desk)))
    )
    lien = lodge(desk, desk.session.get_one(Asset, title.asset_id), kind)
    put_encumbrance_in_force(desk.session, CHECKER, lien.id)

    assert refusal(lambda: deeds.implement(desk, mutation)) == ("transfer_blocked", rule)


def test_implement__easement_in_force__passes(desk: Desk) -> None:
    title, seller, _ = deeds.half_and_half(desk)
    lien = lodge(desk, desk.session.get_one(Asset, title.asset_id), EncumbranceKind.EASEMENT)
    put_encumbrance_in_force(desk.session, CHECKER, lien.id)

    mutation = deeds.passed(desk, title, deeds.sale(seller, make.person(desk)))

    assert mutation.state == MutationState.IMPLEMENTED


@pytest.mark.parametrize("open_one", [make.open_apartment, make.open_wheat])
def test_lodge__oral_under_a_regime_of_instruments__is_ttl_06(
    desk: Desk, open_one: Callable[..., Asset]
) -> None:
    owner = make.person(desk)
    asset = make.registered(desk, open_one(desk, owner))
    title = titles.title_of_asset(desk.session, asset.id)
    new = deeds.sale(owner, make.person(desk), initiation=Initiation.ORAL)

    assert refusal(lambda: deeds.entered(desk, title, new)) == (
        "oral_mutation_refused",
        "TTL-06",
    )


def test_implement__deed_of_an_apartment__keeps_a_registered_basis(desk: Desk) -> None:
    owner = make.person(desk)
    asset = make.registered(desk, make.open_apartment(desk, owner))
    title = titles.title_of_asset(desk.session, asset.id)

    deeds.passed(desk, title, deeds.sale(owner, make.person(desk), Fraction(1)))

    assert titles.current_version(desk.session, title.id).basis == "REGISTERED_DEED"


def test_findings__open_mutation__is_mut_01_and_closed_is_nothing(desk: Desk) -> None:
    title, seller, _ = deeds.half_and_half(desk)
    assert mutations.findings(desk.session, title.id) == {}

    mutation = deeds.entered(desk, title, deeds.sale(seller, make.person(desk)))
    assert set(mutations.findings(desk.session, title.id)) == {"MUT-01"}

    deeds.implemented(desk, mutation)
    assert mutations.findings(desk.session, title.id) == {}


# What cannot be entered


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"kind": MutationKind.COURT_DECREE}, "initiation_not_applicable"),
        ({"kind": MutationKind.INHERITANCE}, "deceased_required"),
        ({"kind": MutationKind.MORTGAGE}, "parties_not_applicable"),
        ({"kind": MutationKind.LEASE, "sellers": [], "buyers": []}, "encumbrance_reference_wrong"),
        ({"kind": MutationKind.PARTITION}, "division_titles_wrong"),
        ({"buyers": []}, "parties_required"),
        ({"kul_hissay": 0}, "share_not_positive"),
        ({"kul_hissay": 2**62 + 1}, "share_not_positive"),
    ],
)
def test_lodge__what_the_kind_does_not_have__is_refused(
    desk: Desk, changes: dict[str, Any], code: str
) -> None:
    title, seller, _ = deeds.half_and_half(desk)
    new = deeds.sale(seller, make.person(desk), **changes)

    assert refusal(lambda: deeds.entered(desk, title, new))[0] == code
    assert title.state == TitleState.ACTIVE


def test_lodge__more_than_the_row__is_shr_03(desk: Desk) -> None:
    title, seller, _ = deeds.half_and_half(desk)
    new = deeds.sale(seller, make.person(desk), Fraction(2, 3))

    assert refusal(lambda: deeds.entered(desk, title, new)) == ("share_exceeded", "SHR-03")


def test_lodge__inheritance_of_a_part__is_refused(desk: Desk) -> None:
    title, deceased, _ = deeds.half_and_half(desk)
    heir = make.person(desk)
    new = deeds.sale(deceased, heir, kind=MutationKind.INHERITANCE)
    new = replace(new, sellers=[Side(deceased.id, 1, died_on=today())])

    assert refusal(lambda: deeds.entered(desk, title, new))[0] == "estate_incomplete"


def test_lodge__estate_of_somebody_who_owns_nothing__is_shr_03(desk: Desk) -> None:
    title, *_ = deeds.half_and_half(desk)
    stranger, heir = make.person(desk), make.person(desk)
    new = NewMutation(
        kind=MutationKind.INHERITANCE,
        initiation=Initiation.COURT,
        number="9",
        estate=Estate(stranger.id, today(), (Heir(heir.id, Relation.SON),)),
    )

    assert refusal(lambda: deeds.entered(desk, title, new)) == ("share_exceeded", "SHR-03")


@pytest.mark.parametrize("died_on", [today() + timedelta(days=2)])
def test_lodge__death_in_the_future__is_refused(desk: Desk, died_on: Any) -> None:
    title, deceased, _ = deeds.half_and_half(desk)
    new = NewMutation(
        kind=MutationKind.INHERITANCE,
        initiation=Initiation.COURT,
        number="9",
        estate=Estate(deceased.id, died_on, (Heir(make.person(desk).id, Relation.SON),)),
    )

    assert refusal(lambda: deeds.entered(desk, title, new))[0] == "death_in_future"


@pytest.mark.parametrize("kind", [MutationKind.INHERITANCE, MutationKind.WILL])
def test_lodge__estate_of_a_company__is_refused(desk: Desk, kind: MutationKind) -> None:
    company, heir = make.company(desk), make.person(desk)
    title = deeds.farm(desk, make.owned_by(company))
    new = replace(
        deeds.sale(company, heir, Fraction(1), kind=kind),
        sellers=[Side(company.id, 1, died_on=today())],
    )

    assert refusal(lambda: deeds.entered(desk, title, new))[0] == "deceased_not_natural"


@pytest.mark.parametrize("kind", [MutationKind.INHERITANCE, MutationKind.WILL])
def test_sides__estate_that_passes_while_its_owner_lives__is_refused(
    desk: Desk, kind: MutationKind
) -> None:
    deceased, heir = make.person(desk), make.person(desk)
    title = deeds.farm(desk, make.owned_by(deceased))
    version = titles.current_version(desk.session, title.id)
    died_on = today() - timedelta(days=3)
    new = replace(
        deeds.sale(deceased, heir, Fraction(1), kind=kind, effective_at=now() - timedelta(days=5)),
        sellers=[Side(deceased.id, 1, died_on=died_on)],
    )

    assert refusal(lambda: sides_of(desk.session, version, new))[0] == "effective_before_death"
    sides_of(desk.session, version, replace(new, effective_at=now() - timedelta(days=1)))


def test_lodge__unknown_buyer__is_not_found(desk: Desk) -> None:
    title, seller, other = deeds.half_and_half(desk)
    new = replace(deeds.sale(seller, other), buyers=[Side(title.id, 1)])

    with pytest.raises(NotFound, match="party"):
        deeds.entered(desk, title, new)


@pytest.mark.parametrize("twice", [True, False])
def test_lodge__witness_who_gives_or_stands_twice__is_refused(desk: Desk, twice: bool) -> None:
    title, seller, _ = deeds.half_and_half(desk)
    witness = make.person(desk)
    witnesses = [witness.id, witness.id] if twice else [seller.id]
    new = deeds.sale(seller, make.person(desk), witness_ids=witnesses)

    assert refusal(lambda: deeds.entered(desk, title, new))[0] == "witness_not_applicable"
