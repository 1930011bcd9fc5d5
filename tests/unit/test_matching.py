"""What is told against what is known: each once, and as many as can be."""

from __future__ import annotations

from datetime import date
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.payment.matching import Facts, match

pytestmark = pytest.mark.unit

DAYS = [date(2026, 7, 15), date(2026, 7, 16)]
X, Y = frozenset({"X"}), frozenset({"Y"})


def facts(paisa: int = 70, orders: frozenset[str] = frozenset(), *days: date) -> Facts:
    return Facts(paisa, orders, frozenset(days))


some = st.builds(
    facts,
    st.sampled_from([50, 70]),
    st.sampled_from([X, Y, frozenset[str]()]),
    st.sampled_from(DAYS),
) | st.builds(facts, st.sampled_from([50, 70]), st.sampled_from([X, Y, frozenset[str]()]))
used = st.builds(
    Facts,
    st.just(70),
    st.sampled_from([X, frozenset[str]()]),
    st.sampled_from([frozenset({DAYS[0]}), frozenset[date]()]),
    used_for=st.just(Y),
)


@given(told=st.lists(some, max_size=5), known=st.lists(some | used, max_size=5))
def test_match__any__is_one_to_one_agrees_and_is_as_large_as_can_be(
    told: list[Facts], known: list[Facts]
) -> None:
    found = match(told, known)

    used = [index for index in found if index is not None]
    assert len(used) == len(set(used))
    for it, index in zip(told, found, strict=True):
        assert index is None or it.nearness(known[index]) is not None

    @cache
    def largest(line: int, free: frozenset[int]) -> int:
        if line == len(told):
            return 0
        best = largest(line + 1, free)
        for index in free:
            if told[line].nearness(known[index]) is not None:
                best = max(best, 1 + largest(line + 1, free - {index}))
        return best

    assert len(used) == largest(0, frozenset(range(len(known))))


def test_match__what_could_be_another_too__makes_room() -> None:
    told = [facts(70, X, DAYS[0]), facts(70, Y, DAYS[0])]
    known = [facts(70, frozenset(), DAYS[0]), facts(70, X)]

    assert match(told, known) == [1, 0]


def test_match__of_one_that_two_may_be__is_that_which_tells_more_alike() -> None:
    assert match([facts(), facts(70, X)], [facts(70, X)]) == [None, 0]


def test_match__used_for_the_order_that_is_named__comes_before_what_nobody_named() -> None:
    known = [facts(), Facts(70, used_for=X)]

    assert match([facts(70, X)], known) == [1]
    assert match([facts(70, Y)], known) == [0]
    assert match([facts(70, Y)], known[1:]) == [0], (
        "a person decided, so words are no contradiction"
    )


def test_match__many_equal_ones__are_matched_without_end_of_the_stack() -> None:
    told = [facts(70, X, DAYS[0])] * 1_201

    found = match(told, told[1:])

    assert found == [*range(1_200), None]


def test_match__thousands_of_one_amount__are_not_held_against_each_other() -> None:
    told = [Facts(100, frozenset({f"MLK{n}"}), frozenset({DAYS[0]})) for n in range(20_000)]
    assert match(told, told[::-1]) == list(reversed(range(20_000)))


def test_match__one_that_moves_a_thousand_others__is_found_its_place() -> None:
    # Each may be the one of its number or the next; the last only that which the first has.
    told = [Facts(100, frozenset({f"MLK{n}", f"MLK{n + 1}"})) for n in range(1_100)]
    known = [Facts(100, frozenset({f"MLK{n}"})) for n in range(1_101)]
    found = match([*told, known[0]], known)
    assert found == [*range(1, 1_101), 0]
