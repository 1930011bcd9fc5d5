"""A KYC review from what an investor says to the second officer's decision."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from demo.client import DemoFailed, Office
from demo.people import COMPLIANCE, SECOND_COMPLIANCE, Person
from registry.kernel.actor import Role

_PAPERS = {
    Role.INVESTOR: ("IDENTITY",),
    Role.ISSUER: ("INCORPORATION", "AUTHORITY"),
    # For a natural person, at the counter.
    Role.COMPLIANCE: ("IDENTITY",),
}
_PROFILE = {
    "occupation": "Trade",
    "source_of_funds": "BUSINESS",
    "yearly_investment": {"amount": "2500000.00"},
    "investment_purpose": "Income from rent",
    "tax_filer": True,
}
_ASSESSMENT = {
    "recommendation": "APPROVE",
    "risk": "LOW",
    "is_pep": False,
    "reason": "Identity and source of funds are shown.",
}


def ensure_sanctions_list(office: Office) -> None:
    """Take in a list of sanctions with invented names, unless an earlier run did."""
    content = (Path(__file__).parent / "sanctions_sample.xml").read_bytes()
    answer = office.send_list(COMPLIANCE, "/v1/sanctions_lists", "sample.xml", content)
    said = answer.json()
    if answer.is_success:
        office.tell("sanctions", COMPLIANCE, f"takes in a list of {said['entries']} entries")
    elif said["code"] != "sanctions_list_known":
        raise DemoFailed(f"the list of sanctions was refused: {said}")


def pass_kyc(office: Office, person: Person, investor_id: str, name: str) -> None:
    """Go on with the review that is open, wherever an earlier run left it."""
    path = f"/v1/investors/{investor_id}/kyc_reviews"
    found = [row for row in office.get(person, path) if row["state"] in _STEPS]
    review = found[0] if found else office.ask(person, path, _PROFILE)
    if review["state"] == "DRAFT":
        review = _submit(office, person, review, name)
    if review["state"] == "SUBMITTED":
        path = f"/v1/kyc_reviews/{review['id']}/recommend"
        review = office.ask(COMPLIANCE, path, _ASSESSMENT)
        office.tell(name, COMPLIANCE, f"recommends the KYC of {name}: low risk, no PEP")
    decision = {"decision": "APPROVED", "evidence_sha256": review["review_sha256"]}
    office.ask(SECOND_COMPLIANCE, f"/v1/investors/{investor_id}/kyc", decision)
    office.tell(name, SECOND_COMPLIANCE, f"passes the KYC of {name}")


_STEPS = ("DRAFT", "SUBMITTED", "RECOMMENDED")


def _submit(office: Office, person: Person, review: Mapping[str, Any], name: str) -> Any:
    path = f"/v1/kyc_reviews/{review['id']}"
    filed = {row["kind"] for row in office.get(person, f"{path}/documents")}
    for kind in _PAPERS[person.role]:
        if kind not in filed:
            content = f"%PDF-1.7 {kind} of {person.subject}".encode()
            office.upload(person, f"{path}/documents", kind, content)
    review = office.ask(person, f"{path}/submit")
    office.tell(name, person, "says where the money comes from, and files papers")
    return review
