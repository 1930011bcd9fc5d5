"""R-13 against a second computation from the journal's own entries of money that was booked."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlmodel import col, select

from registry.filing import ctr
from registry.journal.models import JournalEntry
from registry.kernel.actor import Actor, Role
from registry.kernel.clock import SEAT, now, today
from registry.offering.models import Order
from registry.payment import allocating
from registry.payment.rails import BANK, Receipt, Reversal
from registry.payment.receiving import book_receipt
from registry.payment.reversing import reverse_receipt
from tests import factories as make
from tests import intakes, sales
from tests.api.house import Caller, House, problem_of
from tests.api.reports import WHY, Replayed, ask, rows_of
from tests.db.past import journal_of
from tests.factories import ACTORS
from tests.kyc import FIRST_OFFICER, SECOND_OFFICER

pytestmark = pytest.mark.db

CTR_PAISA = 2_000_000_00


@dataclass(frozen=True)
class Paid:
    """Who paid what today: one large payment, two that only together are large, and a small one.

    And one that is small in currency, and large with rupees on chain.
    """

    parties: dict[str, UUID]


@pytest.fixture(scope="module")
def paid(house: House) -> Paid:
    parties = {}
    with house.desk() as desk:
        wrapped = sales.wrapped_apartment(desk)
        sale = sales.offering(desk, wrapped)
        mixed = make.buyer(desk)
        order = sales.order(desk, sale, mixed, units=100)
        sales.pay_in(desk.session, order, CTR_PAISA - 1)
        intakes.paid_on_chain(desk, order, CTR_PAISA, ago=timedelta())
        parties["mixed"] = mixed.investor.party_id
        for name, amounts in (
            ("large", (CTR_PAISA,)),
            ("together", (CTR_PAISA - 1, 1)),
            ("small", (CTR_PAISA - 1,)),
        ):
            buyer = make.buyer(desk)
            placed = sales.order(desk, sale, buyer, units=100)
            for amount in amounts:
                sales.pay_in(desk.session, placed, amount)
            parties[name] = buyer.investor.party_id
    return Paid(parties)


def paid_by_journal(house: House, day: date) -> dict[str, tuple[int, int]]:
    """Add up the journal's own entries of currency that was booked, by the party of the order."""
    found: dict[str, list[int]] = defaultdict(list)
    with house.database.reading() as session:
        entries = session.exec(
            select(JournalEntry).where(col(JournalEntry.act) == "payment_booked")
        ).all()
    for entry in entries:
        if entry.facts["rail"] != "bank_transfer":
            continue
        if entry.subject_kind == "order" and entry.recorded_at.astimezone(SEAT).date() == day:
            party = house.one(
                "SELECT party_id FROM investor i JOIN purchase_order o ON o.investor_id = i.id"
                " WHERE o.id = :id",
                id=entry.subject_id,
            )
            found[str(party)].append(int(entry.facts["amount_paisa"]))
    return {party: (sum(amounts), len(amounts)) for party, amounts in found.items()}


def test_r_13__today__is_who_paid_the_threshold_by_the_journal(house: House, paid: Paid) -> None:
    rows = rows_of(house, "R-13", day=str(today()), reveal=True, limit=1)

    expected = {
        party: sums
        for party, sums in paid_by_journal(house, today()).items()
        if sums[0] >= CTR_PAISA
    }
    assert {
        row["party"]: (int(row["cash_total"]["amount"].replace(".", "")), row["transactions"])
        for row in rows
    } == expected
    assert set(expected) >= {str(paid.parties["large"]), str(paid.parties["together"])}
    assert {str(paid.parties[name]) for name in ("small", "mixed")}.isdisjoint(expected)
    assert {row["threshold"]["amount"] for row in rows} == {"2000000.00"}
    assert {row["filed_reference"] for row in rows} == {None}


def test_r_13__yesterday_or_before_it_was_paid__is_empty(house: House, paid: Paid) -> None:
    del paid
    assert rows_of(house, "R-13", day=str(today() - timedelta(days=1))) == []
    assert rows_of(house, "R-13", day=str(today()), as_of=f"{today()}T00:00:00+05:00") == []
    tomorrow = str(today() + timedelta(days=1))
    problem_of(ask(house, "R-13", day=tomorrow), 422, "report_day_in_future")
    problem_of(ask(house, "R-13"), 422, "request_invalid")


def test_r_13__payment_taken_back__was_paid_for_whoever_asks_of_before(house: House) -> None:
    with house.desk() as desk:
        sale = sales.offering(desk, sales.wrapped_apartment(desk))
        buyer = make.buyer(desk)
        placed = sales.order(desk, sale, buyer, units=100)
        before = now().isoformat()
        payment = sales.pay_in(desk.session, placed, CTR_PAISA)
        party, reference = str(buyer.investor.party_id), payment.rail_reference
    paid = now().isoformat()
    with house.desk() as desk:
        back = Reversal(f"REV-{reference}", reference, CTR_PAISA, now())
        reverse_receipt(desk.session, BANK, back)

    def total(**when: str) -> str | None:
        rows = rows_of(house, "R-13", day=str(today()), **when)
        found = [row["cash_total"]["amount"] for row in rows if row["party"] == party]
        return found[0] if found else None

    assert total(as_of=paid) == total(known_at=paid) == total(as_of=paid, known_at=paid)
    assert total(as_of=paid) == "2000000.00"
    assert total(known_at=before) is None
    assert total() is None


