"""Rounds of alerts: however the blocks are cut, and whatever a reorg takes, the alerts are those
of the chain as it is."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from fractions import Fraction
from uuid import UUID

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sqlmodel import Session, col, select

from registry.alert import rounds
from registry.alert.models import Alert, AlertRule
from registry.captable.events import ProjectedBlock
from registry.captable.models import EventKind, SyncCursor
from tests import ledger
from tests.db.stage import Stage, StageMaker
from tests.ledger import Ledger

pytestmark = pytest.mark.db

USUAL = settings.default.max_examples if settings.default else 0
short = settings(max_examples=max(USUAL // 3, 10))
BEGUN = (700, 200, 95, 5)
LARGE, LEAST = 100, 10
LEFT = Fraction(1, 10)
Move = tuple[int, int, int]
Block = Sequence[Move]
MOVE = st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(1, 200))
BLOCKS = st.lists(st.lists(MOVE, min_size=1, max_size=3), min_size=1, max_size=14)
CUTS = st.sets(st.integers(0, 14))


@dataclass
class Branching(Ledger):
    """A chain whose blocks above `fork` are others, if there is one."""

    fork: int | None = None

    def block(self, number: int) -> ProjectedBlock:
        found = super().block(number)
        if self.fork is None or number <= self.fork:
            return found
        digest = hashlib.sha256(b"other" + found.hash).digest()
        return ProjectedBlock(number, digest, found.parent_hash, found.mined_at)

    @property
    def head(self) -> int:
        return self.desk.session.get_one(SyncCursor, self.chain_id, populate_existing=True).number


@pytest.fixture(scope="module")
def stage(make_stage: StageMaker) -> Iterator[Stage[Ledger]]:
    with make_stage(lambda desk: ledger.live(desk, *BEGUN)) as found:
        yield found


@contextmanager
def played(stage: Stage[Ledger]) -> Iterator[Branching]:
    """Give the chain in a transaction that is rolled back."""
    with stage.database.engine.connect() as connection:
        outer = connection.begin()
        with Session(connection, join_transaction_mode="create_savepoint") as session:
            desk = replace(stage.scene.desk, session=session)
            said = {item.name: getattr(stage.scene, item.name) for item in fields(Ledger)}
            yield Branching(**(said | {"desk": desk}))
        outer.rollback()


def possible(blocks: Sequence[Block], has: list[int]) -> list[Block]:
    """Leave out what nobody could give, and move what is left in `has`."""
    found: list[Block] = []
    for block in blocks:
        kept = []
        for giver, taker, units in block:
            if has[giver] >= units:
                has[giver] -= units
                has[taker] += units
                kept.append((giver, taker, units))
        found.append(kept)
    return found


def mine(chain: Branching, block: Block, name: str) -> None:
    wallets = [holder.wallet.address for holder in chain.holders]
    chain.mine(
        *(
            {
                "kind": EventKind.TRANSFER,
                "source": wallets[giver],
                "target": wallets[taker],
                "units": units,
                "tx_hash": hashlib.sha256(f"{name} {place}".encode()).digest(),
            }
            for place, (giver, taker, units) in enumerate(block)
        )
    )


def look(chain: Branching, blocks: int = rounds.BLOCKS_AT_ONCE) -> None:
    while True:
        desk = chain.desk
        seen = rounds.look_at_chain(desk.session, desk.vault, chain.chain_id, blocks=blocks)
        if seen is None:
            return
        rounds.note_chain(desk.session, desk.vault, seen)


def standing(chain: Branching) -> set[tuple[str, int | None, bytes | None]]:
    rows = chain.desk.session.exec(select(Alert).where(col(Alert.taken_back_at).is_(None)))
    return {(row.key, row.block_number, row.block_hash) for row in rows}


def crossed(chain: Branching, blocks: Sequence[Block]) -> set[tuple[UUID, str, int]]:
    """Tell who crossed the share in which block, by nothing but the moves."""
    has: list[int] = list(BEGUN)
    found: set[tuple[UUID, str, int]] = set()
    for number, block in enumerate(blocks):
        before = list(has)
        possible([block], has)
        for who, holder in enumerate(chain.holders):
            if (before[who] >= LARGE) != (has[who] >= LARGE):
                way = "UP" if has[who] >= LARGE else "DOWN"
                found.add((holder.investor.party_id, way, number))
    return found


def left(chain: Branching, blocks: Sequence[Block]) -> set[tuple[UUID, int]]:
    """Tell who left in which block, by nothing but the moves: all that happened is of one day."""
    found: set[tuple[UUID, int]] = set()
    for who, holder in enumerate(chain.holders):
        has = most = BEGUN[who]
        for number, block in enumerate(blocks):
            gone = [units for giver, taker, units in block if giver == who != taker]
            seen = [has]
            for giver, taker, units in block:
                seen.append(seen[-1] + units * ((taker == who) - (giver == who)))
            of_all = max(most, *seen)
            kept = LEFT * of_all
            if gone and of_all >= LEAST and seen[-1] <= kept < max(seen):
                found.add((holder.investor.party_id, number))
            if seen[-1] != has:
                has, most = seen[-1], of_all
    return found


@short
@given(mined=BLOCKS, cuts=CUTS, at_once=st.integers(1, 20))
@example(mined=[[(0, 3, 200), (3, 1, 205)], [(0, 3, 10)]], cuts=set(), at_once=20)
@example(mined=[[(0, 3, 200), (3, 1, 150)], [(3, 1, 30)], [(3, 1, 10)]], cuts={0, 1}, at_once=20)
@example(mined=[[(0, 3, 200), (3, 1, 200)], [(0, 3, 10)], [(3, 0, 14)]], cuts={0}, at_once=20)
def test_rounds__cut_anywhere__raise_what_one_round_raises_and_what_the_moves_say(
    stage: Stage[Ledger],
    mined: list[Block],
    cuts: set[int],
    at_once: int,
) -> None:
    mined = possible(mined, list(BEGUN))
    with played(stage) as chain:
        first = chain.head + 1
        for number, block in enumerate(mined):
            mine(chain, block, str(number))
        look(chain)
        whole = standing(chain)
        found = chain.desk.session.exec(select(Alert).where(col(Alert.block_number) >= first)).all()
        large = {
            (row.party_id, row.evidence["direction"], row.block_number)
            for row in found
            if row.rule == AlertRule.LARGE_HOLDER_CROSSED
        }
        gone = {
            (row.party_id, row.block_number)
            for row in found
            if row.rule == AlertRule.RAPID_IN_AND_OUT
        }
        assert large == {(who, way, first + number) for who, way, number in crossed(chain, mined)}
        assert gone == {(who, first + number) for who, number in left(chain, mined)}

    with played(stage) as chain:
        for number, block in enumerate(mined):
            mine(chain, block, str(number))
            if number in cuts:
                look(chain, at_once)
        look(chain, at_once)
        assert standing(chain) == whole


@short
@given(kept=BLOCKS, lost=BLOCKS, instead=BLOCKS, cuts=CUTS)
def test_rounds__through_a_reorg__leave_standing_what_the_chain_says(
    stage: Stage[Ledger],
    kept: list[Block],
    lost: list[Block],
    instead: list[Block],
    cuts: set[int],
) -> None:
    has = list(BEGUN)
    kept = possible(kept, has)
    lost, instead = possible(lost, list(has)), possible(instead, list(has))
    with played(stage) as chain:
        for number, block in enumerate(kept):
            mine(chain, block, f"kept {number}")
        chain.fork = chain.head
        for number, block in enumerate(instead):
            mine(chain, block, f"then {number}")
        look(chain)
        fresh = standing(chain)

    with played(stage) as chain:
        for number, block in enumerate(kept):
            mine(chain, block, f"kept {number}")
            if number in cuts:
                look(chain)
        fork = chain.head
        # The transactions come again, in other blocks.
        for number, block in enumerate(lost):
            mine(chain, block, f"then {number}")
            if number in cuts:
                look(chain)
        chain.take_back(fork)
        chain.fork = fork
        for number, block in enumerate(instead):
            mine(chain, block, f"then {number}")
            if number + 5 in cuts:
                look(chain)
        look(chain)
        assert standing(chain) == fresh
