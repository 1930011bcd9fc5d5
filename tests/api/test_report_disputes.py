"""R-17 against a second computation from the sealed journal."""

from __future__ import annotations

from datetime import datetime

import pytest

from registry.asset.models import Asset
from registry.kernel.clock import now
from registry.mutation import service as mutations
from registry.title import service as titles
from tests import deeds, standing
from tests import factories as make
from tests.api.house import House
from tests.api.reports import Replayed, instant, rows_of
from tests.db.past import journal_of
from tests.factories import CHECKER, COMPLIANCE

pytestmark = pytest.mark.db


def paisa(money: dict[str, str] | None) -> int:
    return 0 if money is None else int(money["amount"].replace(".", ""))


def disputed_at(house: House, title_id: str) -> datetime | None:
    """Return when a title came into dispute, by the journal's last act that says so."""
    *_, last = (
        entry["acted_at"]
        for entry in journal_of(house.database)
        if entry["kind"] == "act"
        and (entry["act"], entry["subject_id"]) == ("title_dispute", title_id)
    )
    return instant(last)


def owner_count(replayed: Replayed, asset_id: str) -> int:
    """Count who the title belongs to: none of these assets has a token."""
    title = replayed.one("title", asset_id=asset_id)
    [version] = [
        row
        for row in replayed.rows("title_version", title_id=title["id"])
        if row["superseded_at"] is None and row["valid_to"] is None
    ]
    shares = replayed.rows("title_share", version_id=version["id"])
    return len({row["party_id"] for row in shares})


def worth(replayed: Replayed, asset_id: str) -> int:
    valued = replayed.rows("valuation", asset_id=asset_id)
    return sum(int(row["amount_paisa"]) for row in valued if row["state"] in {"ACCEPTED", "STALE"})


def open_by_journal(house: House, replayed: Replayed) -> list[tuple[str, str, datetime | None]]:
    """Compute what is open a second time: of which asset, why, and since when."""
    causes = list(replayed.rows("suspension_cause"))
    found = [
        (row["asset_id"], row["kind"], instant(row["recorded_at"]))
        for row in causes
        if row["closed_at"] is None
    ]
    found += [
        (row["asset_id"], "TITLE_DISPUTE", disputed_at(house, row["id"]))
        for row in replayed.rows("title", state="DISPUTED")
    ]
    still_open = {asset_id for asset_id, _, _ in found}
    ended = {row["asset_id"]: instant(row["closed_at"]) for row in causes}
    found += [
        (row["id"], "AWAITS_REINSTATEMENT", ended[row["id"]])
        for row in replayed.rows("asset", state="SUSPENDED")
        if row["id"] not in still_open
    ]
    return found


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
    shown = [
        (row["asset"], row["cause"], instant(row["since"]), row["holders_affected"],
         paisa(row["value"]))
        for row in rows
    ]  # fmt: skip
    assert sorted(shown) == sorted(
        (
            asset_ids[asset_id],
            cause,
            since,
            owner_count(replayed, asset_id),
            worth(replayed, asset_id),
        )
        for asset_id, cause, since in open_by_journal(house, replayed)
    )
    assert {cause for _, cause, _, _, _ in shown} > {"TITLE_DISPUTE", "AWAITS_REINSTATEMENT"}
    assert mine[suspended.code]["reference"] == "POLICY-1"
    assert mine[suspended.code]["holders_affected"] == 3
    assert paisa(mine[suspended.code]["value"]) == make.VALUE_PAISA
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
