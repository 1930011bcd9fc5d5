"""A token whose chain the test writes block by block, and takes back, under the API."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlmodel import Session

from registry.captable.catching_up import apply_part, begin_again, join, set_apart
from registry.captable.events import (
    ProjectedBlock,
    ProjectedContractEvent,
    ProjectedEvent,
    ProjectedRange,
    ProjectedToken,
)
from registry.captable.models import ChainBlock, EventKind, ForcedAct, SyncCursor, Token
from registry.captable.projection import apply_range, open_cursor
from registry.captable.rewind import rewind
from registry.captable.service import find_token
from tests import factories as make
from tests import sales
from tests.api.house import House
from tests.columns import split
from tests.factories import Buyer, Desk
from tests.sales import Wrapped

FIRST_BLOCK = 100
BLOCK_TIME = timedelta(seconds=12)
FIRST_MINED = datetime(2026, 1, 1, tzinfo=UTC)


def wallet_no(number: int) -> bytes:
    return hashlib.sha256(b"wallet %d" % number).digest()[:20]


@dataclass
class Moves:
    """One token; `branch` is part of every hash, so that another one has other blocks."""

    house: House
    token_id: UUID
    suite: dict[str, bytes]
    buyers: list[Buyer] = field(default_factory=list)
    branch: str = "first"

    @property
    def token(self) -> bytes:
        return self.suite["token"]

    @property
    def chain_id(self) -> int:
        return self.house.services.settings.chain_id

    def block(self, number: int) -> ProjectedBlock:
        return ProjectedBlock(
            number,
            hashlib.sha256(b"%d %s" % (number, self.branch.encode())).digest(),
            bytes(32),
            FIRST_MINED + (number - FIRST_BLOCK) * BLOCK_TIME,
        )

    def mine(
        self,
        *events: dict[str, Any],
        deploy: bool = False,
        contracts: Sequence[dict[str, Any]] = (),
        silent: int = 0,
    ) -> int:
        """Project one more block with these events, and return its number.

        Parameters
        ----------
        contracts
            Events of contracts that are no token's; they come after the others.
        silent
            So many blocks without an event before it, which nobody stores.
        """
        with self.house.database.transaction() as session:
            cursor = session.get_one(SyncCursor, self.chain_id)
            number = cursor.number + 1 + silent
            token = ProjectedToken(
                address=self.token,
                identity_registry=self.suite["identity_registry"],
                compliance=self.suite["compliance"],
                block_number=number,
            )
            tx_hash = hashlib.sha256(b"tx %d %s" % (number, self.branch.encode())).digest()
            said = [
                ProjectedEvent(
                    token=self.token,
                    block_number=number,
                    log_index=index,
                    **({"tx_hash": tx_hash} | event),
                )
                for index, event in enumerate(events)
            ]
            found = ProjectedRange(
                head_number=number,
                blocks=[self.block(number)],
                tokens=[token] if deploy else [],
                **split(said),
                contract_events=[
                    ProjectedContractEvent(
                        block_number=number, log_index=index, tx_hash=tx_hash, **event
                    )
                    for index, event in enumerate(contracts, len(said))
                ],
            )
            apply_range(session, self.chain_id, after=(cursor.number, cursor.hash), found=found)
            return number

    def set_apart(self) -> None:
        """Let the token be read by itself from the newest block on."""
        with self.house.database.transaction() as session:
            cursor = session.get_one(SyncCursor, self.chain_id)
            set_apart(session, self.chain_id, [self.token], after=cursor.number)

    def read_again(self, after: int) -> None:
        """Throw away what is known of the token above a block, as a repair does."""
        with self.house.database.transaction() as session:
            begin_again(session, self._token(session), after=after)

    def read_apart(self, *blocks: Sequence[dict[str, Any]], first: int, joins: bool) -> None:
        """Project blocks of the token alone, with these events each.

        Parameters
        ----------
        first
            The first of the blocks.
        """
        said = [
            ProjectedEvent(
                token=self.token,
                block_number=number,
                log_index=index,
                **({"tx_hash": hashlib.sha256(b"apart %d" % number).digest()} | event),
            )
            for number, events in enumerate(blocks, first)
            for index, event in enumerate(events)
        ]
        numbers = range(first, first + len(blocks))
        found = ProjectedRange(
            head_number=numbers[-1],
            blocks=[self.block(number) for number in numbers],
            **split(said),
        )
        with self.house.database.transaction() as session:
            apply_part(session, self._token(session), found, joins=joins)

    def join(self) -> None:
        """Let the token go on with its chain, with nothing read of it."""
        with self.house.database.transaction() as session:
            join(session, self._token(session))

    def _token(self, session: Session) -> Token:
        token = find_token(session, self.token, chain_id=self.chain_id)
        assert token is not None
        return token

    def replace(self, after: int, branch: str, *blocks: tuple[int, dict[str, Any]]) -> None:
        """Lose every block above `after`, and have these instead, in one transaction."""
        with self.house.database.transaction() as session:
            ancestor = self._stored(session, after)
            rewind(session, self.chain_id, ancestor)
            self.branch = branch
            said = [
                ProjectedEvent(
                    token=self.token,
                    block_number=number,
                    log_index=0,
                    **({"tx_hash": self.block(number).hash} | event),
                )
                for number, event in blocks
            ]
            found = ProjectedRange(
                head_number=blocks[-1][0],
                blocks=[self.block(number) for number, _ in blocks],
                **split(said),
            )
            apply_range(session, self.chain_id, after=(after, ancestor.hash), found=found)

    def take_back_to(self, number: int, branch: str) -> None:
        """Lose every block above `number`; what is mined from now on is of another branch."""
        with self.house.database.transaction() as session:
            rewind(session, self.chain_id, self._stored(session, number))
        self.branch = branch

    def _stored(self, session: Session, number: int) -> ProjectedBlock:
        """Give a block of whichever branch has it; where none stored it, of this one."""
        block = session.get(ChainBlock, (self.chain_id, number))
        if block is None:
            return self.block(number)
        return ProjectedBlock(block.number, block.hash, block.parent_hash, block.mined_at)


def moves(
    house: House, buyers: int = 0, wrapped: Callable[[Desk], Wrapped] = sales.wrapped_apartment
) -> Moves:
    """Deploy a token, with nothing minted."""
    with house.desk() as desk:
        tokenization = sales.deployed(desk, wrapped(desk))
        assert tokenization.suite is not None
        suite = {name: bytes.fromhex(at[2:]) for name, at in tokenization.suite.items()}
        found = Moves(house, tokenization.id, suite, [make.buyer(desk) for _ in range(buyers)])
        open_cursor(desk.session, found.chain_id, found.block(FIRST_BLOCK), FIRST_BLOCK)
    found.mine(deploy=True)
    return found


def minted(target: bytes, units: int) -> dict[str, Any]:
    return {"kind": EventKind.TRANSFER, "target": target, "units": units}


def burned(source: bytes, units: int) -> dict[str, Any]:
    return {"kind": EventKind.TRANSFER, "source": source, "units": units}


def moved(source: bytes, target: bytes, units: int, *, forced: bool = False) -> dict[str, Any]:
    said = {"kind": EventKind.TRANSFER, "source": source, "target": target, "units": units}
    return said | ({"extra": {"forced": True}} if forced else {})


def frozen(target: bytes, units: int) -> dict[str, Any]:
    return {"kind": EventKind.TOKENS_FROZEN, "target": target, "units": units}


def frozen_whole(target: bytes, *, freed: bool = False) -> dict[str, Any]:
    said = {"frozen": not freed, "agent": "0x00"}
    return {"kind": EventKind.ADDRESS_FROZEN, "target": target, "extra": said}


def recovered(source: bytes, target: bytes) -> dict[str, Any]:
    return {"kind": EventKind.RECOVERY, "source": source, "target": target}


def case_act(case_id: UUID, act: ForcedAct, source: bytes, target: bytes | None) -> dict[str, Any]:
    said = {"case_id": (bytes(16) + case_id.bytes).hex(), "number": "1", "act": act.value}
    return {"kind": EventKind.CASE_ACT, "source": source, "target": target, "extra": said}
