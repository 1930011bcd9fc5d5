"""By which paper R-01 and R-02 say that each owner took, whatever was written since."""

from __future__ import annotations

from fractions import Fraction
from typing import Any
from uuid import UUID

import pytest

from registry.asset.models import Asset
from registry.document import service as documents
from registry.mutation import service as mutations
from registry.mutation.forms import NewMutation
from registry.mutation.models import Initiation, MutationKind
from registry.title.models import Title
from tests import deeds
from tests import factories as make
from tests.api.house import House
from tests.api.reports import person, rows_of
from tests.factories import CHECKER, VERIFIER

pytestmark = pytest.mark.db

PROVEN = "1/2026, Sub-Registrar"
"""What a farm's fard says."""


def test_r_01_and_r_02__mutation_that_passes_nothing__leaves_each_owner_their_deed(
    house: House,
) -> None:
    with house.desk() as desk:
        one, other, buyer = (make.person(desk) for _ in range(3))
        title = deeds.farm(desk, make.owned_by(one, other))
        code = desk.session.get_one(Asset, title.asset_id).code
        deeds.passed(desk, title, deeds.sale(one, buyer))
        title_id = title.id
        ids = {"one": one.id, "other": other.id, "buyer": buyer.id}

    with house.desk() as desk:
        rewriting = NewMutation(
            kind=MutationKind.FARD_BADR,
            initiation=Initiation.REGISTERED_DEED,
            number=deeds.number(),
            kul_hissay=8,
        )
        entered = deeds.entered(desk, desk.session.get_one(Title, title_id), rewriting)
        deeds.implemented(desk, entered)
    names = {person(house, party_id)["name"]: who for who, party_id in ids.items()}
    [*_, last] = rows_of(house, "R-02", asset=code)

    for report, owner in (("R-01", "owner"), ("R-02", "transferee")):
        told = {
            names[row[owner]]: row["deed"]
            for row in rows_of(house, report, asset=code, reveal=True)
            if row["version"] == last["version"]
        }
        assert told == {"buyer": "1204"} | dict.fromkeys(("one", "other"), PROVEN)


def test_r_01__sale_that_was_reversed__is_proven_by_what_was_before_it(house: House) -> None:
    with house.desk() as desk:
        one, buyer = make.person(desk), make.person(desk)
        title = deeds.farm(desk, make.owned_by(one))
        code = desk.session.get_one(Asset, title.asset_id).code
        sold = deeds.passed(desk, title, deeds.sale(one, buyer, Fraction(1, 2)))
    [mine, theirs] = rows_of(house, "R-01", asset=code)
    assert {mine["deed"], theirs["deed"]} == {"1204", PROVEN}
    with house.desk() as desk:
        title = desk.session.get_one(Title, sold.title_id)
        deeds.attested(desk, deeds.entered(desk, title, deeds.compensating(sold)))
        mutations.reverse_mutation(desk.session, CHECKER, sold.id, appeal_filed=True)

    [row] = rows_of(house, "R-01", asset=code)
    assert row["deed"] == PROVEN
    [*_, last] = rows_of(house, "R-02", asset=code)
    assert (last["mutation_kind"], last["deed"]) == ("COURT_DECREE", PROVEN)


def test_r_01__paper_filed_later__proves_the_first_right_only_in_place_of_another(
    house: House,
) -> None:
    with house.desk() as desk:
        title = deeds.farm(desk, make.owned_by(make.person(desk)))
        asset = desk.session.get_one(Asset, title.asset_id)
        code, asset_id = asset.code, asset.id

    def deed() -> str | None:
        [row] = rows_of(house, "R-01", asset=code)
        told: str | None = row["deed"]
        return told

    def file(**changes: Any) -> UUID:
        with house.desk() as desk:
            asset = desk.session.get_one(Asset, asset_id)
            return make.file_document(desk, asset, "FARD_MALKIAT", **changes).id

    first = house.one(
        "SELECT id FROM document WHERE asset_id = :asset AND kind = 'FARD_MALKIAT'", asset=asset_id
    )
    assert deed() == PROVEN
    # A paper for a sale to come.
    file(issuer_ref="900/2026")
    assert deed() == PROVEN
    renewed = file(issuer_ref="77/2027", replaces_id=first)
    assert deed() == PROVEN, "it was the paper of then"
    file(issuer_ref="78/2028", replaces_id=renewed)
    assert deed() == PROVEN


def test_r_01__paper_replaced_before_the_title_was_active__proves_nothing(house: House) -> None:
    with house.desk() as desk:
        asset = deeds.draft_farm(desk, make.owned_by(make.person(desk)))
        kind = "REGISTERED_SALE_DEED"
        wrong = make.file_document(desk, asset, kind, issuer_ref="4/2026")
        make.file_document(desk, asset, kind, issuer_ref="5/2026", replaces_id=wrong.id)
        code = make.registered(desk, asset).code

    [row] = rows_of(house, "R-01", asset=code)
    assert row["deed"] == f"5/2026, Sub-Registrar; {PROVEN}"


def test_r_01__paper_that_was_taken_back__is_proven_by_the_one_in_its_place(house: House) -> None:
    with house.desk() as desk:
        title = deeds.farm(desk, make.owned_by(make.person(desk)))
        asset = desk.session.get_one(Asset, title.asset_id)
        [first] = [
            paper for paper in documents.list_documents(desk.session, asset.id)
            if paper.kind == "FARD_MALKIAT"
        ]  # fmt: skip
        later = make.file_document(
            desk, asset, "FARD_MALKIAT", verified=False, issuer_ref="77/2027", replaces_id=first.id
        )
        documents.revoke_document(desk.session, VERIFIER, first.id, reason="Forged.")
        make.verify(desk, later)
        code = asset.code

    [row] = rows_of(house, "R-01", asset=code)
    assert row["deed"] == "77/2027, Sub-Registrar"
