"""Of a page of a report, whom it tells of is noted, and nobody whom only the next one names."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from typing import Any
from uuid import UUID

import pytest

from registry.kernel.actor import Role
from registry.kernel.clock import day_of, now
from registry.report.catalogue import CATALOGUE
from tests import court, intakes, owning
from tests import factories as make
from tests.api.house import House
from tests.api.moves import FIRST_MINED, Moves, minted, moved, moves
from tests.api.reports import ask, person, read, rows_of

pytestmark = pytest.mark.db

NAMES = {
    report.code: [each.name for each in report.columns if each.personal and "cnic" not in each.name]
    for report in CATALOGUE
} | {
    "R-01": ["owner"],
    "R-12": ["originator_name", "beneficiary_name"],
}  # fmt: skip


@dataclass(frozen=True)
class Told:
    """One token, one title and one day, each with several persons."""

    chain: Moves
    asset: str
    subjects: dict[str, list[str]]

    def query(self, code: str) -> dict[str, Any]:
        token = {"token": self.chain.token_id}
        asked: dict[str, dict[str, Any]] = {
            "R-01": {"asset": self.asset},
            "R-02": {"asset": self.asset},
            "R-05": token,
            "R-06": {"asset": self.asset, "threshold": "1/100"},
            "R-07": token | {"since": FIRST_MINED.isoformat(), "threshold_percent": "1"},
            "R-09": token,
            "R-12": token | {"min_rupees": 0},
            "R-13": {"day": (day_of(now()) - timedelta(days=1)).isoformat()},
        }
        return asked.get(code, {})


@pytest.fixture(scope="module")
def told(house: House) -> Told:
    chain = moves(house, 4)
    wallets = [who.wallet.address for who in chain.buyers]
    for number, wallet in enumerate(wallets, 1):
        chain.mine(minted(wallet, 10 * number))
    chain.mine(moved(wallets[0], wallets[1], 1))
    chain.mine(moved(wallets[2], wallets[3], 1))
    with house.desk() as desk:
        owners = make.person(desk), make.person(desk)
        asset = make.registered(desk, make.open_apartment(desk, *owners))
        for _ in range(2):
            intakes.paid_yesterday(desk)
            intakes.str_case(desk)
        ordered = [court.on_party(desk, make.person(desk).id).party_id for _ in range(3)]
        complained = [intakes.complaint(desk).party_id for _ in range(3)]
        subjects = {
            code: [str(each) for each in parties]
            for code, parties in (("R-16", ordered), ("R-26", complained))
        }
        return Told(chain, str(asset.id), subjects)


def noted(house: House, code: str) -> set[str]:
    """Return whom the newest reading of a report names."""
    parties: list[str] = house.one(
        "SELECT facts -> 'parties' FROM journal_entry WHERE subject_id = :code"
        " AND act IN ('personal_data_read', 'report_read') ORDER BY id DESC LIMIT 1",
        code=code,
    )
    return set(parties)


def pages_of_one(house: House, code: str, **query: Any) -> list[tuple[dict[str, Any], set[str]]]:
    """Read row by row, and give each with whom its reading named."""
    found: list[tuple[dict[str, Any], set[str]]] = []
    cursor: dict[str, str] = {}
    while True:
        page = read(house, code, limit=1, reveal=True, **(query | cursor))
        found += [(row, noted(house, code)) for row in page["items"]]
        if page["next"] is None:
            return found
        cursor = {"cursor": page["next"]}


def names_of(house: House, parties: set[str]) -> set[str | None]:
    return {person(house, UUID(party))["name"] for party in parties}


@pytest.mark.parametrize(
    "code",
    ["R-01", "R-02", "R-05", "R-06", "R-07", "R-09", "R-12", "R-13", "R-14"],
)
def test_report__page_of_one_row__notes_whom_it_names_and_nobody_else(
    house: House, told: Told, code: str
) -> None:
    pages = pages_of_one(house, code, **told.query(code))

    for row, parties in pages:
        named = {row[name] for name in NAMES[code]} - {None}
        assert names_of(house, parties) == named
    assert any(one != other for (_, one), (_, other) in pairwise(pages)), "of several persons"


@pytest.mark.parametrize("code", ["R-16", "R-26"])
def test_report__page_that_names_nobody__notes_whom_its_row_is_about(
    house: House, told: Told, code: str
) -> None:
    pages = pages_of_one(house, code)

    assert [parties for _, parties in pages] == [{party} for party in told.subjects[code]]


def test_r_06__asked_of_a_party__notes_it_too_on_every_page(house: House) -> None:
    with house.desk() as desk:
        company = make.company(desk)
        owners = make.person(desk), make.person(desk)
        owning.declare(desk, company, owning.shares(10, *((owner, 5) for owner in owners)))
        asked = str(company.id)

    pages = pages_of_one(house, "R-06", party=asked)

    assert {row["party"] for row, _ in pages} == {str(owner.id) for owner in owners}
    for row, parties in pages:
        assert parties == {asked, row["party"]}
    assert {row["subject"] for row in rows_of(house, "R-24", subject=asked)} >= {"R-06"}


@pytest.mark.parametrize("code", ["R-05", "R-12", "R-16"])
@pytest.mark.parametrize("kind", ["csv", "pdf"])
def test_report__as_a_file__notes_everybody(house: House, told: Told, code: str, kind: str) -> None:
    pages = pages_of_one(house, code, **told.query(code))

    ask(house, code, Role.AUDITOR, **told.query(code), format=kind).raise_for_status()

    assert noted(house, code) == set().union(*(parties for _, parties in pages))
