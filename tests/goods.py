"""Goods for tests: warehouse receipts and bills of lading in the states that a test begins with."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from registry.asset import service as assets
from registry.asset.models import Asset, AssetClass
from registry.bill_of_lading import service as bills
from registry.bill_of_lading.models import BillOfLading
from registry.bill_of_lading.service import NewBill
from registry.investor import service as investors
from registry.investor import wallets
from registry.kernel.actor import Actor, Role
from registry.kernel.clock import today
from registry.onboarding.service import Dossier
from registry.party.models import Party
from registry.receipt import disposal
from registry.receipt import service as receipts
from registry.receipt.models import WarehouseReceipt
from registry.receipt.service import Deposit, Grading
from tests import factories as make
from tests import sales
from tests.factories import ACTORS, Buyer, Desk
from tests.sales import Wrapped

WAREHOUSE = ACTORS[Role.WAREHOUSE_OPERATOR]
OTHER_WAREHOUSE = make.actor(Role.WAREHOUSE_OPERATOR, subject="the-other-warehouse")
ASSAYER = ACTORS[Role.ASSAYER]
CARRIER = ACTORS[Role.CARRIER]
OTHER_CARRIER = make.actor(Role.CARRIER, subject="the-other-carrier")
QTY = Decimal(2_500_000)
QUALITY = {"moisture_pct": Decimal("10.2")}


@dataclass(frozen=True, slots=True)
class Side:
    """A party, and the person who acts for it."""

    party: Party
    actor: Actor


def side(desk: Desk) -> Side:
    """Record a company for which somebody acts whose KYC stands."""
    party = make.company(desk)
    return Side(party, make.issuer(desk, party).actor)


def side_of(desk: Desk, buyer: Buyer) -> Side:
    return Side(desk.session.get_one(Party, buyer.investor.party_id), buyer.actor)


@dataclass(frozen=True, slots=True)
class Lot:
    """Goods in a warehouse: dossier, receipt, and whoever holds it."""

    asset: Asset
    receipt: WarehouseReceipt
    holder: Side


def terms(desk: Desk, asset: Asset, holder: Party, **changes: Any) -> Deposit:
    said: dict[str, Any] = {
        "key": assets.list_keys(desk.session, asset.id)[0],
        "warehouse": "Muridke 4",
        "accredited_until": today() + timedelta(days=365),
        "depositor_id": holder.id,
        "qty_kg": QTY,
    }
    return Deposit(**(said | changes))


def deposit(desk: Desk, asset: Asset, holder: Party, **changes: Any) -> WarehouseReceipt:
    new = terms(desk, asset, holder, **changes)
    return receipts.deposit_goods(desk.session, WAREHOUSE, asset.id, new)


def deposited(desk: Desk, **changes: Any) -> Lot:
    """Take goods in whose dossier is a draft."""
    holder = side(desk)
    asset = make.open_wheat(desk, holder.party)
    return Lot(asset, deposit(desk, asset, holder.party, **changes), holder)


def paper(desk: Desk, asset: Asset, kind: str, **changes: Any) -> UUID:
    return make.file_document(desk, asset, kind, **changes).id


def grading(desk: Desk, asset: Asset, **changes: Any) -> Grading:
    terms: dict[str, Any] = {
        "grade": "A",
        "quality": QUALITY,
        "weight_note_id": changes.pop("weight_note_id", None) or paper(desk, asset, "WEIGHT_NOTE"),
        "assay_id": changes.pop("assay_id", None) or paper(desk, asset, "ASSAY_REPORT"),
    }
    return Grading(**(terms | changes))


def grade(desk: Desk, lot: Lot, **changes: Any) -> None:
    receipts.grade_goods(desk.session, ASSAYER, lot.receipt.id, grading(desk, lot.asset, **changes))


def assayed(desk: Desk, **changes: Any) -> Lot:
    lot = deposited(desk, **changes)
    grade(desk, lot)
    receipts.accept_grade(desk.session, lot.holder.actor, lot.receipt.id)
    return lot


def issued(desk: Desk, **changes: Any) -> Lot:
    lot = assayed(desk, **changes)
    make.value(desk, lot.asset)
    receipts.issue_receipt(desk.session, WAREHOUSE, lot.receipt.id)
    return lot


def pledge(desk: Desk, lot: Lot, pledgee: Side, kg: Decimal = QTY) -> WarehouseReceipt:
    disposal.offer_pledge(
        desk.session, lot.holder.actor, lot.receipt.id, pledgee_id=pledgee.party.id, kg=kg
    )
    return disposal.accept_pledge(desk.session, pledgee.actor, lot.receipt.id)


def wrapped_lot(desk: Desk) -> tuple[Wrapped, Lot]:
    """Register an asset with an issued receipt, all of it in the wrapper's name."""
    wrapped = sales.wrapped_wheat(desk)
    holder = side_of(desk, wrapped.issuer)
    lot = Lot(wrapped.asset, deposit(desk, wrapped.asset, holder.party), holder)
    grade(desk, lot)
    receipts.accept_grade(desk.session, holder.actor, lot.receipt.id)
    receipts.issue_receipt(desk.session, WAREHOUSE, lot.receipt.id)
    return wrapped, lot