def test_r_13__nobody_knew_whose_it_is__was_of_nobody_for_whoever_asks_of_before(
    house: House,
) -> None:
    with house.desk() as desk:
        sale = sales.offering(desk, sales.wrapped_apartment(desk))
        buyer = make.buyer(desk)
        placed = sales.order(desk, sale, buyer, units=100)
        sales.pay_in(desk.session, placed, CTR_PAISA - 7)
        receipt = Receipt("CTR-LATE", "for the flat", 7, now())
        unknown = book_receipt(desk.session, BANK, receipt)
        party, order_id, payment_id = str(buyer.investor.party_id), placed.id, unknown.id
    came = now().isoformat()
    with house.desk() as desk:
        for who in (ACTORS[Role.TREASURY], make.actor(Role.TREASURY, subject="a-colleague")):
            allocating.assign_payment(desk.session, who, payment_id, order_id)
    known = now().isoformat()

    def totals(**when: str) -> list[str]:
        rows = rows_of(house, "R-13", day=str(today()), **when)
        return [row["cash_total"]["amount"] for row in rows if row["party"] == party]

    assert totals() == totals(as_of=known) == totals(known_at=known) == ["2000000.00"]
    assert totals(as_of=came) == totals(known_at=came) == []


def test_r_13__identified_after_its_day_was_filed__is_one_row_that_tells_what_is_missing(
    house: House,
) -> None:
    yesterday = today() - timedelta(days=1)
    with house.desk() as desk:
        buyer = intakes.paid_yesterday(desk, CTR_PAISA)
        party = buyer.investor.party_id
        [order] = desk.session.exec(
            select(Order).where(col(Order.investor_id) == buyer.investor.id)
        ).all()

    def file(reference: str) -> None:
        with house.desk() as desk:
            made = ctr.prepare_filing(desk.session, FIRST_OFFICER, party_id=party, day=yesterday)
            ctr.file_ctr(desk.session, SECOND_OFFICER, made.id, reference=reference)

    def said() -> list[tuple[str | None, str | None]]:
        rows = rows_of(house, "R-13", day=str(yesterday))
        return [
            (row["filing_state"], row["filed_reference"])
            for row in rows
            if row["party"] == str(party)
        ]

    file("CTR-A")
    assert said() == [("FILED", "CTR-A")]
    with house.desk() as desk:
        intakes.paid(desk, order, 70_000_00, ago=timedelta(days=1))
    assert said() == [(None, "CTR-A")]
    with house.desk() as desk:
        intakes.paid_on_chain(desk, order, 90_000_00, ago=timedelta(days=1))
    file("CTR-B")
    filings = Replayed.of(house).rows("ctr_filing", party_id=party)
    totals = sorted(int(filing["total_paisa"]) for filing in filings)
    assert totals == [70_000_00, CTR_PAISA], "rupees on chain are no currency"
    assert said() == [("FILED", "CTR-A, CTR-B")]


def test_r_13__payer_who_is_an_officer__is_told_nothing_of_themselves(house: House) -> None:
    yesterday = today() - timedelta(days=1)
    with house.desk() as desk:
        who, other = (intakes.paid_yesterday(desk, CTR_PAISA) for _ in range(2))
        own, others = str(who.investor.party_id), str(other.investor.party_id)
        prepared = ctr.prepare_filing(
            desk.session, FIRST_OFFICER, party_id=who.investor.party_id, day=yesterday
        )
        filing = str(prepared.id)
    regulator = house.caller(Role.REGULATOR)
    officer = house.caller(Actor(who.actor.subject, frozenset({Role.AUDITOR})))

    def items(caller: Caller, path: str, **query: str) -> list[dict[str, Any]]:
        answer = caller.get(path, **(WHY | {"limit": 200} | query)).raise_for_status().json()
        found: list[dict[str, Any]] = answer["items"]
        return found

    def payers(caller: Caller) -> set[str]:
        return {row["party"] for row in items(caller, "/v1/reports/R-13", day=str(yesterday))}

    assert payers(regulator) >= {own, others}
    assert payers(officer) >= {others}
    assert own not in payers(officer)

    # Nor do the acts upon the report, the row itself, and who read it.
    assert regulator.get(f"/v1/ctr_filings/{filing}", **WHY).status_code == 200
    journal_of(house.database)  # seals everything
    for path, query in (
        ("/v1/journal", {"subject_id": filing}),
        ("/v1/reports/R-27", {"entity": filing}),
    ):
        assert items(regulator, path, **query)
        assert items(officer, path, **query) == []
    asked = {"subject": own}
    assert "R-13" in {row["subject"] for row in items(regulator, "/v1/reports/R-24", **asked)}
    seen = {row["subject"] for row in items(officer, "/v1/reports/R-24", **asked)}
    assert seen == {"R-24"}, "who asked for that, and no more"
    leaf = items(regulator, "/v1/reports/R-27", entity=filing)[0]["seq"]
    assert regulator.get(f"/v1/journal/{leaf}/proof").json()["entry"]
    assert officer.get(f"/v1/journal/{leaf}/proof").json()["entry"] is None
