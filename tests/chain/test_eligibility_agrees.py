"""Whatever happens to a token, our rules and the chain say the same of every movement."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from registry.compliance.terms import ComplianceTerms, TradingHours
from tests.chain.trading import DAY_S, NUMBERS, Floor, Person, failed
from tests.chain.world import World

pytestmark = pytest.mark.chain

WALLETS = 6
DAYS = st.integers(0, 3)
COUNTRIES = st.sampled_from(sorted(NUMBERS))
WALLET = st.integers(0, WALLETS - 1)
UNITS = st.integers(1, 40)

PEOPLE = st.tuples(
    st.builds(Person, st.lists(COUNTRIES, min_size=2, max_size=2), st.just(365)),
    st.builds(Person, st.lists(st.none() | COUNTRIES, min_size=2, max_size=2), st.just(365)),
    st.builds(Person, st.lists(COUNTRIES, min_size=1, max_size=1), st.none() | st.integers(1, 4)),
    st.builds(Person, st.lists(COUNTRIES, min_size=1, max_size=1), st.just(365)),
)

HOURS = st.builds(
    TradingHours,
    start_s=st.integers(0, DAY_S // 2),
    end_s=st.integers(DAY_S // 2 + 1, DAY_S),
    weekdays=st.lists(st.integers(1, 7), min_size=1).map(tuple),
    utc_offset_s=st.integers(-14 * 3600, 14 * 3600),
)

RULES = st.fixed_dictionaries(
    {"allowed_countries": st.lists(COUNTRIES, min_size=1).map(tuple)},
    optional={
        "max_units_per_holder": st.integers(1, 60),
        "max_holders": st.integers(1, 4),
        "lockup_days": st.integers(1, 3),
        "hours": HOURS,
        "opens_in": st.integers(-1, 2),
        "closes_in": st.integers(3, 5),
        "locked_until": st.integers(-1, 2),
    },
)
"""Terms, whose dates are days from the moment of the deployment."""

ACTS = st.one_of(
    st.tuples(st.just("mint"), WALLET, UNITS),
    st.tuples(st.just("transfer"), WALLET, WALLET, UNITS),
    st.tuples(st.just("force"), WALLET, WALLET, UNITS),
    st.tuples(st.just("burn"), WALLET, UNITS),
    st.tuples(st.just("freeze"), WALLET, st.booleans()),
    st.tuples(st.just("freeze_part"), WALLET, UNITS),
    st.tuples(st.sampled_from(["open", "pause"])),
    st.tuples(st.just("set_title"), st.integers(0, 3)),
    st.tuples(st.just("revoke"), WALLET),
    st.tuples(st.just("move_to"), WALLET, COUNTRIES),
    st.tuples(st.just("wait"), st.integers(1, 2 * DAY_S)),
)
QUESTIONS = st.tuples(st.none() | WALLET, WALLET, UNITS)


def terms_of(rules: dict[str, Any], now: int) -> ComplianceTerms:
    """Set the dates of generated rules."""

    def day(name: str) -> datetime | None:
        if name not in rules:
            return None
        return datetime.fromtimestamp(now, UTC) + timedelta(days=rules[name])

    kept = {name: value for name, value in rules.items() if not name.endswith(("_in", "_until"))}
    return ComplianceTerms(
        **kept,
        opens_at=day("opens_in"),
        closes_at=day("closes_in"),
        lockup_until=day("locked_until"),
    )


def test_rules__random_tokens_and_movements__agree_with_the_chain(platform: World) -> None:
    seen: Counter[str] = Counter()

    @settings(
        max_examples=max(settings().max_examples // 4, 1),
        suppress_health_check=list(HealthCheck),
    )
    @given(
        rules=RULES,
        people=PEOPLE,
        mints=st.lists(st.tuples(WALLET, UNITS), min_size=1, max_size=4),
        is_opened=st.booleans(),
        acts=st.lists(ACTS, max_size=8),
        questions=st.lists(QUESTIONS, min_size=4, max_size=8),
    )
    def agree(
        *,
        rules: dict[str, Any],
        people: tuple[Person, ...],
        mints: list[tuple[int, int]],
        is_opened: bool,
        acts: list[tuple[Any, ...]],
        questions: list[tuple[int | None, int, int]],
    ) -> None:
        floor = Floor(platform, terms_of(rules, platform.client.head().timestamp), people)
        for wallet, units in mints:
            floor.mint(wallet, units)
        if is_opened:
            floor.open()
        for name, *arguments in acts:
            getattr(floor, name)(*arguments)
        for question in questions:
            found = floor.explain(*question)
            assert found.differences == [], (question, failed(found), found.chain)
            seen.update(failed(found) or ["passes"])

    agree()

    # A test that met only refusals of one kind would show nothing.
    assert seen["passes"]
    assert len(seen) > 5, seen