@dataclass(frozen=True, slots=True)
class Shipment:
    """Cargo at sea: dossier, bill, and whoever shipped it."""

    asset: Asset
    bill: BillOfLading
    shipper: Side


def container(number: int) -> str:
    """Return a container number whose check digit is right (ISO 6346)."""
    body = f"MLKU{number % 1_000_000:06}"
    letters = {chr(65 + place): 10 + place + (9 + place) // 10 for place in range(26)}
    total = sum(
        (letters[mark] if mark.isalpha() else int(mark)) * 2**place
        for place, mark in enumerate(body)
    )
    return f"{body}{total % 11 % 10}"


def cargo_dossier(owner: Party, reference: str, containers: list[str]) -> Dossier:
    return Dossier(
        title_regime="EBL_TO_ORDER",
        location={"unlocode_pol": "PKKHI", "unlocode_pod": "AEJEA"},
        details={
            "vessel_name": "Demo Star",
            "imo": "9074729",
            "voyage": "031W",
            "universal_voyage": "2603W",
            "containers": [
                {"no": number, "seal": "S1", "gross_kg": "26000", "net_kg": "25000"}
                for number in containers
            ],
            "hs": ["100630"],
            "packages": {"code": "BG", "count": 1000},
            "is_to_order": True,
            "shipped_on_board": str(today() - timedelta(days=3)),
        },
        underlying_keys=[f"EBL|MLKU|{reference}"],
        ownership=make.owned_by(owner),
    )


def new_bill(reference: str, containers: list[str], shipper: Party, **changes: Any) -> NewBill:
    terms: dict[str, Any] = {
        "reference": reference,
        "carrier": "MLKU",
        "is_to_order": True,
        "voyage": "2603W",
        "equipment": containers,
        "shipper_id": shipper.id,
    }
    return NewBill(**(terms | changes))


def open_cargo(desk: Desk, owner: Party, reference: str, containers: list[str]) -> Asset:
    dossier = cargo_dossier(owner, reference, containers)
    return make.open_dossier(desk, AssetClass.SHIPPING_EBL, dossier)


def made_out(desk: Desk, *, containers: list[str] | None = None, **changes: Any) -> Shipment:
    """Make out the bill of a cargo whose dossier is a draft."""
    shipper = side(desk)
    number = next(make.numbers)
    reference = f"REF{number}"
    boxes = containers or [container(number)]
    asset = open_cargo(desk, shipper.party, reference, boxes)
    new = new_bill(reference, boxes, shipper.party, **changes)
    return Shipment(asset, bills.make_out_bill(desk.session, CARRIER, asset.id, new), shipper)


def approved_bill(desk: Desk, **changes: Any) -> Shipment:
    shipment = made_out(desk, **changes)
    bills.approve_draft(desk.session, shipment.shipper.actor, shipment.bill.id)
    return shipment


def issued_bill(desk: Desk, **changes: Any) -> Shipment:
    shipment = approved_bill(desk, **changes)
    bills.issue_bill(desk.session, CARRIER, shipment.bill.id)
    return shipment


def wrapped_cargo(desk: Desk) -> tuple[Wrapped, Shipment]:
    """Register a cargo whose issued bill the wrapper holds."""
    shipment = issued_bill(desk)
    return wrap_cargo(desk, shipment.asset, shipment.shipper), shipment


def wrap_cargo(desk: Desk, asset: Asset, owner: Side) -> Wrapped:
    """Register a cargo that its shipper's company wraps."""
    make.registered(desk, asset)
    sales.name_wrapper(desk, asset, owner.party)
    return Wrapped(asset, _buyer_of(desk, owner))


def _buyer_of(desk: Desk, who: Side) -> Buyer:
    investor = investors.find_investor_of(desk.session, who.actor.subject)
    assert investor is not None
    return Buyer(who.actor, investor, wallets.list_wallets(desk.session, investor.id)[0])
