"""R-18 against a second computation from the sealed journal."""

from __future__ import annotations

from datetime import date, timedelta
from fractions import Fraction
from typing import Any

import pytest

from registry.asset.models import Asset
from registry.kernel.clock import now, today
from registry.title import service as titles
from registry.tokenization.models import Tokenization
from registry.valuation.models import Valuation
from tests import factories as make
from tests import standing
from tests.api.house import House
from tests.api.moves import minted, moves
from tests.api.reports import Replayed, rows_of

pytestmark = pytest.mark.db


def valuations_by_journal(house: House, day: date) -> dict[str, dict[str, Any]]:
    replayed = Replayed.of(house)
    opinions = list(replayed.rows("valuation"))
    found = {}
    for asset in replayed.rows("asset"):
        mine = [row for row in opinions if row["asset_id"] == asset["id"]]
        standing_now = [row for row in mine if row["state"] in {"ACCEPTED", "STALE"}]
        former = [row for row in mine if row["state"] == "SUPERSEDED"]
        for row in standing_now:
            change = None
            if former:
                last = max(former, key=lambda each: (each["basis_date"], each["id"]))
                change = Fraction(row["amount_paisa"] - last["amount_paisa"], last["amount_paisa"])
            found[asset["code"]] = {
                "amount": row["amount_paisa"],
                "basis_date": row["basis_date"],
                "change": change,
                "age_days": (day - date.fromisoformat(row["basis_date"])).days,
                "valuer": row["valuer"],
            }
    return found


def test_r_18__standing_opinions__are_those_of_the_journal(house: House) -> None:
    with house.desk() as desk:
        asset = make.open_apartment(desk)
        make.value(desk, asset, 100_00, basis_date=today() - timedelta(days=200))
        old = make.open_apartment(desk)
        make.value(desk, old, 300_00, basis_date=today() - timedelta(days=181))
        make.value(desk, asset, 110_00, basis_date=today() - timedelta(days=180))
        codes = (asset.code, old.code)

    rows = rows_of(house, "R-18", limit=1)

    assert {
        row["asset"]: {
            "amount": int(row["amount"]["amount"].replace(".", "")),
            "basis_date": row["basis_date"],
            "change": None if row["change"] is None else Fraction(row["change"]),
            "age_days": row["age_days"],
            "valuer": row["valuer"],
        }
        for row in rows
    } == valuations_by_journal(house, today())
    by_code = {row["asset"]: row for row in rows}
    assert by_code[codes[0]]["change"] == "1/10"
    assert [by_code[code]["stale"] for code in codes] == [False, True]
    assert {row["max_age_days"] for row in rows if row["asset"] in codes} == {180}
    stale = rows_of(house, "R-18", stale_only=True)
    assert stale == [row for row in rows if row["stale"]]
    assert codes[1] in {row["asset"] for row in stale}


def test_r_18__as_of__is_the_opinion_that_stood_then(house: House) -> None:
    with house.desk() as desk:
        asset = make.open_apartment(desk)
        make.value(desk, asset, 100_00)
        code, asset_id = asset.code, asset.id
    between = now().isoformat()
    with house.desk() as desk:
        make.value(desk, desk.session.get_one(Asset, asset_id), 105_00)

    def amount(**query: str) -> str:
        [row] = [row for row in rows_of(house, "R-18", **query) if row["asset"] == code]
        return str(row["amount"]["amount"])

    assert [amount(), amount(as_of=between), amount(known_at=between)] == [
        "105.00",
        "100.00",
        "100.00",
    ]


def test_worth__of_a_moment__is_one_in_every_report(house: House) -> None:
    """R-04, R-08, R-17 and R-18 beside each other: what had been accepted by then counts."""
    chain = moves(house, 1)
    chain.mine(minted(chain.buyers[0].wallet.address, 50))
    with house.desk() as desk:
        token = desk.session.get_one(Tokenization, chain.token_id)
        asset = desk.session.get_one(Asset, token.asset_id)
        standing.suspend(desk, asset)
        stood = make.VALUE_PAISA
        waiting = make.submit_value(desk, asset, stood + 100_00)
        code, asset_id, declared = asset.code, asset.id, token.declared_fractions
        part = 50 * token.economic_share
        owner = titles.ownership_of(
            desk.session,
            titles.current_version(
                desk.session, titles.title_of_asset(desk.session, asset_id).id
            ),
        ).shares[0].party_id  # fmt: skip
    submitted = now().isoformat()
    with house.desk() as desk:
        make.accept_value(desk, desk.session.get_one(Valuation, waiting.id))
    accepted = now().isoformat()

    def paisa(row: dict[str, Any], name: str) -> int:
        return int(row[name]["amount"].replace(".", ""))

    def told(**when: str) -> set[int]:
        [r_08] = rows_of(house, "R-08", token=chain.token_id, **when)
        [r_17] = [row for row in rows_of(house, "R-17", **when) if row["asset"] == code]
        [r_18] = [row for row in rows_of(house, "R-18", **when) if row["asset"] == code]
        titled, held = (
            [row for row in rows_of(house, "R-04", party=who, **when) if row["kind"] == kind]
            for who, kind in (
                (owner, "DIRECT_TITLE"), (chain.buyers[0].investor.party_id, "TOKEN"),
            )
        )  # fmt: skip
        whole = {paisa(r_08, "value"), paisa(r_17, "value"), paisa(r_18, "amount")}
        [worth] = whole | {paisa(row, "value") for row in titled}
        assert [paisa(row, "value") for row in held] == [int(worth * part / declared)]
        return {worth}

    assert told() == told(as_of=accepted) == told(known_at=accepted) == {stood + 100_00}
    assert told(as_of=submitted) == told(known_at=submitted) == {stood}
