"""From a seed asset to a registered one, by everybody whose part it is."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from demo.client import DemoFailed, Office
from demo.people import (
    APPROVERS,
    CHECKER,
    COMPLIANCE,
    MAKER,
    SECOND_CHECKER,
    VALUATION_CHECKER,
    VALUER,
    VERIFIER,
)
from demo.seed import Seed, details_of, location_of, paper
from registry.kernel.actor import Role
from registry.kernel.clock import today
from registry.kernel.money import Money, lakh_grouped

ORDERS = frozenset({"STAY_ORDER"})
"""Encumbrances that come from a court or the state, after the asset was registered."""

PAPER_BEHIND = {"STAY_ORDER": "COURT_ORDER", "CHARGE": "LENDER_CONSENT"}
"""The paper that an encumbrance rests on, where its name does not say so itself."""


def ensure_party(office: Office, seed: Seed, name: str) -> str:
    """Return the id of a party of the seed, recording it if nobody has."""
    said = seed.parties[name]
    query = {"cnic": said["cnic"]} if "cnic" in said else {"lei": said["lei"]}
    found = office.get(MAKER, "/v1/parties", **query)["items"]
    if found:
        return str(found[0]["id"])
    fields = ("kind", "name", "cnic", "lei", "cuin", "scac")
    body = {field: said[field] for field in fields if field in said}
    party = office.post(MAKER, "/v1/parties", body)
    office.tell(name, MAKER, f"records {said['name']}")
    return str(party["id"])


def ensure_panel(office: Office) -> None:
    """Have the demo's valuer on the panel: proposed by one, confirmed by another."""
    known = office.get(CHECKER, "/v1/valuers", limit="200")["items"]
    entry = next((row for row in known if row["valuer"] == VALUER.subject), None)
    if entry is None:
        first_day = (today() - timedelta(days=365)).isoformat()
        said = {"valuer": VALUER.subject, "licence_no": "DEMO-1", "begins_on": first_day}
        entry = office.post(COMPLIANCE, "/v1/valuers", said)
    if entry["confirmed_by"] is None:
        office.post(CHECKER, f"/v1/valuers/{entry['id']}/confirm")
        office.tell("panel", CHECKER, f"confirms the valuer {VALUER.subject}")


def onboard(office: Office, seed: Seed, asset: Mapping[str, Any]) -> Mapping[str, Any]:
    """Bring one asset as far as its rules let it come, from wherever it stands."""
    record = _ensure_dossier(office, seed, asset)
    _ensure_documents(office, asset, record["id"])
    ensure_valuation(office, asset, record["id"], asset["valuation"]["basis_date"])
    liens = [lien for lien in asset["encumbrances"] if lien["kind"] not in ORDERS]
    _ensure_encumbrances(office, seed, asset, record, liens)
    _ensure_wrapper(office, seed, asset, record["id"])
    if record["state"] == "DRAFT":
        answer = office.post(MAKER, f"/v1/assets/{record['id']}/submit")["answer"]
        office.tell(asset["code"], MAKER, f"submits the dossier: {answer}")
    answer = _ask_gate(office, asset, record)
    record = office.get(CHECKER, f"/v1/assets/{record['id']}")
    if record["state"] == "IN_REVIEW":
        _decide(office, asset, record, answer)
    orders = [order for order in asset["encumbrances"] if order["kind"] in ORDERS]
    if orders:
        _ensure_encumbrances(office, seed, asset, record, orders)
        answer = _ask_gate(office, asset, record)
    if answer != asset["expect"]:
        raise DemoFailed(f"{asset['code']}: the gate says {answer}, expected {asset['expect']}")
    return _mapping(office.get(CHECKER, f"/v1/assets/{record['id']}"))


def _ask_gate(office: Office, asset: Mapping[str, Any], record: Mapping[str, Any]) -> str:
    answer = str(office.ask(CHECKER, f"/v1/assets/{record['id']}/rule_runs")["answer"])
    colour = "green" if answer == "PASS" else "yellow"
    office.tell(asset["code"], "rules", f"tokenization gate: [{colour}]{answer}[/{colour}]")
    return answer


def _ensure_dossier(office: Office, seed: Seed, asset: Mapping[str, Any]) -> Mapping[str, Any]:
    found = office.get(MAKER, "/v1/assets", code=asset["code"])["items"]
    if found:
        office.tell(asset["code"], "register", f"is known, and {found[0]['state']}")
        return _mapping(found[0])
    owners = [
        {"party_id": ensure_party(office, seed, owner["party"]), "hissa": owner["hissa"]}
        for owner in asset["ownership"]["owners"]
    ]
    record = office.post(
        MAKER,
        "/v1/assets",
        {
            "code": asset["code"],
            "asset_class": asset["asset_class"],
            "title_regime": asset["title_regime"],
            "location": location_of(asset),
            "details": details_of(asset),
            "underlying_keys": asset["underlying_keys"],
            "ownership": {"kul_hissay": asset["ownership"]["kul_hissay"], "owners": owners},
        },
    )
    office.tell(asset["code"], MAKER, f"opens the dossier ({asset['asset_class']})")
    return _mapping(record)


