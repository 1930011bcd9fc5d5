"""After reorgs: what the chain says, and what the register said before, block by block."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest

from api.schemas.common import address_of
from registry.captable.models import EventKind
from registry.kernel.actor import Role
from registry.kernel.clock import now
from tests.api.house import House, problem_of
from tests.api.moves import FIRST_BLOCK, Moves, burned, frozen, minted, moved, moves, wallet_no

pytestmark = pytest.mark.db

ONE, TWO, THREE, FOUR = (wallet_no(number) for number in range(4))
PAUSED, UNPAUSED = {"kind": EventKind.PAUSED}, {"kind": EventKind.UNPAUSED}


def controlled(event: str) -> dict[str, Any]:
    """Say that the owner of the compliance did something."""
    said = {"module": address_of(wallet_no(50)).lower()}
    extra = {"contract": "ModularCompliance", "event": event, "said": said}
    return {"kind": EventKind.CONTROL, "extra": extra}


def agent(event: EventKind) -> dict[str, Any]:
    return {"kind": event, "target": wallet_no(51)}


Event = dict[str, Any]
Mined = dict[int, tuple[bytes, list[Event]]]
"""The hash of each block, and what it holds."""


def written(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


@dataclass
class Told:
    """What was mined on each branch, and the moments between."""

    chain: Moves
    mined: Mined = field(default_factory=dict)
    moments: list[tuple[str, Mined]] = field(default_factory=list)

    def mine(self, *events: Event) -> None:
        number = self.chain.mine(*events)
        self.mined[number] = (self.chain.block(number).hash, list(events))

    def take_back_to(self, number: int, branch: str) -> None:
        self.chain.take_back_to(number, branch)
        self.mined = {at: what for at, what in self.mined.items() if at <= number}

    def note(self) -> None:
        """Remember this moment of the database's clock, and what the register believes at it."""
        moment = self.chain.house.one("SELECT clock_timestamp()")
        self.moments.append((written(moment), dict(self.mined)))

    def get(self, what: str, **query: Any) -> Any:
        path = f"/v1/tokens/{self.chain.token_id}{what}"
        return self.chain.house.caller(Role.REGULATOR).get(path, **query)

    def read(self, what: str, **query: Any) -> Any:
        response = self.get(what, **query)
        assert response.status_code == 200, response.text
        return response.json()


@pytest.fixture(scope="module")
def told(house: House) -> Told:
    story = Told(moves(house))
    story.mine(minted(ONE, 100), minted(TWO, 50))
    story.mine(UNPAUSED)
    story.note()
    fork = FIRST_BLOCK + 3
    story.mine(moved(ONE, TWO, 10), controlled("ModuleAdded"))
    story.mine(frozen(TWO, 7), minted(THREE, 5))
    story.note()
    story.mine(moved(TWO, THREE, 20, forced=True), burned(ONE, 90))
    story.note()
    story.take_back_to(fork, "second")
    story.note()
    # At other blocks than before, and fewer of them: the head is lower for a while.
    story.mine(PAUSED, agent(EventKind.AGENT_ADDED))
    story.mine(moved(ONE, FOUR, 60), controlled("ModuleRemoved"))
    story.note()
    story.mine()
    story.mine(minted(FOUR, 1))
    story.note()
    story.take_back_to(fork + 1, "third")
    story.mine(moved(ONE, THREE, 3), UNPAUSED)
    story.note()
    return story


def folded(mined: Mined, number: int) -> dict[str, list[int]]:
    """Fold what was mined up to a block into balance and frozen part of each wallet."""
    held: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for at, (_, events) in sorted(mined.items()):
        for event in events if at <= number else ():
            units = event.get("units", 0)
            if event["kind"] == EventKind.TOKENS_FROZEN:
                held[address_of(event["target"])][1] += units
            elif event["kind"] == EventKind.TRANSFER:
                if event.get("source"):
                    held[address_of(event["source"])][0] -= units
                if event.get("target"):
                    held[address_of(event["target"])][0] += units
    return {wallet: parts for wallet, parts in held.items() if parts[0]}


def every_view(
    told: Told,
) -> list[tuple[dict[str, str], Mined, int]]:
    """Name each moment with each block that was known at it."""
    return [
        ({"known_at": moment, "as_of": f"block:{number}"}, mined, number)
        for moment, mined in told.moments
        for number in mined
    ]


