"""R-19, R-20 and R-21, each against a second computation from the sealed journal alone."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from registry.asset.models import AssetClass
from registry.bill_of_lading import possession
from registry.kernel.clock import now, today
from registry.production import readings, stock
from registry.production.stock import NewAudit
from registry.receipt import disposal
from tests import factories as make
from tests import goods, intakes
from tests.api.house import House, problem_of
from tests.api.reports import Replayed, ask, instant, person, rows_of
from tests.factories import CHECKER, MAKER

pytestmark = pytest.mark.db


KILOGRAMS = ("qty", "pledged", "tokenized", "loss", "delivered")


def paisa(money: dict[str, str] | None) -> int | None:
    return None if money is None else int(money["amount"].replace(".", ""))


def decimal(number: object) -> Decimal | None:
    return None if number is None else Decimal(str(number))


def day(at: datetime | None) -> dict[str, str]:
    return {} if at is None else {"as_of": at.isoformat()}


#


def receipts_by_journal(house: House, at: datetime | None) -> list[tuple[Any, ...]]:
    """Compute R-19 a second time, from the journal."""
    replayed = Replayed.of(house)
    audits = list(replayed.rows("stock_audit", at=at))
    found = []
    for row in replayed.rows("warehouse_receipt", at=at):
        own = [audit for audit in audits if audit["receipt_id"] == row["id"]]
        last = max(own, key=lambda audit: (audit["audited_on"], audit["id"]), default=None)
        asset = replayed.one("asset", at=at, id=row["asset_id"])
        kilograms = [Decimal(str(row[f"{name}_kg"])) for name in KILOGRAMS]
        ended = row["state"] in {"CANCELLED", "DELIVERED", "LIQUIDATED"}
        free = Decimal(0) if ended else kilograms[0] - sum(kilograms[1:])
        found.append(
            (row["id"], row["key"], row["state"], asset["details"]["hs"], *kilograms, free,
             row["grade"], row["insured_paisa"], row["expires_on"], last and last["audited_on"],
             last and Decimal(str(last["counted_kg"])) - Decimal(str(last["expected_kg"])))
        )  # fmt: skip
    return sorted(found, key=lambda row: str(row[0]))


def test_r19__receipts__are_those_of_the_journal_with_their_last_count(house: House) -> None:
    with house.desk() as desk:
        lot = goods.issued(desk)
        goods.pledge(desk, lot, goods.side(desk), Decimal(1000))
        goods.deposited(desk)
    before = now()
    with house.desk() as desk:
        for days, counted in ((3, "2500000"), (1, "2499000.5")):
            new = NewAudit(
                audited_on=today() - timedelta(days=days), counted_kg=Decimal(counted),
                auditor="SGS", report_sha256=bytes(32),
            )  # fmt: skip
            stock.record_audit(desk.session, MAKER, lot.receipt.id, new)

    names = [f"{name}_kg" for name in (*KILOGRAMS, "free")]
    for at in (None, before):
        told = [
            (row["receipt"], row["number"], row["state"], row["hs"],
             *(Decimal(row[name]) for name in names), row["grade"], paisa(row["insured"]),
             row["expiry"], row["last_audit"],
             None if row["audit_difference_kg"] is None else Decimal(row["audit_difference_kg"]))
            for row in rows_of(house, "R-19", limit=1, **day(at))
        ]  # fmt: skip
        assert told == receipts_by_journal(house, at)
        assert len(told) == 2
    [last] = [row for row in rows_of(house, "R-19") if row["last_audit"]]
    assert Decimal(last["audit_difference_kg"]) == Decimal("-999.5")
    assert rows_of(house, "R-19", warehouse="Nowhere") == []
    assert len(rows_of(house, "R-19", hs=last["hs"][:4])) == 2
    problem_of(ask(house, "R-19", hs="wheat"), 422, "request_invalid")


def test_r19__receipt_that_was_split__has_nothing_free_beside_its_parts(house: House) -> None:
    with house.desk() as desk:
        lot = goods.issued(desk)
        parent, key = str(lot.receipt.id), lot.receipt.key
    before = now()
    with house.desk() as desk:
        parts = [Decimal("0.5"), goods.QTY - Decimal("0.5")]
        disposal.split_receipt(desk.session, goods.WAREHOUSE, lot.receipt.id, parts=parts)

    def free(**when: str) -> dict[str, Decimal]:
        rows = rows_of(house, "R-19", **when)
        return {row["number"]: Decimal(row["free_kg"]) for row in rows if key in row["number"]}

    assert free() == {key: 0, f"{key}/1": parts[0], f"{key}/2": parts[1]}
    assert free(**day(before)) == {key: goods.QTY}
    [row] = [row for row in rows_of(house, "R-19") if row["receipt"] == parent]
    assert (row["state"], Decimal(row["qty_kg"])) == ("CANCELLED", goods.QTY)


#


def test_r20__chain_of_a_bill__is_that_of_the_journal(house: House) -> None:
    with house.desk() as desk:
        shipment, other = goods.issued_bill(desk), goods.side(desk)
        possession.offer_possession(
            desk.session, shipment.shipper.actor, shipment.bill.id, to_party_id=other.party.id
        )
        possession.accept_offer(desk.session, other.actor, shipment.bill.id)
        goods.issued_bill(desk)
    rows = rows_of(house, "R-20", reference=shipment.bill.reference, limit=1)

    def name(party_id: str | None) -> str | None:
        return None if party_id is None else person(house, party_id)["name"]

    told = [
        (row["chain"], row["seq"], row["action"], row["actor"], row["from"], row["recipient"],
         instant(row["at"]))
        for row in rows
    ]  # fmt: skip
    assert told == sorted(
        (row["chain_no"], row["seq"], row["action"], row["actor"], name(row["from_party_id"]),
         name(row["to_party_id"]), instant(row["recorded_at"]))
        for row in Replayed.of(house).rows("bill_endorsement", bill_id=shipment.bill.id)
    )  # fmt: skip
    assert name(str(other.party.id)) in {row["recipient"] for row in rows}
    assert {row["platform"] for row in rows} == {"Milkiyat"}
    assert rows[0]["action"] == "ISSUE"
    assert len(rows) >= 2
    problem_of(ask(house, "R-20", reference="NOBODYS"), 404, "not_found")
    problem_of(ask(house, "R-20"), 422, "request_invalid")


#


def test_r21__readings__are_those_that_count_by_the_journal(house: House) -> None:
    with house.desk() as desk:
        site = intakes.site(desk)
        first = intakes.reading(desk, site)
        readings.confirm_reading(desk.session, CHECKER, first.id)
    before = now()
    with house.desk() as desk:
        better = intakes.reading(desk, site, mined_sats=1)
        readings.confirm_reading(desk.session, CHECKER, better.id)
        refused = intakes.reading(desk, site)
        readings.reject_reading(desk.session, CHECKER, refused.id, reason="Wrong meter.")

    for at, wanted in ((None, better), (before, first)):
        [row] = rows_of(house, "R-21", site=site.code, **day(at))
        image = Replayed.of(house).one("energy_reading", at=at, state="CONFIRMED", asset_id=site.id)
        assert row["reading"] == image["id"] == str(wanted.id)
        assert Decimal(row["energy_mwh"]) == Decimal(str(image["energy_mwh"]))
        assert Decimal(row["mined_btc"]) * 10**8 == image["mined_sats"]
        for column, kept in (
            ("hashrate_phs", "hashrate_phs"),
            ("uptime_percent", "uptime_percent"),
            ("curtailment_mwh", "curtailed_mwh"),
        ):
            assert decimal(row[column]) == decimal(image[kept]) is not None
        assert row["statement_sha256"].removeprefix("0x") in image["statement_sha256"]
        assert row["payout"]["amount"].replace(".", "") == str(image["payout_paisa"])
        assert row["revenue_share"]["amount"].replace(".", "") == str(image["holders_paisa"])
        assert (row["month"], row["state"]) == (image["month"], "CONFIRMED")
    assert rows_of(house, "R-21", month="2001-01-01") == []


# Keys of things


def test_keys__that_look_like_numbers_of_people__are_told_as_they_are(house: House) -> None:
    with house.desk() as desk:
        owner = make.company(desk)
        cargo = goods.open_cargo(desk, owner, "AB1234567", [goods.container(77)])
        of_wheat = make.wheat_dossier(make.owned_by(owner), underlying_keys=["EWR|CMC|1234567-8"])
        wheat = make.open_dossier(desk, AssetClass.COMMODITY_WAREHOUSED, of_wheat)
        receipt = goods.deposit(desk, wheat, owner)
        known = (cargo.code, str(receipt.id))
    code, receipt_id = known

    assert {row["keys"] for row in rows_of(house, "R-01", asset=code)} == {"EBL|MLKU|AB1234567"}
    [row] = [row for row in rows_of(house, "R-19") if row["receipt"] == receipt_id]
    assert row["number"] == "EWR|CMC|1234567-8"