def _ensure_documents(office: Office, asset: Mapping[str, Any], asset_id: str) -> None:
    path = f"/v1/assets/{asset_id}/documents"
    filed = {document["kind"] for document in office.get(MAKER, path)}
    for kind in asset["documents"]:
        if kind not in filed:
            document = office.upload(MAKER, path, kind, paper(asset, kind))
            office.tell(asset["code"], MAKER, f"files {kind}, sha256 {document['sha256'][:12]}…")
    waiting = [item for item in office.get(MAKER, path) if item["state"] == "PENDING_VERIFICATION"]
    for document in waiting:
        body = {"source_registry": "issuing office", "source_reference": document["kind"]}
        office.post(VERIFIER, f"/v1/documents/{document['id']}/verify", body)
    if waiting:
        office.tell(asset["code"], VERIFIER, f"verifies {len(waiting)} papers at their source")


def ensure_valuation(
    office: Office, asset: Mapping[str, Any], asset_id: str, basis_date: str
) -> None:
    """Have the asset valued as of that day, unless a value as new is accepted."""
    path, said = f"/v1/assets/{asset_id}/valuations", asset["valuation"]
    known = office.get(VALUER, path)
    if any(row["state"] == "ACCEPTED" and row["basis_date"] >= basis_date for row in known):
        return
    report = hashlib.sha256(paper(asset, f"VALUATION REPORT {basis_date}")).hexdigest()
    valuation = office.post(
        VALUER,
        path,
        {
            "value": {"amount": said["pkr"], "currency": "PKR"},
            "basis_date": basis_date,
            "method": said["method"],
            "report_sha256": report,
        },
    )
    office.post(VALUATION_CHECKER, f"/v1/valuations/{valuation['id']}/accept")
    amount = lakh_grouped(Money.parse(said["pkr"]))
    office.tell(
        asset["code"], VALUER, f"values it at {amount} as of {basis_date}; a checker accepts"
    )


def _ensure_encumbrances(
    office: Office,
    seed: Seed,
    asset: Mapping[str, Any],
    record: Mapping[str, Any],
    wanted: Sequence[Mapping[str, Any]],
) -> None:
    path = f"/v1/titles/{record['title_id']}/encumbrances"
    known = {row["kind"]: row for row in office.get(MAKER, path)}
    papers = office.get(MAKER, f"/v1/assets/{record['id']}/documents")
    for said in wanted:
        row = known.get(said["kind"])
        if row is None:
            behind = PAPER_BEHIND.get(said["kind"], said["kind"])
            source = next((item for item in papers if behind in item["kind"]), papers[-1])
            row = office.post(MAKER, path, _lien(office, seed, said, source["id"]))
            whose = said.get("holder") or said["authority"]
            office.tell(asset["code"], MAKER, f"lodges a {said['kind']} of {whose}")
        if row["state"] == "LODGED":
            office.post(CHECKER, f"/v1/encumbrances/{row['id']}/activate")
            office.tell(asset["code"], CHECKER, f"puts the {said['kind']} in force")


def _lien(office: Office, seed: Seed, said: Mapping[str, Any], source_id: str) -> Mapping[str, Any]:
    """Return what the encumbrance is lodged with: what its kind states, and no more."""
    body = {
        "kind": said["kind"],
        "source_document_id": source_id,
        "lender_consent": said.get("lender_consent", False),
    }
    for name, field in (
        ("rank", "rank"),
        ("authority", "authority"),
        ("case_no", "case_no"),
        ("ends", "ends_on"),
    ):
        if name in said:
            body[field] = said[name]
    if "amount_pkr" in said:
        body["amount"] = {"amount": said["amount_pkr"], "currency": "PKR"}
    if "holder" in said:
        body["holder_id"] = ensure_party(office, seed, said["holder"])
    return body


def _ensure_wrapper(office: Office, seed: Seed, asset: Mapping[str, Any], asset_id: str) -> None:
    said = asset["wrapper"]
    if said is None or office.exists(MAKER, f"/v1/assets/{asset_id}/wrapper"):
        return
    body = {
        "party_id": ensure_party(office, seed, said["party"]),
        "type": said["type"],
        "register_of_record": said["register_of_record"],
    }
    office.post(MAKER, f"/v1/assets/{asset_id}/wrapper", body)
    office.tell(asset["code"], MAKER, f"names {said['party']} as wrapper ({said['type']})")


def _decide(
    office: Office, asset: Mapping[str, Any], record: Mapping[str, Any], answer: str
) -> None:
    if answer != "PASS":
        reason = f"Not fit for tokenization: {answer}"
        office.post(CHECKER, f"/v1/assets/{record['id']}/requisition", {"reason": reason})
        office.tell(asset["code"], CHECKER, "sends the dossier back to its maker")
        return
    path = f"/v1/assets/{record['id']}/approvals"
    state = office.get(CHECKER, path)
    people = [person for role, person in APPROVERS.items() if role in state["missing"]]
    if state["missing"].get(Role.REGISTRAR_CHECKER, 0) > 1:
        people.insert(-1, SECOND_CHECKER)  # the value asks for two of them
    for person in people:  # the registrar's checker stands last, and decides
        body = {"role": person.role, "dossier_hash": state["dossier_hash"]}
        record = office.post(person, path, body)
        office.tell(asset["code"], person, f"approves as {person.role.replace('_', ' ')}")
    office.tell(
        asset["code"],
        "register",
        f"[green]{record['state']}[/green], title {record['title_state']}",
    )


def _mapping(answer: Any) -> Mapping[str, Any]:
    assert isinstance(answer, dict)
    return answer