def test_known_at__every_moment_and_block__is_the_branch_of_then(told: Told) -> None:
    today = told.moments[-1][1]
    for query, mined, number in every_view(told):
        table = told.read("/cap_table", **query)
        expected = folded(mined, number)
        held = {
            row["wallet"]: [int(row["balance_units"]), int(row["frozen_units"])]
            for row in table["items"]
        }
        assert held == expected, query
        assert int(table["supply_units"]) == sum(balance for balance, _ in expected.values())
        assert table["as_of_block"]["number"] == number
        assert table["as_of_block"]["hash"] == f"0x{mined[number][0].hex()}"
        is_lost = today.get(number, (None, None))[0] != mined[number][0]
        assert (table["as_of_block"]["finality"] == "orphaned") == is_lost
        found = told.read("/concentration", **query)
        assert (found["holders"], found["units"]) == (len(expected), table["supply_units"])


def test_known_at__token_supply_and_pause__are_of_that_branch(told: Told) -> None:
    for query, mined, number in every_view(told):
        token = told.read("", **query)
        supply = sum(balance for balance, _ in folded(mined, number).values())
        assert int(token["supply_units"]) == supply
        assert told.read("/supply", **query)["supply_units"] == token["supply_units"]
        said = [
            event["kind"]
            for at, (_, events) in sorted(mined.items())
            for event in events
            if at <= number and event["kind"] in {EventKind.PAUSED, EventKind.UNPAUSED}
        ]
        assert token["paused"] == (not said or said[-1] == EventKind.PAUSED)


def test_known_at__transfers__are_of_that_branch(told: Told) -> None:
    for query, mined, number in every_view(told):
        expected = [
            (at, event["units"])
            for at, (_, events) in sorted(mined.items())
            for event in events
            if at <= number and event["kind"] == EventKind.TRANSFER
        ]
        rows = told.read("/transfers", **query)["items"]
        assert [(row["block_number"], int(row["units"])) for row in rows] == expected
        some = told.read("/transfers", limit=2, **query)
        more = (
            told.read("/transfers", limit=200, cursor=some["next"], **query)
            if some["next"]
            else None
        )
        assert some["items"] + (more["items"] if more else []) == rows
        of_one = told.read("/transfers", wallet=address_of(ONE), **query)["items"]
        assert of_one == [row for row in rows if address_of(ONE) in {row["source"], row["target"]}]
        seen = {row["nature"] for row in rows if row["source"] and row["target"]}
        assert seen <= {"TRANSFERRED", "FORCED"}


NAMES = {
    EventKind.PAUSED: "Paused",
    EventKind.UNPAUSED: "Unpaused",
    EventKind.AGENT_ADDED: "AgentAdded",
}


def test_known_at__changes_of_control__are_of_that_branch(told: Told) -> None:
    for query, mined, number in every_view(told):
        expected = [
            (at, NAMES.get(event["kind"]) or event["extra"]["event"])
            for at, (_, events) in sorted(mined.items())
            for event in events
            if at <= number and event["kind"] in {*NAMES, EventKind.CONTROL}
        ]
        rows = told.read("/control_changes", **query)["items"]
        assert [(row["block_number"], row["event"]) for row in rows] == expected
        page = told.read("/control_changes", limit=1, **query)
        paged = page["items"]
        while page["next"]:
            page = told.read("/control_changes", limit=1, cursor=page["next"], **query)
            paged += page["items"]
        assert paged == rows
        for row in rows:
            if row["event"] == "AgentAdded":
                assert row["said"] == {"agent": address_of(wallet_no(51))}
            elif row["contract"] == "ModularCompliance":
                assert row["said"] == {"module": address_of(wallet_no(50))}


def test_known_at__one_wallet__is_of_that_branch(told: Told) -> None:
    for query, mined, number in every_view(told):
        for wallet in map(address_of, (ONE, TWO, THREE, FOUR)):
            balance, locked = folded(mined, number).get(wallet, [0, 0])
            held = told.read(f"/wallets/{wallet}", **query)
            assert (int(held["balance_units"]), int(held["frozen_units"])) == (balance, locked)
            history = told.read(f"/wallets/{wallet}/history", **query)["items"]
            steps = [(at, folded(mined, at).get(wallet, [0, 0])) for at in sorted(mined)]
            expected, before = [], [0, 0]
            for at, parts in steps:
                if at <= number and parts != before:
                    expected.append((at, *parts))
                    before = parts
            found = [
                (row["block_number"], int(row["balance_units"]), int(row["frozen_units"]))
                for row in history
            ]
            assert found == expected
            some = told.read(f"/wallets/{wallet}/history", limit=1, **query)
            while some["next"]:
                following = told.read(
                    f"/wallets/{wallet}/history", limit=1, cursor=some["next"], **query
                )
                some = {"items": some["items"] + following["items"], "next": following["next"]}
            assert some["items"] == history


