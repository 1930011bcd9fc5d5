"""R-17 against a second computation from the sealed journal."""

from __future__ import annotations

import pytest

from registry.asset.models import Asset
from registry.kernel.clock import now
from registry.mutation import service as mutations
from registry.title import service as titles
from tests import deeds, standing
from tests import factories as make
from tests.api.house import House
from tests.api.reports import Replayed, rows_of
from tests.factories import CHECKER, COMPLIANCE

pytestmark = pytest.mark.db


def test_r_17__open_causes_and_disputes__are_those_of_the_journal(house: House) -> None:
    before = now().isoformat()
    with house.desk() as desk:
        owners = [make.person(desk) for _ in range(3)]
        suspended = standing.suspend(
            desk, make.registered(desk, make.open_apartment(desk, *owners))
        )
        closed = standing.close_causes(desk, standing.suspended(desk))
        title, _, _ = deeds.half_and_half(desk)
        titles.dispute_title(
            desk.session, COMPLIANCE, title.id, reference="CS-7/2026", reason="Two claim it"
        )
        disputed = desk.session.get_one(Asset, title.asset_id)
        codes = {suspended.code, closed.code, disputed.code}

    rows = rows_of(house, "R-17", limit=1)
    mine = {row["asset"]: row for row in rows if row["asset"] in codes}

    replayed = Replayed.of(house)
    asset_ids = {row["id"]: row["code"] for row in replayed.rows("asset")}
    # What a cause refers to may name somebody, and is not in the journal.
    causes = sorted(
        (asset_ids[row["asset_id"]], row["kind"])
        for row in replayed.rows("suspension_cause")
        if row["closed_at"] is None
    )
    others = {"TITLE_DISPUTE", "AWAITS_REINSTATEMENT"}
    shown = [(row["asset"], row["cause"]) for row in rows if row["cause"] not in others]
    assert sorted(shown) == causes
    in_dispute = {asset_ids[row["asset_id"]] for row in replayed.rows("title", state="DISPUTED")}
    assert {row["asset"] for row in rows if row["cause"] == "TITLE_DISPUTE"} == in_dispute
    waiting = {
        row["code"]
        for row in replayed.rows("asset", state="SUSPENDED")
        if row["code"] not in {code for code, _ in causes}
    }
    found = {row["asset"] for row in rows if row["cause"] == "AWAITS_REINSTATEMENT"}
    assert found == waiting
    assert len(rows) == len(causes) + len(in_dispute) + len(waiting)
    assert mine[suspended.code]["reference"] == "POLICY-1"
    assert mine[suspended.code]["holders_affected"] == 3
    assert mine[suspended.code]["value"]["amount"] == f"{make.VALUE_PAISA // 100}.00"
    assert mine[disputed.code]["reference"] == "CS-7/2026"
    assert mine[closed.code]["cause"] == "AWAITS_REINSTATEMENT"
    assert {row["asset"] for row in rows_of(house, "R-17", as_of=before)}.isdisjoint(codes)
    assert {row["asset"] for row in rows_of(house, "R-17", min_age_days=1)}.isdisjoint(codes)


def test_r_17__disputed_again__known_at_names_the_suit_of_that_time(house: House) -> None:
    with house.desk() as desk:
        title, _, _ = deeds.half_and_half(desk)
        asset = desk.session.get_one(Asset, title.asset_id)
        dispute = titles.dispute_title
        dispute(desk.session, COMPLIANCE, title.id, reference="CS-1/2026", reason="Two claim it")
        code, asset_id, title_id = asset.code, asset.id, title.id
    then = now().isoformat()
    with house.desk() as desk:
        paper = make.file_document(desk, desk.session.get_one(Asset, asset_id), "COURT_ORDER")
        mutations.decide_dispute(
            desk.session, CHECKER, title_id, order_document_id=paper.id, reason="Dismissed"
        )
        dispute(desk.session, COMPLIANCE, title_id, reference="CS-2/2026", reason="A third one")

    def reference(**when: str) -> str:
        [row] = [row for row in rows_of(house, "R-17", **when) if row["asset"] == code]
        return str(row["reference"])

    assert reference(known_at=then) == "CS-1/2026"
    assert reference(as_of=then) == "CS-1/2026"
    assert reference() == "CS-2/2026"
