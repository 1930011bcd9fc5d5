"""Which block several nodes agree on: branches and heights of every kind, without a network."""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping, Sequence

import pytest
from msgspec.structs import replace

from chain.errors import NoQuorum
from chain.node.answers import Block
from chain.node.quorum import Quorum, Rules, Verdict

pytestmark = pytest.mark.unit

Chain = Sequence[Block]


def chain_of(*names: str) -> list[Block]:
    """Give a chain whose block of a height is what its name says."""
    blocks: list[Block] = []
    for number, name in enumerate(names):
        parent = blocks[-1].hash if blocks else bytes(32)
        digest = name.encode().rjust(32, b".")
        blocks.append(Block(number, digest, parent, number, 0, 0, 0))
    return blocks


def line(length: int, name: str = "a", *, on: Chain = ()) -> list[Block]:
    """Give a chain of so many blocks, the first of them as they are in another."""
    kept = [block.hash.decode().lstrip(".") for block in on]
    return chain_of(*kept, *(f"{name}{number}" for number in range(len(kept), length)))


def judge(quorum: Quorum, *chains: Chain | None) -> Verdict:
    """Let nodes numbered from 1 show these chains; None does not answer."""
    shown = {number: chain for number, chain in enumerate(chains, 1) if chain is not None}

    def ask(nodes: Collection[int], height: int) -> Mapping[int, Block | None]:
        return {node: shown[node][height] if height < len(shown[node]) else None for node in nodes}

    return quorum.judge({node: chain[-1] for node, chain in shown.items()}, ask)


def quorum_of(
    nodes: int, *, agreeing: int | None = None, most_behind: int = 5, now: float | None = None
) -> Quorum:
    """Give a judge; the blocks are of the first seconds of the epoch, so old if it is not `now`."""
    rules = Rules.of(nodes, agreeing=agreeing, most_behind=most_behind)
    return Quorum(rules) if now is None else Quorum(rules, lambda: now)


def refused(quorum: Quorum, *chains: Chain | None) -> str:
    with pytest.raises(NoQuorum) as fault:
        judge(quorum, *chains)
    return fault.value.code


@pytest.mark.parametrize(("nodes", "wanted"), [(2, 1), (3, 2), (4, 2), (5, 3)])
def test_rules__nothing_said__half_of_the_nodes_must_agree(nodes: int, wanted: int) -> None:
    assert Rules.of(nodes, agreeing=None, most_behind=1).agreeing == wanted


def test_judge__all_the_same__is_their_head() -> None:
    verdict = judge(quorum_of(3), line(10), line(10), line(10))

    assert verdict.head == line(10)[-1]
    assert verdict.members == (1, 2, 3)
    assert not verdict.apart
    assert not verdict.behind


def test_judge__one_is_a_little_ahead__is_what_the_others_have_too() -> None:
    verdict = judge(quorum_of(3), line(12), line(11), line(10))

    assert verdict.head.number == 10
    assert verdict.members == (1, 2)


def test_judge__one_is_far_behind__leaves_it_out() -> None:
    verdict = judge(quorum_of(3), line(30), line(24), line(30))

    assert verdict.head.number == 29
    assert verdict.behind == {2: "behind by 6 blocks"}


def test_judge__of_two_one_is_far_behind__goes_on_with_the_other() -> None:
    assert judge(quorum_of(2), line(10), line(30)).head.number == 29


def test_judge__of_two_one_claims_a_long_chain_of_its_own__believes_neither() -> None:
    liar = line(500, "b", on=line(5))

    assert refused(quorum_of(2), line(100), liar) == "nodes_disagree"
    assert refused(quorum_of(2), liar, line(100)) == "nodes_disagree"


def test_judge__of_two_one_makes_up_what_comes__goes_as_far_as_both_and_tells() -> None:
    """The other one's newest block is young, so it does not lag, whatever is claimed."""
    quorum = quorum_of(2, now=102)
    for length in range(100, 104):
        verdict = judge(quorum, line(length), line(500, "b", on=line(length)))
        assert verdict.head == line(length)[-1]
        assert verdict.members == (1, 2)
        assert not verdict.behind
        assert set(verdict.ahead) == {2}

    assert refused(quorum, line(105), line(500, "b", on=line(104))) == "nodes_disagree"


