"""What two investors have at the API, and somebody who is neither of them."""

from __future__ import annotations

from typing import Any

from eth_utils.address import to_checksum_address
from fastapi.routing import APIRoute, iter_route_contexts
from sqlmodel import col, select

from registry.bill_of_lading import possession
from registry.certificate.models import Certificate, CertificateKind
from registry.kernel.canonical import record_hash
from registry.kyc import repository as reviews
from registry.offering.models import WaitingEntry
from registry.operation.models import Operation, OperationKind
from registry.receipt import disposal
from registry.title import service as titles
from registry.title.versions import current_version
from registry.tokenization.models import Tokenization
from tests import factories as make
from tests import goods as lots
from tests import intakes, kyc, ledger, redemptions, sales
from tests.api.house import Caller, House
from tests.api.people import Person, ok


def _certificate(desk: make.Desk, owner: make.Buyer, tokenization: Tokenization) -> Certificate:
    """Certify a holding of the owner, as if the chain had told of it."""
    title = titles.title_of_asset(desk.session, tokenization.asset_id)
    certificate = Certificate(
        kind=CertificateKind.HOLDING, asset_id=tokenization.asset_id, title_id=title.id,
        title_version_id=current_version(desk.session, title.id).id,
        tokenization_id=tokenization.id, investor_id=owner.investor.id,
        chain_id=31337, block_number=1, block_hash=bytes(32), told={"wallets": {}},
        content_sha256=record_hash({}), sealed=desk.vault.seal("{}"),
        sealed_with=desk.vault.key_id, issued_by=owner.actor.subject,
    )  # fmt: skip
    desk.session.add(certificate)
    desk.session.flush()
    return certificate


class Scene:
    """What two investors have, and who is neither of them."""

    def __init__(self, house: House) -> None:
        self.house = house
        with house.desk() as desk:
            owner, stranger = make.buyer(desk), make.buyer(desk)
            applicant, applied = make.enrolled(desk)
            wallet = make.proven_wallet(desk, applicant, applied.id)
            review = kyc.opened(desk, applicant, applied)
            kyc.file_papers(desk, applicant, review)
            [paper, *_] = reviews.list_papers(desk.session, review.id)
            sale = sales.offering(desk, sales.wrapped_apartment(desk))
            order = sales.order(desk, sale, owner, 10)
            entry = WaitingEntry(
                offering_id=sale.id, investor_id=owner.investor.id,
                wallet_id=owner.wallet.id, units=5,
            )  # fmt: skip
            desk.session.add(entry)
            desk.session.flush()
            planned = desk.session.exec(
                select(Operation.id).where(
                    col(Operation.kind) == OperationKind.ADD_CLAIM,
                    col(Operation.subject_id) == str(owner.investor.id),
                )
            ).first()
            chain = ledger.live(desk, 600, 400)
            certificate = _certificate(desk, owner, chain.tokenization)
            asked = redemptions.requested(desk).redemption
            lot, other = lots.issued(desk), lots.side(desk)
            cargo = lots.issued_bill(desk)
            offered_lot, offered_cargo = lots.issued(desk), lots.issued_bill(desk)
            disposal.offer_pledge(
                desk.session, offered_lot.holder.actor, offered_lot.receipt.id,
                pledgee_id=other.party.id, kg=lots.QTY,
            )  # fmt: skip
            possession.offer_possession(
                desk.session, offered_cargo.shipper.actor, offered_cargo.bill.id,
                to_party_id=other.party.id,
            )  # fmt: skip
            self.party = str(other.party.id)
            self.offered = {
                "receipt_id": str(offered_lot.receipt.id),
                "bill_id": str(offered_cargo.bill.id),
            }
            values = {
                "investor_id": applied.id, "review_id": review.id, "document_id": paper.id,
                "order_id": order.id, "offering_id": order.offering_id,
                "operation_id": planned, "token_id": chain.tokenization.id,
                "receipt_id": lot.receipt.id,
                "entry_id": entry.id, "certificate_id": certificate.id,
                "complaint_id": intakes.complaint(desk, owner).id,
                "bill_id": cargo.bill.id, "redemption_id": asked.id,
                "address": to_checksum_address(chain.holders[0].wallet.address),
            }  # fmt: skip
            self.ids = {name: str(value) for name, value in values.items()}
            self.proven = to_checksum_address(wallet.address)
            self.owner, self.stranger, self.applicant = owner.actor, stranger.actor, applicant
        self.ids |= self._signed_in()

    def _signed_in(self) -> dict[str, str]:
        """The owner's passkey and session."""
        person = Person(self.house, actor=self.owner)
        passkey = person.link()
        hooks = "/v1/webhook_endpoints"
        hook = ok(person.caller.post(hooks, {"url": "https://hooks.example.com/in"}), 201)["id"]
        delivery = ok(person.caller.post(f"{hooks}/{hook}/test"), 201)
        return {
            "passkey_id": passkey["id"],
            "session_id": person.sign_in()["session_id"],
            "endpoint_id": hook,
            "delivery_id": delivery["id"],
        }

    def ask(self, caller: Caller, name: str, body: Any) -> Any:
        route = self.route(name)
        ids = dict(self.ids)
        if name in {"prove_wallet", "remove_wallet"}:
            ids["address"] = self.proven
        if name in {"accept_pledge", "refuse_receipt_offer", "accept_bill_offer",
                    "refuse_bill_offer"}:  # fmt: skip
            ids |= self.offered
        if isinstance(body, dict):
            body = {
                field: self.party if field in {"party_id", "pledgee_id"} else value
                for field, value in body.items()
            }
        path = route.path.format(**ids)
        (method,) = route.methods or set()
        if isinstance(body, dict) and "file" in body:
            return caller.upload(path, body["file"], kind=body["kind"])
        return caller.ask(method, path, json=body)

    def route(self, name: str) -> APIRoute:
        for context in iter_route_contexts(self.house.app.routes):
            route = context.original_route
            if isinstance(route, APIRoute) and route.name == name:
                return route
        raise AssertionError(f"no route {name}")