def test_known_at__now_and_not_given__are_the_chain_of_today(told: Told) -> None:
    for number in told.moments[-1][1]:
        query = {"as_of": f"block:{number}"}
        known = told.read("/cap_table", known_at=told.moments[-1][0], **query)
        plain = told.read("/cap_table", **query)
        assert known["items"] == plain["items"]
        assert known["as_of_block"]["hash"] == plain["as_of_block"]["hash"]


def test_known_at__by_time_of_the_block__finds_the_lost_one(told: Told) -> None:
    moment, mined = told.moments[2]
    last = max(mined)
    mined_at = told.chain.block(last).mined_at + timedelta(seconds=1)

    found = told.read(
        "/cap_table", known_at=moment, as_of=mined_at.isoformat().replace("+00:00", "Z")
    )

    assert found["as_of_block"]["hash"] == f"0x{mined[last][0].hex()}"
    assert found["as_of_block"]["finality"] == "orphaned"


def test_known_at__what_was_not_known_then__is_refused(told: Told) -> None:
    moment, mined = told.moments[0]
    early = "2001-01-01T00:00:00Z"
    later = written(now() + timedelta(days=1))

    for what in ("", "/cap_table", "/supply", "/transfers", "/concentration"):
        answer = told.get(what, known_at=moment, as_of=f"block:{max(mined) + 1}")
        problem_of(answer, 409, "block_not_synced")
        problem_of(told.get(what, known_at=early), 404, "not_found")
        problem_of(told.get(what, known_at=later), 422, "known_at_in_future")
        problem_of(told.get(what, known_at=moment, as_of="block:1"), 404, "not_found")


def test_orphans__kept_twice__have_a_row_for_each_time(house: House) -> None:
    chain = moves(house)
    last = chain.mine(minted(ONE, 1))
    spans: list[tuple[datetime, datetime]] = []
    for _ in range(2):
        begin = house.one("SELECT clock_timestamp()")
        chain.take_back_to(last - 1, "first")
        chain.mine(minted(ONE, 1))
        spans.append((begin, house.one("SELECT clock_timestamp()")))

    count = "SELECT count(*) FROM orphan_block WHERE hash = :hash"
    assert house.one(count, hash=chain.block(last).hash) == 2
    for _, after in spans:
        table = house.caller(Role.REGULATOR).get(
            f"/v1/tokens/{chain.token_id}/cap_table",
            known_at=after.isoformat().replace("+00:00", "Z"),
        )
        assert [row["balance_units"] for row in table.json()["items"]] == ["1"]


def test_known_at__before_the_deployment_was_mined_again__is_what_was_known(
    fresh_house: House,
) -> None:
    chain = moves(fresh_house)
    chain.mine(minted(ONE, 1000), minted(TWO, 5), UNPAUSED)
    story = Told(chain)
    whats = ("", "/cap_table", "/supply", "/transfers", "/control_changes")
    told = {what: story.read(what) for what in whats}
    story.note()
    for ancestor, branch in ((FIRST_BLOCK, "second"), (FIRST_BLOCK + 1, "third")):
        chain.take_back_to(ancestor, branch)
        problem_of(story.get("/cap_table", known_at=story.moments[0][0]), 404, "not_found")
        chain.mine()
        chain.mine(deploy=True)
        chain.mine(minted(THREE, 1))

        for what in whats:
            found = story.read(what, known_at=story.moments[0][0])
            assert found == as_orphaned(told[what])
        today = story.read("/cap_table")
        assert [row["wallet"] for row in today["items"]] == [address_of(THREE)]
        assert today["supply_units"] == "1"


def as_orphaned(told: Any) -> Any:
    """Give what was told, as it is told since a reorg took its block."""
    if "as_of_block" not in told:
        return told
    return told | {"as_of_block": told["as_of_block"] | {"finality": "orphaned"}}