def test_judge__of_two_one_goes_back_a_little__the_other_one_alone_is_not_followed() -> None:
    quorum = quorum_of(2, now=12)
    judge(quorum, line(12), line(12))

    verdict = judge(quorum, line(11), line(500, "b", on=line(12)))

    assert verdict.head == line(12)[-1]
    assert verdict.members == (2,)


@pytest.mark.parametrize("shared", [5, 100])
def test_judge__two_of_four_claim_a_long_chain_of_their_own__are_not_followed(shared: int) -> None:
    liars = line(500, "b", on=line(shared))
    quorum = quorum_of(4, now=102)

    if shared < 100:
        assert refused(quorum, line(100), liars, line(100), liars) == "nodes_disagree"
    else:
        assert judge(quorum, line(100), liars, line(100), liars).head == line(100)[-1]


def test_judge__two_of_four_are_lower_and_one_is_young__leaves_out_the_other() -> None:
    liars = line(500, "b", on=line(100))
    verdict = judge(quorum_of(4, now=150), line(100), liars, line(70), liars)

    assert verdict.head == line(100)[-1]
    assert verdict.behind == {3: "behind by 30 blocks"}


def test_judge__two_of_four_lag__goes_on_with_the_others() -> None:
    verdict = judge(quorum_of(4), line(30), line(10), line(30), line(12))

    assert verdict.head == line(30)[-1]
    assert set(verdict.behind) == {2, 4}


@pytest.mark.parametrize("nodes", [3, 4, 5])
def test_judge__one_is_enough_by_the_setting__still_takes_a_majority(nodes: int) -> None:
    quorum = quorum_of(nodes, agreeing=1)
    others = [line(100)] * (nodes - 1)

    verdict = judge(quorum, line(500, "b", on=line(5)), *others)

    assert verdict.head == line(100)[-1]
    assert set(verdict.apart) == {1}


def test_judge__one_lags_and_two_lie__counts_all_that_answer() -> None:
    """Two of the three that are level are no majority of five."""
    liars = line(106, "b", on=line(50))
    shown = line(106), liars, liars, line(90), line(90)

    assert refused(quorum_of(5, agreeing=2), *shown) == "nodes_disagree"


