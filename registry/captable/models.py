"""The cap table as the chain tells it: a projection that can be thrown away and replayed.

Keys begin with the token, addresses are interned as integers, and no foreign key stands in the
way of a bulk load (ADR 0005). Only `chain.sync.indexer` writes here.
"""

from __future__ import annotations

from datetime import timedelta
from enum import IntEnum, StrEnum
from math import inf
from typing import Any

from pydantic import AwareDatetime
from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    Identity,
    Index,
    Integer,
    Interval,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlmodel import Field, SQLModel, col

from registry.kernel.columns import Record, Uint256, bigint, binary, document, instant, uint256


class EventKind(IntEnum):
    """What a log said. Numbers are stored: never renumber."""

    TRANSFER = 1
    ADDRESS_FROZEN = 2
    TOKENS_FROZEN = 3
    TOKENS_UNFROZEN = 4
    PAUSED = 5
    UNPAUSED = 6
    RECOVERY = 7
    IDENTITY_REGISTERED = 8
    IDENTITY_REMOVED = 9
    IDENTITY_UPDATED = 10
    COUNTRY_UPDATED = 11
    CASE_ACT = 12
    AGENT_ADDED = 13
    AGENT_REMOVED = 14
    CONTROL = 15


class ForcedAct(StrEnum):
    """What is done to somebody's units without them; in the order of `CaseAgent.Act`."""

    FORCED_TRANSFER = "FORCED_TRANSFER"
    BURN = "BURN"
    FREEZE_WALLET = "FREEZE_WALLET"
    UNFREEZE_WALLET = "UNFREEZE_WALLET"
    FREEZE_UNITS = "FREEZE_UNITS"
    UNFREEZE_UNITS = "UNFREEZE_UNITS"
    RECOVERY = "RECOVERY"


class SyncCursor(SQLModel, table=True):
    """How far one chain is projected. Its conditional update is the guard against reorgs.

    Parameters
    ----------
    generation
        Of its writers: rises whenever another takes over, who alone may write from then on.
    finalized_number, finalized_hash
        The newest block that was final when we looked; a reorg below it is an alarm.
    degraded
        Why what is projected is not to be relied on; None where it is.
    chain_doubt, chain_doubted_since
        The reason where it is the chain itself, and with it every token: what is paid stops for
        all of them. None where it is relied on, or only some tokens are not.
    latest_mined_at
        The greatest time of a block that is projected.
    set_back
        No block is of a time by more than this before that of an earlier one; None where none is.
    """

    __tablename__ = "sync_cursor"

    chain_id: int = bigint(primary_key=True)
    number: int = bigint()
    hash: bytes = binary()
    head_number: int = bigint()
    checked_at: AwareDatetime = instant(nullable=False)
    generation: int = bigint(default=0)
    finalized_number: int | None = bigint(default=None)
    finalized_hash: bytes | None = binary(nullable=True, default=None)
    degraded: str | None = None
    degraded_since: AwareDatetime | None = instant()
    chain_doubt: str | None = None
    chain_doubted_since: AwareDatetime | None = instant()
    latest_mined_at: AwareDatetime | None = instant()
    set_back: timedelta | None = Field(default=None, sa_column=Column(Interval))


class ChainBlock(SQLModel, table=True):
    """A block that we believe in: those with events, and the end of each range.

    Parameters
    ----------
    recorded_at
        When the transaction began that stored it; the database's own clock.
    """

    __tablename__ = "chain_block"
    # The last block of a time, and the first since one.
    __table_args__ = (Index("ix_chain_block_mined_at", "chain_id", "mined_at", "number"),)

    chain_id: int = bigint(primary_key=True)
    number: int = bigint(primary_key=True)
    hash: bytes = binary()
    parent_hash: bytes = binary()
    mined_at: AwareDatetime = instant(nullable=False)
    recorded_at: AwareDatetime = Field(
        default=None,
        sa_column=Column(DateTime(timezone=True), nullable=False, server_default=text("now()")),
    )


