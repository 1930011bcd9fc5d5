"""What the audit says of reviews that are not what two officers decided on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import text

from registry.kernel.vault import Vault
from registry.kyc.audit import altered
from registry.kyc.models import KycReview, Risk
from registry.kyc.profile import keep, pep_position_of, profile_of, reseal
from tests import factories as make
from tests import kyc
from tests.factories import Desk

pytestmark = pytest.mark.db

OTHER = Vault(Fernet.generate_key().decode(), Fernet.generate_key().decode())


def _another_profile(desk: Desk, review: KycReview) -> None:
    profile = profile_of(desk.vault, review)
    assert profile is not None
    position = pep_position_of(desk.vault, review)
    keep(desk.vault, review, replace(profile, occupation="Broker"), pep_position=position)


def _another_position(desk: Desk, review: KycReview) -> None:
    profile = profile_of(desk.vault, review)
    assert profile is not None
    keep(desk.vault, review, profile, pep_position="MNA")


def _no_profile(desk: Desk, review: KycReview) -> None:
    review.sealed = review.sealed_with = None


def _foreign_seal(desk: Desk, review: KycReview) -> None:
    review.sealed = OTHER.seal("{}")


def _another_paper(desk: Desk, review: KycReview) -> None:
    desk.session.connection().execute(
        text("UPDATE kyc_paper SET sha256 = sha256(id::text::bytea) WHERE review_id = :id"),
        {"id": review.id},
    )


def _another_risk(desk: Desk, review: KycReview) -> None:
    review.risk = Risk.LOW


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (_another_profile, "it is not what was recommended"),
        (_another_position, "it is not what was recommended"),
        (_another_paper, "it is not what was recommended"),
        (_another_risk, "it is not what was recommended"),
        (_no_profile, "its profile is gone"),
        (_foreign_seal, "its profile does not open with any key of PII_KEY"),
    ],
)
def test_audit__review_changed_by_hand__is_named(
    desk: Desk, change: Callable[[Desk, KycReview], None], told: str
) -> None:
    others = [kyc.recommended(desk, *make.enrolled(desk)) for _ in range(2)]
    wealthy = kyc.submitted(desk, *make.enrolled(desk), source_of_wealth="Inherited farmland")
    review = kyc.recommend(desk, wealthy, risk=Risk.HIGH, is_pep=True, pep_position="MPA")
    kyc.opened(desk, *make.enrolled(desk))
    for each in (*others, review):
        reseal(desk.vault, each)
    assert list(altered(desk.session, desk.vault)) == []
    review = desk.session.get_one(KycReview, review.id)

    change(desk, review)

    assert list(altered(desk.session, desk.vault)) == [f"Row {review.id} of kyc_review: {told}"]


def test_audit__decision_from_before_reviews_were_kept__is_left_alone(desk: Desk) -> None:
    review = kyc.recommended(desk, *make.enrolled(desk))

    review.sealed = review.sealed_with = review.maker = review.recommendation = None

    assert list(altered(desk.session, desk.vault)) == []
