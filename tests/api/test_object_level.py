"""What belongs to one investor is out of reach of another, over every route that takes an id."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from fastapi.routing import APIRoute, iter_route_contexts

from api.auth.access import ACCESS
from registry.kernel.actor import Role
from tests.api.house import House
from tests.api.people import ok
from tests.api.scene import Scene

pytestmark = pytest.mark.db

ADDRESS = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
NOBODY = "00000000-0000-7000-8000-000000000000"
SIGNATURE = "0x" + "11" * 65
PROFILE = {
    "occupation": "Teacher",
    "source_of_funds": "SALARY",
    "yearly_investment": {"amount": "100.00"},
    "investment_purpose": "Saving",
    "tax_filer": True,
}
PURCHASE = {
    "units": "10", "price": {"amount": "100.00"}, "buyer_signature": SIGNATURE,
}  # fmt: skip
PAPER = {"document_id": NOBODY}

OWNED: dict[str, Any] = {
    "get_investor": None,
    "challenge_wallet": {"address": ADDRESS},
    "prove_wallet": {"signature": SIGNATURE},
    "remove_wallet": None,
    "open_kyc_review": PROFILE,
    "list_investor_kyc_reviews": None,
    "get_kyc_review": None,
    "replace_kyc_profile": PROFILE,
    "upload_kyc_document": {"file": b"%PDF-1.7 paper", "kind": "IDENTITY"},
    "list_kyc_documents": None,
    "get_kyc_document_content": None,
    "submit_kyc_review": None,
    "withdraw_kyc_review": None,
    "get_certificate": None,
    "get_order": None,
    "get_order_ledger": None,
    "cancel_order": None,
    "confirm_purchase": PURCHASE,
    "get_trade": None,
    "sign_trade": {"seller_signature": SIGNATURE},
    "list_unsigned_trades": None,
    "get_operation": None,
    "get_wallet_holding": None,
    "list_wallet_claims": None,
    "list_wallet_history": None,
    "rename_passkey": {"name": "Mine now"},
    "remove_passkey": None,
    "end_session": None,
    "get_webhook_endpoint": None,
    "remove_webhook_endpoint": None,
    "rotate_webhook_secret": None,
    "enable_webhook_endpoint": None,
    "test_webhook_endpoint": None,
    "list_webhook_deliveries": None,
    "retry_webhook_delivery": None,
    "withdraw_order": None,
    "list_acceptances": None,
    "leave_waiting_list": None,
    "get_my_complaint": None,
    "withdraw_my_complaint": None,
}
"""Routes whose object is one investor's, with a body that is good: to another it does not exist."""

OF_A_PARTY: dict[str, Any] = {
    "accept_grade": None,
    "refuse_receipt_offer": None,
    "transfer_receipt": {"party_id": NOBODY},
    "offer_pledge": {"pledgee_id": NOBODY, "qty_kg": "1"},
    "accept_pledge": None,
    "release_pledge": PAPER,
    "invoke_pledge": PAPER,
    "liquidate_receipt": PAPER | {"proceeds": {"amount": "1.00"}},
    "approve_bill": None,
    "offer_possession": {"party_id": NOBODY},
    "endorse_bill": {"party_id": NOBODY, "action": "ENDORSE"},
    "accept_bill_offer": None,
    "refuse_bill_offer": {"reason": "Not ours at all"},
    "surrender_for_delivery": None,
    "surrender_for_amendment": None,
    "vote_on_redemption": {"in_favour": True},
}
"""Routes for whoever stands in a relation to what everybody may read."""

FOR_ALL: dict[str, str] = {
    "get_token": "the register of tokens is public to who signs in",
    "get_token_supply": "the same",
    "get_offering": "an offer is made to everybody",
    "place_order": "an order is one's own from the start",
    "list_receipts": "negotiable paper: whoever is offered it must see it",
    "get_receipt": "the same",
    "list_bills": "the same",
    "get_bill": "the same",
    "list_endorsements": "the same; people's own words are masked",
    "list_redemptions": "the end of a token is announced; payouts are for overseers",
    "get_redemption": "the same",
    "join_waiting_list": "an entry is one's own from the start",
    "get_offering_document_content": "an offer's papers are for whoever may buy",
    "get_offering_story": "an offer is made to everybody",
    "get_asset_story": "the same",
    "get_asset_picture": "the same",
    "get_my_statement": "the path names a period, and the caller is whose it is",
    "get_my_statement_csv": "the same",
    "get_my_statement_pdf": "the same",
}