class Token(SQLModel, table=True):
    """A token suite that our own factory deployed, or that was adopted.

    Parameters
    ----------
    identity_storage
        What tells who is registered, of an adopted token: other registries may write to it too.
        None where the identity registry tells.
    block_number
        The first block in which it, or its storage, can have said anything.
    held_units
        What all holders have together; a trigger of the database keeps it, nobody else writes it
        (`captable.sums`).
    caught_up_to
        The block to which it is projected while it is caught up beside its chain: after it was
        adopted, or repaired. None where it is projected together with its chain.
    refusal, refused_at
        Why nothing of it is projected any more, and to which block its chain was read by then;
        None where it is.
    doubted_since
        When its holders did not have its supply together, and it was read again for that; None
        once it was proven as a whole since.
    is_adopted
        Somebody had it followed: no reorg takes it away with its deployment, of which nobody may
        tell us again.
    symbol, name, decimals
        What an adopted token calls itself, as it was last asked; None where it does not tell, and
        of the platform's own, whose tokenization names them.
    """

    __table_args__ = (
        UniqueConstraint("address", "chain_id", name="uq_token_address"),
        # Those that are being read again: asked for with every portfolio.
        Index("ix_token_read_apart", "chain_id", postgresql_where=text("caught_up_to IS NOT NULL")),
        CheckConstraint("(refusal IS NULL) = (refused_at IS NULL)", name="ck_token_refused_at"),
    )

    token_no: int | None = Field(
        default=None, sa_column=Column(Integer, Identity(), primary_key=True)
    )
    chain_id: int = bigint()
    address: bytes = binary()
    identity_registry: bytes = binary()
    identity_storage: bytes | None = binary(nullable=True, default=None)
    compliance: bytes = binary()
    block_number: int = bigint()
    supply_units: int = uint256(default=0)
    held_units: int = uint256(default=0, sa_column_kwargs={"server_default": text("0")})
    paused: bool = True
    caught_up_to: int | None = bigint(default=None)
    refusal: str | None = None
    refused_at: int | None = bigint(default=None)
    doubted_since: AwareDatetime | None = instant()
    is_adopted: bool = Field(default=False, sa_column_kwargs={"server_default": text("false")})
    symbol: str | None = None
    name: str | None = None
    decimals: int | None = None

    @property
    def is_told_whole(self) -> bool:
        """Whether it goes with its chain: it is not read by itself, nor refused."""
        return self.caught_up_to is None and self.refusal is None


class Holder(SQLModel, table=True):
    """An address, interned: four bytes in the hot tables instead of twenty."""

    __table_args__ = (CheckConstraint("octet_length(address) = 20", name="ck_holder_address"),)

    holder_no: int | None = Field(
        default=None, sa_column=Column(Integer, Identity(always=True), primary_key=True)
    )
    address: bytes = binary(unique=True)


class TokenEvent(SQLModel, table=True):
    """One log of a token or of its identity registry."""

    __tablename__ = "token_event"
    __table_args__ = (
        # All but transfers: few, and folded anew when a reorg takes some of them back.
        Index(
            "ix_token_event_rare",
            "token_no",
            "block_number",
            "log_index",
            postgresql_where=text("kind <> 1"),
        ),
        # Mints, burns, and what was done to somebody: looked for among a thousand times as many.
        Index(
            "ix_token_event_told",
            "token_no",
            "block_number",
            "log_index",
            postgresql_where=text(
                "kind = 1 AND (extra IS NOT NULL OR source IS NULL OR target IS NULL)"
            ),
        ),
        # How a wallet was registered at a block (`captable.registered`).
        Index(
            "ix_token_event_registered",
            "token_no",
            "target",
            "block_number",
            "log_index",
            postgresql_where=text("kind IN (8, 9, 10, 11)"),
        ),
        # Which contracts were a token's suite (`captable.suites`): hardly any.
        Index(
            "ix_token_event_suite",
            "token_no",
            "block_number",
            "log_index",
            postgresql_where=text("kind = 15 AND extra ? 'was'"),
        ),
        # Who was ever frozen: few, and asked for by holder.
        Index(
            "ix_token_event_frozen",
            "token_no",
            "target",
            "block_number",
            "log_index",
            postgresql_where=text("kind = 2"),
        ),
    )

    token_no: int = Field(primary_key=True)
    block_number: int = bigint(primary_key=True)
    log_index: int = Field(primary_key=True)
    kind: int
    tx_hash: bytes = binary()
    source: int | None = None
    target: int | None = None
    units: int | None = uint256(default=None, nullable=True)
    extra: dict[str, Any] | None = Field(default=None, sa_column=Column(JSONB(none_as_null=True)))


