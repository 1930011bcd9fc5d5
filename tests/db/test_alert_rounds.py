"""Rounds of alerts: however the blocks are cut, and whatever a reorg takes, the alerts are those
of the chain as it is."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from uuid import UUID

import pytest
from hypothesis import given, settings
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
LARGE = 100
Move = tuple[int, int, int]
MOVES = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(1, 200)), min_size=1, max_size=14
)
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


def possible(moves: Sequence[Move], has: list[int]) -> list[Move]:
    """Leave out what nobody could give, and move what is left in `has`."""
    found = []
    for giver, taker, units in moves:
        if has[giver] >= units:
            has[giver] -= units
            has[taker] += units
            found.append((giver, taker, units))
    return found


def mine(chain: Branching, move: Move, name: str) -> None:
    giver, taker, units = move
    wallets = [holder.wallet.address for holder in chain.holders]
    chain.mine(
        {
            "kind": EventKind.TRANSFER,
            "source": wallets[giver],
            "target": wallets[taker],
            "units": units,
            "tx_hash": hashlib.sha256(name.encode()).digest(),
        }
    )


def look(chain: Branching, blocks: int = rounds.BLOCKS_AT_ONCE) -> None:
    while True:
        seen = rounds.look_at_chain(chain.desk.session, chain.chain_id, blocks=blocks)
        if seen is None:
            return
        rounds.note_chain(chain.desk.session, seen)


def standing(chain: Branching) -> set[tuple[str, int | None, bytes | None]]:
    rows = chain.desk.session.exec(select(Alert).where(col(Alert.taken_back_at).is_(None)))
    return {(row.key, row.block_number, row.block_hash) for row in rows}


def crossed(chain: Branching, moves: Sequence[Move]) -> set[tuple[UUID, str, int]]:
    """Tell who crossed the share in which block, by nothing but the moves."""
    has: list[int] = list(BEGUN)
    found: set[tuple[UUID, str, int]] = set()
    for number, (giver, taker, units) in enumerate(moves):
        before = list(has)
        has[giver] -= units
        has[taker] += units
        for who, holder in enumerate(chain.holders):
            if (before[who] >= LARGE) != (has[who] >= LARGE):
                way = "UP" if has[who] >= LARGE else "DOWN"
                found.add((holder.investor.party_id, way, number))
    return found


@short
@given(moves=MOVES, cuts=CUTS, blocks=st.integers(1, 20))
def test_rounds__cut_anywhere__raise_what_one_round_raises_and_what_the_moves_say(
    stage: Stage[Ledger],
    moves: list[Move],
    cuts: set[int],
    blocks: int,
) -> None:
    moves = possible(moves, list(BEGUN))
    with played(stage) as chain:
        first = chain.head + 1
        for number, move in enumerate(moves):
            mine(chain, move, str(number))
        look(chain)
        whole = standing(chain)
        large = chain.desk.session.exec(
            select(Alert).where(
                col(Alert.rule) == AlertRule.LARGE_HOLDER_CROSSED,
                col(Alert.block_number) >= first,
            )
        ).all()
        told = {(row.party_id, row.evidence["direction"], row.block_number) for row in large}
        said = {(who, way, first + number) for who, way, number in crossed(chain, moves)}
        assert told == said

    with played(stage) as chain:
        for number, move in enumerate(moves):
            mine(chain, move, str(number))
            if number in cuts:
                look(chain, blocks)
        look(chain, blocks)
        assert standing(chain) == whole


@short
@given(kept=MOVES, lost=MOVES, instead=MOVES, cuts=CUTS)
def test_rounds__through_a_reorg__leave_standing_what_the_chain_says(
    stage: Stage[Ledger],
    kept: list[Move],
    lost: list[Move],
    instead: list[Move],
    cuts: set[int],
) -> None:
    has = list(BEGUN)
    kept = possible(kept, has)
    lost, instead = possible(lost, list(has)), possible(instead, list(has))
    with played(stage) as chain:
        for number, move in enumerate(kept):
            mine(chain, move, f"kept {number}")
        chain.fork = chain.head
        for number, move in enumerate(instead):
            mine(chain, move, f"then {number}")
        look(chain)
        fresh = standing(chain)

    with played(stage) as chain:
        for number, move in enumerate(kept):
            mine(chain, move, f"kept {number}")
            if number in cuts:
                look(chain)
        fork = chain.head
        # The transactions come again, in other blocks.
        for number, move in enumerate(lost):
            mine(chain, move, f"then {number}")
            if number in cuts:
                look(chain)
        chain.take_back(fork)
        chain.fork = fork
        for number, move in enumerate(instead):
            mine(chain, move, f"then {number}")
            if number + 5 in cuts:
                look(chain)
        look(chain)
        assert standing(chain) == fresh
