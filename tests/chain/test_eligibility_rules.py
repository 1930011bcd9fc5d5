"""Each rule of eligibility, on a real suite: what we say, and what the chain says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from chain.eligibility import Explanation
from registry.compliance.terms import ComplianceTerms, TradingHours
from tests.chain.trading import DAY_S, Floor, Person, failed
from tests.chain.world import World

pytestmark = pytest.mark.chain

PEOPLE = (
    Person(["PK", "PK"]),
    Person(["PK"]),
    Person(["AE"]),
    Person(["PK"], claim_days=None),
    Person([None]),
)
MINE, MINE_TOO, YOURS, ABROAD, UNCLAIMED, UNKNOWN = range(6)


@dataclass(frozen=True)
class Case:
    """Terms, what happened, a question, and what fails.

    Parameters
    ----------
    reason
        What the contracts say when the call itself is made.
    """

    happened: Callable[[Floor], object]
    question: tuple[int | None, int, int]
    fails: set[str]
    reason: str | None
    terms: dict[str, Any]


def case(
    happened: Callable[[Floor], object],
    question: tuple[int | None, int, int],
    *fails: str,
    reason: str | None = None,
    **terms: Any,
) -> Case:
    return Case(happened, question, set(fails), reason, terms)


def nothing(floor: Floor) -> None:
    """Leave the token as it was deployed."""


def live(floor: Floor) -> None:
    assert floor.mint(MINE, 30)
    assert floor.mint(YOURS, 20)
    assert floor.open()


def after_live(*acts: Callable[[Floor], bool]) -> Callable[[Floor], None]:
    def happen(floor: Floor) -> None:
        live(floor)
        for act in acts:
            assert act(floor)

    return happen


NEVER = datetime(2100, 1, 1, tzinfo=UTC)
NOT_POSSIBLE = "Transfer not possible"
NOT_FOLLOWED = "Compliance not followed"
CASES = {
    "mint passes while first issued": case(nothing, (None, MINE, 100)),
    "transfer passes": case(live, (MINE, YOURS, 30)),
    "not registered": case(
        live, (MINE, UNKNOWN, 1), "identity_registered", "claim_in_force", "country_allowed",
        reason=NOT_POSSIBLE,
    ),
    "mint without claim": case(
        live, (None, UNCLAIMED, 1), "claim_in_force", reason="Identity is not verified."
    ),
    "claim revoked": case(
        after_live(lambda floor: floor.revoke(YOURS)), (MINE, YOURS, 1), "claim_in_force",
        reason=NOT_POSSIBLE,
    ),
    "claim run out": case(
        after_live(lambda floor: floor.wait(366 * DAY_S)), (MINE, YOURS, 1), "claim_in_force",
        reason=NOT_POSSIBLE,
    ),
    "sender without claim sends": case(
        after_live(lambda floor: floor.revoke(MINE)), (MINE, YOURS, 1)
    ),
    "receiver frozen": case(
        after_live(lambda floor: floor.freeze(YOURS, True)), (MINE, YOURS, 1),
        "receiver_not_frozen", reason="wallet is frozen",
    ),
    "mint to a frozen wallet": case(
        after_live(lambda floor: floor.freeze(YOURS, True)), (None, YOURS, 1),
        "receiver_not_frozen", reason="MintToFrozenWallet",
    ),
    "sender frozen": case(
        after_live(lambda floor: floor.freeze(MINE, True)), (MINE, YOURS, 1),
        "sender_not_frozen", reason="wallet is frozen",
    ),
    "frozen and released": case(
        after_live(lambda floor: floor.freeze(MINE, True), lambda floor: floor.freeze(MINE, False)),
        (MINE, YOURS, 1),
    ),
    "not open yet": case(
        lambda floor: floor.mint(MINE, 30), (MINE, YOURS, 1), "token_not_paused",
        reason="Pausable: paused",
    ),
    "mint in a later pause": case(
        after_live(lambda floor: floor.pause()), (None, YOURS, 1), "token_not_paused",
        reason="MintWhilePaused",
    ),
    "noted only": case(after_live(lambda floor: floor.set_title(1)), (None, YOURS, 1)),
    "no mint": case(
        after_live(lambda floor: floor.set_title(2)), (None, YOURS, 1), "title_status",
        reason=NOT_FOLLOWED,
    ),
    "no mint, but transfers": case(after_live(lambda floor: floor.set_title(2)), (MINE, YOURS, 1)),
    "halt": case(
        after_live(lambda floor: floor.set_title(3)), (MINE, YOURS, 1), "title_status",
        reason=NOT_POSSIBLE,
    ),
    "supply": case(live, (None, YOURS, 51), "supply_cap", reason=NOT_FOLLOWED),
    "country": case(live, (MINE, ABROAD, 1), "country_allowed", reason=NOT_POSSIBLE),
    "country allowed": case(live, (MINE, ABROAD, 1), allowed_countries=("PK", "AE")),
    "more than one may hold": case(
        live, (YOURS, MINE_TOO, 6), "max_balance", reason=NOT_POSSIBLE, max_units_per_holder=35
    ),
    "as much as one may hold": case(live, (YOURS, MINE_TOO, 5), max_units_per_holder=35),
    "own units to an own wallet": case(live, (MINE, MINE_TOO, 30), max_units_per_holder=30),
    "one holder too many": case(
        live, (MINE, ABROAD, 29), "holder_cap", reason=NOT_POSSIBLE,
        max_holders=2, allowed_countries=("PK", "AE"),
    ),
    "one leaves for another": case(
        live, (MINE, ABROAD, 30), max_holders=2, allowed_countries=("PK", "AE")
    ),
    "second wallet is no new holder": case(live, (YOURS, MINE_TOO, 1), max_holders=2),
    "locked": case(live, (MINE, YOURS, 1), "lockup", reason=NOT_POSSIBLE, lockup_days=2),
    "released": case(
        after_live(lambda floor: floor.wait(2 * DAY_S)), (MINE, YOURS, 30), lockup_days=2
    ),
    "locked in part": case(
        after_live(lambda floor: floor.wait(2 * DAY_S), lambda floor: floor.mint(MINE, 10)),
        (MINE, YOURS, 31), "lockup", reason=NOT_POSSIBLE, lockup_days=2,
    ),
    "not open until": case(
        live, (MINE, YOURS, 1), "transfer_window", reason=NOT_POSSIBLE, lockup_until=NEVER
    ),
    "mint outside the window": case(live, (None, YOURS, 1), opens_at=NEVER),
    "more than is free": case(
        after_live(lambda floor: floor.freeze_part(MINE, 10)), (MINE, YOURS, 21), "free_balance",
        reason="Insufficient Balance",
    ),
    "what is free": case(
        after_live(lambda floor: floor.freeze_part(MINE, 10)), (MINE, YOURS, 20)
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_rule__on_a_real_suite__fails_alone_and_as_the_chain_says(
    platform: World, name: str
) -> None:
    said = CASES[name]
    floor = Floor(platform, ComplianceTerms(**said.terms), PEOPLE)
    said.happened(floor)

    found = floor.explain(*said.question)

    assert failed(found) == said.fails
    assert found.differences == []
    reason = found.chain.refusal.name if found.chain.refusal else None
    assert reason == said.reason


def test_rule__hours__open_and_closed_by_the_clock_of_the_chain(platform: World) -> None:
    moment = datetime.fromtimestamp(platform.client.head().timestamp, UTC)
    ends = moment + timedelta(hours=3)
    hours = TradingHours(start_s=0, end_s=DAY_S, weekdays=(ends.isoweekday(),), utc_offset_s=0)
    floor = Floor(platform, ComplianceTerms(hours=hours, closes_at=NEVER), PEOPLE)
    live(floor)

    closed_on = set()
    for _ in range(8):
        found = floor.explain(MINE, YOURS, 1)
        assert found.differences == []
        if failed(found) == {"transfer_window"}:
            closed_on.add(found.block.mined_at.isoweekday())
        else:
            assert not failed(found)
        floor.wait(DAY_S)

    assert closed_on == set(range(1, 8)) - {ends.isoweekday()}


def test_explain__module_set_past_the_registry__is_an_alarm(
    platform: World,
) -> None:
    floor = Floor(platform, ComplianceTerms(max_units_per_holder=60), PEOPLE)
    live(floor)
    assert floor.change_module("MaxBalanceModule", "setMaxBalance", 1)

    with capture_logs() as logs:
        found: Explanation = floor.explain(MINE, YOURS, 1)

    assert not failed(found)
    [alarm] = [entry for entry in logs if entry["log_level"] == "error"]
    assert alarm["event"] == "eligibility_differs"
    assert (alarm["units"], alarm["failed"]) == ("1", ["ELG-01"])
    assert list(found.differences) == ["can_transfer", "call"]


def test_explain__token_without_terms__has_only_its_title(platform: World) -> None:
    floor = Floor(platform, None, PEOPLE)
    live(floor)

    found = floor.explain(None, ABROAD, 10_000)

    assert (failed(found), found.differences) == (set(), [])
    assert floor.set_title(3)
    assert failed(floor.explain(MINE, YOURS, 1)) == {"title_status"}
