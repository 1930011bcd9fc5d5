"""Who is behind what: exact, whole, and what any other way of reckoning approaches."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from fractions import Fraction
from itertools import pairwise
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.ownership.solver import Flow, flow_from, parts_of, paths_to, ways_since

pytestmark = pytest.mark.unit

Graph = dict[str, dict[str, Fraction]]
COMPANIES = [f"company-{number}" for number in range(6)]
PEOPLE = [f"person-{number}" for number in range(4)]
UNKNOWN = "unknown"


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    """Draw companies that own one another and themselves, whole or in part, in any circles."""
    found: Graph = {}
    for company in COMPANIES:
        parts = draw(
            st.dictionaries(st.sampled_from([*COMPANIES, *PEOPLE]), st.integers(1, 30), max_size=5)
        )
        unknown = draw(st.integers(0, 20))
        whole = sum(parts.values()) + unknown
        found[company] = {owner: Fraction(part, whole) for owner, part in parts.items()}
    return found


@st.composite
def beginnings(draw: st.DrawFn) -> dict[str, Fraction]:
    parts = draw(
        st.dictionaries(
            st.sampled_from([*COMPANIES, *PEOPLE]), st.integers(1, 30), min_size=1, max_size=4
        )
    )
    whole = sum(parts.values())
    return {node: Fraction(part, whole) for node, part in parts.items()}


def flowing(start: dict[str, Fraction], owners: Graph) -> tuple[dict[str, float], float]:
    """Let it flow for 2^40 rounds: who has what in the end, and what is still on its way.

    Powers of a matrix of floating-point numbers: nothing of the solver is in it.
    """
    nodes = [*COMPANIES, *PEOPLE, UNKNOWN]
    place = {node: number for number, node in enumerate(nodes)}
    moves = np.zeros((len(nodes), len(nodes)))
    for node in (*PEOPLE, UNKNOWN):
        moves[place[node], place[node]] = 1
    for company, parts in owners.items():
        for owner, part in parts.items():
            moves[place[company], place[owner]] = float(part)
        moves[place[company], place[UNKNOWN]] = float(1 - sum(parts.values()))
    for _ in range(40):
        moves = moves @ moves
    began = np.array([float(start.get(node, 0)) for node in nodes])
    ended = began @ moves
    has = {person: float(ended[place[person]]) for person in PEOPLE}
    return has, float(ended[: len(COMPANIES)].sum())


@given(beginnings(), graphs())
def test_flow__any_graph__sums_to_the_whole(start: dict[str, Fraction], owners: Graph) -> None:
    flow = flow_from(start, owners)

    assert flow.total == 1
    parts = (flow.ends, flow.undeclared, flow.circular, flow.passing)
    assert all(share > 0 for each in parts for share in each.values())


@given(beginnings(), graphs())
def test_flow__any_graph__is_what_many_rounds_approach(
    start: dict[str, Fraction], owners: Graph
) -> None:
    flow = flow_from(start, owners)
    has, moving = flowing(start, owners)

    for person in PEOPLE:
        assert has[person] == pytest.approx(float(flow.ends.get(person, 0)), abs=1e-6)
    assert moving == pytest.approx(float(sum(flow.circular.values())), abs=1e-6)


@given(graphs())
def test_parts__asked_from_the_person__are_what_flows_to_them(owners: Graph) -> None:
    for person in PEOPLE:
        parts = parts_of(person, owners)
        for company in COMPANIES:
            flow = flow_from({company: Fraction(1)}, owners)
            assert parts.get(company, 0) == flow.ends.get(person, 0)


@given(beginnings(), graphs())
def test_paths__of_any_graph__are_at_most_what_flows(
    start: dict[str, Fraction], owners: Graph
) -> None:
    flow = flow_from(start, owners)
    for person in PEOPLE:
        paths = paths_to(person, start, owners, most=10_000)
        assert sum(path.share for path in paths) <= flow.ends.get(person, 0)
        assert bool(paths) == (person in flow.ends)
        assert len({path.nodes for path in paths}) == len(paths)


@given(graphs(), st.randoms(use_true_random=False))
def test_ways__of_any_graph__began_with_the_last_step_of_the_oldest(
    owners: Graph, random: Random
) -> None:
    first = datetime(2026, 1, 1, tzinfo=UTC)
    steps = {
        (node, owner): first + timedelta(days=random.randrange(9))
        for node, parts in owners.items()
        for owner in parts
    }
    for person in PEOPLE:
        since = ways_since(person, owners, steps)
        for company in COMPANIES:
            paths = paths_to(person, {company: Fraction(1)}, owners, most=10_000)
            began = [max(steps[step] for step in pairwise(path.nodes)) for path in paths]
            assert since.get(company) == min(began, default=None)


def halves(**parts: dict[str, str]) -> Graph:
    return {
        node: {owner: Fraction(part) for owner, part in owners.items()}
        for node, owners in parts.items()
    }


def test_flow__cross_holding__is_its_exact_limit() -> None:
    # A owns half of B and B a fifth of A: of A, P has 4/5 (1 + 1/10 + 1/100 ...) = 8/9.
    owners = halves(A={"B": "1/5", "P": "4/5"}, B={"A": "1/2", "Q": "1/2"})

    flow = flow_from({"A": Fraction(1)}, owners)

    assert flow.ends == {"P": Fraction(8, 9), "Q": Fraction(1, 9)}
    assert flow.passing == {"A": Fraction(10, 9), "B": Fraction(2, 9)}
    assert (flow.undeclared, flow.circular) == ({}, {})


def test_flow__treasury_shares__belong_to_the_other_owners() -> None:
    owners = halves(A={"A": "1/10", "P": "3/10", "Q": "6/10"})

    assert flow_from({"A": Fraction(1)}, owners).ends == {"P": Fraction(1, 3), "Q": Fraction(2, 3)}


def test_flow__circle_without_a_person__is_told() -> None:
    owners = halves(A={"B": "1"}, B={"A": "1"}, C={"A": "1/4", "P": "1/2"})

    flow = flow_from({"C": Fraction(1)}, owners)

    assert flow == Flow(
        ends={"P": Fraction(1, 2)},
        undeclared={"C": Fraction(1, 4)},
        circular={"A": Fraction(1, 4)},
        passing={"C": Fraction(1)},
    )


def test_flow__two_ways_to_one_person__are_summed() -> None:
    owners = halves(T={"A": "1/2", "B": "1/2"}, A={"P": "1/4", "Q": "3/4"}, B={"P": "1/3"})

    flow = flow_from({"T": Fraction(1)}, owners)

    assert flow.ends == {"P": Fraction(7, 24), "Q": Fraction(3, 8)}
    assert flow.undeclared == {"B": Fraction(1, 3)}
    [first, second] = paths_to("P", {"T": Fraction(1)}, owners, most=9)
    assert (first.nodes, first.share) == (("T", "B", "P"), Fraction(1, 6))
    assert (second.nodes, second.share) == (("T", "A", "P"), Fraction(1, 8))


def test_flow__chain_of_ten_thousand__ends_at_its_owner() -> None:
    owners = {str(number): {str(number + 1): Fraction(1)} for number in range(10_000)}

    assert flow_from({"0": Fraction(1)}, owners).ends == {"10000": Fraction(1)}
    assert parts_of("10000", owners)["0"] == 1


def test_flow__circle_of_a_hundred_and_twenty__is_solved() -> None:
    count = 120
    owners = {
        str(number): {str((number + 1) % count): Fraction(1, 2), f"person-{number}": Fraction(1, 2)}
        for number in range(count)
    }

    ends = flow_from({"0": Fraction(1)}, owners).ends

    # Half goes out at each; of what comes round, the same again.
    assert ends["person-7"] == Fraction(1, 2**8) / (1 - Fraction(1, 2**count))
