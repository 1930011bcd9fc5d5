"""A live token whose chain the test writes: every event in a block of its own."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import text
from sqlmodel import select

from registry.captable.events import (
    ProjectedBlock,
    ProjectedEvent,
    ProjectedRange,
    ProjectedToken,
)
from registry.captable.models import EventKind, Reconciliation, SyncCursor, Token
from registry.captable.projection import apply_range, open_cursor
from registry.captable.rewind import rewind
from registry.kernel.clock import now
from registry.operation.models import (
    Operation,
    OperationAttempt,
    OperationKind,
    OperationState,
)
from registry.tokenization.models import Tokenization, TokenizationState
from tests import factories as make
from tests import sales
from tests.columns import split
from tests.factories import Buyer, Desk, numbers
from tests.sales import Wrapped


@dataclass
class Ledger:
    """One token on a chain of its own.

    Parameters
    ----------
    started
        When its first block was mined; each later one comes a second after.
    """

    desk: Desk
    wrapped: Wrapped
    tokenization: Tokenization
    chain_id: int
    started: datetime
    holders: list[Buyer] = field(default_factory=list)

    @property
    def address(self) -> bytes:
        assert self.tokenization.token_address is not None
        return self.tokenization.token_address

    @property
    def token(self) -> Token:
        return self.desk.session.exec(select(Token).where(Token.address == self.address)).one()

    def block(self, number: int) -> ProjectedBlock:
        def digest(which: int) -> bytes:
            return hashlib.sha256(b"%d:%d" % (self.chain_id, which)).digest()

        mined_at = self.started + timedelta(seconds=number)
        return ProjectedBlock(number, digest(number), digest(number - 1), mined_at)

    def mine(self, *events: dict[str, Any], deploy: bool = False) -> None:
        """Project one more block with these events."""
        cursor = self.desk.session.get_one(SyncCursor, self.chain_id, populate_existing=True)
        number = cursor.number + 1
        assert self.tokenization.suite is not None
        suite = {name: bytes.fromhex(at[2:]) for name, at in self.tokenization.suite.items()}
        token = ProjectedToken(
            address=self.address,
            identity_registry=suite["identity_registry"],
            compliance=suite["compliance"],
            block_number=number,
        )
        found = ProjectedRange(
            head_number=number,
            blocks=[self.block(number)],
            tokens=[token] if deploy else [],
            **split(
                ProjectedEvent(
                    token=self.address,
                    block_number=number,
                    log_index=index,
                    **({"tx_hash": secrets.token_bytes(32)} | event),
                )
                for index, event in enumerate(events)
            ),
        )
        apply_range(
            self.desk.session, self.chain_id, after=(cursor.number, cursor.hash), found=found
        )

    def register(self, address: bytes) -> None:
        said = {"identity": secrets.token_hex(20), "country": 586}
        self.mine({"kind": EventKind.IDENTITY_REGISTERED, "target": address, "extra": said})

    def mint(self, address: bytes, units: int, *, instructed: int | None = None) -> None:
        """Mint by an instruction of as many units, or of `instructed`."""
        tx_hash = self.instruct(OperationKind.MINT, units if instructed is None else instructed)
        self.mine(
            {"kind": EventKind.TRANSFER, "target": address, "units": units, "tx_hash": tx_hash}
        )

    def instruct(self, kind: OperationKind, units: int) -> bytes:
        """Write an operation that the chain has carried out, and return its transaction."""
        session = self.desk.session
        where = {"tokenization_id": str(self.tokenization.id), "units": str(units)}
        operation = Operation(
            kind=kind,
            key=f"ledger:{next(numbers)}",
            state=OperationState.FINAL,
            subject_kind="tokenization",
            subject_id=str(self.tokenization.id),
            requested_by="ledger",
            params=where,
        )
        session.add(operation)
        session.flush()
        tx_hash = secrets.token_bytes(32)
        session.add(
            OperationAttempt(
                tx_hash=tx_hash,
                operation_id=operation.id,
                seq=1,
                raw=b"raw",
                gas=1,
                max_fee_wei=1,
                signed_at_block=1,
                signed_at=now(),
            )
        )
        session.flush()
        return tx_hash

    def burn(self, address: bytes, units: int) -> None:
        self.mine({"kind": EventKind.TRANSFER, "source": address, "units": units})

    def move(self, source: bytes, target: bytes, units: int) -> None:
        """Let one holder transfer to another."""
        event = {"kind": EventKind.TRANSFER, "source": source, "target": target, "units": units}
        self.mine(event)

    def pause(self) -> None:
        self.mine({"kind": EventKind.PAUSED, "extra": {"agent": "0x00"}})

    def unpause(self) -> None:
        self.mine({"kind": EventKind.UNPAUSED, "extra": {"agent": "0x00"}})

    def take_back(self, ancestor: int) -> None:
        """Let a reorg take what is above a block, all of it stored before, as it ever is.

        A test is one transaction: without that it was stored at the moment of the reorg.
        """
        aged = "UPDATE chain_block SET recorded_at = recorded_at - interval '1 second'"
        self.desk.session.execute(text(aged))
        rewind(self.desk.session, self.chain_id, self.block(ancestor))
        self.desk.session.expire_all()

    def stand_still(self) -> None:
        """Pause in a block that is final, as are all before it."""
        self.pause()
        self.finalize()

    def finalize(self) -> None:
        """Let every block so far be final."""
        session = self.desk.session
        cursor = session.get_one(SyncCursor, self.chain_id, populate_existing=True)
        cursor.finalized_number, cursor.finalized_hash = cursor.number, cursor.hash
        session.add(cursor)
        session.flush()

    def freeze(self, address: bytes, *, frozen: bool = True) -> None:
        said = {"frozen": frozen, "agent": "0x00"}
        self.mine({"kind": EventKind.ADDRESS_FROZEN, "target": address, "extra": said})

    def freeze_units(self, address: bytes, units: int) -> None:
        self.mine({"kind": EventKind.TOKENS_FROZEN, "target": address, "units": units})


def live(desk: Desk, *units: int, wrapped: Wrapped | None = None, days_ago: int = 1) -> Ledger:
    """Give a live token, minted to a new buyer for each of `units`."""
    if units in desk.shelf and wrapped is None and days_ago == 1:
        ready: Ledger = desk.shelf.pop(units)()
        return resumed(ready, desk)
    where = wrapped or sales.wrapped_apartment(desk)
    tokenization = sales.deployed(desk, where, declared_fractions=sum(units), price_paisa=1)
    tokenization.state = TokenizationState.LIVE
    started = now() - timedelta(days=days_ago)
    ledger = Ledger(desk, where, tokenization, 900_000 + next(numbers), started)
    desk.session.flush()
    open_cursor(desk.session, ledger.chain_id, ledger.block(0), 0)
    return _begun(ledger, *units)


def _begun(ledger: Ledger, *units: int) -> Ledger:
    ledger.mine(deploy=True)
    ledger.unpause()
    for part in units:
        holder = make.buyer(ledger.desk)
        ledger.holders.append(holder)
        ledger.register(holder.wallet.address)
        ledger.mint(holder.wallet.address, part)
    return ledger


def live_beside(chain: Ledger, *units: int) -> Ledger:
    """Give another live token, on the chain of the first."""
    where = sales.wrapped_apartment(chain.desk)
    tokenization = sales.deployed(chain.desk, where, declared_fractions=sum(units), price_paisa=1)
    tokenization.state = TokenizationState.LIVE
    other = replace(chain, wrapped=where, tokenization=tokenization, holders=[])
    other.desk.session.flush()
    return _begun(other, *units)


def resumed(chain: Ledger, desk: Desk) -> Ledger:
    """Go on with a chain in another transaction."""
    return replace(chain, desk=desk)


def differ(desk: Desk, chain: Ledger) -> None:
    """Record a proof that found the first holder to have less on chain."""
    prove(
        desk,
        chain,
        {
            "what": "balance",
            "holder": "0x" + chain.holders[0].wallet.address.hex(),
            "database": "600",
            "chain": "599",
        },
    )


def prove(desk: Desk, chain: Ledger, *differences: dict[str, str]) -> None:
    """Record a proof of the token."""
    assert chain.token.token_no is not None
    desk.session.add(
        Reconciliation(
            token_no=chain.token.token_no,
            block_number=1,
            block_hash=b"\1" * 32,
            holders=2,
            projected_supply_units=1_000,
            chain_supply_units=1_000,
            differences=list(differences),
        )
    )
    desk.session.flush()
