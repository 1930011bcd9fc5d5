"""Compacting the history: what it says stays, also through reorgs below what was compacted."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlmodel import Session, col, select

from registry.captable import rewind
from registry.captable import service as captable
from registry.captable.compacting import compact
from registry.captable.models import BalanceAt, EventKind
from registry.captable.soundness import first_stray_balance, first_unsound_block
from registry.kernel.db import Database
from tests.properties.test_cap_table_projection import (
    BLOCKS,
    CHAIN,
    STEPS,
    TOKEN,
    Step,
    block,
    chain_of,
    project,
    scratch,
    seen,
)

pytestmark = pytest.mark.db

USUAL = settings.default.max_examples if settings.default else 0
short = settings(max_examples=USUAL // 3)
HEIGHTS = st.integers(1, BLOCKS - 1)
FINALS = st.integers(BLOCKS // 2, BLOCKS)
# Followed live, so that most changes are a row of their own.
CUTS = st.sets(HEIGHTS, min_size=BLOCKS // 2)


def compact_all(session: Session, final: int, *, least: int = 2) -> int:
    """Compact one holder after the other, in rows of three changes at most."""
    token = captable.get_token(session, TOKEN)
    assert token.token_no is not None
    folded, last = 0, 0
    while True:
        after, count = compact(
            session, token.token_no, final=final, after=last, limit=1, span=3, least=least
        )
        folded += count
        if after is None:
            session.expire_all()
            return folded
        last = after


def history(session: Session) -> list[Any]:
    """Give every change by address: how addresses are numbered depends on how blocks were cut."""
    query = """
    SELECT address, block_number, balance_units, frozen_units
    FROM balance_history JOIN holder USING (holder_no) ORDER BY address, block_number
    """
    return list(session.execute(text(query)).all())


def finalize(session: Session, number: int) -> None:
    cursor = captable.sync_state(session, CHAIN)
    cursor.finalized_number, cursor.finalized_hash = number, block(number).hash
    session.add(cursor)
    session.flush()


@short
@given(steps=STEPS, cuts=CUTS, finals=st.tuples(FINALS, FINALS), ancestor=HEIGHTS)
def test_compact__now_and_again__says_the_same_and_can_be_taken_back(
    database: Database,
    steps: list[Step],
    cuts: set[int],
    finals: tuple[int, int],
    ancestor: int,
) -> None:
    events, first = chain_of(steps), finals[0]
    with scratch(database) as session:
        project(session, events, [ancestor])
        at_ancestor, kept = seen(session), history(session)
        project(session, events, [BLOCKS])
        fresh, changes = seen(session), history(session)

    with scratch(database) as session:
        for end in sorted({*cuts, first, BLOCKS}):
            project(session, events, [end])
            if end == first:
                finalize(session, first)
                compact_all(session, first)
        finalize(session, max(finals))
        compact_all(session, max(finals))
        assert seen(session) == fresh
        assert history(session) == changes
        token_no = captable.get_token(session, TOKEN).token_no
        assert token_no is not None
        assert first_unsound_block(session, token_no) is None
        assert first_stray_balance(session, token_no) is None

        rewind.rewind(session, CHAIN, block(ancestor))
        session.expire_all()
        assert seen(session) == at_ancestor
        assert history(session) == kept
        project(session, events, [*range(ancestor + 1, BLOCKS + 1)])
        assert seen(session) == fresh


def rows(session: Session) -> list[tuple[int, list[int] | None]]:
    found = session.exec(select(BalanceAt).order_by(col(BalanceAt.block_number)))
    return [(row.block_number, row.later_blocks) for row in found]


def test_compact__many_rows__makes_full_spans_and_leaves_what_is_not_final(
    database: Database,
) -> None:
    steps = [(number, "mint", 0, 0, 5) for number in range(1, 9)]
    with scratch(database) as session:
        project(session, chain_of(steps), list(range(1, 9)))
        assert len(rows(session)) == 8

        assert compact_all(session, 7) == 7
        assert rows(session) == [(1, [2, 3]), (4, [5, 6]), (7, None), (8, None)]
        # the full ones stay as they are
        assert compact_all(session, 8) == 2
        assert rows(session) == [(1, [2, 3]), (4, [5, 6]), (7, [8])]


def test_compact__few_rows__waits_for_more(database: Database) -> None:
    steps = [(number, "mint", 0, 0, 5) for number in range(1, 4)]
    with scratch(database) as session:
        project(session, chain_of(steps), [1, 2, 3])

        assert compact_all(session, 3, least=4) == 0
        assert len(rows(session)) == 3


def test_compact__frozen_part_that_changes__is_kept_with_each_change(database: Database) -> None:
    steps = [(1, "mint", 0, 0, 9), (2, "freeze", 0, 0, 4), (3, "unfreeze", 0, 0, 1)]
    events = chain_of(steps)
    assert [event.kind for event in events][1:] == [
        EventKind.TOKENS_FROZEN,
        EventKind.TOKENS_UNFROZEN,
    ]
    with scratch(database) as session:
        project(session, events, [1, 2, 3])
        before = history(session)

        assert compact_all(session, 3) == 3
        assert len(rows(session)) == 1
        assert history(session) == before
        assert [int(row.frozen_units) for row in before] == [0, 4, 3]
