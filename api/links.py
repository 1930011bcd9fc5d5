"""Links of the description: what can be asked next about the thing that an answer tells of.

The answer that tells of a new thing, and the reading of it, link to everything under the thing's
path; an act on it links to the reading, and a list to the reading of its first. Clients may follow
them, and `make fuzz-api` does.

Source: OpenAPI 3.0.3, "Link Object".
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

Operation = dict[str, Any]

THINGS: Mapping[str, tuple[str, ...]] = {
    "PartyRead": ("/v1/parties/{party_id}",),
    "ImportRead": ("/v1/assets/imports/{import_id}",),
    "AssetRead": ("/v1/assets/{asset_id}",),
    "CauseRead": ("/v1/suspension_causes/{cause_id}",),
    "DocumentRead": ("/v1/documents/{document_id}",),
    "ValuationRead": ("/v1/valuations/{valuation_id}",),
    "PanelValuerRead": ("/v1/valuers/{entry_id}",),
    "TitleRead": ("/v1/titles/{title_id}",),
    "EncumbranceRead": ("/v1/encumbrances/{encumbrance_id}",),
    "MutationRead": ("/v1/mutations/{mutation_id}",),
    # a token bears the id of its tokenization
    "TokenizationRead": ("/v1/tokenizations/{tokenization_id}", "/v1/tokens/{token_id}"),
    "TokenRead": ("/v1/tokens/{token_id}", "/v1/tokenizations/{tokenization_id}"),
    "ExportRead": ("/v1/exports/{export_id}",),
    "InvestorRead": ("/v1/investors/{investor_id}",),
    "KycReviewRead": ("/v1/kyc_reviews/{review_id}",),
    "KycDocumentRead": ("/v1/kyc_documents/{document_id}",),
    "OfferingRead": ("/v1/offerings/{offering_id}",),
    "WaitingEntryRead": ("/v1/waiting_entries/{entry_id}",),
    "OrderRead": ("/v1/orders/{order_id}",),
    "WebhookEndpointIssued": ("/v1/webhook_endpoints/{endpoint_id}",),
    "WebhookEndpointRead": ("/v1/webhook_endpoints/{endpoint_id}",),
    "WebhookDeliveryRead": ("/v1/webhook_deliveries/{delivery_id}",),
    "PaymentRead": ("/v1/payments/{payment_id}",),
    "PaymentWithCandidates": ("/v1/payments/{payment_id}",),
    "BankStatementRead": ("/v1/bank_statements/{statement_id}",),
    "ProceedsPayoutRead": ("/v1/proceeds_payouts/{payout_id}",),
    "ReceiptRead": ("/v1/receipts/{receipt_id}",),
    "BillRead": ("/v1/bills_of_lading/{bill_id}",),
    "CourtOrderRead": ("/v1/court_orders/{order_id}",),
    "CaseRead": ("/v1/cases/{case_id}",),
    "CertificateRead": ("/v1/certificates/{certificate_id}",),
    "BreakRead": ("/v1/breaks/{break_id}",),
    "RedemptionRead": ("/v1/redemptions/{redemption_id}",),
    "PayoutRead": ("/v1/redemption_payouts/{payout_id}",),
    "SanctionsListRead": ("/v1/sanctions_lists/{list_id}",),
    "SanctionsHitRead": ("/v1/sanctions_hits/{hit_id}",),
    "ApiKeyIssued": ("/v1/api_keys/{key_id}",),
    "ApiKeyRead": ("/v1/api_keys/{key_id}",),
    "OperationRead": ("/v1/operations/{operation_id}",),
    "PasskeyRead": ("/v1/passkeys/{passkey_id}",),
    "InvitationIssued": ("/v1/invitations/{invitation_id}",),
    "InvitationRead": ("/v1/invitations/{invitation_id}",),
    "HandoverRead": ("/v1/enrolment_handovers/{handover_id}",),
    "SessionRead": ("/v1/sessions/{session_id}",),
    "AlertRead": ("/v1/alerts/{alert_id}",),
    "ComplaintRead": ("/v1/complaints/{complaint_id}",),
    "OwnComplaintRead": ("/v1/me/complaints/{complaint_id}",),
    "IncidentRead": ("/v1/incidents/{incident_id}",),
    "CtrRead": ("/v1/ctr_filings/{filing_id}",),
    "StrRead": ("/v1/str_cases/{str_case_id}",),
    "ReadingRead": ("/v1/energy_readings/{reading_id}",),
    "PolicyRowRead": ("/v1/policies/rows/{row_id}",),
}
"""By the model that tells of a thing: the paths under which its ``id`` stands."""

_OF_NEW_THINGS = {"201", "202"}
_LAST_PARAMETER = re.compile(r"\{(\w+)\}$")


def with_links(document: dict[str, Any]) -> dict[str, Any]:
    """Add the links to a description in OpenAPI 3.0.

    Parameters
    ----------
    document
        Changed in place, and returned.
    """
    paths = document["paths"]
    shared: dict[str, Any] = {}
    for path, methods in paths.items():
        for method, operation in methods.items():
            for status, response in operation["responses"].items():
                if status >= "300":
                    continue
                name, is_list = told_of(response)
                is_new = method != "get" and status in _OF_NEW_THINGS
                for thing in THINGS.get(name, ()):
                    is_whole = not is_list and (is_new or path == thing)
                    for each in _followed(paths, thing, is_whole=is_whole):
                        if each is not operation:
                            link = _first(thing, each) if is_list else _same(shared, thing, each)
                            response.setdefault("links", {})[each["operationId"]] = link
    document["components"]["links"] = dict(sorted(shared.items()))
    return document


def _followed(paths: Mapping[str, Any], thing: str, *, is_whole: bool) -> Iterator[Operation]:
    """List what is asked by this id alone: all of it, or only the reading of the thing."""
    if not is_whole:
        yield from [paths[thing]["get"]] if "get" in paths.get(thing, {}) else []
        return
    for path, methods in paths.items():
        if (path == thing or path.startswith(f"{thing}/")) and path.count("{") == 1:
            yield from methods.values()


def _same(shared: dict[str, Any], thing: str, operation: Operation) -> dict[str, Any]:
    """Link to what is asked of the thing that is told of; written once for all answers."""
    name = operation["operationId"]
    shared[name] = _link(thing, operation, "$response.body#/id")
    return {"$ref": f"#/components/links/{name}"}


def _first(thing: str, operation: Operation) -> dict[str, Any]:
    return _link(thing, operation, "$response.body#/items/0/id")


def _link(thing: str, operation: Operation, expression: str) -> dict[str, Any]:
    found = _LAST_PARAMETER.search(thing)
    assert found, f"{thing} does not end in the id of a thing"
    return {"operationId": operation["operationId"], "parameters": {found[1]: expression}}


def told_of(response: Mapping[str, Any]) -> tuple[str, bool]:
    """Return the model that an answer tells of, and whether it tells of many."""
    schema = response.get("content", {}).get("application/json", {}).get("schema", {})
    name = schema.get("$ref", "").rsplit("/", 1)[-1]
    page = re.fullmatch(r"Page_(\w+)_", name)
    return (page[1], True) if page else (name, False)
