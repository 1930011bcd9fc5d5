"""What an applicant reads of their own KYC: their words, and not what the officers make of it."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from registry.kernel.actor import Actor, Role
from registry.kyc import decision
from registry.kyc.models import Risk
from registry.kyc_standing import service as standing
from registry.party.models import PartyKind
from registry.sanctions import hits, lists
from registry.sanctions.models import Verdict
from registry.sanctions.screening import screen_party
from tests import factories as make
from tests import kyc
from tests.api.house import House
from tests.api.people import ok
from tests.api.reports import WHY
from tests.factories import COMPLIANCE
from tests.kyc import FIRST_OFFICER, SECOND_OFFICER
from tests.owning import company_of
from tests.sanctioned import file_of

pytestmark = pytest.mark.db

ASSESSMENT = (
    "recommendation", "risk", "is_pep", "pep_position", "review_sha256", "maker", "reason",
)  # fmt: skip
SAID: dict[str, Any] = {
    "risk": Risk.HIGH,
    "is_pep": True,
    "pep_position": "Minister",
    "reason": "STR to follow.",
}


def reviews(house: House, who: Actor, investor_id: object, **why: str) -> list[dict[str, Any]]:
    """Read the reviews of an investor, by each route that has them."""
    caller = house.caller(who)
    listed = ok(caller.get(f"/v1/investors/{investor_id}/kyc_reviews", **why))
    return [*listed, *(ok(caller.get(f"/v1/kyc_reviews/{row['id']}", **why)) for row in listed)]


def test_review__recommended__tells_the_applicant_nothing_of_the_officers(house: House) -> None:
    with house.desk() as desk:
        who, investor = make.enrolled(desk)
        review = kyc.submitted(desk, who, investor, source_of_wealth="An inheritance")
        kyc.recommend(desk, review, **SAID)
    officer = Actor(who.subject, frozenset({Role.COMPLIANCE}))
    for applicant in (who, officer):
        for told in reviews(house, applicant, investor.id):
            assert told["state"] == "RECOMMENDED"
            assert {told[name] for name in ASSESSMENT} == {None}
            assert told["profile"]["source_of_funds"]
    for told in reviews(house, COMPLIANCE, investor.id):
        assert (told["risk"], told["is_pep"], told["reason"]) == ("HIGH", True, "STR to follow.")
        assert (told["maker"], len(told["review_sha256"])) == (FIRST_OFFICER.subject, 64)

    with house.desk() as desk:
        decision.return_review(desk.session, SECOND_OFFICER, review.id, reason="Unreadable.")
    for told in reviews(house, who, investor.id):
        assert (told["state"], told["reason"]) == ("DRAFT", "Unreadable.")
    sent = house.caller(who).post(f"/v1/kyc_reviews/{review.id}/submit", key="again-1")
    assert ok(sent)["reason"] is None


def test_review__ended_by_an_owners_hit__tells_the_company_neither_list_nor_hit(
    house: House,
) -> None:
    with house.desk() as desk:
        owner = make.person(
            desk, kind=PartyKind.NATURAL, name="Mohd Usman Barlasi",
            dob=date(1971, 3, 4), nationality="PK",
        )  # fmt: skip
        company = make.issuer(desk, company_of(desk, owner))
        lists.import_list(desk.session, COMPLIANCE, file_of())
        [hit] = screen_party(desk.session, desk.vault, owner.id)
        hits.recommend_hit(
            desk.session, FIRST_OFFICER, hit.id, verdict=Verdict.TRUE_MATCH, reason="It is he."
        )
        standing.confirm_hit(desk.session, SECOND_OFFICER, hit.id, reason="So it is.")
        named = {str(hit.id), hit.reference}

    [told, *_] = reviews(house, company.actor, company.investor.id)
    assert (told["state"], told["end_reason"]) == ("REVOKED", "The KYC was revoked.")
    assert not any(word in str(told) for word in (*named, "anctions"))
    [whole, *_] = reviews(house, make.ACTORS[Role.REGULATOR], company.investor.id, **WHY)
    assert all(word in whole["end_reason"] for word in named)
