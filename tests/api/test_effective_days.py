"""On which day in law units were moved or burned by a case: the third clock of a cap table."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

import pytest

from api.schemas.common import address_of
from registry.asset.models import Asset
from registry.captable.models import ForcedAct
from registry.document.models import Document
from registry.kernel.actor import Role
from registry.kernel.ids import new_id
from registry.tokenization import service as tokenizations
from tests import court
from tests import factories as make
from tests.api.house import House
from tests.api.moves import Moves, burned, case_act, minted, moved, moves, wallet_no
from tests.factories import Desk

pytestmark = pytest.mark.db

ONE, TWO, THREE = (wallet_no(number) for number in range(3))
ORDERED, WRITTEN = date(2025, 3, 4), date(2025, 6, 1)


@dataclass(frozen=True)
class Story:
    """Units that three cases moved or burned, and one act whose case nobody knows."""

    chain: Moves
    ordered: str
    on_paper: str
    undated: str
    unknown: str

    def read(self, what: str, **query: Any) -> list[dict[str, Any]]:
        path = f"/v1/tokens/{self.chain.token_id}/{what}"
        response = self.chain.house.caller(Role.REGULATOR).get(path, **query)
        assert response.status_code == 200, response.text
        items: list[dict[str, Any]] = response.json()["items"]
        return items


def paper_of(desk: Desk, asset: Asset, issued_on: date | None) -> Document:
    paper = make.file_document(desk, asset, "COURT_ORDER")
    paper.issued_on = issued_on
    desk.session.add(paper)
    desk.session.flush()
    return paper


def case_on(desk: Desk, paper: Document, order_id: UUID | None = None) -> UUID:
    """Write a case that has been carried out, as `execution` leaves it."""
    case_id = new_id()
    desk.session.connection().exec_driver_sql(
        "INSERT INTO legal_case (id, recorded_at, kind, state, legal_basis, reason, document_id,"
        " document_sha256, order_id, wallet, counterparty, takes_frozen, heirs, maker) VALUES"
        " (%s, now(), 'FORCED_TRANSFER', 'EXECUTED', 'order', 'order', %s, %s, %s, %s, %s, false,"
        " '[]', 'the-compliance')",
        (case_id, paper.id, paper.sha256, order_id, ONE, TWO),
    )
    return case_id


@pytest.fixture(scope="module")
def story(house: House) -> Story:
    chain = moves(house)
    with house.desk() as desk:
        token = tokenizations.get_tokenization(desk.session, chain.token_id)
        asset = desk.session.get_one(Asset, token.asset_id)
        order = court.on_wallet(desk, ONE, issued_on=ORDERED)
        ordered = case_on(desk, paper_of(desk, asset, WRITTEN), order.id)
        on_paper = case_on(desk, paper_of(desk, asset, WRITTEN))
        undated = case_on(desk, paper_of(desk, asset, None))
    unknown = new_id()
    chain.mine(minted(ONE, 1000))
    forced = ForcedAct.FORCED_TRANSFER
    for case_id in (ordered, unknown):
        chain.mine(case_act(case_id, forced, ONE, TWO), moved(ONE, TWO, 10, forced=True))
    chain.mine(case_act(on_paper, ForcedAct.BURN, ONE, None), burned(ONE, 3))
    chain.mine(case_act(undated, forced, ONE, THREE), moved(ONE, THREE, 4, forced=True))
    chain.mine(moved(ONE, TWO, 5))
    return Story(chain, *map(str, (ordered, on_paper, undated, unknown)))


def test_transfers__by_a_case__tell_the_day_in_law(story: Story) -> None:
    rows = story.read("transfers")

    assert [(row["case_id"], row["effective_on"]) for row in rows] == [
        (None, None),
        (story.ordered, "2025-03-04"),
        (story.unknown, None),
        (story.on_paper, "2025-06-01"),
        (story.undated, None),
        (None, None),
    ]
    assert all(row["time"].startswith("2026-01-01") for row in rows)


def causes_in(rows: list[dict[str, Any]]) -> list[list[tuple[str, str | None]]]:
    return [[(each["case_id"], each["effective_on"]) for each in row["causes"]] for row in rows]


@pytest.fixture
def whole(story: Story) -> list[list[tuple[str, str | None]]]:
    """What is told of the first wallet, change by change."""
    return [
        [],
        [(story.ordered, "2025-03-04")],
        [(story.unknown, None)],
        [(story.on_paper, "2025-06-01")],
        [(story.undated, None)],
        [],
    ]


def test_history__by_a_case__tells_its_causes(
    story: Story, whole: list[list[tuple[str, str | None]]]
) -> None:
    path = f"wallets/{address_of(ONE)}/history"

    assert causes_in(story.read(path)) == whole
    assert causes_in(story.read(path, limit=2)) == whole[:2]
    received = story.read(f"wallets/{address_of(THREE)}/history")
    assert causes_in(received) == [[(story.undated, None)]]


def test_history__known_before_a_reorg__tells_the_causes_of_then(
    story: Story, whole: list[list[tuple[str, str | None]]]
) -> None:
    house = story.chain.house
    moment = house.one("SELECT clock_timestamp()").isoformat().replace("+00:00", "Z")
    last = story.read("transfers")[-1]["block_number"]
    story.chain.take_back_to(last - 3, "second")
    story.chain.mine(moved(ONE, TWO, 1))

    path = f"wallets/{address_of(ONE)}/history"
    assert causes_in(story.read(path, known_at=moment)) == whole
    assert causes_in(story.read(path)) == [*whole[:3], []]