TOLD = (
    col(TokenEvent.extra).is_not(None)
    | col(TokenEvent.source).is_(None)
    | col(TokenEvent.target).is_(None)
)
"""The condition of ``ix_token_event_told``, beside the kind of the event."""


class BalanceAt(SQLModel, table=True):
    """A holder's balance from this block until the holder's next row.

    What a bulk load finds in one range is one row: the first change in the plain columns, every
    later one in the arrays (ADR 0029). The view ``balance_history`` has a row for each change.

    Parameters
    ----------
    later_blocks, later_balances
        Changes after `block_number`, ascending; None where the range holds no other.
    later_frozen
        None also where nothing of it changed since `block_number`.
    """

    __tablename__ = "balance_at"
    __table_args__ = (
        # What a reorg takes back lies together, at the end: found without the large index.
        Index(
            "ix_balance_at_block",
            "block_number",
            postgresql_using="brin",
            postgresql_with={"pages_per_range": 32, "autosummarize": True},
        ),
    )

    token_no: int = Field(primary_key=True)
    holder_no: int = Field(primary_key=True)
    block_number: int = bigint(primary_key=True)
    balance_units: int = uint256()
    frozen_units: int = uint256()
    later_blocks: list[int] | None = Field(default=None, sa_column=Column(ARRAY(BigInteger)))
    later_balances: list[int] | None = Field(default=None, sa_column=Column(ARRAY(Uint256)))
    later_frozen: list[int] | None = Field(default=None, sa_column=Column(ARRAY(Uint256)))


class Balance(SQLModel, table=True):
    """A holder's balance now, and before its last change, which a reorg may take back.

    Parameters
    ----------
    before_block, before_units, before_frozen
        How it stood before the change at `block_number`, and since which block; that is -1 where
        the holder never had any. None where one write told several changes, or a reorg took the
        last one: then the history has to be asked.
    most_units
        A power of two that is not below the most that the holder ever had at the end of a block:
        who never had much is not looked up in the history. It changes when that doubles, and so
        seldom that its index costs the writer nothing; a reorg leaves it as it is.
    """

    __table_args__ = (
        CheckConstraint("balance_units >= 0 AND frozen_units >= 0", name="ck_balance_not_negative"),
        Index("ix_balance_most", "token_no", "most_units"),
    )

    token_no: int = Field(primary_key=True)
    holder_no: int = Field(primary_key=True)
    balance_units: int = uint256()
    frozen_units: int = uint256()
    block_number: int = bigint()
    before_block: int | None = bigint(default=None)
    before_units: int | None = uint256(default=None, nullable=True)
    before_frozen: int | None = uint256(default=None, nullable=True)
    most_units: float = Field(default=inf, sa_column_kwargs={"server_default": text("'Infinity'")})


class RegisteredWallet(SQLModel, table=True):
    """Which wallet is registered for a token, with which ONCHAINID, of which country."""

    __tablename__ = "registered_wallet"

    token_no: int = Field(primary_key=True)
    holder_no: int = Field(primary_key=True)
    identity: bytes = binary()
    country: int
    block_number: int = bigint()


class Reconciliation(Record, table=True):
    """The projection held against the chain's own answers, at one block.

    Parameters
    ----------
    void_since
        Since when it says nothing of what is projected, which was read again; None where it does.
    """

    # The first proof from a block on, and all of a token.
    __table_args__ = (Index("ix_reconciliation_block", "token_no", "block_number", "id"),)

    token_no: int
    block_number: int = bigint()
    block_hash: bytes = binary()
    holders: int
    projected_supply_units: int = uint256()
    chain_supply_units: int = uint256()
    differences: list[dict[str, Any]] = document(default_factory=list)
    void_since: AwareDatetime | None = instant()


class ProofRound(SQLModel, table=True):
    """How far the sweep has gone that proves every holder of a token, slice by slice.

    Parameters
    ----------
    after_holder
        Number of the last holder that was proven in this round.
    ended_at
        When the last round that went to its end did.
    """

    __tablename__ = "proof_round"

    token_no: int = Field(primary_key=True)
    after_holder: int = 0
    begun_at: AwareDatetime = instant(nullable=False)
    ended_at: AwareDatetime | None = instant()