@pytest.fixture(scope="module")
def scene(house: House) -> Scene:
    return Scene(house)


def test_tables__held_against_the_routes__name_all_that_take_an_id_of_an_investor(
    house: House,
) -> None:
    taking = {
        context.original_route.name
        for context in iter_route_contexts(house.app.routes)
        if isinstance(context.original_route, APIRoute) and "{" in context.original_route.path
    }
    open_to_investors = {name for name in taking if Role.INVESTOR in ACCESS[name]}

    assert open_to_investors == {*OWNED, *OF_A_PARTY, *FOR_ALL}


@pytest.mark.parametrize("name", OWNED)
def test_object__of_another_investor__does_not_exist(scene: Scene, name: str) -> None:
    stranger = scene.house.caller(scene.stranger)
    with scene.house.unchanged():
        theirs = scene.ask(stranger, name, OWNED[name])

    assert (theirs.status_code, theirs.json()["code"]) == (404, "not_found"), theirs.text


@pytest.mark.parametrize("name", OF_A_PARTY)
def test_object__of_other_parties__is_not_acted_on(scene: Scene, name: str) -> None:
    stranger = scene.house.caller(scene.stranger)
    with scene.house.unchanged():
        refused = scene.ask(stranger, name, OF_A_PARTY[name])

    assert refused.status_code == 403, refused.text
    assert refused.json()["code"] in {"not_the_party", "not_a_holder"}


def test_object__of_nobody_and_of_another__are_told_apart_by_nothing(scene: Scene) -> None:
    stranger = scene.house.caller(scene.stranger)
    for name in (
        "get_investor", "get_order", "get_operation", "get_kyc_review", "retry_webhook_delivery",
    ):  # fmt: skip
        (key,) = [part for part in scene.ids if f"{{{part}}}" in scene.route(name).path]
        missing = str(uuid4())
        theirs = scene.ask(stranger, name, None).json()
        path = scene.route(name).path.format(**{key: missing})
        nobodys = (stranger.get if name.startswith("get_") else stranger.post)(path).json()
        said = theirs["detail"].replace(scene.ids[key], missing)
        assert (said, theirs["code"]) == (nobodys["detail"], nobodys["code"])


def test_object__of_its_owner__is_there(scene: Scene) -> None:
    """Else everything above would be refused for another reason."""
    owner, applicant = scene.house.caller(scene.owner), scene.house.caller(scene.applicant)
    for name in ("get_order", "get_order_ledger", "get_my_complaint"):
        ok(scene.ask(owner, name, None))
    for name in ("get_investor", "list_investor_kyc_reviews", "get_kyc_review",
                 "list_kyc_documents", "get_kyc_document_content"):  # fmt: skip
        assert scene.ask(applicant, name, None).status_code == 200, name
    wallets = scene.ask(applicant, "get_investor", None).json()["wallets"]
    assert scene.proven in {wallet["address"] for wallet in wallets}


# Fields that nobody sends


def test_body__with_fields_of_our_own_making__is_refused_by_name(scene: Scene) -> None:
    """Mass assignment: what a client may not say is no field of any body."""
    applicant, owner = scene.house.caller(scene.applicant), scene.house.caller(scene.owner)
    person = {"name": "E", "cnic": "17301-0000077-5"}
    tries = [
        (applicant, "/v1/investors", {"person": person, "kyc_state": "APPROVED"}),
        (applicant, "/v1/investors", {"person": person | {"id": NOBODY}}),
        (applicant, f"/v1/investors/{scene.ids['investor_id']}/wallets",
         {"address": ADDRESS, "state": "PROVEN"}),
        (applicant, f"/v1/investors/{scene.ids['investor_id']}/wallets",
         {"address": ADDRESS, "identity": ADDRESS}),
        (applicant, f"/v1/kyc_reviews/{scene.ids['review_id']}/profile",
         PROFILE | {"risk": "LOW"}),
        (applicant, "/v1/me/wallets", {"custodial": True, "investor_id": NOBODY}),
        (owner, f"/v1/orders/{scene.ids['order_id']}/settlement", PURCHASE | {"state": "SETTLED"}),
    ]  # fmt: skip
    for caller, path, body in tries:
        with scene.house.unchanged():
            response = caller.post(path, body)
        assert (response.status_code, response.json()["code"]) == (422, "unknown_field"), path
