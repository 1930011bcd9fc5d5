"""A village with one title of two owners, and the people who pass it on."""

from __future__ import annotations

from typing import Any

from registry.asset.models import Asset
from registry.kernel.actor import Role
from registry.kernel.clock import today
from tests import deeds
from tests import factories as make
from tests.api.house import Caller, House

ORDER = {"order_text": "Attested in open assembly; nobody objected."}
NO_APPEAL = {"appeal_filed": False}


class Village:
    """One title of two owners, a buyer, and a verified deed."""

    def __init__(self, house: House) -> None:
        self.house = house
        with house.desk() as desk:
            self.title, self.seller, self.other = deeds.half_and_half(desk)
            self.buyer = make.person(desk)
            asset = desk.session.get_one(Asset, self.title.asset_id)
            self.deed = make.file_document(desk, asset, "SALE_DEED")
        self.path = f"/v1/titles/{self.title.id}"

    def decree(self, kind: str = "COURT_DECREE") -> str:
        """File a court's paper under the asset, and have it verified."""
        with self.house.desk() as desk:
            asset = desk.session.get_one(Asset, self.title.asset_id)
            return str(make.file_document(desk, asset, kind).id)

    def caller(self, role: Role) -> Caller:
        return self.house.caller(role)

    def body(self, **changes: Any) -> dict[str, Any]:
        sale = {
            "kind": "SALE",
            "initiation": "REGISTERED_DEED",
            "number": "412",
            "kul_hissay": 16,
            "sellers": [{"party_id": str(self.seller.id), "hissa": 3}],
            "buyers": [{"party_id": str(self.buyer.id), "hissa": 3}],
            "land_value": {"amount": "1500000.00", "currency": "PKR"},
        }
        return sale | changes

    def instrument(self, **changes: Any) -> dict[str, Any]:
        return {
            "source_document_id": str(self.deed.id),
            "fee_receipt_no": "F-77",
            "notice_on": str(today()),
            "deed_no": "1204",
        } | changes

    def lodge(self, **changes: Any) -> str:
        answer = self.caller(Role.REGISTRAR_MAKER).post(
            f"{self.path}/mutations", self.body(**changes)
        )
        assert answer.status_code == 201, answer.text
        assert answer.headers["Location"] == f"/v1/mutations/{answer.json()['id']}"
        return str(answer.headers["Location"])

    def step(self, role: Role, path: str, body: Any = None) -> dict[str, Any]:
        answer = self.caller(role).post(path, body)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def attested(self, **changes: Any) -> str:
        path = self.lodge(**changes)
        self.step(Role.REGISTRAR_MAKER, f"{path}/complete", self.instrument())
        self.step(Role.FIELD_VERIFIER, f"{path}/verify")
        self.step(Role.REVENUE_OFFICER, f"{path}/attest", ORDER)
        return path

    def owners(self, **query: Any) -> dict[str, str]:
        version = self.caller(Role.AUDITOR).get(self.path, **query).json()["version"]
        return {owner["party_id"]: owner["fraction"] for owner in version["owners"]}