def test_judge__half_of_the_nodes_lie__never_moves_the_head_off_the_chain() -> None:
    """On a chain that goes on, while the honest ones answer: one of two, or two of four."""
    chosen, judged = random.Random(35), 0
    for _ in range(150):
        nodes = chosen.choice((2, 4))
        clock = [0.0]
        quorum = Quorum(Rules.of(nodes, agreeing=None, most_behind=5), lambda: clock[0])  # noqa: B023
        liars = set(chosen.sample(range(nodes), nodes // 2))
        newest, truth = 0, line(120)
        for turn in range(10, 60):
            clock[0] = turn
            shown: list[Chain | None] = []
            for node in range(nodes):
                height = turn - chosen.randint(0, 3)
                if node not in liars:
                    shown.append(truth[: height + 1])
                    continue
                fork = chosen.randint(max(height - 4, 0), height + 1)
                length = max(height + chosen.randint(-9, 60), fork + 1)
                shown.append(line(length, chosen.choice("xy"), on=truth[:fork]))
            try:
                verdict = judge(quorum, *shown)
            except NoQuorum:
                continue
            assert verdict.head == truth[verdict.head.number]
            assert verdict.head.number >= newest
            newest, judged = verdict.head.number, judged + 1
    assert judged > 500


def test_judge__one_of_three_on_another_branch__leaves_it_out() -> None:
    other = line(10, "b", on=line(8))

    verdict = judge(quorum_of(3), other, line(10), line(10))

    assert verdict.head == line(10)[-1]
    assert set(verdict.apart) == {1}


def test_judge__one_of_three_claims_a_chain_that_nobody_has__is_not_followed() -> None:
    verdict = judge(quorum_of(3), line(500, "b", on=line(5)), line(10), line(10))

    assert verdict.head == line(10)[-1]
    assert set(verdict.apart) == {1}


def test_judge__one_of_three_forges_what_a_header_tells__leaves_it_out() -> None:
    """The right hash proves nothing: the filter of a head says whether its logs are read."""
    forged = [*line(10)[:-1], replace(line(10)[-1], logs_bloom=1)]

    verdict = judge(quorum_of(3), forged, line(10), line(10))

    assert verdict.head == line(10)[-1]
    assert set(verdict.apart) == {1}
    assert refused(quorum_of(2), forged, line(10)) == "nodes_disagree"


def test_judge__two_disagree__believes_neither() -> None:
    assert refused(quorum_of(2), line(10), line(10, "b", on=line(9))) == "nodes_disagree"


def test_judge__three_branches__believes_none() -> None:
    shown = line(10), line(10, "b", on=line(9)), line(10, "c", on=line(9))
    assert refused(quorum_of(3), *shown) == "nodes_disagree"


def test_judge__two_of_four_against_two__believes_none() -> None:
    other = line(10, "b", on=line(9))
    assert refused(quorum_of(4), line(10), line(10), other, other) == "nodes_disagree"


def test_judge__tips_differ_above_a_shared_block__is_the_shared_block() -> None:
    verdict = judge(quorum_of(3), line(11), line(11, "b", on=line(10)), line(10))

    assert verdict.head == line(10)[-1]
    assert verdict.members == (1, 2, 3)


def test_judge__too_few_answer__believes_none() -> None:
    assert refused(quorum_of(3), line(10), None, None) == "too_few_nodes"
    assert judge(quorum_of(3, agreeing=1), line(10), None, None).head.number == 9


def test_judge__only_those_behind_answer__is_no_reorg() -> None:
    quorum = quorum_of(2)
    judge(quorum, line(12), None)

    assert refused(quorum, None, line(10)) == "nodes_behind"
    assert not quorum.is_lost(11)
    assert judge(quorum, line(12), line(10)).head.number == 11
    assert judge(quorum, None, line(13)).head.number == 12


def test_judge__shorter_branch_of_all__is_a_reorg_once_a_known_height_differs() -> None:
    quorum = quorum_of(3)
    for length in range(5, 13):
        judge(quorum, line(length), line(length), line(length))

    assert refused(quorum, *[line(8)] * 3) == "nodes_behind"
    assert not quorum.is_lost(11)

    other = line(9, "b", on=line(8))
    assert judge(quorum, other, other, other).head == other[-1]
    assert quorum.is_lost(11)
    assert not quorum.is_lost(7)


def test_judge__branch_changed_unseen__old_blocks_prove_nothing_any_more() -> None:
    """A node that lags on the *new* branch must not be taken for another reorg."""
    quorum = quorum_of(2)
    for length in range(5, 13):
        judge(quorum, line(length), line(length))
    other = line(20, "b", on=line(9))
    judge(quorum, other, other)

    assert refused(quorum, None, other[:11]) == "nodes_behind"
    assert not quorum.is_lost(15)


def test_judge__minority_of_liars__never_moves_the_head_off_the_chain() -> None:
    """Whatever a minority says and however the others lag: a block of the chain, never back."""
    chosen, judged = random.Random(34), 0
    for _ in range(300):
        nodes = chosen.choice((3, 5))
        quorum = quorum_of(nodes, agreeing=nodes // 2 + 1, most_behind=8)
        liars = set(chosen.sample(range(nodes), nodes // 2))
        newest, truth = 0, line(120)
        for turn in range(10, 60):
            shown: list[Chain | None] = []
            for node in range(nodes):
                height = turn - chosen.randint(0, 3)
                if node not in liars:
                    shown.append(truth[: height + 1] if chosen.random() < 0.9 else None)
                    continue
                fork = chosen.randint(0, height)
                length = max(height + chosen.randint(-9, 40), fork + 1)
                shown.append(line(length, chosen.choice("xyz"), on=truth[:fork]))
            try:
                verdict = judge(quorum, *shown)
            except NoQuorum:
                continue
            assert verdict.head == truth[verdict.head.number]
            assert verdict.head.number >= newest
            assert not quorum.is_lost(newest)
            newest, judged = verdict.head.number, judged + 1
    assert judged > 5_000
