"""Whatever is changed in a dossier, no approval of the former one counts for it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlmodel import Session

from registry.asset.models import Asset
from registry.document.store import DocumentStore
from registry.encumbrance.models import EncumbranceKind
from registry.encumbrance.rules import SECURITY_INTERESTS
from registry.kernel.actor import Role
from registry.kernel.db import Database
from registry.kernel.vault import Vault
from registry.onboarding import approvals
from registry.onboarding import service as onboarding
from registry.onboarding.service import Dossier
from registry.party.models import Party
from registry.title.rules import Share, check_ownership
from tests import factories as make
from tests import liens, standing
from tests.factories import CHECKER, MAKER, Desk

pytestmark = pytest.mark.db


@dataclass(frozen=True)
class Review:
    """A dossier under review, which one person has approved; every run is taken back."""

    database: Database
    vault: Vault
    store: DocumentStore
    asset: Asset
    parties: tuple[Party, Party]

    @contextmanager
    def desk(self) -> Iterator[Desk]:
        with self.database.engine.connect() as connection:
            outer = connection.begin()
            with Session(
                connection, join_transaction_mode="create_savepoint", expire_on_commit=False
            ) as session:
                yield Desk(session, self.vault, self.store)
            outer.rollback()


@pytest.fixture
def review(fresh_database: Database, vault: Vault, store: DocumentStore) -> Review:
    with fresh_database.transaction() as session:
        desk = Desk(session, vault, store)
        parties = (make.person(desk), make.person(desk))
        asset = make.in_review(desk, make.open_apartment(desk, parties[0]))
        make.approve(desk, asset, Role.COMPLIANCE)
    return Review(fresh_database, vault, store, asset, parties)


words = st.text("ABCDEFGHIJ", min_size=1, max_size=12)
decimals = st.decimals(min_value=1, max_value=10**6, places=2).map(str)
shares = st.tuples(st.integers(0, 50), st.integers(0, 50)).filter(any)
details = st.fixed_dictionaries(
    {
        "parent_area_kms": st.tuples(st.integers(1, 9), st.integers(0, 19), st.integers(0, 8)),
        "undivided_share": st.integers(1, 2000).map(lambda part: (part, 2000)),
        "covered_area_sqft": decimals,
    }
)
changes = st.fixed_dictionaries(
    {},
    optional={
        "place": words,
        "details": details,
        "unit": st.integers(1, 10**6),
        "shares": shares,
    },
)


def edited(dossier: Dossier, said: dict[str, Any], review: Review) -> Dossier:
    if "place" in said:
        dossier = replace(dossier, location={**dossier.location, "place": said["place"]})
    if "details" in said:
        corrected = {name: _plain(value) for name, value in said["details"].items()}
        dossier = replace(dossier, details={**dossier.details, **corrected})
    if "unit" in said:
        [key] = dossier.underlying_keys
        stem = key.rpartition("|")[0]
        dossier = replace(dossier, underlying_keys=[f"{stem}|{said['unit']}"])
    if "shares" in said:
        owners = [
            Share(party.id, part)
            for party, part in zip(review.parties, said["shares"], strict=True)
            if part
        ]
        dossier = replace(dossier, ownership=check_ownership(sum(said["shares"]), owners))
    return dossier


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def live(desk: Desk, asset: Asset) -> int:
    digest = onboarding.dossier_hash(desk.session, asset)
    return len(approvals.live_approvals(desk.session, asset.id, digest))


def test_any_edit__of_any_part__leaves_no_approval_alive(review: Review) -> None:
    @given(changes)
    def edit(said: dict[str, Any]) -> None:
        with review.desk() as desk:
            asset = desk.session.get_one(Asset, review.asset.id)
            before = onboarding.dossier_hash(desk.session, asset)
            assert live(desk, asset) == 1
            onboarding.return_dossier(desk.session, CHECKER, asset.id, reason="Look again")
            stated = standing.dossier_of(desk, asset)
            dossier = edited(stated, said, review)
            onboarding.amend_dossier(
                desk.session, MAKER, asset.id, version=asset.version, dossier=dossier
            )

            after = onboarding.dossier_hash(desk.session, asset)

            same = standing.dossier_of(desk, asset) == stated
            assert (after == before) == same
            assert live(desk, asset) == (1 if same else 0)

    edit()


@pytest.mark.parametrize("kind", EncumbranceKind)
def test_any_encumbrance__lodged_and_put_in_force__voids_twice(
    review: Review, kind: EncumbranceKind
) -> None:
    with review.desk() as desk:
        asset = desk.session.get_one(Asset, review.asset.id)
        seen = [onboarding.dossier_hash(desk.session, asset)]
        terms: dict[str, Any] = {"authority": "Court", "case_no": "1/2026"}
        if kind in SECURITY_INTERESTS:
            terms |= {"rank": 1, "amount_paisa": 1, "holder_id": review.parties[0].id}
        lien = liens.lodged(desk, asset, kind, **terms)
        seen.append(onboarding.dossier_hash(desk.session, asset))
        assert live(desk, asset) == 0
        liens.put_in_force(desk, lien)
        seen.append(onboarding.dossier_hash(desk.session, asset))

    assert len(set(seen)) == len(seen)
