"""Alerts: what a rule found that people must look at, and how far its rounds have come."""

from __future__ import annotations

from enum import StrEnum
from typing import Any
from uuid import UUID

from pydantic import AwareDatetime
from sqlalchemy import CheckConstraint, Index
from sqlmodel import Field, SQLModel

from registry.kernel.columns import Record, bigint, binary, document, enumeration, instant


class AlertRule(StrEnum):
    LARGE_HOLDER_CROSSED = "LARGE_HOLDER_CROSSED"
    RAPID_IN_AND_OUT = "RAPID_IN_AND_OUT"
    STRUCTURING = "STRUCTURING"
    SANCTIONED_NAME = "SANCTIONED_NAME"


class AlertState(StrEnum):
    OPEN = "OPEN"
    REVIEWED = "REVIEWED"
    DISMISSED = "DISMISSED"
    ESCALATED = "ESCALATED"


class Alert(Record, table=True):
    """One finding of one rule, raised once however often it is found again.

    Parameters
    ----------
    key
        Names the finding: of the chain by its transaction, so that a block that comes back after
        a reorg brings nothing new; of a wallet that was proven by its address.
    party_id, wallet
        Whom it is about; of a wallet that nobody has proven, the 20 bytes alone.
    evidence
        What the rule saw, in figures and ids; never a name.
    chain_id, block_number, block_hash, tx_hash
        Where the chain said it; None of what it did not. Of a wallet that was proven, the newest
        transfer by which its party held so much.
    happened_at
        When the block was mined, the last payment came, the name was found, or the wallet proven.
    taken_back_at
        When a reorg took that block; None where the chain stands by it.
    """

    __table_args__ = (
        CheckConstraint(
            "state <> 'DISMISSED' OR acting_person(decided_by) <> acting_person(reviewed_by)",
            name="ck_alert_four_eyes",
        ),
        CheckConstraint(
            "num_nulls(chain_id, block_number, block_hash, tx_hash) IN (0, 4)",
            name="ck_alert_place",
        ),
        Index("ix_alert_block", "chain_id", "block_number"),
    )

    rule: AlertRule = enumeration(AlertRule)
    key: str = Field(unique=True)
    party_id: UUID | None = Field(default=None, foreign_key="party.id", index=True)
    wallet: bytes | None = binary(nullable=True, default=None)
    tokenization_id: UUID | None = Field(default=None, foreign_key="tokenization.id", index=True)
    evidence: dict[str, Any] = document()
    chain_id: int | None = bigint(default=None)
    block_number: int | None = bigint(default=None)
    block_hash: bytes | None = binary(nullable=True, default=None)
    tx_hash: bytes | None = binary(nullable=True, default=None)
    happened_at: AwareDatetime = instant(nullable=False)
    taken_back_at: AwareDatetime | None = instant()
    state: AlertState = enumeration(AlertState, default=AlertState.OPEN)
    reviewed_by: str | None = None
    reason: str | None = None
    decided_by: str | None = None
    decided_at: AwareDatetime | None = instant()
    decision_reason: str | None = None


class AlertCursor(SQLModel, table=True):
    """How far one source has been looked at.

    Parameters
    ----------
    source
        ``chain:<id>`` or ``wallets``; ``payments:`` or ``hits:`` and with which thresholds.
    block_number, block_hash
        Of a chain: the last block.
    last_id
        Of rows: none that was made before it is looked at again.
    sealed
        The same of a chain and of wallets, see `registry.alert.cursors`.
    """

    __tablename__ = "alert_cursor"

    source: str = Field(primary_key=True)
    block_number: int | None = bigint(default=None)
    block_hash: bytes | None = binary(nullable=True, default=None)
    last_id: UUID | None = None
    sealed: bytes | None = binary(nullable=True, default=None)
