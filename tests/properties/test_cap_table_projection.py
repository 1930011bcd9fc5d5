"""The projection depends on the chain alone: not on how it was cut up, nor on detours."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlmodel import Session, select

from registry.captable import entries, projection, rewind
from registry.captable import service as captable
from registry.captable.blocks import AsOfBlock
from registry.captable.events import (
    ProjectedBlock,
    ProjectedEvent,
    ProjectedRange,
    ProjectedToken,
)
from registry.captable.models import Balance, EventKind, Holder, RegisteredWallet, TokenEvent
from registry.captable.registered import Registration, registered_at
from registry.kernel.db import Database
from tests.columns import split

pytestmark = pytest.mark.db

CHAIN = 31337
BLOCKS = 12
TOKEN = b"\xaa" * 20
HOLDERS = [bytes([number]) * 20 for number in (1, 2, 3)]
GENESIS = datetime(2026, 1, 1, tzinfo=UTC)

Step = tuple[int, str, int, int, int]
ACTS = st.sampled_from(
    [
        *("mint", "burn", "transfer", "freeze", "unfreeze", "pause", "unpause"),
        *("register", "remove", "correct", "exchange", "exchange_all"),
    ]
)
STEPS = st.lists(
    st.tuples(
        st.integers(1, BLOCKS), ACTS, st.integers(0, 2), st.integers(0, 2), st.integers(0, 9)
    ),
    max_size=40,
)


def block(number: int) -> ProjectedBlock:
    return ProjectedBlock(
        number,
        hashlib.sha256(b"%d" % number).digest(),
        hashlib.sha256(b"%d" % (number - 1)).digest(),
        GENESIS + timedelta(seconds=number),
    )


class Contract:
    """A token that logs what it does; what the real one would revert, it leaves out."""

    def __init__(self) -> None:
        self.balance: dict[int, int] = defaultdict(int)
        self.frozen: dict[int, int] = defaultdict(int)
        self.registered: dict[int, Registration] = {}
        self.known: dict[int, dict[bytes, Registration]] = {}
        self.events: list[ProjectedEvent] = []
        self.number = 0

    def emit(self, kind: EventKind, **more: Any) -> None:
        index = len(self.events)
        digest = hashlib.sha256(b"tx%d" % index).digest()
        self.events.append(
            ProjectedEvent(
                token=TOKEN,
                block_number=self.number,
                log_index=index,
                tx_hash=digest,
                kind=kind,
                **more,
            )
        )

    def mint(self, one: int, _two: int, units: int) -> None:
        self.balance[one] += units
        self.emit(EventKind.TRANSFER, target=HOLDERS[one], units=units)

    def burn(self, one: int, _two: int, units: int) -> None:
        if units <= self.balance[one] - self.frozen[one]:
            self.balance[one] -= units
            self.emit(EventKind.TRANSFER, source=HOLDERS[one], units=units)

    def transfer(self, one: int, two: int, units: int) -> None:
        if units <= self.balance[one] - self.frozen[one]:
            self.balance[one] -= units
            self.balance[two] += units
            self.emit(EventKind.TRANSFER, source=HOLDERS[one], target=HOLDERS[two], units=units)

    def freeze(self, one: int, _two: int, units: int) -> None:
        if units <= self.balance[one] - self.frozen[one]:
            self.frozen[one] += units
            self.emit(EventKind.TOKENS_FROZEN, target=HOLDERS[one], units=units)

    def unfreeze(self, one: int, _two: int, units: int) -> None:
        if units <= self.frozen[one]:
            self.frozen[one] -= units
            self.emit(EventKind.TOKENS_UNFROZEN, target=HOLDERS[one], units=units)

    def pause(self, *_: int) -> None:
        self.emit(EventKind.PAUSED)

    def unpause(self, *_: int) -> None:
        self.emit(EventKind.UNPAUSED)

    def register(self, one: int, two: int, units: int) -> None:
        self.registered[one] = Registration(HOLDERS[two], 586 + units)
        extra = {"identity": HOLDERS[two].hex(), "country": 586 + units}
        self.emit(EventKind.IDENTITY_REGISTERED, target=HOLDERS[one], extra=extra)

    def remove(self, one: int, *_: int) -> None:
        if one in self.registered:
            del self.registered[one]
            self.emit(EventKind.IDENTITY_REMOVED, target=HOLDERS[one])

    def correct(self, one: int, _two: int, units: int) -> None:
        if one in self.registered:
            self.registered[one] = replace(self.registered[one], country=units)
            extra = {"country": units}
            self.emit(EventKind.COUNTRY_UPDATED, target=HOLDERS[one], extra=extra)

    def exchange(self, one: int, two: int, _units: int) -> None:
        if one in self.registered:
            old = self.registered[one].identity
            self.registered[one] = replace(self.registered[one], identity=HOLDERS[two])
            extra = {"old_identity": old.hex(), "identity": HOLDERS[two].hex()}
            self.emit(EventKind.IDENTITY_UPDATED, target=HOLDERS[one], extra=extra)

    def exchange_all(self, one: int, two: int, _units: int) -> None:
        """Exchange an identity in a transaction that does not tell of which wallet."""
        for number, was in self.registered.items():
            if was.identity == HOLDERS[one]:
                self.registered[number] = replace(was, identity=HOLDERS[two])
        extra = {"old_identity": HOLDERS[one].hex(), "identity": HOLDERS[two].hex()}
        self.emit(EventKind.IDENTITY_UPDATED, extra=extra)


def contract_of(steps: Sequence[Step]) -> Contract:
    contract = Contract()
    for number in range(1, BLOCKS + 1):
        contract.number = number
        for at, act, one, two, units in steps:
            if at == number:
                getattr(contract, act)(one, two, units)
        known = {HOLDERS[one]: told for one, told in contract.registered.items()}
        contract.known[number] = known
    return contract


def chain_of(steps: Sequence[Step]) -> list[ProjectedEvent]:
    return contract_of(steps).events


@contextmanager
def scratch(database: Database) -> Iterator[Session]:
    with database.engine.connect() as connection:
        outer = connection.begin()
        with Session(connection, join_transaction_mode="create_savepoint") as session:
            projection.open_cursor(session, CHAIN, block(0), 0)
            yield session
        outer.rollback()


def project(session: Session, events: Sequence[ProjectedEvent], ends: Sequence[int]) -> None:
    """Project up to each of `ends` in turn, from wherever the cursor stands."""
    for end in ends:
        start = captable.sync_state(session, CHAIN).number
        inside = [event for event in events if start < event.block_number <= end]
        numbers = sorted({event.block_number for event in inside} | {end})
        deployed = ProjectedToken(
            address=TOKEN, identity_registry=b"\xbb" * 20, compliance=b"\xcc" * 20, block_number=1
        )
        projection.apply_range(
            session,
            CHAIN,
            after=(start, block(start).hash),
            found=ProjectedRange(
                blocks=[block(number) for number in numbers],
                tokens=[deployed] if start == 0 else [],
                **split(inside),
                head_number=BLOCKS,
            ),
        )
        # the next range is another transaction
        session.flush()
        session.expire_all()


def seen(session: Session) -> dict[str, Any]:
    """Return all that the projection says, by address instead of by number."""
    token = captable.get_token(session, TOKEN)
    names = dict(session.exec(select(Holder.holder_no, Holder.address)).all())
    end = captable.sync_state(session, CHAIN).number
    history = {
        number: [
            (entry.address, entry.balance_units, entry.frozen_units)
            for entry in entries.list_holders(session, token, as_of)
        ]
        for number in range(1, end + 1)
        for as_of in [AsOfBlock(number, b"", GENESIS, 0)]
    }
    assert sum(units for _, units, _ in history[end]) == token.supply_units
    return {
        "supply": token.supply_units,
        "paused": token.paused,
        "history": history,
        "balances": {
            names[row.holder_no]: (row.balance_units, row.frozen_units, row.block_number)
            for row in session.exec(select(Balance)).all()
        },
        "registered": {
            names[row.holder_no]: (row.identity, row.country, row.block_number)
            for row in session.exec(select(RegisteredWallet)).all()
        },
        "known": {
            number: registered_at(session, token, AsOfBlock(number, b"", GENESIS, 0), HOLDERS)
            for number in range(1, end + 1)
        },
        "events": sorted(
            (row.block_number, row.log_index, row.kind, row.units)
            for row in session.exec(select(TokenEvent)).all()
        ),
    }


CUTS = st.sets(st.integers(1, BLOCKS - 1)).map(lambda cuts: [*sorted(cuts), BLOCKS])
USUAL = settings.default.max_examples if settings.default else 0
short = settings(max_examples=USUAL // 3)


@short
@given(steps=STEPS, cuts=CUTS)
def test_apply_range__any_partition_of_the_blocks__projects_the_same(
    database: Database, steps: list[Step], cuts: list[int]
) -> None:
    contract = contract_of(steps)
    with scratch(database) as session:
        project(session, contract.events, [BLOCKS])
        whole = seen(session)
    for number, address in enumerate(HOLDERS):
        held = whole["balances"].get(address, (0, 0))
        assert held[:2] == (contract.balance[number], contract.frozen[number])
    assert set(whole["registered"]) == {HOLDERS[number] for number in contract.registered}
    assert whole["known"] == contract.known

    with scratch(database) as session:
        project(session, contract.events, cuts)
        assert seen(session) == whole


@short
@given(steps=STEPS, orphaned=STEPS, ancestor=st.integers(1, BLOCKS - 1), cuts=CUTS)
def test_rewind__to_any_block_and_on_along_another_branch__equals_a_fresh_replay(
    database: Database,
    steps: list[Step],
    orphaned: list[Step],
    ancestor: int,
    cuts: list[int],
) -> None:
    shared = [step for step in steps if step[0] <= ancestor]
    branch = chain_of(shared + [step for step in orphaned if step[0] > ancestor])
    final = chain_of(steps)
    with scratch(database) as session:
        project(session, final, [ancestor])
        at_ancestor = seen(session)
        project(session, final, [BLOCKS])
        fresh = seen(session)

    with scratch(database) as session:
        # the ancestor itself may never have been the end of a range
        project(session, branch, cuts)
        rewind.rewind(session, CHAIN, block(ancestor))
        session.expire_all()
        assert seen(session) == at_ancestor
        project(session, final, [BLOCKS])
        assert seen(session) == fresh


def test_apply_range__cursor_is_elsewhere__changes_nothing(database: Database) -> None:
    with scratch(database) as session:
        project(session, [], [5])

        with pytest.raises(projection.CursorMoved):
            projection.apply_range(
                session,
                CHAIN,
                after=(4, block(4).hash),
                found=ProjectedRange(blocks=[block(6)], head_number=6),
            )
        assert captable.sync_state(session, CHAIN).number == 5
