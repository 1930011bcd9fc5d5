"""What is folded and written by set is what plain Python folds one by one, to the last digit."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlmodel import Session, col, select

from registry.captable import bulk, projection
from registry.captable.events import FORCED, ProjectedEvent
from registry.captable.models import Balance, EventKind, Holder, Token, TokenEvent
from registry.kernel.db import Database
from tests.columns import split
from tests.properties.test_cap_table_projection import scratch

pytestmark = pytest.mark.db

TOKENS = [b"\xaa" * 20, b"\xbb" * 20]
HOLDERS = [bytes([number]) * 20 for number in (9, 1, 5)]
LARGEST = 2**256 - 1
USUAL = settings.default.max_examples if settings.default else 0
MOVES = st.lists(
    st.tuples(
        st.integers(0, 4),  # blocks after the one before
        st.sampled_from(TOKENS),
        st.sampled_from(["mint", "burn", "move", "freeze", "unfreeze", "forced"]),
        st.sampled_from(HOLDERS),
        st.sampled_from(HOLDERS),
        st.sampled_from([0, 1, 10**12, 2**64, LARGEST]) | st.integers(0, LARGEST),
    ),
    min_size=1,
    max_size=30,
)
Move = tuple[int, bytes, str, bytes, bytes, int]
Key = tuple[bytes, bytes]


class Fold:
    """The events of moves, and by token and holder what there is after each block."""

    def __init__(self, moves: Sequence[Move]) -> None:
        self.events: list[ProjectedEvent] = []
        self.held: dict[Key, int] = defaultdict(int)
        self.frozen: dict[Key, int] = defaultdict(int)
        self.history: dict[tuple[bytes, bytes, int], tuple[int, int]] = {}
        self.supply: dict[bytes, int] = defaultdict(int)
        self._block = 1
        for move in moves:
            self._act(move)

    def _act(self, move: Move) -> None:
        later, token, act, one, two, units = move
        self._block += later
        if act == "mint":
            units = min(units, LARGEST - self.supply[token])
            self.supply[token] += units
            self._transfer(token, None, one, units)
        elif act == "burn":
            units = min(units, self.held[token, one])
            self.supply[token] -= units
            self._transfer(token, one, None, units)
        elif act in {"freeze", "unfreeze"}:
            self._freeze(token, one, act, units)
        else:
            self._transfer(
                token, one, two, min(units, self.held[token, one]), forced=act == "forced"
            )

    def _transfer(
        self,
        token: bytes,
        source: bytes | None,
        target: bytes | None,
        units: int,
        *,
        forced: bool = False,
    ) -> None:
        for holder, change in ((source, -units), (target, units)):
            if holder is not None:
                self.held[token, holder] += change
                self._note(token, holder)
        self._say(
            token,
            EventKind.TRANSFER,
            source=source,
            target=target,
            units=units,
            extra=FORCED if forced else None,
        )

    def _freeze(self, token: bytes, holder: bytes, act: str, units: int) -> None:
        key = (token, holder)
        most = self.held[key] - self.frozen[key] if act == "freeze" else self.frozen[key]
        units = max(min(units, most), 0)
        self.frozen[key] += units if act == "freeze" else -units
        self._note(token, holder)
        kind = EventKind.TOKENS_FROZEN if act == "freeze" else EventKind.TOKENS_UNFROZEN
        self._say(token, kind, target=holder, units=units)

    def _note(self, token: bytes, holder: bytes) -> None:
        key = (token, holder)
        self.history[*key, self._block] = (self.held[key], self.frozen[key])

    def _say(self, token: bytes, kind: EventKind, **more: object) -> None:
        index = len(self.events)
        self.events.append(
            ProjectedEvent(
                token=token,
                block_number=self._block,
                log_index=index,
                tx_hash=hashlib.sha256(b"%d" % (index // 3)).digest(),
                kind=kind,
                **more,  # type: ignore[arg-type]
            )
        )


def open_tokens(session: Session) -> None:
    for address in TOKENS:
        registry, compliance = (
            hashlib.sha256(name + address).digest()[:20] for name in (b"r", b"c")
        )
        session.add(
            Token(
                chain_id=31337,
                address=address,
                identity_registry=registry,
                compliance=compliance,
                block_number=1,
            )
        )
    session.flush()


@settings(max_examples=max(USUAL // 2, 1))
@given(moves=MOVES, cut=st.integers(0, 30))
def test_apply_events__by_set__is_the_fold_one_by_one(
    database: Database, moves: list[Move], cut: int
) -> None:
    fold = Fold(moves)
    # Ranges are cut between blocks, never within one.
    end = fold.events[min(cut, len(fold.events) - 1)].block_number
    parts = [
        [event for event in fold.events if (event.block_number <= end) is first]
        for first in (True, False)
    ]
    with scratch(database) as session:
        open_tokens(session)
        for part in parts:
            projection.apply_events(session, 31337, **split(part))
            session.flush()
            session.expire_all()
        tokens = {each.token_no or 0: each.address for each in session.exec(select(Token)).all()}
        names = {each.holder_no or 0: each.address for each in session.exec(select(Holder)).all()}

        assert written_events(session, tokens, names) == sorted(
            fold.events, key=lambda event: event.log_index
        )
        assert written_history(session, tokens, names) == fold.history
        assert {
            (tokens[row.token_no], names[row.holder_no]): (row.balance_units, row.frozen_units)
            for row in session.exec(select(Balance)).all()
        } == {key[:2]: (fold.held[key[:2]], fold.frozen[key[:2]]) for key in fold.history}
        assert {
            token.address: (token.supply_units, token.held_units)
            for token in session.exec(select(Token)).all()
        } == {token: (fold.supply[token], fold.supply[token]) for token in TOKENS}


def written_events(
    session: Session, tokens: dict[int, bytes], names: dict[int, bytes]
) -> list[ProjectedEvent]:
    rows = session.exec(select(TokenEvent).order_by(col(TokenEvent.log_index))).all()
    return [
        ProjectedEvent(
            token=tokens[row.token_no],
            block_number=row.block_number,
            log_index=row.log_index,
            tx_hash=row.tx_hash,
            kind=EventKind(row.kind),
            source=None if row.source is None else names[row.source],
            target=None if row.target is None else names[row.target],
            units=row.units,
            extra=row.extra,
        )
        for row in rows
    ]


_HISTORY = """
SELECT token_no, holder_no, block_number, balance_units::text, frozen_units::text
FROM balance_history
"""
_STRAY_DIGITS = """
SELECT count(*) FROM token_event
WHERE numeric_send(units) <> numeric_send(units::text::numeric)
"""


def written_history(
    session: Session, tokens: dict[int, bytes], names: dict[int, bytes]
) -> dict[tuple[bytes, bytes, int], tuple[int, int]]:
    with bulk.cursor_of(session) as cursor:
        stray = cursor.execute(_STRAY_DIGITS).fetchone()
        assert stray == (0,), "the server stores no zero that stands before a number"
        return {
            (tokens[token], names[holder], block): (int(balance), int(frozen))
            for token, holder, block, balance, frozen in cursor.execute(_HISTORY).fetchall()
        }
